"""A cluster's backup put back, step by step as docs/operations/kubernetes.md and backup.md say."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.debian import program
from tests.support.farm import farming
from tests.support.mariadb import PASSWORD, USER, MariaDb
from tests.support.world import Person, answered, inhabited, until
from unique_cs.client import Sent


def dump(mariadb: MariaDb, file: Path) -> None:
    """Back the only test database up while the nodes run."""
    with file.open("wb") as out:
        subprocess.run(_words(mariadb, "mariadb-dump", "--single-transaction"), stdout=out, check=True)


def restore(mariadb: MariaDb, file: Path) -> None:
    with file.open("rb") as back:
        subprocess.run(_words(mariadb, "mariadb"), stdin=back, check=True)


def _words(mariadb: MariaDb, name: str, *options: str) -> list[str]:
    (database,) = (row[0] for row in mariadb.sql("SHOW DATABASES LIKE 'test\\_%'"))
    login = ["--no-defaults", "--protocol=tcp", "-h127.0.0.1", f"-P{mariadb.port}", f"-u{USER}"]
    return [program(name, "mariadb-client"), *login, f"-p{PASSWORD}", *options, database]


async def archived(mariadb: MariaDb, messages: int) -> None:
    """Wait until the database has so many."""
    (database,) = databases(mariadb)
    query = "SELECT COUNT(*) FROM events WHERE name = 'message.created'"
    async with asyncio.timeout(30):
        while int(mariadb.sql(query, database)[0][0]) < messages:
            await asyncio.sleep(0.1)


def databases(mariadb: MariaDb) -> list[str]:
    return [row[0] for row in mariadb.sql("SHOW DATABASES LIKE 'test\\_%'")]


async def said(person: Person, name: str, conversation: str | None = None) -> str:
    """Say something ten times; return where."""
    answers = await answered([person.say(f"{name}-{n}", conversation) for n in range(10)], 30)
    assert [each for each in answers if not isinstance(each, Sent)] == []
    where: str = answers[0].conversation
    return where


@pytest.mark.slow
@pytest.mark.parametrize("volumes", ["kept", "new"])
async def test_a_restored_cluster_goes_on(tmp_path: Path, own_mariadb: MariaDb, volumes: str) -> None:
    """The journals have what was said after the backup; without them that is gone, and the rest is right."""
    async with farming(tmp_path, own_mariadb, 2) as farm, inhabited(farm) as town:
        ann, owner = await town.visitor("ann"), await town.owner()
        where = await said(ann, "before")
        await archived(own_mariadb, 10)
        dump(own_mariadb, tmp_path / "backup.sql")
        await said(ann, "after", where)
        await archived(own_mariadb, 20)
        # Their journals know now that the database has it.
        await farm.stop()
        await farm.start()
        await said(ann, "later", where)
        await archived(own_mariadb, 30)
        assert await farm.stop() == [0, 0]
        restore(own_mariadb, tmp_path / "backup.sql")
        farm.redis.flush()
        if volumes == "new":
            for node in farm.nodes:
                shutil.rmtree(node.data)
        await farm.start()
        await said(ann, "again", where)
        expected = [f"{name}-{n}" for name in ("before", "after", "later", "again") for n in range(10)]
        if volumes == "new":
            expected = [text for text in expected if text.startswith(("before", "again"))]
        _, events = await (await town.agent()).history(where)
        stored = [each["data"]["body"]["text"] for each in events if each["name"] == "message.created"]
        assert stored == expected
        await until(lambda: owner.texts(where)[-1:] == ["again-9"], 30)
        if volumes == "kept":
            assert await town.verdict() == []

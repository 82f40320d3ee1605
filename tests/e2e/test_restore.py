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
from unique_cs.client import Rest, Sent


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
        assert await texts(await town.agent(), where) == expected
        for each in (ann, owner):
            await until(lambda: each.recorder.positions().get(where) == len(expected) + 1, 30)  # noqa: B023
        if volumes == "kept":
            assert await town.verdict() == []


@pytest.mark.slow
async def test_a_node_that_comes_late_adds_what_the_backup_lacks(
    tmp_path: Path, own_mariadb: MariaDb
) -> None:
    """At the end: the others opened a numbering without it."""
    async with farming(tmp_path, own_mariadb, 2) as farm, inhabited(farm) as town:
        soon, late = farm.nodes
        ann = await town.client("ann", await town.contact("ann"), url=late.url)
        where = await said(ann, "before")
        await archived(own_mariadb, 10)
        dump(own_mariadb, tmp_path / "backup.sql")
        await said(ann, "after", where)
        await archived(own_mariadb, 20)
        # Its journal knows now that the database has it.
        await farm.stop()
        await farm.start()
        await said(ann, "later", where)
        await farm.stop()
        restore(own_mariadb, tmp_path / "backup.sql")
        farm.redis.flush()
        await soon.start()
        await late.start()
        staff = await town.agent()
        expected = {f"{name}-{n}" for name in ("before", "after", "later") for n in range(10)}
        async with asyncio.timeout(60):
            while set(await texts(staff, where)) != expected:
                await asyncio.sleep(0.2)
        await said(ann, "again", where)
        found = await texts(staff, where)
        assert len(found) == len(set(found)) == 40


async def texts(rest: Rest, conversation: str) -> list[str]:
    """What is stored."""
    _, events = await rest.history(conversation)
    return [each["data"]["body"]["text"] for each in events if each["name"] == "message.created"]

"""The server over MariaDB: an embedded installation that grows up, and a database that goes away."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.support.crowd import talking
from tests.support.mariadb import PASSWORD, MariaDb
from tests.support.world import inhabited, running, until
from unique_cs.bench.process import ServerProcess
from unique_cs.client import Connected, Sent
from unique_cs.storage.schema import HEAD


async def command(data: Path, url: str, *arguments: str, **settings: str) -> tuple[int, str]:
    """Run unique-cs over a data folder and a database; return its status and what it printed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("UNIQUE_CS_")}
    environ |= {"UNIQUE_CS_DATA_DIR": str(data), "UNIQUE_CS_DATABASE_URL": url}
    environ |= {f"UNIQUE_CS_{name}_PORT": "0" for name in ("HTTP", "GRPC", "MQTT")} | settings
    program = [sys.executable, "-m", "unique_cs", *arguments]
    process = await asyncio.create_subprocess_exec(
        *program, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def move(server: ServerProcess, url: str) -> tuple[int, str]:
    return await command(server.data, url, "move", "--from", "sqlite", "--to", "mysql")


async def test_an_installation_grows_up_while_its_clients_wait(tmp_path: Path, mariadb: MariaDb) -> None:
    """Killed, moved, started on MariaDB: sessions resume, and everybody's history is what is stored."""
    url = mariadb.new_database()
    async with running(tmp_path, rate_limits="off") as server, inhabited(server) as town:
        async with talking(town, visitors=10, rate=300) as talkers:
            await asyncio.sleep(1)
            await server.kill()
            status, printed = await move(server, url)
            assert (status, "moved;" in printed) == (0, True), printed
            server._environ["UNIQUE_CS_DATABASE_URL"] = url
            await server.start()
            await asyncio.sleep(1)
        await talkers.finish(30)
        resumed = [item.resumed for item in talkers.owner.recorder.told if isinstance(item, Connected)]
        assert resumed[-1]
        assert await town.verdict() == []
        await server.stop()
        status, printed = await move(server, url)
        assert (status, "moved already" in printed) == (0, True), printed
        status, printed = await command(server.data, "", "serve")
        assert (status, "belongs to another database" in printed) == (2, True), printed


async def test_a_data_folder_is_not_started_on_a_database_that_is_not_its_own(
    tmp_path: Path, mariadb: MariaDb
) -> None:
    first, second = mariadb.new_database(), mariadb.new_database()
    async with running(tmp_path, database_url=first):
        pass
    for data, url, reason in [
        (tmp_path / "data", second, "belongs to another database"),
        (tmp_path / "data", "", "belongs to another database"),
        (tmp_path / "new" / "data", first, "belongs to another data folder"),
    ]:
        status, printed = await command(data, url, "serve")
        assert (status, reason in printed) == (2, True), printed


async def test_chat_goes_on_while_the_database_is_away(tmp_path: Path, own_mariadb: MariaDb) -> None:
    """MariaDB is killed under load and comes back: nobody notices, and the archive gets everything."""
    url = own_mariadb.new_database()
    settings = {"rate_limits": "off", "database_url": url}
    async with running(tmp_path, **settings) as server, inhabited(server) as town:
        async with talking(town, visitors=5, rate=200) as talkers:
            await asyncio.sleep(0.5)
            own_mariadb.kill()
            visitor = talkers.visitors[0]
            before = len(visitor.recorder.told)
            answer = await asyncio.wait_for(visitor.say("while it is away"), 5)
            assert isinstance(answer, Sent)
            assert await server.status("/readyz") == 200
            assert not any(isinstance(item, Connected) for item in visitor.recorder.told[before:])
            own_mariadb.start()
        sent = await talkers.finish(30)
        name = url.rpartition("/")[2]
        count = "SELECT COUNT(*) FROM events WHERE name = 'message.created'"
        await until(lambda: own_mariadb.sql(count, name) == [[str(sent + len(talkers.visitors) + 1)]], 30)
        assert await town.verdict() == []
        assert PASSWORD not in server.log.read_text()


async def test_a_database_that_cannot_be_had_ends_the_start_with_one_line(
    tmp_path: Path, mariadb: MariaDb
) -> None:
    url = mariadb.url("nowhere")
    for verb in ("serve", "migrate"):
        status, printed = await command(tmp_path, url, verb)
        assert (status, len(printed.splitlines())) == (2, 1), printed
        assert "nowhere" in printed
        assert PASSWORD not in printed


async def test_the_database_is_migrated_ahead_of_the_start(tmp_path: Path, mariadb: MariaDb) -> None:
    url = mariadb.new_database()
    printed = [await command(tmp_path, url, "migrate") for _ in range(2)]
    assert printed == [(0, f"the database is at revision {HEAD}\n")] * 2

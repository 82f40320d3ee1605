"""An installation of one process becomes a cluster: sessions, cursors and tokens go with it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_mysql import command, move
from tests.support.crowd import talking
from tests.support.mariadb import MariaDb
from tests.support.raw import RawSocket
from tests.support.redis import RedisServer
from tests.support.world import World, inhabited, running
from unique_cs.bench.process import ServerProcess
from unique_cs.client import Connected

HELLO = {"type": "send", "n": 1, "body": {"kind": "text", "text": "hello"}}


async def hello(url: str, token: str | None, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Connect, say hello as send 1; return `connected` and `sent`."""
    async with RawSocket(url) as socket:
        connected = await socket.connect(token, **fields)
        await socket.send(HELLO)
        return connected, await socket.until("sent")


async def read(server: ServerProcess, town: World, conversation: str) -> None:
    """The owner reads two events, and that is durable."""
    staff = await town.agent()
    async with RawSocket(server.url) as socket:
        await socket.connect(staff.token)
        await socket.send({"type": "read", "conversation": conversation, "seq": 2})
        async with asyncio.timeout(10):
            while (await staff.call("GET", f"/conversations/{conversation}"))["read"] != 2:
                await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_one_process_becomes_two_nodes(
    tmp_path: Path, mariadb: MariaDb, own_redis: RedisServer
) -> None:
    """Killed under load, moved, started as a cluster on the same port: everybody goes on."""
    url = mariadb.new_database()
    shared = {
        "UNIQUE_CS_MAX_LAG_MS": "5000",
        "UNIQUE_CS_REDIS_URL": own_redis.url,
        "UNIQUE_CS_DATABASE_URL": url,
        "UNIQUE_CS_RATE_LIMITS": "off",
    }
    second = ServerProcess(tmp_path / "second", environ=shared)
    async with running(tmp_path, rate_limits="off", max_lag_ms="5000") as first, inhabited(first) as town:
        guest = await town.contact("guest")
        before, sent = await hello(first.url, guest.token)
        await read(first, town, sent["conversation"])
        async with talking(town, visitors=8, rate=200) as talkers:
            await asyncio.sleep(1)
            await first.kill()
            status, printed = await move(first, url)
            assert (status, "moved;" in printed) == (0, True), printed
            first._environ.update(shared)
            await asyncio.gather(first.start(), second.start())
            await asyncio.sleep(1)
        await talkers.finish(30)
        for person in (talkers.owner, *talkers.visitors):
            told = [item for item in person.recorder.told if isinstance(item, Connected)]
            assert len(told) > 1
            assert told[-1].resumed
        after, again = await hello(second.url, guest.token, session=before["session"], c=9)
        assert (after["session"], after["resumed"], after["n"]) == (before["session"], True, 1)
        assert (again["id"], again["seq"]) == (sent["id"], sent["seq"])
        cursors = after["conversations"][0]["cursors"]
        assert [(each["actor"]["kind"], each["read"]) for each in cursors] == [("agent", 2)]
        assert await town.verdict() == []
        assert await second.stop() == 0


async def test_a_cluster_takes_nothing_that_was_not_handed_over(
    tmp_path: Path, mariadb: MariaDb, own_redis: RedisServer
) -> None:
    """What one process added after a move is handed over by the next; and there is no way back."""
    url = mariadb.new_database()
    nodes = {"UNIQUE_CS_REDIS_URL": own_redis.url}
    async with running(tmp_path, database_url=url, max_lag_ms="5000") as server, inhabited(server) as town:
        guest = await town.contact("guest")
        before, sent = await hello(server.url, guest.token)
        await server.kill()
        for folder in (server.data, tmp_path / "new"):
            status, printed = await command(folder, url, "serve", **nodes)
            assert (status, "take it along with unique-cs move" in printed) == (2, True), printed
        for _ in range(2):
            status, printed = await move(server, url)
            assert (status, "sends: " in printed) == (0, True), printed
        server._environ.update(nodes)
        await server.start()
        after, again = await hello(server.url, guest.token, session=before["session"], c=9)
        assert (after["resumed"], again["id"]) == (True, sent["id"])
        await server.stop()
        for folder in (server.data, tmp_path / "new"):
            status, printed = await command(folder, url, "serve")
            assert (status, "the database is a cluster's" in printed) == (2, True), printed
        status, printed = await move(server, url)
        assert (status, "sends: " in printed) == (0, False), printed

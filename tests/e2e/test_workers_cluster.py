"""`unique-cs serve --workers 2` over Redis and MariaDB: people talk while every worker is replaced."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx2

from tests.support.mariadb import MariaDb
from tests.support.redis import RedisServer
from tests.support.world import inhabited
from unique_cs.bench.process import OWNER_EMAIL, ServerProcess


class Workers(ServerProcess):
    """Two of them."""

    def __init__(self, folder: Path, redis: str, database: str, **environ: str) -> None:
        stores = {"UNIQUE_CS_REDIS_URL": redis, "UNIQUE_CS_DATABASE_URL": database}
        super().__init__(folder / "data", environ=stores | environ)
        self._command = (sys.executable, "-m", "unique_cs", "serve", "--workers", "2")

    async def logged(self, line: str) -> None:
        """Wait until the log says so."""
        async with asyncio.timeout(60):
            while line not in self.log.read_text():
                await asyncio.sleep(0.05)


async def test_a_talk_goes_on_while_all_workers_are_replaced(
    redis_server: RedisServer, mariadb: MariaDb, tmp_path: Path
) -> None:
    here = Workers(tmp_path, redis_server.url, mariadb.new_database(), UNIQUE_CS_RATE_LIMITS="off")
    try:
        await here.start()
        async with inhabited(here) as world:
            token = (await world.contact("Ann")).token
            socket = await world.raw()
            connected = await socket.connect(token)
            await socket.send({"type": "send", "n": 1, "body": {"kind": "text", "text": "before"}})
            sent = await socket.until("sent")
            os.kill(here.pid, signal.SIGHUP)
            await here.logged("every worker was replaced")
            again = await world.raw()
            resumed = await again.connect(token, session=connected["session"])
            assert (resumed["resumed"], resumed["n"]) == (True, 1)
            await again.send({"type": "send", "n": 2, "body": {"kind": "text", "text": "after"}})
            assert (await again.until("sent"))["conversation"] == sent["conversation"]
        assert await here.stop() == 0
    finally:
        await here.kill()


async def test_attempts_to_log_in_are_counted_over_all_workers(
    redis_server: RedisServer, mariadb: MariaDb, tmp_path: Path
) -> None:
    """Each worker alone would let five a minute pass."""
    database = mariadb.new_database()
    here = Workers(tmp_path, redis_server.url, database, UNIQUE_CS_LOGINS_PER_MINUTE="5")
    try:
        await here.start()
        statuses = []
        for _ in range(40):
            async with httpx2.AsyncClient(base_url=here.url) as http:
                body = {"email": OWNER_EMAIL, "password": "wrong"}
                statuses.append((await http.post("/api/v1/auth/login", json=body)).status_code)
            await asyncio.sleep(0.15)
        assert set(statuses) == {401, 429}
        assert 5 <= statuses.count(401) < 10
    finally:
        await here.kill()

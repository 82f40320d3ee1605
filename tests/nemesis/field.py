"""A cluster of real processes in which every link and every server can be hurt."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.nemesis.plan import NODES
from tests.support.disk import SmallDisk, small_disk
from tests.support.farm import Farm, balanced
from tests.support.link import Link
from tests.support.mariadb import MariaDb
from tests.support.redis import RedisServer
from unique_cs.bench.process import ServerError, ServerProcess, free_port

_DISK_MB = 400
_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
_AOF = ("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")


class Field(Farm):
    """Three nodes, each with links of its own to Redis, MariaDB and the balancer."""

    def __init__(self, folder: Path, redis: RedisServer, mariadb: MariaDb, disk: SmallDisk) -> None:
        self.database = urlsplit(address := mariadb.new_database()).path.strip("/")
        super().__init__(folder, redis, mariadb, address, NODES)
        self.disk = disk
        self.clock = folder / "clock"
        self.clock.write_text("+0")
        self.links: dict[str, Link] = {}
        self._address = address
        self._folder = folder

    @property
    def doors(self) -> list[int]:
        return [self.links[f"door:{number}"].port for number in range(NODES)]

    async def open(self, stack: AsyncExitStack) -> None:
        """Lay the links, and make the nodes at their ends."""
        ports = [free_port() for _ in range(NODES)]
        for number in range(NODES):
            for end, port in (
                ("redis", self.redis.port),
                ("mariadb", self.mariadb.port),
                ("door", ports[number]),
            ):
                link = self.links[f"{end}:{number}"] = Link(port)
                await link.open()
                stack.push_async_callback(link.close)
        self.nodes = [self._node(number, ports[number]) for number in range(NODES)]

    def _node(self, number: int, port: int) -> ServerProcess:
        redis, mariadb = (self.links[f"{end}:{number}"].port for end in ("redis", "mariadb"))
        environ = {
            "UNIQUE_CS_REDIS_URL": f"redis://127.0.0.1:{redis}",
            "UNIQUE_CS_DATABASE_URL": self._address.replace(f":{self.mariadb.port}/", f":{mariadb}/"),
            "UNIQUE_CS_RATE_LIMITS": "off",
            "UNIQUE_CS_DISK_RESERVE_MB": "16",
            "UNIQUE_CS_HTTP_PORT": str(port),
        }
        small = number == NODES - 1
        if number == 1 and Path(_FAKETIME).exists():
            environ |= {
                "LD_PRELOAD": _FAKETIME,
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        folder = self._disk_folder if small else self._folder
        node = ServerProcess(
            folder / f"node-{number}", environ=environ, prefix=self.disk.prefix if small else ()
        )
        node.port, node.log = port, self._folder / f"node-{number}.log"
        return node

    @property
    def _disk_folder(self) -> Path:
        """As a process inside the mount namespace sees it."""
        return self._folder / "disk"

    async def revive(self, node: ServerProcess) -> None:
        """Start a node as a supervisor does: one that ends, or isn't ready for long, is started again."""
        while True:
            try:
                if not node.running:
                    await node.start()
                    return
                if await node.status("/readyz") == 200:
                    return
                await asyncio.sleep(0.1)
            except ServerError:
                await node.kill()

    def wipe(self, number: int) -> None:
        """Take a node's data away, while it is down."""
        small = number == NODES - 1
        shutil.rmtree((self.disk.folder if small else self._folder) / f"node-{number}")

    def archived(self) -> int:
        """How far the record reaches, as a place in the log."""
        rows = self.mariadb.sql("SELECT position FROM relay", self.database)
        return int(rows[0][0]) if rows else 0

    def head(self) -> int:
        """The newest place in the log."""
        raw = self.redis.call("GET", "{ucs}:gen")
        return int(self.redis.call("GET", f"{{ucs}}:{raw.partition(':')[0]}:head") or 0) if raw else 0


@asynccontextmanager
async def field(folder: Path, mariadb: MariaDb) -> AsyncIterator[Field]:
    """One that serves."""
    redis = RedisServer(folder / "redis", *_AOF)
    redis.start()
    async with AsyncExitStack() as stack:
        stack.callback(redis.kill)
        disk = await stack.enter_async_context(small_disk(folder / "disk", _DISK_MB))
        made = Field(folder, redis, mariadb, disk)
        await made.open(stack)
        stack.enter_context(balanced(folder, made))
        stack.push_async_callback(_end, made)
        await made.start()
        await made.until_ready()
        yield made


async def _end(made: Field) -> None:
    for node in made.nodes:
        with suppress(ServerError, ProcessLookupError):
            await node.kill()

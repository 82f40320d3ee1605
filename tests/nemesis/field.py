"""A cluster of real processes in which every link and every server can be hurt."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.nemesis.plan import NODES, STEPS
from tests.support.debian import program
from tests.support.disk import SmallDisk, small_disk
from tests.support.farm import Farm, balanced
from tests.support.host import Host, Network, hosts
from tests.support.link import Link, Side
from tests.support.mariadb import MariaDb
from tests.support.redis import RedisServer
from unique_cs.bench.process import ServerError, ServerProcess, free_port

_DISK_MB = 400
_AOF = ("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")


def _stepping(clock: Path) -> dict[str, str]:
    """Settings under which a process takes steps of its clock from a file."""
    package = Path(program("faketime", "faketime"))
    library = next(package.parents[1].glob("lib/*/faketime/libfaketime.so.1"))
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


class Tenant(ServerProcess):
    """A node on a host of its own, where it is asked whether it is ready, however the network is."""

    side: Side

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await self.side.dial(self.port)


class Field(Farm):
    """Three nodes on hosts of their own, each with links to Redis, MariaDB and the balancer."""

    def __init__(
        self,
        folder: Path,
        redis: RedisServer,
        mariadb: MariaDb,
        disk: SmallDisk,
        outside: Network,
        machines: list[Host],
    ) -> None:
        self.database = urlsplit(address := mariadb.new_database()).path.strip("/")
        super().__init__(folder, redis, mariadb, address, NODES)
        self.disk = disk
        self.machines = machines
        self.clock = folder / "clock"
        self.clock.write_text("+0")
        self.links: dict[str, Link] = {}
        self._outside = outside
        self._address = address
        self._folder = folder

    @property
    def doors(self) -> list[int]:
        return [self.links[f"door:{number}"].port for number in range(NODES)]

    async def open(self, stack: AsyncExitStack) -> None:
        """Lay the links, and make the nodes at their ends."""
        ports = [free_port() for _ in self.machines]
        for number, (machine, port) in enumerate(zip(self.machines, ports, strict=True)):
            outside = self._outside.inside
            opposite, there = Side(machine.opposite, outside), Side(machine.address, outside)
            self.links |= {
                f"redis:{number}": Link(self.redis.port, near=opposite),
                f"mariadb:{number}": Link(self.mariadb.port, near=opposite),
                f"door:{number}": Link(port, far=there),
            }
        for link in self.links.values():
            await link.open()
            stack.push_async_callback(link.close)
        self.nodes = [self._node(number, port) for number, port in enumerate(ports)]

    def _node(self, number: int, port: int) -> Tenant:
        machine, small = self.machines[number], number == NODES - 1
        redis, mariadb = (self.links[f"{end}:{number}"].port for end in ("redis", "mariadb"))
        environ = {
            "UNIQUE_CS_HOST": machine.address,
            "UNIQUE_CS_HTTP_PORT": str(port),
            "UNIQUE_CS_REDIS_URL": f"redis://{machine.opposite}:{redis}",
            "UNIQUE_CS_DATABASE_URL": self._address.replace(
                f"127.0.0.1:{self.mariadb.port}/", f"{machine.opposite}:{mariadb}/"
            ),
            "UNIQUE_CS_RATE_LIMITS": "off",
            "UNIQUE_CS_DISK_RESERVE_MB": "16",
        }
        node = Tenant(
            (self._disk_folder if small else self._folder) / f"node-{number}",
            environ=environ | (_stepping(self.clock) if number == STEPS else {}),
            prefix=(*machine.prefix, *self.disk.prefix) if small else machine.prefix,
        )
        node.side, node.port = Side(machine.address, machine.inside), port
        node.log = self._folder / f"node-{number}.log"
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
        outside, machines = await stack.enter_async_context(hosts(NODES))
        made = Field(folder, redis, mariadb, disk, outside, machines)
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

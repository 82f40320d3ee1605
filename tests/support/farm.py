"""A cluster of real processes: nodes, Redis, MariaDB, and HAProxy in front of them."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from tests.support.debian import program
from tests.support.mariadb import MariaDb
from tests.support.redis import RedisServer
from unique_cs.bench.process import ServerProcess, Target, free_port

_CONFIGURATION = """
global
    maxconn 4000
defaults
    mode http
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
    timeout check 1s
    retries 2
    option redispatch
frontend all
    bind 127.0.0.1:{port}
    default_backend nodes
backend nodes
    balance leastconn
    cookie node rewrite
    option httpchk GET /readyz
    default-server inter 300ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


class Farm(Target):
    """`url` is the balancer's. The nodes, Redis and MariaDB are there to be hurt."""

    def __init__(
        self,
        folder: Path,
        redis: RedisServer,
        mariadb: MariaDb,
        url: str,
        count: int,
        more: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("127.0.0.1", free_port())
        self.redis = redis
        self.mariadb = mariadb
        environ = {
            "UNIQUE_CS_REDIS_URL": redis.url,
            "UNIQUE_CS_DATABASE_URL": url,
            "UNIQUE_CS_RATE_LIMITS": "off",
            **(more or {}),
        }
        self.nodes = [ServerProcess(folder / f"node-{each}", environ=environ) for each in range(count)]

    @property
    def doors(self) -> list[int]:
        """The ports at which the balancer finds the nodes."""
        return [node.port for node in self.nodes]

    async def start(self) -> None:
        """Start every node that does not run."""
        await asyncio.gather(*(node.start() for node in self.nodes if not node.running))

    async def stop(self) -> list[int]:
        """Stop every node in order; return how each ended."""
        return list(await asyncio.gather(*(node.stop() for node in self.nodes)))

    async def until_ready(self, seconds: float = 30.0) -> None:
        """Return when the balancer has a node that serves."""
        async with asyncio.timeout(seconds):
            while await self.status("/readyz") != 200:
                await asyncio.sleep(0.05)

    def tails(self) -> str:
        """The ends of the nodes' logs."""
        return "\n".join(f"--- {node.data.name}\n{node.tail(15)}" for node in self.nodes)


@contextmanager
def balanced(folder: Path, farm: Farm) -> Iterator[None]:
    """HAProxy in front of the nodes; who has the cookie `node=0` is sent to the first while that serves."""
    haproxy = program("haproxy", "haproxy")
    servers = "\n".join(
        f"    server node{number} 127.0.0.1:{port} check cookie {number}"
        for number, port in enumerate(farm.doors)
    )
    file = folder / "haproxy.cfg"
    file.write_text(_CONFIGURATION.format(port=farm.port, servers=servers))
    with (folder / "haproxy.log").open("ab") as log:
        process = subprocess.Popen([haproxy, "-db", "-f", str(file)], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


@asynccontextmanager
async def farming(
    folder: Path,
    mariadb: MariaDb,
    count: int,
    *redis_options: str,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Farm]:
    """A cluster that serves, with settings `environ`; its MariaDB is the session's or the test's own."""
    options = redis_options or ("--appendonly", "yes", "--appendfsync", "always")
    redis = RedisServer(folder / "redis", *options)
    redis.start()
    farm = Farm(folder, redis, mariadb, mariadb.new_database(), count, environ)
    try:
        with balanced(folder, farm):
            await farm.start()
            await farm.until_ready()
            yield farm
    except BaseException:
        print(farm.tails())  # noqa: T201 - pytest shows it where the test fails
        raise
    finally:
        with suppress(Exception):
            redis.resume()
        await farm.stop()
        redis.kill()

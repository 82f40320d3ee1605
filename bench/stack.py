"""A cluster on this machine: Redis, MariaDB, and the workers of one `unique-cs serve --workers`."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvloop

from tests.support.mariadb import MariaDb
from tests.support.redis import RedisServer
from unique_cs.bench.command import machine
from unique_cs.bench.process import ServerError, Target, cpu_seconds, free_port, resident_bytes
from unique_cs.bench.report import as_json, table
from unique_cs.machine import allow_files

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from unique_cs.bench.report import Row

READY_S = 60.0
REDIS = (
    *("--appendonly", "yes", "--appendfsync", "everysec"),
    *("--auto-aof-rewrite-min-size", "512mb"),
)
"""As compose.yaml and the guides have it."""

UNLIMITED: Final = {"UNIQUE_CS_RATE_LIMITS": "off"}
"""Nothing is refused, whatever the load."""

_WORKER = re.compile(r',?worker="\d+"')


class Stack(Target):
    """The servers of a run. `start` and `stop` are of the workers only: what they stored stays."""

    def __init__(
        self, folder: Path, redis: RedisServer, mariadb: MariaDb, workers: int, limits: Mapping[str, str]
    ) -> None:
        super().__init__("127.0.0.1", free_port())
        self._limits = limits
        self.redis = redis
        self.mariadb = mariadb
        self._folder = folder
        self._workers = workers
        self._admin = Target(self.host, free_port())
        self._database = mariadb.new_database()
        self._process: asyncio.subprocess.Process | None = None

    def _environ(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("UNIQUE_CS_")}
        return inherited | {
            "UNIQUE_CS_HOST": self.host,
            "UNIQUE_CS_HTTP_PORT": str(self.port),
            "UNIQUE_CS_GRPC_PORT": "0",
            "UNIQUE_CS_MQTT_PORT": "0",
            "UNIQUE_CS_ADMIN_PORT": str(self._admin.port),
            "UNIQUE_CS_DATA_DIR": str(self._folder / "data"),
            "UNIQUE_CS_OWNER_EMAIL": self.email,
            "UNIQUE_CS_OWNER_PASSWORD": self.password,
            "UNIQUE_CS_INBOX_KEY": self.inbox,
            "UNIQUE_CS_REDIS_URL": self.redis.url,
            "UNIQUE_CS_DATABASE_URL": self._database,
            **self._limits,
        }

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def tail(self) -> str:
        """The end of the workers' log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])

    async def start(self) -> float:
        """Start the workers and wait until all serve. Returns the seconds that this took."""
        began = time.perf_counter()
        command = (sys.executable, "-m", "unique_cs", "serve", "--workers", str(self._workers))
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, env=self._environ(), stdout=log, stderr=log
            )
        async with asyncio.timeout(READY_S):
            while await self._serving() < self._workers:
                if self._process.returncode is not None:
                    raise ServerError("the workers ended at their start")
                await asyncio.sleep(0.05)
        return time.perf_counter() - began

    async def _serving(self) -> int:
        """How many workers answer the supervisor."""
        try:
            samples = await self._admin.metrics()
        except (OSError, EOFError, ValueError, IndexError):
            return 0
        return sum(name.startswith("unique_cs_connections{") for name in samples)

    @property
    def workers(self) -> list[int]:
        """The workers' process ids."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    async def stop(self) -> None:
        """Stop the workers in order."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()
            self._process = None

    async def metrics(self) -> dict[str, float]:
        """Samples of all workers, added up."""
        found: dict[str, float] = {}
        for name, value in (await self._admin.metrics()).items():
            alike = _WORKER.sub("", name).replace("{}", "")
            found[alike] = found.get(alike, 0.0) + value
        return found

    def cpu(self) -> float:
        return sum(map(cpu_seconds, self.workers))

    def resident(self) -> int:
        """Resident memory of all workers."""
        return sum(self.residents())

    def residents(self) -> list[int]:
        """Resident memory of each worker."""
        return [resident_bytes(pid) for pid in self.workers]

    def cpus(self) -> dict[str, float]:
        """Processor seconds of each part."""
        parts = {"workers": self.workers, "redis": [self.redis.pid], "mariadb": [self.mariadb.pid]}
        return {name: sum(map(cpu_seconds, pids)) for name, pids in parts.items()}


@asynccontextmanager
async def running(workers: int, limits: Mapping[str, str] = UNLIMITED) -> AsyncIterator[Stack]:
    """Servers with empty stores in a temporary folder; they end with the block. `limits` are settings."""
    folder = Path(tempfile.mkdtemp(prefix="unique-cs-bench-"))
    # MariaDB runs as its own user.
    folder.chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
    redis = RedisServer(folder / "redis", *REDIS)
    (folder / "mariadb").mkdir()
    mariadb = MariaDb(folder / "mariadb", buffer_mb=512)
    stack: Stack | None = None
    try:
        redis.start()
        mariadb.install()
        mariadb.start()
        stack = Stack(folder, redis, mariadb, workers, limits)
        await stack.start()
        yield stack
    except BaseException:
        if stack is not None:
            print(stack.tail(), file=sys.stderr)
        raise
    finally:
        if stack is not None:
            await stack.stop()
        redis.kill()
        mariadb.kill()
        shutil.rmtree(folder, ignore_errors=True)


def report(
    measure: Callable[[argparse.Namespace], Coroutine[Any, Any, list[Row]]], parser: argparse.ArgumentParser
) -> int:
    """Measure and print the table.

    Returns 0, 1 where a bound was missed, 2 where nothing could be measured.
    """
    parser.add_argument("--json", metavar="FILE", help="write the result with all details")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    args = parser.parse_args()
    allow_files()
    try:
        found = uvloop.run(measure(args))
    except (OSError, TimeoutError) as error:
        print(f"bench: {error!r}", file=sys.stderr)
        return 2
    print(table(found))
    if args.json:
        Path(args.json).write_text(as_json(found, machine()) + "\n")
    return int(any(row.kept is False for row in found))

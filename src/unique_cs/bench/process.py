"""The server under load: one that runs already, or a process of its own and what the kernel says about it."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from unique_cs.machine import tell

OWNER_EMAIL = "owner@example.com"
OWNER_PASSWORD = "correct horse battery"  # noqa: S105 - of a server that lives for one run, on loopback
INBOX_KEY = "bench-inbox"

_TICKS = os.sysconf("SC_CLK_TCK")
_READY_TIMEOUT = 30.0

_PORTS = range(10_000, 32_768)
_ports = iter(SystemRandom().sample(_PORTS, len(_PORTS)))


class ServerError(Exception):
    """The server did not start, or ended by itself."""


@dataclass(slots=True)
class Target:
    """A server that answers at `host` and `port`, and who may sign in there."""

    host: str
    port: int
    inbox: str = INBOX_KEY
    email: str = OWNER_EMAIL
    password: str = OWNER_PASSWORD
    mqtt_port: int = 0
    grpc_port: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def cpu(self) -> float:
        """Processor seconds of the server so far; 0 where it is not ours."""
        return 0.0

    def resident(self) -> int:
        """Resident memory of the server in bytes; 0 where it is not ours."""
        return 0

    async def status(self, path: str) -> int:
        """The status of a GET; 0 where nobody answers."""
        try:
            return (await self._get(path))[0]
        except (OSError, EOFError, ValueError, IndexError):
            return 0

    async def metrics(self) -> dict[str, float]:
        """Every sample of `/metrics` under its name with labels."""
        _, text = await self._get("/metrics")
        rows = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}

    async def _get(self, path: str) -> tuple[int, str]:
        reader, writer = await self._dial()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        try:
            head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
        finally:
            writer.close()
        return int(head.split(b" ", 2)[1]), body.decode()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)


class ServerProcess(Target):
    """`python -m unique_cs serve` over a data folder, on a port of loopback that it keeps over restarts."""

    def __init__(
        self,
        data: Path,
        *,
        environ: Mapping[str, str] | None = None,
        core: int | None = None,
        prefix: Sequence[str] = (),
        mqtt_port: int = 0,
        grpc_port: int = 0,
    ) -> None:
        """`environ` adds to the settings, `core` pins to one core, `prefix` goes before the command.

        `mqtt_port` and `grpc_port` are 0 for a server without them.
        """
        super().__init__("127.0.0.1", free_port(), mqtt_port=mqtt_port, grpc_port=grpc_port)
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self._environ = self._settings() | dict(environ or {})
        self._core = core
        self._command = (*prefix, sys.executable, "-m", "unique_cs", "serve")
        self._process: asyncio.subprocess.Process | None = None

    def _settings(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("UNIQUE_CS_")}
        return inherited | {
            "UNIQUE_CS_HOST": "127.0.0.1",
            "UNIQUE_CS_HTTP_PORT": str(self.port),
            "UNIQUE_CS_GRPC_PORT": str(self.grpc_port),
            "UNIQUE_CS_MQTT_PORT": str(self.mqtt_port),
            "UNIQUE_CS_DATA_DIR": str(self.data),
            "UNIQUE_CS_OWNER_EMAIL": self.email,
            "UNIQUE_CS_OWNER_PASSWORD": self.password,
            "UNIQUE_CS_INBOX_KEY": self.inbox,
        }

    @property
    def pid(self) -> int:
        """The process id; raises `ServerError` while none runs."""
        if self._process is None:
            raise ServerError("the server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> float:
        """Start and wait until `/readyz` says 200. Returns the seconds that this took."""
        began = time.perf_counter()
        allowed = os.sched_getaffinity(0)
        with self.log.open("ab") as log:
            # A child inherits the cores of its parent, from its first thread on.
            if self._core is not None:
                os.sched_setaffinity(0, {self._core})
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, env=self._environ, stdout=log, stderr=log
                )
            finally:
                os.sched_setaffinity(0, allowed)
        await self._until_ready(began + _READY_TIMEOUT)
        return time.perf_counter() - began

    async def _until_ready(self, deadline: float) -> None:
        while time.perf_counter() < deadline:
            if not self.running:
                raise ServerError(f"the server ended at its start:\n{self.tail()}")
            if await self.status("/readyz") == 200:
                return
            await asyncio.sleep(0.01)
        raise ServerError(f"the server was not ready in {_READY_TIMEOUT:.0f} s:\n{self.tail()}")

    def cpu(self) -> float:
        return cpu_seconds(self.pid)

    def resident(self) -> int:
        """Resident memory in bytes."""
        return resident_bytes(self.pid)

    async def kill(self) -> None:
        """`kill -9`, as it happens to a machine; nothing is flushed."""
        await self._end(signal.SIGKILL, 10)

    async def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM, and wait for the drain. Returns the exit status; one that hangs is killed."""
        return await self._end(signal.SIGTERM, timeout)

    async def _end(self, number: signal.Signals, timeout: float) -> int:
        process = self._process
        if process is None:
            return 0
        tell(process, number)
        try:
            return await asyncio.wait_for(process.wait(), timeout)
        except TimeoutError:
            tell(process, signal.SIGKILL)
            return await process.wait()
        finally:
            self._process = None

    def tail(self, lines: int = 30) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def free_port() -> int:
    """A port of loopback that was free a moment ago, and is given once by this process.

    It is below those that Linux takes for outgoing connections, one of which could have it meanwhile.
    """
    return next(filter(_is_free, _ports))


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS

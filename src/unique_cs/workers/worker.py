"""One worker: a process that serves sockets which its supervisor opened."""

import asyncio
import ctypes
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from unique_cs.config import PREFIX
from unique_cs.listeners import Handed
from unique_cs.machine import tell
from unique_cs.telemetry import log

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_LINE: Final = 65_536


def end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its supervisor is gone, however that ended."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


class Worker:
    """A running process over the data folder `worker-<index>`. It is ready when it writes to its output.

    `inside` is the port of loopback that this worker alone serves.
    """

    def __init__(self, process: asyncio.subprocess.Process, index: int, inside: int) -> None:
        self._process = process
        self._spoke = asyncio.Event()
        self._reader = asyncio.ensure_future(self._read())
        self.index = index
        self.inside = inside
        self.announcement = ""

    @classmethod
    async def start(
        cls, command: Sequence[str], environ: Mapping[str, str], data: Path, index: int, handed: Handed
    ) -> "Worker":
        """Start `command` with `--sockets` and a data folder of its own below `data`."""
        with socket.create_server(("127.0.0.1", 0)) as inside:
            sockets = Handed([*handed.http, inside], handed.mqtt)
            process = await asyncio.create_subprocess_exec(
                *command,
                "--sockets",
                str(sockets),
                env={**environ, f"{PREFIX}DATA_DIR": str(data / f"worker-{index}")},
                pass_fds=[sock.fileno() for sock in sockets.all],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                # What a terminal sends goes to the supervisor, who says what is to be done.
                start_new_session=True,
            )
            log.info("a worker starts", worker=index, pid=process.pid)
            return cls(process, index, inside.getsockname()[1])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its end was not seen yet."""
        return self._process.returncode is None

    async def _read(self) -> None:
        assert self._process.stdout is not None
        self.announcement = (await self._process.stdout.read(_LINE)).decode()
        self._spoke.set()
        while await self._process.stdout.read(_LINE):
            pass

    async def ready(self, seconds: float) -> bool:
        """Wait until it serves; false if it ended before, or took longer."""
        try:
            await asyncio.wait_for(self._spoke.wait(), seconds)
        except TimeoutError:
            return False
        return bool(self.announcement)

    async def ended(self) -> int:
        """Wait for its end; return the exit status, negative the number of the signal that ended it."""
        return await self._process.wait()

    async def stop(self, seconds: float) -> None:
        """SIGTERM, on which it drains; SIGKILL after so many seconds."""
        tell(self._process, signal.SIGTERM)
        try:
            await asyncio.wait_for(self.ended(), seconds)
        except TimeoutError:
            log.error("a worker did not end in time", worker=self.index, pid=self.pid)
            tell(self._process, signal.SIGKILL)
            await self.ended()
        self._reader.cancel()

"""A disk of a process's own that is small enough to be filled."""

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.world import until


class SmallDisk:
    """A tmpfs in a mount namespace of its own, that lives as long as a process which holds it."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        script = f"mount -t tmpfs -o size={megabytes}m tmpfs {folder} && exec sleep infinity"
        self._holder = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stderr=subprocess.PIPE)
        self.folder = Path(f"/proc/{self._holder.pid}/root{folder}")
        self.prefix = ("nsenter", "-t", str(self._holder.pid), "-m")

    def mounted(self) -> bool:
        return self._holder.poll() is None and os.path.ismount(self.folder)

    @property
    def ended(self) -> bool:
        return self._holder.poll() is not None

    @property
    def free(self) -> int:
        return shutil.disk_usage(self.folder).free

    def fill(self) -> None:
        """Leave no free byte."""
        filler = os.open(self.folder / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while True:
                os.write(filler, bytes(1 << 16))
        except OSError:
            os.close(filler)

    def empty(self) -> None:
        (self.folder / "filler").unlink()

    def close(self) -> None:
        self._holder.send_signal(signal.SIGKILL)
        self._holder.wait()
        assert self._holder.stderr is not None
        self._holder.stderr.close()


@asynccontextmanager
async def small_disk(folder: Path, megabytes: int) -> AsyncIterator[SmallDisk]:
    folder.mkdir()  # noqa: ASYNC240 - before anything runs
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root may mount a small disk")
    disk = SmallDisk(folder, megabytes)
    try:
        await until(lambda: disk.mounted() or disk.ended)
        if disk.ended:
            pytest.skip("this machine lets nobody mount a tmpfs in a namespace")
        yield disk
    finally:
        disk.close()

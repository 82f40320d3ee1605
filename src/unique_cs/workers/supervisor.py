"""The supervisor: keeps N workers running behind the same ports, and replaces them one by one.

It holds the listening sockets, so that a connection which comes while a worker is replaced, or was killed,
waits for the next one and is not refused. A replacement starts on a spare data folder, and is ready before
its predecessor stops.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from unique_cs.config import PREFIX, Settings
from unique_cs.errors import SettingsError
from unique_cs.listeners import Handed, hand, hand_on
from unique_cs.telemetry import log
from unique_cs.workers.admin import Admin
from unique_cs.workers.worker import Worker

COMMAND: Final = (sys.executable, "-m", "unique_cs", "serve")
READY_S: Final = 120.0
"""For a worker that reads back a large store."""

STOP_S: Final = 20.0
"""Beyond the time of the drain."""

STEADY_S: Final = 30.0
"""Whoever ran as long as this is started again at once."""

BACK_OFF_S: Final = (0.1, 0.5, 2.0, 5.0, 15.0, 30.0)
GIVE_UP: Final = 3
"""Failed starts after which connections go to the other workers."""


class Slot:
    """A place for one worker, with its sockets."""

    def __init__(self, handed: Handed) -> None:
        self.handed: Handed | None = handed
        self.worker: Worker | None = None
        self.failures = 0

    def close(self) -> None:
        """Let the kernel give no more connections to this place."""
        if self.handed is not None:
            for sock in self.handed.all:
                sock.close()
        self.handed = None


class Supervisor:
    """Runs until SIGTERM or SIGINT, which drain all workers; SIGHUP replaces them one by one."""

    def __init__(self, settings: Settings, count: int, command: Sequence[str] = COMMAND) -> None:
        """Takes the ports. Raises `SettingsError`, also where there are no stores that workers can share."""
        if not (settings.redis_url and settings.database_url):
            raise SettingsError(f"several workers need {PREFIX}REDIS_URL and {PREFIX}DATABASE_URL")
        self._settings = settings
        self._command = command
        self._slots = [Slot(handed) for handed in hand(settings, count)]
        self._ports = [each[0].getsockname()[1] if each else 0 for each in self._slots[0].handed or ()]
        self._workers: set[Worker] = set()
        self._spare = count
        self._changing = asyncio.Lock()
        self._stop, self._renew = asyncio.Event(), asyncio.Event()
        self._admin = Admin(settings, lambda: [slot.worker for slot in self._slots if slot.worker])

    async def run(self) -> int:
        """Return the exit status: that of the first worker, should it not start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._renew.set)
        work, stop = asyncio.ensure_future(self._work()), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            return await work if work.done() else 0
        finally:
            work.cancel()
            stop.cancel()
            await asyncio.gather(work, stop, return_exceptions=True)
            await self._end()

    async def _work(self) -> int:
        """Start everybody, then wait for what is to be done."""
        first = await self._spawn(self._slots[0], 0)
        # The first alone: it may have to make the schema, and the owner, whose password it announces.
        if not await first.ready(READY_S):
            await first.stop(STOP_S)
            return await first.ended() or 1
        await asyncio.gather(*(self._spawn(slot, index) for index, slot in enumerate(self._slots) if index))
        await self._admin.start()
        sys.stdout.write(first.announcement)
        sys.stdout.flush()
        async with asyncio.TaskGroup() as tasks:
            for slot in self._slots:
                tasks.create_task(self._tend(slot))
            while True:
                await self._renew.wait()
                self._renew.clear()
                await self._replace_all()

    async def _spawn(self, slot: Slot, index: int) -> Worker:
        if slot.handed is None:
            slot.handed = hand_on(self._settings, *self._ports)
        worker = await Worker.start(self._command, os.environ, self._settings.data_dir, index, slot.handed)
        self._workers = {each for each in self._workers if each.running} | {worker}
        slot.worker = slot.worker or worker
        return worker

    async def _tend(self, slot: Slot) -> None:
        """Start the worker of `slot` again whenever it ended by itself."""
        while True:
            worker, began = slot.worker, asyncio.get_running_loop().time()
            assert worker is not None
            status = await worker.ended()
            if slot.worker is not worker:
                continue
            log.error("a worker ended", worker=worker.index, pid=worker.pid, status=status)
            steady = asyncio.get_running_loop().time() - began > STEADY_S
            slot.failures = 0 if steady else slot.failures + 1
            if slot.failures >= GIVE_UP:
                slot.close()
            await self._begin_again(slot, worker)

    async def _begin_again(self, slot: Slot, worker: Worker) -> None:
        """Start another in the folder of one that ended, unless its slot has one already."""
        while slot.worker is worker:
            await asyncio.sleep(BACK_OFF_S[min(slot.failures, len(BACK_OFF_S) - 1)])
            async with self._changing:
                if slot.worker is not worker:
                    return
                try:
                    slot.worker = await self._spawn(slot, worker.index)
                except (OSError, SettingsError) as error:
                    slot.failures += 1
                    log.error("a worker can't be started", worker=worker.index, error=repr(error))

    async def _replace_all(self) -> None:
        """Replace the workers one by one; the first that does not start ends it."""
        for slot in self._slots:
            try:
                new = await self._spawn(slot, self._spare)
            except (OSError, SettingsError) as error:
                log.error("no worker can be started; the others stay", error=repr(error))
                return
            if not await new.ready(READY_S):
                log.error("the replacement of a worker does not start; the others stay", worker=new.index)
                await new.stop(STOP_S)
                return
            async with self._changing:
                old, slot.worker, slot.failures = slot.worker, new, 0
            assert old is not None
            await old.stop(self._settings.drain_ms / 1000 + STOP_S)
            self._spare = old.index
        log.info("every worker was replaced")

    async def _end(self) -> None:
        """Drain all at once. What still waits in the sockets is refused."""
        self._admin.close()
        for slot in self._slots:
            slot.close()
        seconds = self._settings.drain_ms / 1000 + STOP_S
        await asyncio.gather(*(worker.stop(seconds) for worker in self._workers))

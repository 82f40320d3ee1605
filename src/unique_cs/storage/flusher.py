"""One thread for one thing that blocks, over and over: the flush of a group."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from queue import SimpleQueue
from threading import Thread
from typing import Any

Job = tuple[Callable[..., None], tuple[Any, ...], asyncio.Future[None]]


class Flusher(Executor):
    """An executor of one loop, for `run_in_executor`, that costs a third of asyncio's usual way.

    A `ThreadPoolExecutor` makes a second future with a lock for each call, and settles it in its thread,
    which holds the interpreter's lock meanwhile and keeps the loop waiting.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    def submit(  # type: ignore[override]  # `run_in_executor` takes a future of its loop as it is
        self, work: Callable[..., None], /, *args: Any
    ) -> asyncio.Future[None]:
        """Call `work` in the thread, after what was asked for before. The first call starts it."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="flush", daemon=True)
            self._thread.start()
        done = self._loop.create_future()
        self._jobs.put((work, args, done))
        return done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the thread, after what was asked for."""
        self._jobs.put(None)
        if wait and self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while job := self._jobs.get():
            work, args, done = job
            error = None
            try:
                work(*args)
            except BaseException as found:  # noqa: BLE001  # it belongs to whoever waits; a panic of Rust, too
                error = found
            self._loop.call_soon_threadsafe(_settle, done, error)


def _settle(done: asyncio.Future[None], error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)

"""An event loop with virtual time: it never waits or touches the system, and a seed decides every delay."""

import asyncio
import random
import selectors
from collections.abc import Callable, Mapping
from typing import Any

# Delays are rounded to this grid, so that things happen in the same turn of the loop, in an order of chance.
GRID = 0.001
_JITTER = 1e-7


class DeadlockError(Exception):
    """Nothing is ready and nothing is scheduled: everybody waits for somebody."""


class _NoSelector(selectors.BaseSelector):
    """Selecting only moves the virtual clock."""

    def __init__(self, loop: "SimLoop") -> None:
        self._loop = loop

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise NotImplementedError("a simulation has no files")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise NotImplementedError("a simulation has no files")

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError
        self._loop.advance(max(0.0, timeout))
        return []


class SimLoop(asyncio.BaseEventLoop):
    """Every source of chance in a simulation is `rng`. Errors in callbacks are kept in `errors`."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = random.Random(seed)
        self.errors: list[str] = []
        self.listener: Callable[[str], object] | None = None
        self._now = 0.0
        self._selector = _NoSelector(self)
        self._clock_resolution = 1e-6
        self.set_exception_handler(lambda _, context: self.errors.append(describe(context)))

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    def trace(self, line: str) -> None:
        """Tell whoever replays a seed what happens."""
        if self.listener is not None:
            self.listener(f"{self._now:9.3f} {line}")

    def later(self, seconds: float, call: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Call on the grid, at least one step from now, in an order of chance among its neighbours."""
        when = round((self._now + seconds) / GRID + 0.5) * GRID
        return self.call_at(when + self.rng.uniform(0, _JITTER), call, *args)

    def run_in_executor(  # type: ignore[override]  # the results are of any type
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """No threads: the work is done at once when a drawn delay is over."""
        future = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the work
                future.set_exception(error)

        self.later(self.rng.choice((0.0, 0.001, 0.002, 0.02)), work)
        return future

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in `select`."""


def describe(context: Mapping[str, Any]) -> str:
    """What asyncio reports of a callback or task that failed."""
    return f"{context.get('message')}: {context.get('exception')!r}"

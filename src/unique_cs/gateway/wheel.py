"""A timer wheel: one timer for all deadlines, so that an idle connection costs a place in a set."""

import asyncio
from typing import Protocol


class Timed(Protocol):
    """Something with a deadline. `slot` belongs to the wheel."""

    slot: int

    def expire(self, tick: int) -> int:
        """The deadline may have come: return the tick of the next one, or 0 to leave the wheel."""


class Wheel:
    """Deadlines are ticks of `tick_s` seconds; one is met at most a tick late."""

    SLOTS = 512

    def __init__(self, tick_s: float) -> None:
        self.tick_s = tick_s
        self.tick = 1
        self._slots: list[set[Timed]] = [set() for _ in range(self.SLOTS)]
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.time() + tick_s
        self._timer = self._loop.call_at(self._next, self._turn)

    def ticks(self, milliseconds: int) -> int:
        """How many ticks to wait so that at least `milliseconds` have passed."""
        return int(milliseconds / 1000 / self.tick_s) + 2

    def add(self, item: Timed, tick: int) -> None:
        """Ask `item` at `tick`; one that is more than `SLOTS` ahead is asked each time round before."""
        item.slot = tick % self.SLOTS
        self._slots[item.slot].add(item)

    def discard(self, item: Timed) -> None:
        """Forget `item`; harmless if it is not here."""
        self._slots[item.slot].discard(item)

    def _turn(self) -> None:
        self.tick += 1
        self._next += self.tick_s
        self._timer = self._loop.call_at(self._next, self._turn)
        index = self.tick % self.SLOTS
        due, self._slots[index] = self._slots[index], set()
        for item in due:
            deadline = item.expire(self.tick)
            if deadline:
                self.add(item, max(deadline, self.tick + 1))

    def close(self) -> None:
        """Stop turning."""
        self._timer.cancel()

"""The timer wheel: one timer, deadlines met at most a tick late."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.node import FakeClock, turns
from unique_cs.gateway.wheel import Timed, Wheel


class Deadline(Timed):
    """Notes when it is asked, and answers with the deadlines it was given."""

    def __init__(self, wheel: Wheel, *later: int) -> None:
        super().__init__()
        self.asked: list[int] = []
        self._wheel = wheel
        self._later = list(later)

    def expire(self, tick: int) -> int:
        self.asked.append(tick)
        return self._later.pop(0) if self._later else 0


class Turning:
    """A wheel whose time a test turns."""

    def __init__(self, clock: FakeClock, tick_s: float) -> None:
        self.clock = clock
        self.wheel = Wheel(tick_s)

    async def turn(self, ticks: int) -> None:
        """Let this many ticks pass."""
        for _ in range(ticks):
            self.clock.seconds += self.wheel.tick_s
            await turns(2)


@pytest.fixture
async def turning(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Turning]:
    clock = FakeClock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", clock.monotonic)
    made = Turning(clock, 0.5)
    yield made
    made.wheel.close()


async def test_expires_once(turning: Turning) -> None:
    """An item is asked at its tick, and is forgotten if it names no later one."""
    item = Deadline(turning.wheel)
    turning.wheel.add(item, turning.wheel.tick + 3)
    await turning.turn(2)
    assert item.asked == []
    await turning.turn(1)
    assert len(item.asked) == 1
    await turning.turn(1_000)
    assert len(item.asked) == 1


async def test_expires_later(turning: Turning) -> None:
    """An item whose deadline has moved is asked again then, and never in the past."""
    start = turning.wheel.tick
    item = Deadline(turning.wheel, start + 5, start)
    turning.wheel.add(item, start + 2)
    await turning.turn(10)
    assert item.asked == [start + 2, start + 5, start + 6]


async def test_discarded(turning: Turning) -> None:
    """A discarded item is not asked; discarding it again is harmless."""
    item = Deadline(turning.wheel)
    turning.wheel.add(item, turning.wheel.tick + 2)
    turning.wheel.discard(item)
    turning.wheel.discard(item)
    await turning.turn(5)
    assert item.asked == []


async def test_ticks(turning: Turning) -> None:
    """`ticks` counts enough for at least so many milliseconds, however many those are."""
    for milliseconds in (0, 1, 499, 500, 501, 10_000, 3_600_000):
        ticks = turning.wheel.ticks(milliseconds)
        # The tick that is running may be nearly over.
        assert (ticks - 1) * 500 >= milliseconds
        assert (ticks - 2) * 500 <= milliseconds


async def test_closed(turning: Turning) -> None:
    """A closed wheel turns no more."""
    item = Deadline(turning.wheel)
    turning.wheel.add(item, turning.wheel.tick + 2)
    turning.wheel.close()
    await turning.turn(5)
    assert item.asked == []

"""How much a node can still take: strain, the order of shedding, how many sends may wait. Pure."""

from enum import IntEnum
from typing import Final, NamedTuple


class Kind(IntEnum):
    """What a node takes from outside, in the order in which it is shed."""

    SIGNALS = 1
    CONNECTS = 2
    CONVERSATIONS = 3
    CONTACTS = 4
    AGENTS = 5


ENTER: Final = (0.0, 0.5, 0.7, 0.85, 1.0, 2.0)
"""The strain at which each level begins. Level 0 sheds nothing, level k every `Kind` up to k."""

LEAVE: Final = 0.8
"""A level is left at this part of the strain at which it begins: else it would come and go."""

CALM_S: Final = 0.25
"""Seconds for which it has to be so, for each level again."""

MEMORY_SPAN: Final = 0.2
"""Memory does not come back by itself: it strains in the last tenths below its bound only."""


class Bounds(NamedTuple):
    """Where contacts' sends are refused (strain 1); 0 is no bound. Seconds, bytes, and messages."""

    lag: float = 0.0
    queued: int = 0
    resident: int = 0


class Measured(NamedTuple):
    """What was measured: lag of the event loop (s), bytes that wait for readers, resident memory."""

    lag: float = 0.0
    queued: int = 0
    resident: int = 0


def strain(measured: Measured, bounds: Bounds) -> float:
    """The largest part of its bound that anything has reached; 0 is at rest."""
    memory = 1.0 + (_part(measured.resident, bounds.resident) - 1.0) / MEMORY_SPAN
    return max(_part(measured.lag, bounds.lag), _part(measured.queued, bounds.queued), memory)


def _part(value: float, bound: float) -> float:
    return value / bound if bound else 0.0


class Levels:
    """The level, from strain over time: it rises at once and falls one step after the other."""

    __slots__ = ("_since", "level")

    def __init__(self) -> None:
        self.level = 0
        self._since: float | None = None

    def update(self, strain: float, now: float) -> int:
        """Take a new strain at `now` (monotonic seconds); return the level."""
        reached = sum(strain >= bound for bound in ENTER[1:])
        if reached >= self.level:
            self.level, self._since = reached, None
        elif strain >= LEAVE * ENTER[self.level]:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= CALM_S:
            self.level, self._since = self.level - 1, now
        return self.level


class Window:
    """How many sends may wait to become durable: as many as can be answered in time.

    It shrinks as far as answers are later than `target_ms`, unless so few wait that only the store is late;
    it grows slowly while it is used and they are not, or while there is no load. It stays within `floor` and
    `ceiling`.
    """

    __slots__ = ("_target_ms", "ceiling", "floor", "size", "used")

    START = 1_000.0
    GROWTH = 1.02

    def __init__(self, target_ms: float, floor: int, ceiling: int) -> None:
        self._target_ms = target_ms
        self.floor = min(floor, ceiling)
        self.ceiling = ceiling
        self.size = min(self.START, float(ceiling))
        self.used = 0

    def answered(self, waited_ms: float) -> None:
        """A group of sends is durable; its first one waited so long."""
        used, self.used = self.used, 0
        if waited_ms > self._target_ms:
            if used * 2 >= self.floor:
                self.size = max(float(self.floor), self.size * max(0.5, self._target_ms / waited_ms))
        elif used * 2 >= self.size:
            self.size = min(float(self.ceiling), self.size * self.GROWTH)

    def rest(self) -> None:
        """There is no load: step by step, be ready for a burst. The next may come at once."""
        self.size = max(self.size, min(self.size * self.GROWTH, self.START, float(self.ceiling)))


class Crowd:
    """How many are sent away together: as many as were there when it began, `TOGETHER_S` ago at most."""

    __slots__ = ("_at", "_size")

    TOGETHER_S = 5.0

    def __init__(self) -> None:
        self._size = 0
        self._at = 0.0

    def size(self, here: int, now: float) -> int:
        """`here` is how many are left of them."""
        if here > self._size or now - self._at > self.TOGETHER_S:
            self._size, self._at = here, now
        return self._size

"""What this node takes at the moment: samples how it is, and sheds before it takes, never after."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Final

from unique_cs.domain.permission import Principal
from unique_cs.domain.pressure import ENTER, Bounds, Kind, Levels, Measured, Window, strain
from unique_cs.errors import Code, UniqueCsError
from unique_cs.gateway.limits import Limits
from unique_cs.telemetry import metrics

PERIOD_S: Final = 0.05
SAMPLES: Final = 4
"""Only what holds for so many samples counts: one long step of the loop is no overload."""

FULL: Final = 0.99
"""The strain of a full window. Beyond it each send is judged by itself, as its turn comes."""

MIN_WAIT_MS: Final = 250
MAX_SPAN_MS: Final = 5_000
MAX_SPREAD_S: Final = 60
COMEBACK_SHARE: Final = 0.2
"""The part of `handshakes_per_second` that may be clients coming back: all others chat meanwhile."""

_FADE: Final = 1 - PERIOD_S
"""Counts fade with a time constant of a second."""


class Pressure:
    """Admission by load. Made in a running event loop; with `limits.rates` off it lets everything pass.

    `backlog` gives the messages that are accepted and not durable, `resident` is set by whoever measures.
    """

    def __init__(self, limits: Limits, queued: Callable[[], int], rng: random.Random) -> None:
        """`queued` gives the bytes that wait for readers."""
        self._on = limits.rates
        self._bounds = Bounds(limits.max_lag_ms / 1000, limits.max_queued, limits.max_memory_mb << 20)
        self._comebacks = max(1.0, limits.handshakes_per_second * COMEBACK_SHARE)
        self._queued = queued
        self._rng = rng
        self._levels = Levels()
        self._lags = deque([0.0] * SAMPLES, SAMPLES)
        self._fills = deque([0.0] * SAMPLES, SAMPLES)
        self._peak = 0
        self._taken = self._refused = self._away = 0.0
        self.level = 0
        self.resident = 0
        self.window = Window(limits.ack_target_ms, limits.min_backlog, limits.max_backlog)
        self.backlog: Callable[[], int] = _nothing
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + PERIOD_S
        self._timer = self._loop.call_at(self._due, self._sample) if self._on else None

    def close(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _sample(self) -> None:
        now = self._loop.time()
        self._lags.append(now - self._due)
        self._fills.append(self._peak / self.window.size)
        self._peak = 0
        self._taken, self._refused, self._away = (
            count * _FADE for count in (self._taken, self._refused, self._away)
        )
        measured = Measured(min(self._lags), self._queued(), self.resident)
        found = max(strain(measured, self._bounds), min(FULL, *self._fills))
        self.level = self._levels.update(found, now)
        if not self.level:
            self.window.rest()
        metrics.pressure.level.set(self.level)
        metrics.pressure.window.set(self.window.size)
        self._due = now + PERIOD_S
        self._timer = self._loop.call_at(self._due, self._sample)

    def answered(self, waited_ms: float) -> None:
        """A group became durable, of which the first send waited so long."""
        if self._on:
            self.window.answered(waited_ms)

    def sheds(self, kind: Kind) -> bool:
        """Say whether things of this kind are not taken now; counts those that are not."""
        if self.level < kind:
            return False
        metrics.pressure.shed[kind].inc()
        return True

    def admit_sender(self, principal: Principal) -> None:
        """Raise `overloaded` where a send of this actor is not taken now."""
        self._admit(Kind.CONTACTS if principal.is_contact else Kind.AGENTS)

    def admit_conversation(self) -> None:
        """Raise `overloaded` where no conversation is opened now."""
        self._admit(Kind.CONVERSATIONS)

    def _admit(self, kind: Kind) -> None:
        if not self._on:
            return
        waiting = self.backlog()
        self._peak = max(self._peak, waiting)
        self.window.used = max(self.window.used, waiting)
        if self.level < kind and waiting < self.window.size * ENTER[kind]:
            self._taken += 1
            return
        self._refused += 1
        metrics.pressure.shed[kind].inc()
        raise UniqueCsError(Code.OVERLOADED, "the server is busy", retry_after_ms=self._retry_ms())

    def left_out(self) -> None:
        """A send was not looked at, because one before it was refused: it comes again with that one."""
        self._refused += 1

    def _retry_ms(self) -> int:
        """Spread the wider the more are refused for each one taken."""
        span = min(MAX_SPAN_MS, int(500 * (1 + self._refused / (1 + self._taken))))
        return MIN_WAIT_MS + self._rng.randrange(span)

    def admit_connect(self) -> None:
        """Raise `overloaded` where nobody new comes in."""
        if self.sheds(Kind.CONNECTS):
            wait = self.come_back_s() * 1000 - self._rng.randrange(1000)
            raise UniqueCsError(Code.OVERLOADED, "the server is busy", retry_after_ms=wait)

    def come_back_s(self) -> int:
        """When somebody who is turned away may knock again, spread by how many there are."""
        self._away += 1
        return 1 + self._rng.randrange(5 + min(MAX_SPREAD_S, int(self._away / self._comebacks)))

    def comeback_ms(self, leaving: int) -> int:
        """When one of so many who are sent away together may come back."""
        span = 1_000 + min(1_000 * MAX_SPREAD_S, int(1_000 * leaving / self._comebacks))
        return 200 + self._rng.randrange(span)


def _nothing() -> int:
    return 0

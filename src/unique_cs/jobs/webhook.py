"""Delivers the outbox to a webhook: in order, at least once, as long as the receiver needs to come back."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final, Protocol

from unique_cs.domain.outbox import MOST_REFUSALS, Delivery, is_refusal, pause_s
from unique_cs.ports import Clock
from unique_cs.telemetry import log, metrics

PAGE: Final = 50
"""Deliveries after which those that were made are removed: so many may be repeated after a crash."""

IDLE_S: Final = 1.0
COUNT_S: Final = 15.0
RETRY_S: Final = 5.0

Post = Callable[[Delivery], Awaitable[int]]
"""Makes one attempt and returns the status; raises `PostError` where there is none."""


class PostError(Exception):
    """An attempt brought no answer."""


class Outbox(Protocol):
    """What waits, in order; `failed` counts an attempt, and gives it up where it is to be parked."""

    async def due(self, limit: int) -> list[Delivery]: ...
    async def remove(self, told: Sequence[Delivery]) -> None: ...
    async def failed(self, told: Delivery, now_ms: int, *, park: bool) -> None: ...
    async def counts(self) -> tuple[int, int, int]: ...


class Webhook:
    """Runs on one node of an installation. The first that fails is tried again before any other is tried."""

    def __init__(self, outbox: Outbox, post: Post, clock: Clock, rng: Random) -> None:
        self._outbox = outbox
        self._post = post
        self._clock = clock
        self._rng = rng
        self._failures = 0
        self._count_at = 0.0

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                await self._wait(await self._round())
        finally:
            metrics.webhook.clear()

    async def _round(self) -> float:
        try:
            pause = await self.deliver()
        except Exception as error:  # noqa: BLE001  # the database is away: the outbox waits with it
            log.warning("the outbox can't be read", error=repr(error))
            return RETRY_S
        return pause

    async def _wait(self, seconds: float) -> None:
        """Wait, and keep the metrics true meanwhile."""
        while True:
            with contextlib.suppress(Exception):
                await self._count()
            await asyncio.sleep(min(seconds, COUNT_S))
            seconds -= COUNT_S
            if seconds <= 0:
                return

    async def deliver(self) -> float:
        """Deliver a page; return the seconds until the next."""
        page = await self._outbox.due(PAGE)
        told: list[Delivery] = []
        reason = 0
        for each in page:
            reason = await self._attempt(each)
            if reason:
                break
            told.append(each)
        if told:
            await self._outbox.remove(told)
        if reason:
            return await self._failed(page[len(told)], reason)
        return 0.0 if len(page) == PAGE else IDLE_S

    async def _attempt(self, told: Delivery) -> int:
        """Return 0 where it was delivered, else the status, or -1 without one."""
        try:
            status = await self._post(told)
            reason = f"status {status}"
        except PostError as error:
            status, reason = -1, str(error)
        if 200 <= status < 300:
            metrics.webhook.delivered.inc()
            self._arrived()
            return 0
        metrics.webhook.failed.inc()
        if not self._failures:
            log.warning("the webhook fails", reason=reason, id=told.id)
        return status

    def _arrived(self) -> None:
        if self._failures:
            log.info("the webhook is back", failures=self._failures)
        self._failures = 0

    async def _failed(self, told: Delivery, status: int) -> float:
        park = is_refusal(status) and told.attempts + 1 >= MOST_REFUSALS
        self._failures = 0 if park else self._failures + 1
        await self._outbox.failed(told, self._clock.now_ms(), park=park)
        if park:
            log.error("the webhook refuses a delivery", status=status, id=told.id, name=told.name)
            return 0.0
        return pause_s(self._failures, self._rng.random())

    async def _count(self) -> None:
        now = self._clock.monotonic()
        if now < self._count_at:
            return
        self._count_at = now + COUNT_S
        waiting, first, parked = await self._outbox.counts()
        metrics.webhook.waiting.set(waiting)
        metrics.webhook.oldest.set(max(0, self._clock.now_ms() - first) / 1000 if first else 0)
        metrics.webhook.parked.set(parked)

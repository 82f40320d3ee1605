"""The backlog alarm, the webhook and the waking of what is snoozed, joined to a node."""

import random
from collections.abc import Awaitable, Callable
from typing import Final

from unique_cs.config import PREFIX, Settings
from unique_cs.domain.alarms import Alarm
from unique_cs.domain.outbox import EVENTS, Delivery
from unique_cs.errors import SettingsError
from unique_cs.jobs.backlog import Backlog, Measure
from unique_cs.jobs.post import Poster
from unique_cs.jobs.undelivered import Undelivered
from unique_cs.jobs.waker import Waker
from unique_cs.jobs.webhook import PostError, Webhook
from unique_cs.node import Node
from unique_cs.ports import Clock
from unique_cs.protocol.notices import Incidents
from unique_cs.storage.outbox import SqlOutbox
from unique_cs.storage.snoozes import SqlSnoozes
from unique_cs.storage.sql import Database
from unique_cs.telemetry import log

Job = tuple[str, Callable[[], Awaitable[None]]]

BACKLOG: Final = "backlog"
WEBHOOK: Final = "webhook"
WAKER: Final = "waker"


class Watching:
    """Made before the relay runs, since the relay writes what the webhook is to be told.

    Raises `SettingsError` where the webhook's settings can't be used.
    """

    def __init__(self, settings: Settings, database: Database, node: Node) -> None:
        self._settings = settings
        self._node = node
        self._outbox = SqlOutbox(database)
        self._poster = _poster(settings, node.clock)
        events = _events(settings)
        if self._poster is not None and events:
            node.relay.also = self._outbox.of_events(events)
        self._snoozes = SqlSnoozes(database)

    def jobs(self) -> list[Job]:
        """What has to run on one node of the installation, by name."""
        waker = Waker(self._node.timeline, self._snoozes, self._node.clock)
        found: list[Job] = [(BACKLOG, self._backlog().run), (WAKER, waker.run)]
        if self._poster is not None:
            webhook = Webhook(self._outbox, self._poster.post, self._node.clock, random.Random())  # noqa: S311
            found.append((WEBHOOK, webhook.run))
        return found

    def _backlog(self) -> Backlog:
        post = self._post if self._poster is not None else None
        calm = self._settings.alarm_calm_seconds
        return Backlog(self._measures(), self._outbox, self._node.clock, self._announce, post, calm)

    def _measures(self) -> dict[str, Measure]:
        settings, node = self._settings, self._node
        undelivered = Undelivered(
            node.timeline,
            node.contacts,
            self._open,
            self._outbox.quiet,
            node.clock,
            settings.alarm_undelivered_minutes,
        )
        return {
            "waiting": Measure(_soon(lambda: self._waits()[0]), settings.alarm_waiting),
            "oldest_wait": Measure(_soon(lambda: self._waits()[1]), settings.alarm_wait_minutes * 60),
            "undelivered": Measure(undelivered.count, settings.alarm_undelivered),
            "relay_lag": Measure(
                _soon(lambda: node.relay.lag_seconds(node.clock.monotonic())), settings.alarm_relay_seconds
            ),
            "redis_memory": Measure(_soon(lambda: node.tiers.memory_percent), settings.alarm_redis_percent),
        }

    def _waits(self) -> tuple[float, float]:
        """How many wait, and for how many seconds the longest does."""
        if self._node.gateway is None:
            return 0, 0
        waiting, since = self._node.gateway.hub.desk.waits()
        return waiting, max(0, self._node.clock.now_ms() - since) / 1000 if since else 0

    def _open(self) -> list[int]:
        return self._node.gateway.hub.desk.open if self._node.gateway is not None else []

    def _announce(self, lasting: list[Alarm]) -> None:
        if self._node.gateway is not None:
            hub = self._node.gateway.hub
            hub.desk.alarm(lasting)
            hub.peers.tell(Incidents(lasting))

    async def _post(self, told: Delivery) -> bool:
        assert self._poster is not None
        try:
            return 200 <= await self._poster.post(told) < 300
        except PostError as error:
            log.warning("the webhook fails", reason=str(error), id=told.id)
            return False

    async def close(self) -> None:
        """Close what is open to the receiver."""
        if self._poster is not None:
            await self._poster.close()


def check_webhook(settings: Settings, clock: Clock) -> None:
    """Raise `SettingsError` where the webhook's settings can't be used. Opens nothing."""
    _poster(settings, clock)
    _events(settings)


def _soon(read: Callable[[], float]) -> Callable[[], Awaitable[float]]:
    async def value() -> float:
        return read()

    return value


def _poster(settings: Settings, clock: Clock) -> Poster | None:
    if not settings.webhook_url:
        return None
    private = settings.webhook_allow_private
    return Poster(settings.webhook_url, settings.webhook_secret, clock, allow_private=private)


def _events(settings: Settings) -> frozenset[str]:
    names = frozenset(name.strip() for name in settings.webhook_events.split(",") if name.strip())
    unknown = sorted(names - EVENTS)
    if unknown:
        raise SettingsError(f"{PREFIX}WEBHOOK_EVENTS knows no event {unknown[0]}")
    return names

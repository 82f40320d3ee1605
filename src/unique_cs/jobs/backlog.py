"""The backlog alarm: sees what piles up, and says so once when it begins and once when it is over."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple, Protocol

from unique_cs.domain.alarms import NAMES, Alarm, Gauge
from unique_cs.domain.outbox import ALARM_OVER, ALARM_RAISED, Delivery, delivery
from unique_cs.ports import Clock
from unique_cs.telemetry import log, metrics

PERIOD_S: Final = 15.0
MOST_UNTOLD: Final = 1_000

Announce = Callable[[list[Alarm]], None]
Post = Callable[[Delivery], Awaitable[bool]]
"""Deliver at once, past the outbox; say whether that was done."""


class Measure(NamedTuple):
    """What is watched: its present value, and from which on it is an incident (0: never)."""

    read: Callable[[], Awaitable[float]]
    threshold: float


class Book(Protocol):
    """Remembers incidents, and writes to the outbox in the same transaction."""

    async def alarms(self) -> dict[str, Alarm]: ...
    async def tell(self, alarm: Alarm, told: Delivery | None) -> None: ...


class Backlog:
    """Runs on one node of an installation. Incidents outlive it: the next one knows them from the book.

    `announce` gets all incidents that last, every time. `post` is None where there is no webhook. An incident
    is over when all was well for `calm_s` seconds.
    """

    def __init__(
        self,
        measures: Mapping[str, Measure],
        book: Book,
        clock: Clock,
        announce: Announce,
        post: Post | None,
        calm_s: int,
    ) -> None:
        self._measures = measures
        self._calm_ms = calm_s * 1000
        self._book = book
        self._clock = clock
        self._announce = announce
        self._post = post

    async def run(self) -> None:
        """Look every 15 s until cancelled."""
        watched = _Watched(self._measures, self._calm_ms, await self._known())
        try:
            while True:
                try:
                    await self._look(watched)
                except Exception as error:  # noqa: BLE001  # whatever it is, the next look may do better
                    log.error("looking for a backlog failed", error=repr(error))
                await asyncio.sleep(PERIOD_S)
        finally:
            metrics.alarm.clear()

    async def _known(self) -> dict[str, Alarm]:
        try:
            return await self._book.alarms()
        except Exception as error:  # noqa: BLE001  # the alarm must ring also while the database is away
            log.warning("earlier incidents can't be read", error=repr(error))
            return {}

    async def _look(self, watched: "_Watched") -> None:
        for name, measure in self._measures.items():
            try:
                value = await measure.read()
            except Exception as error:  # noqa: BLE001  # the others are looked at
                log.warning("the backlog can't be measured", measure=name, error=repr(error))
                continue
            if name == "undelivered":
                metrics.alarm.undelivered.set(value)
            watched.look(name, value, self._clock.now_ms())
        self._announce(list(watched.lasting.values()))
        await self._tell(watched)

    async def _tell(self, watched: "_Watched") -> None:
        """Write what is to be told; while the database is away it goes to the webhook at once."""
        while watched.untold:
            alarm, told = watched.untold[0]
            try:
                await self._book.tell(alarm, told if self._post else None)
            except Exception as error:  # noqa: BLE001  # it is written later
                log.warning("an alarm can't be written yet", alarm=alarm.name, error=repr(error))
                await self._tell_past_the_book(watched)
                return
            del watched.untold[0]

    async def _tell_past_the_book(self, watched: "_Watched") -> None:
        for number, (alarm, told) in enumerate(watched.untold):
            if self._post is not None and told is not None and await self._post(told):
                watched.untold[number] = (alarm, None)


class _Watched:
    """The incidents as this node knows them, and what was not told of them yet."""

    def __init__(self, measures: Mapping[str, Measure], calm_ms: int, known: dict[str, Alarm]) -> None:
        self.lasting = {name: alarm for name, alarm in known.items() if name in measures}
        self._gauges = {
            name: Gauge(name, each.threshold, calm_ms, self.lasting.get(name))
            for name, each in measures.items()
        }
        self.untold: list[tuple[Alarm, Delivery | None]] = []
        for name, raised in metrics.alarm.raised.items():
            raised.set(name in self.lasting)

    def look(self, name: str, value: float, now_ms: int) -> None:
        alarm = self._gauges[name].look(value, now_ms)
        if alarm is None:
            return
        if alarm.raised:
            self.lasting[name] = alarm
            log.warning("backlog", **alarm.data())
        else:
            self.lasting.pop(name, None)
            log.info("backlog is over", **alarm.data())
        metrics.alarm.raised[name].set(alarm.raised)
        self.untold = [*self.untold[-MOST_UNTOLD:], (alarm, _delivery(alarm))]


def _delivery(alarm: Alarm) -> Delivery:
    """Alarms go before everything else; what is told twice has the same id."""
    time = alarm.since if alarm.raised else alarm.until
    number = time * 16 + NAMES.index(alarm.name) * 2 + alarm.raised
    name = ALARM_RAISED if alarm.raised else ALARM_OVER
    return delivery(0, number, f"alarm-{number}", name, time, alarm.data())

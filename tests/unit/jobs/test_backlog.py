"""The backlog alarm: once when it begins, once when it is over, and to whom."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from tests.support.node import FakeClock
from unique_cs.domain.alarms import NAMES, Alarm
from unique_cs.domain.outbox import Delivery
from unique_cs.errors import StorageUnavailable
from unique_cs.jobs.backlog import PERIOD_S, Backlog, Measure
from unique_cs.storage.outbox import SqlOutbox
from unique_cs.telemetry import metrics


class Book:
    """An outbox whose database can be away."""

    def __init__(self, outbox: SqlOutbox) -> None:
        self._outbox = outbox
        self.away = False

    async def alarms(self) -> dict[str, Alarm]:
        self._check()
        return await self._outbox.alarms()

    async def tell(self, alarm: Alarm, told: Delivery | None) -> None:
        self._check()
        await self._outbox.tell(alarm, told)

    def _check(self) -> None:
        if self.away:
            raise StorageUnavailable("the database is away")


class World:
    """What is measured, and what is told of it."""

    def __init__(self, outbox: SqlOutbox) -> None:
        self.outbox = outbox
        self.book = Book(outbox)
        self.clock = FakeClock()
        self.values: dict[str, float | Exception] = {"waiting": 0, "relay_lag": 0}
        self.shown: list[dict[str, float]] = []
        self.posted: list[Delivery] = []
        self.reachable = True
        self.fails = False
        self.task: asyncio.Task[None] | None = None

    def _measure(self, name: str) -> Measure:
        async def read() -> float:
            value = self.values[name]
            if isinstance(value, Exception):
                raise value
            return value

        return Measure(read, 50)

    async def _post(self, told: Delivery) -> bool:
        self.posted.append(told)
        return self.reachable

    def _show(self, lasting: list[Alarm]) -> None:
        self.shown.append({each.name: each.value for each in lasting})
        if self.fails:
            raise OSError("nobody can be told")

    async def start(self, *, webhook: bool = True) -> None:
        """A node begins to watch; it has looked once."""
        measures = {name: self._measure(name) for name in self.values}
        job = Backlog(measures, self.book, self.clock, self._show, self._post if webhook else None, 60)
        self.shown.clear()
        self.task = asyncio.ensure_future(job.run())
        await self.until(lambda: self.shown)

    async def until(self, found: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not found():
                await asyncio.sleep(0.001)

    async def _next(self) -> None:
        rounds = len(self.shown)
        await self.until(lambda: len(self.shown) > rounds)

    async def stop(self) -> None:
        """Another node shall watch; what this one saw is written by then."""
        assert self.task is not None
        await self._next()
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def look(self, rounds: int = 1, **values: float | Exception) -> dict[str, float]:
        """Let rounds pass, each `PERIOD_S` later; what is shown to agents after the last."""
        self.values |= values
        for _ in range(rounds):
            self.clock.seconds += PERIOD_S
            await self._next()
        return self.shown[-1]

    async def told(self) -> list[tuple[str, str]]:
        return [(each.name, each.body.decode()) for each in await self.outbox.due(100)]


@pytest.fixture
async def world(outbox: SqlOutbox, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("unique_cs.jobs.backlog.PERIOD_S", 0.002)
    return World(outbox)


async def test_an_incident_is_told_once_to_all(world: World) -> None:
    with capture_logs() as lines:
        await world.start()
        assert await world.look(waiting=49) == {}
        assert await world.look(3, waiting=57) == {"waiting": 57}
        assert metrics.registry.get_sample_value("unique_cs_alarm", {"name": "waiting"}) == 1
        assert await world.look(6, waiting=0) == {}
        await world.stop()
    assert metrics.registry.get_sample_value("unique_cs_alarm", {"name": "waiting"}) == 0
    told = await world.told()
    assert [name for name, _ in told] == ["alarm.raised", "alarm.over"]
    assert '"data":{"alarm":"waiting","raised":true,"value":57' in told[0][1]
    assert [line["event"] for line in lines] == ["backlog", "backlog is over"]
    assert world.posted == []


async def test_the_next_node_knows_of_the_incident(world: World) -> None:
    await world.start()
    await world.look(waiting=57)
    await world.stop()
    assert metrics.registry.get_sample_value("unique_cs_alarm", {"name": "waiting"}) == 0
    await world.start()
    assert await world.look(waiting=60) == {"waiting": 57}
    assert metrics.registry.get_sample_value("unique_cs_alarm", {"name": "waiting"}) == 1
    assert await world.look(6, waiting=0) == {}
    await world.stop()
    assert [name for name, _ in await world.told()] == ["alarm.raised", "alarm.over"]
    assert await world.outbox.alarms() == {}


async def test_without_a_webhook_the_outbox_stays_empty(world: World) -> None:
    await world.start(webhook=False)
    await world.look(waiting=57)
    await world.stop()
    assert await world.told() == []
    assert list(await world.outbox.alarms()) == ["waiting"]


async def test_while_the_database_is_away_the_webhook_is_told_at_once_and_once(world: World) -> None:
    await world.start()
    world.book.away = True
    world.reachable = False
    assert await world.look(2, relay_lag=75) == {"relay_lag": 75}
    world.reachable = True
    await world.look(3)
    ids = {each.id for each in world.posted}
    assert len(ids) == 1
    assert world.posted[-1].name == "alarm.raised"
    attempts = len(world.posted)
    world.book.away = False
    await world.look(2)
    assert len(world.posted) == attempts
    assert await world.told() == []
    assert list(await world.outbox.alarms()) == ["relay_lag"]
    await world.look(6, relay_lag=0)
    await world.stop()
    assert [name for name, _ in await world.told()] == ["alarm.over"]
    assert await world.outbox.alarms() == {}


async def test_what_nobody_took_meanwhile_is_written_when_the_database_is_back(world: World) -> None:
    await world.start()
    world.book.away, world.reachable = True, False
    await world.look(2, relay_lag=75)
    await world.look(6, relay_lag=0)
    world.book.away = False
    await world.look(2)
    await world.stop()
    assert [name for name, _ in await world.told()] == ["alarm.raised", "alarm.over"]


async def test_a_node_that_starts_without_a_database_watches(world: World) -> None:
    world.book.away = True
    await world.start()
    assert await world.look(waiting=57) == {"waiting": 57}
    await world.stop()


async def test_a_measure_that_fails_does_not_hide_the_others(world: World) -> None:
    await world.start()
    assert await world.look(waiting=OSError("no"), relay_lag=75) == {"relay_lag": 75}
    assert await world.look(waiting=57) == {"relay_lag": 75, "waiting": 57}
    await world.stop()


async def test_a_look_that_fails_is_not_the_last(world: World) -> None:
    world.fails = True
    with capture_logs() as lines:
        await world.start()
        await world.until(lambda: lines)
        world.fails = False
        assert await world.look(waiting=57) == {"waiting": 57}
        await world.stop()
    assert lines[0]["event"] == "looking for a backlog failed"


def test_every_alarm_has_a_metric() -> None:
    found = {
        sample.labels["name"]
        for family in metrics.registry.collect()
        if family.name == "unique_cs_alarm"
        for sample in family.samples
    }
    assert found == set(NAMES)

"""The relay: everything that is durable reaches the cold tier, in order, once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.node import turns
from tests.support.tiers import BOB, Tiers
from unique_cs.actions import conversations
from unique_cs.domain.events import Named
from unique_cs.domain.people import Contact
from unique_cs.domain.stored import ArchivedEvent, ConversationRow
from unique_cs.errors import OutcomeUnknown, StorageUnavailable
from unique_cs.storage.hot_source import HotSource
from unique_cs.storage.relay import Relay
from unique_cs.telemetry import metrics


@pytest.fixture
async def running(tiers: Tiers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tiers]:
    """Tiers whose relay runs, on a clock that stands still."""
    monkeypatch.setattr(asyncio.get_running_loop(), "time", tiers.clock.monotonic)
    task = asyncio.ensure_future(tiers.relay.run())
    tiers.timeline.subscribe(lambda _: tiers.relay.wake())
    await turns(5)
    yield tiers
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def archived(tiers: Tiers, conversation: int) -> list[int]:
    """The places in the cold tier."""
    return [each.seq for each in await tiers.archive.events(conversation, 0, 10**9, 10**6, False)]


async def test_moves_everything(tiers: Tiers) -> None:
    """Events, state and people are in the cold tier, and the events are the same there."""
    _, conversation = await tiers.talk(5)
    await conversations.assign(tiers.timeline, BOB, conversation, Named("22", "Bob"))
    await tiers.archive_all()
    hot = await tiers.timeline.events(conversation, 0, 99, 99, False)
    assert await tiers.archive.events(conversation.id, 0, 99, 99, False) == hot
    row = tiers.archive._conversations[conversation.id]
    assert (row.status, row.assignee, row.waiting_since, row.seq) == ("open", 22, 0, 7)
    assert (row.contact, row.contact_name, row.last_text) == (11, "Ann", "message 5")
    assert tiers.archive._contacts[11].name == "Ann"
    assert tiers.relay.lag == 0


async def test_last_text_outlives_a_batch_without_messages(tiers: Tiers) -> None:
    """A batch of state events only leaves the newest message in the list."""
    _, conversation = await tiers.talk(1)
    await tiers.archive_all()
    await conversations.set_labels(tiers.timeline, BOB, conversation, ["vip"])
    await tiers.archive_all()
    assert tiers.archive._conversations[conversation.id].last_text == "message 1"


async def test_moves_only_what_is_durable(tiers: Tiers) -> None:
    """What is not flushed yet is not moved."""
    session, conversation = await tiers.talk(1)
    tiers.send(session, conversation, 2)
    await tiers.archive_all()
    assert await archived(tiers, conversation.id) == [1, 2]
    await tiers.group.drain()
    await tiers.archive_all()
    assert await archived(tiers, conversation.id) == [1, 2, 3]


async def test_a_repeat_changes_nothing(tiers: Tiers) -> None:
    """A relay that lost its place and moves everything again leaves the same."""
    _, conversation = await tiers.talk(5)
    await tiers.archive_all()
    before = await tiers.archive.events(conversation.id, 0, 99, 99, False)
    tiers.archive._cursor = 0
    await tiers.archive_all()
    assert await tiers.archive.events(conversation.id, 0, 99, 99, False) == before


async def test_goes_on_after_a_restart(tiers: Tiers) -> None:
    """The next process goes on where the last one stood in the cold tier."""
    session, conversation = await tiers.talk(3)
    await tiers.archive_all()
    tiers.send(session, conversation, 4)
    again = await tiers.again()
    await again.archive_all()
    assert await archived(again, conversation.id) == [1, 2, 3, 4, 5]
    await again.close()


async def test_caught_up(running: Tiers) -> None:
    """`caught_up` returns when everything that is durable now is archived, without waiting for a batch."""
    _, conversation = await running.talk(3)
    await running.relay.caught_up(5)
    assert await archived(running, conversation.id) == [1, 2, 3, 4]
    await running.relay.caught_up(5)


class Ailing:
    """An archive that fails as often as it is told to."""

    def __init__(self, tiers: Tiers, times: int) -> None:
        self._archive = tiers.archive
        self.times = times
        self.cursor, self.events, self.find = tiers.archive.cursor, tiers.archive.events, tiers.archive.find

    async def store(
        self,
        cursor: int,
        events: Sequence[ArchivedEvent],
        conversations: Sequence[ConversationRow],
        contacts: Sequence[Contact],
        also: Callable[[Any], None] | None = None,
    ) -> None:
        if self.times:
            self.times -= 1
            raise (OSError("away"), StorageUnavailable("away"), OutcomeUnknown())[self.times % 3]
        await self._archive.store(cursor, events, conversations, contacts, also)


async def test_a_cold_tier_that_fails(tiers: Tiers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cold tier that is away is tried again until it is back; nothing is left out."""
    monkeypatch.setattr(asyncio.get_running_loop(), "time", tiers.clock.monotonic)
    ailing = Ailing(tiers, 3)
    relay = Relay(HotSource(tiers.hot, tiers.timeline, tiers.contacts), ailing)
    _, conversation = await tiers.talk(3)
    task = asyncio.ensure_future(relay.run())
    for _ in range(5):
        await turns(20)
        tiers.clock.seconds += 1.1
    await turns(20)
    assert ailing.times == 0
    assert await archived(tiers, conversation.id) == [1, 2, 3, 4]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_divergence_stops_it(tiers: Tiers) -> None:
    """Another event at an event's place stops the relay and raises the alarm; it does not go on."""
    session, conversation = await tiers.talk(1)
    await tiers.archive_all()
    lies = tiers.archive._events[conversation.id]
    lies[2] = replace(lies[2], id=lies[2].id + 1)
    tiers.archive._cursor = 0
    tiers.send(session, conversation, 2)
    await tiers.group.drain()
    metrics.relay_stopped.set(0)
    await tiers.relay.run()
    assert tiers.relay.stopped
    assert metrics.relay_stopped._value.get() == 1
    assert await archived(tiers, conversation.id) == [1, 2]
    await tiers.relay.caught_up(5)
    metrics.relay_stopped.set(0)


async def test_what_has_to_be_written_with_a_batch_is(tiers: Tiers) -> None:
    """`also` gets its place and events, and runs in the transaction of the archive."""
    await tiers.talk(2)
    written: list[tuple[int, list[str]]] = []
    tiers.relay.also = lambda place, events: lambda _: written.append((place, [each.name for each in events]))
    await tiers.archive_all()
    assert written == [(tiers.relay.cursor, ["conversation.opened", "message.created", "message.created"])]


async def test_the_lag_in_seconds_is_that_of_the_oldest_step(tiers: Tiers) -> None:
    """It grows while nothing is archived, and is that of what is left when a part was."""
    session, conversation = await tiers.talk(1)
    assert [tiers.relay.lag_seconds(now) for now in (100.0, 101.0)] == [0, 1]
    first = tiers.group.durable_number
    tiers.send(session, conversation, 2)
    await tiers.group.drain()
    assert tiers.relay.lag_seconds(110.0) == 10
    tiers.relay.cursor = first
    assert tiers.relay.lag_seconds(115.0) == 5
    await tiers.archive_all()
    assert tiers.relay.lag_seconds(120.0) == 0
    tiers.send(session, conversation, 3)
    await tiers.group.drain()
    assert [tiers.relay.lag_seconds(now) for now in (121.0, 123.0)] == [0, 2]


async def test_a_lag_of_days_is_measured_with_few_marks(tiers: Tiers) -> None:
    """Whatever is archived at last, the age of what is left is right to a thousandth."""
    session, conversation = await tiers.talk(1)
    numbers: list[int] = []
    for n in range(2, 5_002):
        tiers.send(session, conversation, n)
        await tiers.group.drain()
        numbers.append(tiers.group.durable_number)
        tiers.relay.lag_seconds(n * 10.0)
    assert len(tiers.relay._seen) < 3_000
    tiers.relay.cursor = numbers[2_499]
    assert tiers.relay.lag_seconds(50_010.0) == pytest.approx(24_990, abs=50)

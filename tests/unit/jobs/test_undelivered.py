"""Messages that no agent's device has."""

from collections.abc import AsyncIterator, Sequence

import pytest

from tests.support.tiers import ANN, BOB, Tiers
from unique_cs.actions import conversations, messages
from unique_cs.domain.body import TextBody
from unique_cs.domain.conversation import Conversation, Cursor
from unique_cs.jobs import undelivered
from unique_cs.jobs.undelivered import Undelivered
from unique_cs.storage.hot_memory import MemoryHot

MINUTES = 10


class World:
    """Conversations of one contact, and what counts them."""

    def __init__(self, tiers: Tiers) -> None:
        self.tiers = tiers
        self.open: list[int] = []
        self.away = False
        self.counter = Undelivered(
            tiers.timeline, tiers.contacts, lambda: self.open, self.quiet, tiers.clock, MINUTES
        )

    async def quiet(self, listed: Sequence[int], since: int, before: int) -> list[tuple[int, int]]:
        if not self.away:
            await self.tiers.archive_all()
        known = self.tiers.archive._conversations
        rows = [known[each] for each in listed if each in known]
        return [(row.id, row.seq) for row in rows if since <= row.updated_at < before]

    async def talk(self) -> Conversation:
        session = await self.tiers.session()
        conversation = await messages.target(self.tiers.timeline, self.tiers.contacts, ANN, None)
        self.tiers.send(session, conversation, 1)
        await self.tiers.group.drain()
        self.open.append(conversation.id)
        return conversation

    async def later(self, minutes: float = MINUTES + 1) -> float:
        """Let time pass, and count."""
        self.tiers.clock.seconds += minutes * 60
        self.tiers.ids.raise_ceiling(self.tiers.group)
        await self.tiers.group.durable()
        return await self.counter.count()

    async def deliver(self, conversation: Conversation, seq: int, kind: str = "agent") -> None:
        await self.tiers.contacts.cursors(conversation)
        self.tiers.contacts.advance_cursor(conversation, Cursor(kind, "22", delivered=seq))
        await self.tiers.group.drain()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    tiers = Tiers(MemoryHot())
    await tiers.ann()
    yield World(tiers)
    await tiers.close()


async def test_a_message_that_is_on_no_device_counts_from_its_time_on(world: World) -> None:
    await world.talk()
    assert await world.later(MINUTES - 1) == 0
    assert await world.later(2) == 1
    assert await world.later(60) == 1


async def test_a_message_on_an_agents_device_does_not(world: World) -> None:
    conversation = await world.talk()
    await world.deliver(conversation, 2, "contact")
    await world.deliver(conversation, 1)
    assert await world.later() == 1
    await world.deliver(conversation, 2)
    assert await world.later(1) == 0


async def test_a_new_message_counts_again(world: World) -> None:
    conversation = await world.talk()
    await world.deliver(conversation, 2)
    assert await world.later() == 0
    session = await world.tiers.session()
    world.tiers.send(session, conversation, 1)
    await world.tiers.group.drain()
    assert await world.later(1) == 0
    assert await world.later() == 1


async def test_what_an_agent_answered_or_moved_does_not_count(world: World) -> None:
    conversation = await world.talk()
    session = await world.tiers.session(BOB)
    messages.send(world.tiers.timeline, session, conversation, 1, TextBody("hi"), False, None)
    await world.tiers.group.drain()
    assert await world.later() == 0
    session = await world.tiers.session()
    world.tiers.send(session, conversation, 1)
    await conversations.set_labels(world.tiers.timeline, BOB, conversation, ["vip"])
    assert await world.later() == 0


async def test_what_is_resolved_does_not_count(world: World) -> None:
    conversation = await world.talk()
    assert await world.later() == 1
    world.open.remove(conversation.id)
    assert await world.later() == 0


async def test_what_was_delivered_is_not_looked_into_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await world.talk()
    await world.deliver(conversation, 2)
    assert await world.later() == 0
    monkeypatch.setattr(world.tiers.timeline, "events", None)
    assert await world.later() == 0


async def test_what_was_archived_late_counts(world: World) -> None:
    assert await world.later() == 0
    world.away = True
    await world.talk()
    assert await world.later() == 0
    assert await world.later(60) == 0
    world.away = False
    assert 1 in [await world.later(0.25) for _ in range(undelivered.WHOLE)]


async def test_only_so_many_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undelivered, "MOST", 0)
    await world.talk()
    assert await world.later() == 0
    monkeypatch.setattr(undelivered, "MOST", 1)
    assert await world.later() == 1

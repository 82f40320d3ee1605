"""Snoozed conversations come back at their time, on every database."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.support.databases import database_of
from tests.support.tiers import BOB, Tiers
from unique_cs.actions import conversations
from unique_cs.domain.conversation import Conversation
from unique_cs.errors import StorageUnavailable
from unique_cs.jobs.waker import MOST, Waker
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.hot_memory import MemoryHot
from unique_cs.storage.hot_source import HotSource
from unique_cs.storage.relay import Relay
from unique_cs.storage.snoozes import PAGE, SqlSnoozes

HOUR_MS = 3_600_000


class World:
    """A node that archives when it is told to, and its waker."""

    def __init__(self, tiers: Tiers, archive: SqlArchive, snoozes: SqlSnoozes) -> None:
        self.tiers = tiers
        self.snoozes = snoozes
        self.waker = Waker(tiers.timeline, snoozes, tiers.clock)
        self._relay = Relay(HotSource(tiers.hot, tiers.timeline, tiers.contacts), archive)

    @property
    def now(self) -> int:
        return self.tiers.clock.now_ms()

    async def snooze(self, conversation: Conversation, hours: float | None) -> None:
        until = None if hours is None else self.now + int(hours * HOUR_MS)
        await conversations.set_status(self.tiers.timeline, BOB, conversation, "snoozed", until)

    async def archive(self) -> None:
        while await self._relay.move():
            pass

    async def later(self, hours: float) -> None:
        """Let time pass, and look."""
        self.tiers.clock.wall_ms += int(hours * HOUR_MS)
        self.tiers.ids.raise_ceiling(self.tiers.group)
        await self.tiers.group.durable()
        await self.waker.look()

    async def last(self, conversation: Conversation) -> tuple[str, str]:
        """Whose the last event is, and the status."""
        page = await self.tiers.timeline.events(conversation, 0, conversation.seq + 1, 1, True)
        return msgspec.json.decode(page[0].frame)["actor"]["kind"], conversation.status


@pytest.fixture(params=["sqlite", "mariadb"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with database_of(request, tmp_path) as database:
        tiers = Tiers(MemoryHot())
        await tiers.ann()
        yield World(tiers, SqlArchive(database), SqlSnoozes(database))
        await tiers.close()


async def test_it_comes_back_at_its_time(world: World) -> None:
    _, conversation = await world.tiers.talk()
    await world.snooze(conversation, 2)
    await world.archive()
    await world.later(1.9)
    assert await world.last(conversation) == ("agent", "snoozed")
    await world.later(0.2)
    assert await world.last(conversation) == ("system", "open")
    assert conversation.waiting
    seq = conversation.seq
    await world.later(1)
    assert conversation.seq == seq
    await world.archive()
    await world.snooze(conversation, None)
    await world.archive()
    await world.later(1_000)
    assert conversation.status == "snoozed"
    assert await world.snoozes.due(1 << 60, 10) == []


async def test_its_latest_time_counts(world: World) -> None:
    """Also one that the archive does not know yet, and whatever else happens to the conversation."""
    _, conversation = await world.tiers.talk()
    await world.snooze(conversation, 1)
    await world.archive()
    await world.snooze(conversation, 5)
    await conversations.set_labels(world.tiers.timeline, BOB, conversation, ["later"])
    await world.later(2)
    assert conversation.status == "snoozed"
    await world.archive()
    await world.later(2)
    assert conversation.status == "snoozed"
    await world.later(2)
    assert await world.last(conversation) == ("system", "open")


async def test_what_came_back_by_itself_is_left_alone(world: World) -> None:
    session, conversation = await world.tiers.talk()
    await world.snooze(conversation, 1)
    await world.archive()
    world.tiers.send(session, conversation, 2)
    await world.tiers.group.drain()
    await world.later(2)
    assert await world.last(conversation) == ("contact", "open")
    assert await world.snoozes.due(1 << 60, 10) == []


async def test_one_that_fails_keeps_no_other_asleep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, broken = await world.tiers.talk()
    await world.tiers.resolve(broken)
    _, conversation = await world.tiers.talk()
    for each in (broken, conversation):
        await world.snooze(each, 1)
    await world.archive()
    load = world.tiers.timeline.conversation

    async def fails(number: int) -> Conversation | None:
        if number == broken.id:
            raise StorageUnavailable("not now")
        return await load(number)

    with monkeypatch.context() as patch:
        patch.setattr(world.tiers.timeline, "conversation", fails)
        await world.later(2)
    assert (broken.status, conversation.status) == ("snoozed", "open")
    await world.later(1)
    assert broken.status == "open"


async def test_many_are_due_at_once(world: World) -> None:
    count = max(MOST, PAGE) + 1
    made = []
    for _ in range(count):
        _, conversation = await world.tiers.talk()
        await world.tiers.resolve(conversation)
        made.append(conversation)
    for conversation in made:
        await world.snooze(conversation, 1)
    await world.archive()
    for _ in range(-(-count // MOST)):
        await world.later(1)
        await world.archive()
    assert len({each.id for each in made if each.status == "open"}) == count

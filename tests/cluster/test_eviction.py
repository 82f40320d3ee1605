"""Redis lets go of what is archived and quiet; it comes back whole, read once, when it is asked for."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.test_faults import relay_of
from tests.support.cluster import ANN, BOB, ClusterNode, nodes, until
from tests.support.redis import RedisServer
from unique_cs.actions import conversations
from unique_cs.cluster import eviction
from unique_cs.cluster.eviction import Eviction, Gone
from unique_cs.domain.conversation import Conversation, Cursor
from unique_cs.domain.events import Named
from unique_cs.domain.people import Contact
from unique_cs.errors import OutcomeUnknown, StorageUnavailable

HOUR_MS = 3_600_000
NAMED = Contact(33, 1, "Eve", identifier="u-33")


class Later:
    """The node's clock, some hours ahead."""

    def __init__(self, node: ClusterNode) -> None:
        self._clock = node.clock
        self.hours = 0

    def now_ms(self) -> int:
        return self._clock.now_ms() + self.hours * HOUR_MS

    def monotonic(self) -> float:
        return self._clock.monotonic()


class Quiet:
    """Letting go on one node, where what was changed an hour ago is quiet."""

    def __init__(self, node: ClusterNode) -> None:
        self._clock = Later(node)
        self._node = node
        self._eviction = Eviction(node.shard, node.cluster, node.archive, self._clock, hot_hours=1)

    async def pass_by(self, *, archived: bool = True) -> Gone:
        """Two hours go by."""
        await self._is_followed(archived=archived)
        before = await self.now()
        self._clock.hours += 2
        after = await self.now()
        return Gone(*(one + other for one, other in zip(before, after, strict=True)))

    async def _is_followed(self, *, archived: bool) -> None:
        newest = int(await self._node.shard.client.get(self._node.timeline.keys.head))
        await until(lambda: self._node.cluster.memory.position >= newest, "the node follows")
        if archived:
            await relay_of(self._node).move_all()

    async def turn(self) -> Gone:
        """Two hours go by in which another node looked after Redis, and it is time again."""
        await self._is_followed(archived=True)
        await self._eviction.run_once(redis=False)
        self._clock.hours += 2
        return await self._eviction.take_turn()

    async def now(self) -> Gone:
        """No time goes by."""
        return await self._eviction.run_once()


@pytest.fixture
async def pair(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[list[ClusterNode]]:
    async with nodes(2, redis_server.url, tmp_path) as made:
        await made[0].ann()
        yield made


async def talked(node: ClusterNode, *, resolved: bool = True) -> Conversation:
    """A conversation of five messages, assigned and labelled, of which the contact read three."""
    session = await node.session()
    sent = await node.send(session, 1, "1")
    conversation = sent.conversation
    assert conversation is not None
    for n in range(2, 6):
        await node.send(session, n, str(n))
    await conversations.assign(node.timeline, BOB, conversation, Named("22", "Bob"))
    await conversations.set_labels(node.timeline, BOB, conversation, ["late"])
    await node.contacts.cursors(conversation)
    node.contacts.advance_cursor(conversation, Cursor("contact", "11", read=3))
    if resolved:
        await node.resolve(conversation)
    keys, client = node.timeline.keys, node.shard.client
    async with asyncio.timeout(10):
        while not await client.exists(keys.cursors(conversation.id)):
            await asyncio.sleep(0.01)
    return conversation


async def left(pair: list[ClusterNode]) -> int:
    """A conversation that nobody on any node looks at any more."""
    number = (await talked(pair[0])).id
    newest = int(await pair[0].shard.client.get(pair[0].timeline.keys.head))
    await until(lambda: all(node.cluster.memory.position >= newest for node in pair), "all follow")
    for node in pair:
        node.delivered.clear()
    gc.collect()
    assert [node.timeline.held(number) for node in pair] == [None, None]
    return number


async def held(node: ClusterNode, *names: str) -> list[int]:
    """Which of these keys Redis has."""
    return [await node.shard.client.exists(name) for name in names]


async def test_what_is_quiet_and_archived_goes_and_comes_back_whole(pair: list[ClusterNode]) -> None:
    here, there = pair
    number = await left(pair)
    keys = here.timeline.keys
    assert await Quiet(here).pass_by() == Gone(1, 1, 0)
    names = [keys.conversation(number), keys.events(number), keys.cursors(number), keys.contact(ANN.id)]
    assert await held(here, *names, keys.owned(ANN.id)) == [0] * 5
    again = await there.timeline.conversation(number)
    assert again is not None
    assert (again.seq, again.status, again.labels) == (9, "resolved", ("late",))
    assert again.assignee == Named("22", "Bob")
    assert [each.read for each in await there.contacts.cursors(again)] == [3]
    assert [each.id for each in await there.timeline.conversations_of(ANN.id, 9)] == [number]
    # A message opens it again, at the next place.
    entry = await there.send(await there.session(), 1, "back", again)
    assert entry.event is not None
    assert entry.event.conversation == str(number)
    assert (await there.texts(again))[-2:] == ["conversation.status_changed", "back"]
    assert len(await there.texts(again)) == entry.event.seq == 11
    assert again.status == "open"
    found = await here.timeline.newest_open(ANN.id)
    assert found is not None
    assert found.id == number


async def test_what_a_node_holds_comes_back_with_the_next_message(pair: list[ClusterNode]) -> None:
    """Somebody listened all the time: the conversation is in memory, and gone from Redis."""
    here, there = pair
    conversation = await talked(here)
    assert (await Quiet(there).pass_by()).conversations == 1
    assert here.timeline.held(conversation.id) is conversation
    sent = await asyncio.wait_for(here.send(await here.session(), 1, "back", conversation), 10)
    assert sent.event is not None
    assert sent.event.seq == conversation.seq == 11
    assert conversation.status == "open"


async def test_a_cold_tier_that_hangs_holds_nobody_up(
    pair: list[ClusterNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    conversation = await talked(here)
    await Quiet(there).pass_by()
    session = await here.session()
    with monkeypatch.context() as patch:
        patch.setattr(here.cluster.cold, "conversation", lambda _: asyncio.sleep(3600))
        late = asyncio.ensure_future(here.send(session, 1, "back", conversation))
        await asyncio.wait_for(here.contacts.save_contact(NAMED), 10)
        with pytest.raises(OutcomeUnknown):
            await asyncio.wait_for(late, 10)
    # Nothing is stored: the client comes back, here or elsewhere, and sends it again.
    again, _ = await there.timeline.open_session(ANN, session.id, None, 0)
    assert again.n == 0
    found = await there.timeline.conversation(conversation.id)
    assert found is not None
    assert (await there.send(again, 1, "back", found)).event is not None


async def test_what_is_not_resolved_or_not_archived_stays(pair: list[ClusterNode]) -> None:
    here, _ = pair
    conversation = await talked(here, resolved=False)
    keys, quiet = here.timeline.keys, Quiet(here)
    names = [keys.conversation(conversation.id), keys.contact(ANN.id)]
    assert await quiet.pass_by() == Gone()
    assert await held(here, *names) == [1, 1]
    await here.resolve(conversation)
    assert await quiet.pass_by(archived=False) == Gone()
    assert await held(here, *names) == [1, 1]
    assert await quiet.pass_by() == Gone(1, 1, 0)
    assert await held(here, *names) == [0, 0]


async def test_what_was_put_back_stays_for_a_while(pair: list[ClusterNode]) -> None:
    here, there = pair
    number = await left(pair)
    quiet = Quiet(here)
    assert await quiet.pass_by() == Gone(1, 1, 0)
    await there.contacts.save_contact(NAMED)
    assert await there.timeline.conversation(number) is not None
    assert await quiet.now() == Gone()
    assert await quiet.pass_by() == Gone(1, 2, 0)


async def test_contacts_are_found_by_their_identifier_afterwards(pair: list[ClusterNode]) -> None:
    here, there = pair
    await here.contacts.save_contact(NAMED)
    name = here.timeline.keys.name(1, "u-33")
    assert await Quiet(here).pass_by() == Gone(0, 2, 0)
    assert await held(here, name, here.timeline.keys.contact(33)) == [0, 0]
    assert await there.contacts.contact_by_identifier(1, "u-33") == NAMED
    assert await held(here, name) == [1]
    assert (await here.send(await here.session(), 1, "first")).event is not None


async def test_many_readers_are_one_reading(pair: list[ClusterNode], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = pair
    number = await left(pair)
    await Quiet(here).pass_by()
    cold, counts = there.cluster.cold, {"conversation": 0, "contact": 0}

    def counted(name: str, read: Callable[[int], Awaitable[Any]]) -> Callable[[int], Awaitable[Any]]:
        async def reading(key: int) -> Any:
            counts[name] += 1
            await asyncio.sleep(0.05)
            return await read(key)

        return reading

    for name in counts:
        monkeypatch.setattr(cold, name, counted(name, getattr(cold, name)))
    found = await asyncio.gather(
        *(there.timeline.conversation(number) for _ in range(100)),
        *(there.contacts.contact(ANN.id) for _ in range(100)),
    )
    assert len({id(each) for each in found[:100]}) == 1
    assert counts == {"conversation": 1, "contact": 1}


async def test_earlier_generations_go_when_all_of_them_is_archived(pair: list[ClusterNode]) -> None:
    here, there = pair
    await talked(here)
    old = here.timeline.keys.prefix
    await here.shard.client.delete("{ucs}:gen")
    await until(lambda: all(each.timeline.keys.prefix not in ("", old) for each in pair), "both begin anew")
    quiet = Quiet(here)
    assert await held(here, old + "log") == [1]
    await here.send(await here.session(), 1, "new")
    await quiet.pass_by()
    assert [key async for key in here.shard.client.scan_iter(match=old + "*")] == []
    assert (await there.timeline.newest_open(ANN.id)) is not None


async def test_more_than_one_step_of_them(pair: list[ClusterNode], monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = pair
    monkeypatch.setattr(eviction, "BATCH", 2)
    made = {(await talked(here)).id for _ in range(5)}
    assert (await Quiet(here).pass_by()).conversations == len(made) > 1


async def test_what_is_in_use_and_archived_keeps_its_newest_events(
    pair: list[ClusterNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = pair
    monkeypatch.setattr(eviction, "SHORT", 1)
    conversation, session = await talked(here, resolved=False), await here.session()
    entries = [await here.send(session, n, str(n), conversation) for n in range(1, 301)]
    assert entries[-1].event is not None
    events, whole = here.timeline.keys.events(conversation.id), await here.texts(conversation)
    quiet = Quiet(here)
    await quiet.pass_by(archived=False)
    assert await here.shard.client.xlen(events) > 300
    await quiet.pass_by()
    # Redis cuts whole nodes of its tree of 100 entries.
    assert await here.shard.client.xlen(events) <= 100
    assert await here.texts(conversation) == whole


async def test_one_node_looks_after_redis(pair: list[ClusterNode]) -> None:
    await talked(pair[0])
    first = await Quiet(pair[0]).turn()
    await talked(pair[0])
    second = await Quiet(pair[1]).turn()
    assert [first.conversations, second.conversations] == [1, 0]


async def test_a_cursor_of_what_redis_let_go_of_is_stored(pair: list[ClusterNode]) -> None:
    """Somebody who kept the page open reads on."""
    here, there = pair
    conversation = await talked(here)
    assert (await Quiet(there).pass_by()).conversations == 1
    assert here.contacts.advance_cursor(conversation, Cursor("contact", "11", read=7))
    key = here.timeline.keys.cursors(conversation.id)
    async with asyncio.timeout(10):
        while await here.shard.client.hget(key, "contact:11") != b"7:7":
            await asyncio.sleep(0.01)


async def test_what_was_read_in_an_earlier_generation_is_not_put_back(
    pair: list[ClusterNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database hung; meanwhile the conversation went on, was archived, and Redis was lost."""
    here, there = pair
    number = await left(pair)
    await Quiet(here).pass_by()
    reached, answers = asyncio.Event(), asyncio.Event()
    cold, contact = here.cluster.cold, here.cluster.cold.contact

    async def hanging(key: int) -> Any:
        is_first = not reached.is_set()
        reached.set()
        if is_first:
            await answers.wait()
        return await contact(key)

    with monkeypatch.context() as patch:
        patch.setattr(cold, "contact", hanging)
        loading = asyncio.ensure_future(here.timeline.conversation(number))
        await reached.wait()
        found = await there.timeline.conversation(number)
        assert found is not None
        await there.send(await there.session(), 1, "back", found)
        await there.resolve(found)
        await relay_of(there).move_all()
        await there.shard.client.flushall()
        await until(
            lambda: all(each.cluster.generation and each.cluster.generation.counter > 1 for each in pair),
            "both begin anew",
        )
        answers.set()
        with pytest.raises((StorageUnavailable, OutcomeUnknown)):
            await loading
    again = await here.timeline.conversation(number)
    assert again is not None
    assert again.seq == 12

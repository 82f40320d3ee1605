"""The timeline of a cluster: one order on every node, whoever writes where."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.cluster import ANN, BOB, DEADLINE_S, ClusterNode, nodes, until
from tests.support.redis import RedisServer
from unique_cs.actions import conversations, messages
from unique_cs.domain.body import TextBody
from unique_cs.domain.conversation import Cursor
from unique_cs.domain.events import Named
from unique_cs.errors import Code, Replaced, UniqueCsError


@pytest.fixture
async def pair(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[list[ClusterNode]]:
    async with nodes(2, redis_server.url, tmp_path) as made:
        await made[0].ann()
        yield made


async def test_events_come_to_every_node_in_one_order(pair: list[ClusterNode]) -> None:
    here, there = pair
    session = await here.session()
    first = await here.send(session, 1, "hello")
    assert first.conversation is not None
    assert first.event is not None
    assert first.event.seq == 2
    found = await there.timeline.conversation(first.conversation.id)
    assert found is not None
    agent = await there.session(BOB)
    await there.send(agent, 1, "hi", found)
    for n in range(2, 40):
        await asyncio.gather(here.send(session, n, f"h{n}"), there.send(agent, n, f"t{n}", found))
    await until(lambda: len(here.told()) == 79 and found.durable == 79, "all are told")
    told = await here.texts(first.conversation)
    assert told[:3] == ["conversation.opened", "hello", "hi"]
    assert told == await there.texts(found)
    assert here.told() == told
    assert [each for each in told if each.startswith("h")][2:] == [f"h{n}" for n in range(2, 40)]


async def test_many_sends_in_flight_keep_their_order(pair: list[ClusterNode]) -> None:
    here, _ = pair
    session = await here.session()
    opened = await here.send(session, 1, "1")
    conversation = opened.conversation
    assert conversation is not None
    entries = [asyncio.ensure_future(here.send(session, n, str(n), conversation)) for n in range(2, 200)]
    await asyncio.gather(*entries)
    assert (await here.texts(conversation))[1:] == [str(n) for n in range(1, 200)]


async def test_a_contact_has_one_open_conversation(pair: list[ClusterNode]) -> None:
    """Two devices on two nodes write first at the same time."""
    sessions = [await node.session() for node in pair]
    entries = await asyncio.gather(
        *(node.send(session, 1, node.name) for node, session in zip(pair, sessions, strict=True))
    )
    ids = {entry.conversation.id for entry in entries if entry.conversation is not None}
    assert len(ids) == 1


async def test_a_message_is_decided_again(pair: list[ClusterNode]) -> None:
    """Resolved on another node meanwhile: the message reopens it, and those in flight follow in order."""
    here, there = pair
    session = await here.session()
    opened = await here.send(session, 1, "1")
    conversation = opened.conversation
    assert conversation is not None
    found = await there.timeline.conversation(conversation.id)
    assert found is not None
    await asyncio.gather(
        there.resolve(found), *(here.send(session, n, str(n), conversation) for n in range(2, 30))
    )
    told = await here.texts(conversation)
    assert [each for each in told if each.isdigit()] == [str(n) for n in range(1, 30)]
    assert conversation.status in ("open", "resolved")


async def test_actions_conflict_and_are_decided_again(pair: list[ClusterNode]) -> None:
    here, there = pair
    session = await here.session()
    opened = await here.send(session, 1, "1")
    assert opened.conversation is not None
    found = await there.timeline.conversation(opened.conversation.id)
    assert found is not None
    await asyncio.gather(
        conversations.set_labels(here.timeline, BOB, opened.conversation, ["a"]),
        conversations.assign(there.timeline, BOB, found, Named("22", "Bob")),
    )
    await until(lambda: found.labels == ("a",) and found.assignee is not None, "both are done")


async def test_the_session_goes_on_elsewhere(pair: list[ClusterNode]) -> None:
    here, there = pair
    session = await here.session()
    sent = await here.send(session, 1, "hello")
    again, c = await there.timeline.open_session(ANN, session.id, None, 0)
    assert (again.n, c, again.resumed) == (1, 2, True)
    answer = await there.timeline.answer(again, 1)
    assert sent.event is not None
    assert (answer.conversation, answer.seq) == (int(sent.event.conversation), 2)
    assert (await there.send(again, 2, "there")).event is not None
    with pytest.raises(Replaced):
        await there.timeline.open_session(ANN, session.id, 2, 0)
    with pytest.raises(Replaced):
        await here.send(session, 3, "late", sent.conversation)
    stranger, _ = await there.timeline.open_session(BOB, session.id, None, 0)
    assert stranger.id != session.id


async def test_a_repeat_is_answered_in_the_place_of_its_event(
    pair: list[ClusterNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node that answers has yet to follow the log: whoever listens there has not seen the event."""
    here, there = pair
    session = await here.session()
    opened = await here.send(session, 1, "hello")
    assert opened.conversation is not None
    found = await there.timeline.conversation(opened.conversation.id)
    assert found is not None
    with monkeypatch.context() as behind:
        behind.setattr(there.timeline, "take", lambda records: None)
        await here.send(session, 2, "more", opened.conversation)
        again, _ = await there.timeline.open_session(ANN, session.id, None, 0)
        seen: list[int] = []
        answering = asyncio.ensure_future(there.timeline.answer(again, 2))
        answering.add_done_callback(lambda _: seen.append(found.durable))
        await there.timeline.answer(again, 1)
    assert (await answering).seq == 3
    assert seen == [3]


async def test_what_was_read_ahead_of_the_log_is_told_all_the_same(
    pair: list[ClusterNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others join a conversation by its events, also where somebody has read it before these came."""
    here, there = pair
    with monkeypatch.context() as behind:
        behind.setattr(there.timeline, "take", lambda records: None)
        opened = await here.send(await here.session(), 1, "hello")
        assert opened.conversation is not None
        found = await there.timeline.conversation(opened.conversation.id)
        assert found is not None
        assert (found.durable, there.told()) == (2, [])
    await until(lambda: there.told() == ["conversation.opened", "hello"], "both are told")
    assert all(entry.conversation is found for entry in there.delivered)
    assert found.durable == 2


async def test_a_key_that_two_nodes_take_at_once_sends_one_message(pair: list[ClusterNode]) -> None:
    """Whoever was second answers as the first does, and goes on to know it."""
    here, there = pair
    opened = await here.send(await here.session(), 1, "hello")
    assert opened.conversation is not None
    places = [await node.timeline.conversation(opened.conversation.id) for node in pair]

    async def post(number: int, key: str) -> bytes:
        node, place = pair[number % 2], places[number % 2]
        assert place is not None
        posted = messages.post_message(node.timeline, BOB, place, TextBody(key), False, key)
        return (await asyncio.wait_for(posted, DEADLINE_S)).frame

    for key in map(str, range(20)):
        frames = await asyncio.gather(*(post(number, key) for number in range(6)))
        assert len(set(frames)) == 1
    assert await there.texts(opened.conversation) == ["conversation.opened", "hello", *map(str, range(20))]


async def test_refusals_use_numbers_up(pair: list[ClusterNode]) -> None:
    here, there = pair
    session = await here.session()
    await messages.durable(here.timeline.refuse(session, 1, UniqueCsError(Code.FORBIDDEN, "no"), None))
    await here.send(session, 2, "yes")
    again, _ = await there.timeline.open_session(ANN, session.id, None, 0)
    answer = await there.timeline.answer(again, 1)
    assert (answer.code, answer.message) == ("forbidden", "no")


async def test_cursors_reach_every_node(pair: list[ClusterNode]) -> None:
    here, there = pair
    session = await here.session()
    sent = await here.send(session, 1, "hello")
    assert sent.conversation is not None
    found = await there.timeline.conversation(sent.conversation.id)
    assert found is not None
    await there.contacts.cursors(found)
    await here.contacts.cursors(sent.conversation)
    assert here.contacts.advance_cursor(sent.conversation, Cursor("contact", "11", read=99))
    await until(lambda: [each.read for each in found.cursors or ()] == [2], "the cursor is known there")


async def test_what_is_asked_for_and_not_there_is_not_remembered(pair: list[ClusterNode]) -> None:
    """Anybody may ask for any id."""
    here, _ = pair
    for number in range(5):
        assert await here.timeline.conversation(10**15 + number) is None
    assert not here.cluster.memory._loading

"""Writes that got no place: nobody waits for them for ever, and numbers of sends can be taken again."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.cluster.test_faults import relay_of
from tests.support.cluster import ANN, ClusterNode, nodes
from tests.support.redis import RedisServer
from unique_cs.actions import messages
from unique_cs.cluster import cluster, log
from unique_cs.domain.body import TextBody
from unique_cs.errors import OutcomeUnknown, Replaced, StorageUnavailable
from unique_cs.protocol.session import Session

SOON_S = 10


def expire(redis: RedisServer, node: ClusterNode, session: Session) -> None:
    """Redis lets go of a session, as after its time to live."""
    assert redis.call("DEL", node.timeline.keys.session(session.key)) == 1


async def test_a_session_that_redis_let_go_of_goes_on_here(own_redis: RedisServer, tmp_path: Path) -> None:
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        session = await node.session()
        sent = await node.send(session, 1, "1")
        await relay_of(node).move_all()
        expire(own_redis, node, session)
        with pytest.raises(OutcomeUnknown):
            await node.send(session, 2, "2", sent.conversation)
        again, _ = await node.timeline.open_session(ANN, session.id, None, 1)
        assert (again.id, again.n) == (session.id, 1)
        await asyncio.wait_for(node.send(again, 2, "2", sent.conversation), SOON_S)
        assert sent.conversation is not None
        assert (await node.texts(sent.conversation))[1:] == ["1", "2"]


async def test_a_send_is_fenced_while_its_session_goes_on_here(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It conflicted, and before it could be tried again its session was opened anew, on the same node."""
    async with nodes(2, own_redis.url, tmp_path) as (here, there):
        await here.ann()
        session = await here.session()
        sent = await here.send(session, 1, "1")
        assert sent.conversation is not None
        found = await there.timeline.conversation(sent.conversation.id)
        assert found is not None
        behind, follow = asyncio.Event(), log.follow

        async def slow(client: Any, *arguments: Any) -> Any:
            records = await follow(client, *arguments)
            if client is here.shard.client:
                await behind.wait()
            return records

        monkeypatch.setattr(log, "follow", slow)
        # What began to be read before is read now.
        behind.set()
        await here.ann()
        behind.clear()
        await there.resolve(found)
        late = asyncio.ensure_future(here.send(session, 2, "2", sent.conversation))
        opened = asyncio.ensure_future(here.timeline.open_session(ANN, session.id, None, 1))
        again, _ = await asyncio.wait_for(opened, SOON_S)
        waiting = asyncio.ensure_future(here.timeline.settled(again, again.n))
        behind.set()
        with pytest.raises(Replaced):
            await asyncio.wait_for(late, SOON_S)
        assert again.n == 1
        with pytest.raises(OutcomeUnknown):
            await asyncio.wait_for(waiting, SOON_S)
        await asyncio.wait_for(here.send(again, 2, "2", sent.conversation), SOON_S)
        assert [each for each in await there.texts(found) if each.isdigit()] == ["1", "2"]


async def test_a_second_device_does_not_wait_for_what_is_not_opened(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        ann = await node.ann()
        first, second = await node.session(), await node.session()
        expire(own_redis, node, first)
        opening = node.timeline.new_conversation(ann)
        entry = messages.send(node.timeline, first, opening, 1, TextBody("first"), False, None)
        waiting = asyncio.ensure_future(node.send(second, 1, "second"))
        with pytest.raises(OutcomeUnknown):
            await messages.durable(entry)
        sent = await asyncio.wait_for(waiting, SOON_S)
        assert sent.conversation is not None
        assert (await node.texts(sent.conversation))[1:] == ["second"]


async def test_a_request_is_repeated_after_its_outcome_was_unknown(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        sent = await node.send(await node.session(), 1, "1")
        assert sent.conversation is not None
        held = await node.timeline.request_session(ANN, "key")
        expire(own_redis, node, held)
        body = TextBody("2")
        with pytest.raises(OutcomeUnknown):
            await messages.durable(
                messages.send(node.timeline, held, sent.conversation, 1, body, False, None)
            )
        again = messages.post_message(node.timeline, ANN, sent.conversation, body, False, "key")
        stored = await asyncio.wait_for(again, SOON_S)
        assert (stored.seq, held.n) == (3, 1)


async def test_requests_do_not_wait_for_a_redis_that_is_away(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who came before it was noticed is told that the outcome is unknown; who comes later, to come back."""
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.1)
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        ann = await node.ann()
        sent = await node.send(await node.session(), 1, "1")
        assert sent.conversation is not None

        async def post(key: str) -> object:
            assert sent.conversation is not None
            text = TextBody("2")
            return await messages.post_message(node.timeline, ANN, sent.conversation, text, False, key)

        own_redis.kill()
        asked = asyncio.gather(
            node.contacts.save_contact(replace(ann, name="Anna")),
            node.resolve(sent.conversation),
            post("key"),
            return_exceptions=True,
        )
        outcomes = await asyncio.wait_for(asked, SOON_S)
        assert [type(each) for each in outcomes] == [OutcomeUnknown] * 3
        with pytest.raises(StorageUnavailable):
            await asyncio.wait_for(post("another key"), SOON_S)

"""How long Redis keeps sessions, and the answers to their sends."""

import asyncio
from pathlib import Path

from tests.cluster.test_faults import relay_of
from tests.support.cluster import ANN, ClusterNode, nodes, until
from tests.support.redis import RedisServer
from unique_cs.cluster.ending import end
from unique_cs.cluster.peers import CHANNEL, ClusterPeers
from unique_cs.cluster.session_life import SessionLife
from unique_cs.protocol.notices import Missed, Notice, Resumed
from unique_cs.protocol.session import Session

DAY_MS = 86_400_000


def lives(redis: RedisServer, node: ClusterNode, session: Session) -> list[int]:
    """How long the session and its answers are kept, in days."""
    keys = node.timeline.keys
    return [
        redis.call("PTTL", key) // DAY_MS for key in (keys.session(session.key), keys.answers(session.key))
    ]


async def test_a_session_is_kept_for_so_long_after_its_last_connection(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        session = await node.session()
        await node.send(session, 1, "1")
        assert lives(own_redis, node, session) == [29, 29]
        left = await node.session()
        await node.send(left, 1, "2")
        keys = node.timeline.keys
        for each in (session, left):
            for key in (keys.session(each.key), keys.answers(each.key)):
                own_redis.call("PEXPIRE", key, 2 * DAY_MS - 1)
        session.connection = object()
        await SessionLife(node.shard, node.cluster, session_days=30).run_once()
        assert lives(own_redis, node, session) == [29, 29]
        assert lives(own_redis, node, left) == [1, 1]


async def test_a_session_that_was_resumed_elsewhere_unheard_is_found(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """The connection on which its node listens breaks, and what is told meanwhile reaches nobody."""
    async with nodes(2, own_redis.url, tmp_path) as (one, two):
        await one.ann()
        session, other = await one.session(), await one.session()
        session.connection = other.connection = object()
        life, heard = SessionLife(one.shard, one.cluster, session_days=30), list[Notice]()
        peers = ClusterPeers(one.shard, one.clock, one.cluster.loading, "one")
        life.heard = heard.append

        def hear(notice: Notice) -> None:
            heard.append(notice)
            life.look()

        peers.heard = hear
        works = [asyncio.create_task(each.run()) for each in (life, peers)]
        try:
            await until(lambda: own_redis.call("PUBSUB", "SHARDNUMSUB", CHANNEL)[1] == 1, "it listens")
            _, c = await two.timeline.open_session(ANN, session.id, None, 0)
            own_redis.call("CLIENT", "KILL", "TYPE", "pubsub")
            await until(lambda: len(heard) == 2, "it looks")
        finally:
            await end(works)
        assert heard == [Missed(), Resumed(session.key, c)]


async def test_answers_to_a_session_that_was_rebuilt_have_an_end(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """Its first send here is not number 1."""
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        session = await node.session()
        sent = await node.send(session, 1, "1")
        await relay_of(node).move_all()
        keys = node.timeline.keys
        own_redis.call("DEL", keys.session(session.key), keys.answers(session.key))
        again, _ = await node.timeline.open_session(ANN, session.id, None, 1)
        await node.send(again, 2, "2", sent.conversation)
        assert lives(own_redis, node, again) == [29, 29]

"""How long Redis keeps sessions, and the answers to their sends."""

from pathlib import Path

from tests.cluster.test_faults import relay_of
from tests.support.cluster import ANN, ClusterNode, nodes
from tests.support.redis import RedisServer
from unique_cs.cluster.session_life import SessionLife
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

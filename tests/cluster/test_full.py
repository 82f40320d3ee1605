"""Redis at its bound of memory: it refuses to write, and nothing else changes."""

import asyncio
from pathlib import Path

import pytest

from tests.cluster.test_faults import recovery_of, relay_of
from tests.support.cluster import ClusterNode, nodes, until
from tests.support.redis import RedisServer
from unique_cs.cluster import node_numbers
from unique_cs.cluster.eviction import Eviction
from unique_cs.cluster.leases import Lease
from unique_cs.errors import StorageUnavailable


def _admits(node: ClusterNode) -> bool:
    try:
        node.cluster.committer.admit()
    except StorageUnavailable:
        return False
    return True


async def test_what_was_taken_waits_until_there_is_room(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stored once, in order. What comes meanwhile is told to come back; nobody is sent away."""
    monkeypatch.setattr(node_numbers, "TTL_MS", 1_500)
    async with nodes(2, own_redis.url, tmp_path) as (node, other):
        await node.ann()
        session = await node.session()
        sent = await node.send(session, 1, "1")
        assert sent.conversation is not None
        number, taken = node.ids.number, node.ids.times_taken
        own_redis.call("CONFIG", "SET", "maxmemory", "1")
        late = asyncio.ensure_future(node.send(session, 2, "2", sent.conversation))
        await until(lambda: not _admits(node), "it refuses")
        with pytest.raises(StorageUnavailable, match="Redis is full"):
            await node.send(session, 3, "3", sent.conversation)
        # Reading goes on, and so do the leases; what makes room is done.
        assert await other.texts(sent.conversation) == ["conversation.opened", "1"]
        assert await Lease(other.shard, other.clock, "relay").acquire()
        await relay_of(other).move_all()
        await Eviction(other.shard, other.cluster, other.archive, other.clock, hot_hours=1).take_turn()
        # Longer than the lease of a number lives.
        await asyncio.sleep(2)
        assert (node.ids.number, node.ids.times_taken) == (number, taken)
        assert not late.done()
        own_redis.call("CONFIG", "SET", "maxmemory", "0")
        await asyncio.wait_for(late, 10)
        await until(lambda: other.told()[-1:] == ["2"], "the other node follows")
        assert await other.texts(sent.conversation) == ["conversation.opened", "1", "2"]
        assert (node.lost, other.lost) == (0, 0)


async def test_a_recovery_does_not_begin_without_room(own_redis: RedisServer, tmp_path: Path) -> None:
    """Each would use up a generation, of which there are 8,192, several times a second."""
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        recovery = recovery_of(node)
        own_redis.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StorageUnavailable, match="Redis is full"):
            await recovery.run([], lambda: True)
        assert await node.cluster.cold.generation() == 1

"""The answer to a repeat: the same one, or none while it can't be known."""

from pathlib import Path

import pytest

from tests.support.cluster import nodes
from tests.support.redis import RedisServer
from unique_cs.errors import StorageUnavailable


async def test_an_emptied_redis_is_no_reason_to_refuse(own_redis: RedisServer, tmp_path: Path) -> None:
    """The message is in a journal, and comes back: a client that is told otherwise shows it as failed."""
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        session = await node.session()
        await node.send(session, 1, "1")
        own_redis.flush()
        with pytest.raises(StorageUnavailable):
            await node.timeline.answer(session, 1)


async def test_events_that_are_gone_are_no_reason_to_refuse(own_redis: RedisServer, tmp_path: Path) -> None:
    """Redis was emptied between the reading of the place and that of the event."""
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        session = await node.session()
        await node.send(session, 1, "1")
        keys, client = node.timeline.keys, node.shard.client
        row = await client.hget(keys.answers(session.key), "1")
        own_redis.flush()
        await client.hset(keys.answers(session.key), "1", row)
        with pytest.raises(StorageUnavailable):
            await node.timeline.answer(session, 1)

"""Nodes that share a Redis server."""

from collections.abc import AsyncIterator

import pytest

from tests.support.redis import RedisServer
from unique_cs.cluster.shard import Shard


@pytest.fixture
async def shard(redis_server: RedisServer) -> AsyncIterator[Shard]:
    """Connections to the server that tests share, which is empty."""
    opened = Shard(redis_server.url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def own_shard(own_redis: RedisServer) -> AsyncIterator[Shard]:
    """Connections to a server of this test's own."""
    opened = Shard(own_redis.url)
    await opened.open()
    yield opened
    await opened.close()

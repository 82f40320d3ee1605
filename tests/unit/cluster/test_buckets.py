"""Nodes that share a bucket keep to its rate together, and nobody waits for Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.clocks import OwnClock
from tests.support.redis import RedisServer
from unique_cs.cluster.buckets import Pool
from unique_cs.cluster.shard import Shard
from unique_cs.domain.flow import Buckets

RATE, BURST = 50, 20
CLOCK = OwnClock()


@asynccontextmanager
async def nodes(
    shard: Shard, count: int, rate: float = RATE, burst: float = BURST
) -> AsyncIterator[list[Buckets]]:
    """The same buckets on several nodes."""
    pools = [Pool(shard, CLOCK) for _ in range(count)]
    tasks = [asyncio.ensure_future(pool.run()) for pool in pools]
    yield [pool.make("ip", rate, burst) for pool in pools]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def take_all(many: list[Buckets], key: str, seconds: float) -> int:
    """Take from all nodes as fast as it goes; return how often it went."""
    began, taken = CLOCK.monotonic(), 0
    while CLOCK.monotonic() < began + seconds:
        taken += sum(not each.take(key, CLOCK.monotonic()) for each in many)
        await asyncio.sleep(0.001)
    return taken


async def test_nodes_keep_to_the_rate_together(shard: Shard) -> None:
    """Each alone would let three seconds' worth and its burst pass."""
    async with nodes(shard, 4) as many:
        taken = await take_all(many, "10.0.0.1", 3)
    assert BURST + 0.5 * 3 * RATE < taken < 4 * (BURST + 0.2 * RATE) + 3 * RATE
    assert taken < 4 * (BURST + 3 * RATE) / 2


async def test_what_one_node_gave_is_owed_at_the_other(shard: Shard) -> None:
    """Two nodes give four tokens of a bucket of two before they know: the fifth is there after 1.5 s."""
    async with nodes(shard, 2, rate=2, burst=2) as (one, other):
        began = CLOCK.monotonic()
        for each in (one, one, other, other):
            assert each.take("ann", CLOCK.monotonic()) == 0
        waits = []
        async with asyncio.timeout(5):
            while wait := other.take("ann", CLOCK.monotonic()):
                waits.append(wait)
                await asyncio.sleep(0.05)
        assert CLOCK.monotonic() - began > 1.4
        # Its own bucket would have had one after half a second.
        assert max(waits) > 500
        assert other.take("ben", CLOCK.monotonic()) == 0


async def test_a_key_is_gone_once_its_bucket_is_full(shard: Shard, redis_server: RedisServer) -> None:
    async with nodes(shard, 1, rate=10, burst=2) as (one,):
        one.take("ann", CLOCK.monotonic())
        async with asyncio.timeout(5):
            while not redis_server.call("KEYS", "{ucs}:bucket:*"):
                await asyncio.sleep(0.01)
            while redis_server.call("KEYS", "{ucs}:bucket:*"):
                await asyncio.sleep(0.01)


async def test_a_node_alone_keeps_to_the_rate(own_shard: Shard, own_redis: RedisServer) -> None:
    async with nodes(own_shard, 1) as many:
        own_redis.kill()
        taken = await take_all(many, "10.0.0.1", 1)
    assert BURST <= taken <= BURST + RATE + 1


async def test_a_name_has_one_set_of_buckets(shard: Shard) -> None:
    """A second one would take the first one's place with the other nodes, which would never hear of it."""
    pool = Pool(shard, CLOCK)
    pool.make("ip", RATE, BURST)
    with pytest.raises(ValueError, match="ip"):
        pool.make("ip", RATE, BURST)

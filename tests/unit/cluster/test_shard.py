"""What those who ask Redis are told when their connections are closed under them."""

import asyncio
import random
from contextlib import suppress

import pytest
import uvloop

from tests.support.redis import RedisServer
from unique_cs.cluster.leases import Away, within
from unique_cs.cluster.shard import RedisAway, Shard

TIMES = 400


def test_who_asks_outlives_every_end_of_its_connection(own_redis: RedisServer) -> None:
    """Whoever sees the end first closes the connections of all."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(_ended(own_redis)) == []


async def _ended(server: RedisServer) -> list["asyncio.Task[None]"]:
    """Those of the tasks that go on asking which did not go on."""
    shard, rng, enough = Shard(server.url), random.Random(1), asyncio.Event()
    await shard.open()
    asking = [asyncio.create_task(_ask(shard, enough)) for _ in range(6)]
    for _ in range(TIMES):
        await asyncio.sleep(rng.uniform(0, 0.01))
        await asyncio.to_thread(server.call, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    ended = [task for task in asking if task.done()]
    enough.set()
    await asyncio.wait(asking)
    await shard.close()
    return ended


async def _ask(shard: Shard, enough: asyncio.Event) -> None:
    """As a background task does: on and on, and again after a failure."""
    while not enough.is_set():
        with suppress(*Away):
            await within(shard, lambda: shard.client.eval("return 1", 0))
        with suppress(*Away):
            await within(shard, lambda: shard.client.get("key"))
        await asyncio.sleep(0)


async def test_a_connection_that_was_closed_meanwhile_means_that_redis_is_away(
    own_redis: RedisServer,
) -> None:
    """What uvloop says where something is written to it."""
    shard = Shard(own_redis.url)
    await shard.open()
    said = "unable to perform operation on <TCPTransport closed=True>; the handler is closed"
    with pytest.raises(RedisAway), shard.client.answering():
        raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="something else"), shard.client.answering():
        raise RuntimeError("something else")
    await shard.close()

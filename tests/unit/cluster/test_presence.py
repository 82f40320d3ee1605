"""Presence in Redis: kept while its node renews it, and put back where it was taken out. Notices."""

import asyncio
from typing import Any

import pytest

from tests.support.cluster import until
from tests.support.redis import RedisServer
from unique_cs.cluster import peers as module
from unique_cs.cluster.ending import end
from unique_cs.cluster.peers import CHANNEL, COUNTS, PRESENT, ClusterPeers
from unique_cs.cluster.shard import Failure, Shard
from unique_cs.protocol.frames import Signal
from unique_cs.protocol.notices import Changed, Ended, Notice, Signalled


class _Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


async def test_what_is_here_is_renewed_and_put_back(redis_server: RedisServer) -> None:
    shard, clock = Shard(redis_server.url), _Clock()
    loading: Any = None
    await shard.open()
    peers = ClusterPeers(shard, clock, loading, "one")
    told: list[str] = []
    for contact, key in ((1, "a"), (1, "b"), (2, "c")):
        peers.came(contact, key, lambda name=f"{contact}{key}": told.append(name))  # type: ignore[misc]
    await peers._move_presence()
    assert sorted(told) == ["1a", "2c"]
    clock.ms += 15_000
    redis_server.call("ZREM", PRESENT, "2:c")
    redis_server.call("HDEL", COUNTS, "2")
    await peers._go_on(list(peers._here.items()))
    ends = {redis_server.call("ZSCORE", PRESENT, each) for each in ("1:a", "1:b", "2:c")}
    assert ends == {clock.ms + module.LIFE_MS}
    assert redis_server.call("HGETALL", COUNTS) == {"1": "2", "2": "1"}
    for contact, key in ((1, "a"), (1, "b")):
        peers.went(contact, key, lambda name=f"-{contact}{key}": told.append(name))  # type: ignore[misc]
    await peers._move_presence()
    assert told[2:] == ["-1b"]
    await shard.close()


async def test_what_redis_did_not_take_is_told_again(own_redis: RedisServer) -> None:
    """But signals, which are news for seconds."""
    one, two = Shard(own_redis.url), Shard(own_redis.url)
    loading: Any = None
    await one.open()
    speaker, listener = (
        ClusterPeers(shard, _Clock(), loading, name) for shard, name in ((one, "1"), (two, "2"))
    )
    own_redis.kill()
    for notice in (Ended("agent", 7), Signalled(1, Signal("typing", {}), agents_only=False, to_own=False)):
        speaker.tell(notice)
    with pytest.raises(Failure):
        await speaker._speak()
    own_redis.start()
    await one.open(one.run_id)
    await two.open()
    heard: list[Notice] = []
    listener.heard = heard.append
    works = [asyncio.create_task(listener.run())]
    try:
        await until(lambda: own_redis.call("PUBSUB", "SHARDNUMSUB", CHANNEL)[1] == 1, "it listens")
        speaker.tell(Changed())
        works.append(asyncio.create_task(speaker.run()))
        await until(lambda: len(heard) == 2, "it hears")
    finally:
        await end(works)
        await one.close()
        await two.close()
    assert heard == [Ended("agent", 7), Changed()]

"""Presence in Redis: kept while its node renews it, and put back where it was taken out."""

from typing import Any

from tests.support.redis import RedisServer
from unique_cs.cluster import peers as module
from unique_cs.cluster.peers import COUNTS, PRESENT, ClusterPeers
from unique_cs.cluster.shard import Shard


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

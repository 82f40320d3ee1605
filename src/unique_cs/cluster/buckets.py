"""Token buckets that nodes share through Redis, without a round trip for anybody who takes.

A node's own bucket of the same rate decides at once. What was taken is charged to the shared bucket ten times
a second, for all keys in one call; where that is overdrawn the key is held off until it is not. So over time
all nodes together keep to the rate, and before they know of each other they exceed it by no more than their
own buckets hold. While Redis is away each node keeps to the rate by itself.

A shared bucket is one number, the time at which it will be full again (the generic cell rate algorithm, ITU-T
I.371), on the clock of Redis; its key lives until then.
"""

import asyncio
import math
from itertools import islice
from typing import Final

from unique_cs.cluster.leases import Away
from unique_cs.cluster.shard import TAG, Shard
from unique_cs.domain.flow import Buckets, KeyedBuckets
from unique_cs.ports import Clock
from unique_cs.telemetry import log

TICK_S: Final = 0.1
MAX_KEYS: Final = 1_000
"""Charged in one call, which then holds Redis up for about two milliseconds."""

# Answers the milliseconds until one may take again, for each key; 0: at once.
_CHARGE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local waits = {}
for i, key in ipairs(KEYS) do
  local taken, each, burst = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local full = math.max(now, tonumber(redis.call('GET', key) or now)) + taken * each
  redis.call('SET', key, string.format('%.3f', full), 'PX', math.ceil(full - now))
  waits[i] = math.max(0, math.ceil(full - now + each - burst * each))
end
return waits
"""


class SharedBuckets:
    """Buckets of one purpose, as `KeyedBuckets`; made by `Pool.make`."""

    def __init__(self, rate: float, burst: float) -> None:
        self._own = KeyedBuckets(rate, burst)
        self._held_off: dict[str, float] = {}
        self.rate = rate
        self.burst = burst
        self.taken: dict[str, int] = {}

    def take(self, key: str, now: float) -> int:
        """Take one token: 0 if it was there, else the milliseconds (>= 1) until one will be."""
        until = self._held_off.get(key)
        if until is not None:
            if now < until:
                return math.ceil((until - now) * 1000)
            del self._held_off[key]
        wait = self._own.take(key, now)
        if not wait:
            self.taken[key] = self.taken.get(key, 0) + 1
        return wait

    def hold_off(self, key: str, until: float) -> None:
        """The other nodes took what there was: give none before `until`."""
        self._held_off[key] = until

    def forget(self, now: float) -> None:
        """Drop what is over."""
        self._held_off = {key: until for key, until in self._held_off.items() if until > now}


class Pool:
    """All shared buckets of a node. Keep `run` running."""

    def __init__(self, shard: Shard, clock: Clock) -> None:
        self._shard = shard
        self._clock = clock
        self._made: dict[str, SharedBuckets] = {}

    def make(self, name: str, rate: float, burst: float) -> Buckets:
        """The buckets of a purpose (`flow.MakeBuckets`): `rate` a second over all nodes."""
        if name in self._made:
            raise ValueError(f"there are buckets of the name {name} already")
        made = self._made[name] = SharedBuckets(rate, burst)
        return made

    async def run(self) -> None:
        """Charge what was taken, ten times a second."""
        while True:
            await asyncio.sleep(TICK_S)
            for name, buckets in self._made.items():
                taken, buckets.taken = buckets.taken, {}
                buckets.forget(self._clock.monotonic())
                try:
                    await self._charge(name, buckets, taken)
                except Away as error:
                    log.debug("shared buckets can't be charged", error=repr(error))

    async def _charge(self, name: str, buckets: SharedBuckets, taken: dict[str, int]) -> None:
        rest = iter(taken.items())
        while some := dict(islice(rest, MAX_KEYS)):
            keys = [f"{TAG}:bucket:{name}:{key}" for key in some]
            each = 1000 / buckets.rate
            arguments = [word for count in some.values() for word in (count, each, buckets.burst)]
            waits = await self._shard.client.eval(_CHARGE, len(keys), *keys, *arguments)
            now = self._clock.monotonic()
            for key, wait in zip(some, waits, strict=True):
                if wait:
                    buckets.hold_off(key, now + wait / 1000)

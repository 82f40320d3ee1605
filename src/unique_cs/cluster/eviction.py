"""Letting go: Redis keeps what is in use or not archived, a journal what is young or not archived."""

import asyncio
from collections import deque
from typing import Any, Final

from unique_cs.cluster.cluster import Cluster
from unique_cs.cluster.keys import Keys
from unique_cs.cluster.shard import Failure, Shard
from unique_cs.errors import OutcomeUnknown, StorageUnavailable
from unique_cs.ports import Archive, Clock
from unique_cs.telemetry import log

EACH_S: Final = 60.0
DAY_MS: Final = 86_400_000
BATCH: Final = 500
SHORT: Final = 200
"""Events of a conversation in use that stay in Redis when all of it is archived."""

# A conversation is let go of only in the state in which it was found: archived, and quiet for long.
_EVICT: Final = """
local P, archived, quiet = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local gone = 0
for i = 4, #ARGV do
  local id = ARGV[i]
  local head = redis.call('HMGET', P .. 'c:' .. id, 'l')
  local last = tonumber(head[1] or '0')
  if last <= archived then
    if last <= quiet and not redis.call('HGET', P .. 'i', id) then
      redis.call('DEL', P .. 'c:' .. id, P .. 'e:' .. id, P .. 'r:' .. id)
      redis.call('ZREM', P .. 't', id)
      gone = gone + 1
    else
      redis.call('XTRIM', P .. 'e:' .. id, 'MAXLEN', '~', ARGV_SHORT)
    end
  end
end
return gone
""".replace("ARGV_SHORT", str(SHORT))


class Eviction:
    """Runs on every node; for Redis it does no harm that several do the same."""

    def __init__(
        self, shard: Shard, cluster: Cluster, archive: Archive, clock: Clock, hot_hours: int
    ) -> None:
        """Conversations stay `hot_hours` after their last event, and for as long as they are not resolved."""
        self._shard = shard
        self._cluster = cluster
        self._archive = archive
        self._clock = clock
        self._hot_ms = hot_hours * 3_600_000
        self._marks: deque[tuple[int, int]] = deque()

    async def run(self) -> None:
        """Once a minute."""
        while True:
            await asyncio.sleep(EACH_S)
            try:
                await self.run_once()
            except (*Failure, StorageUnavailable, OutcomeUnknown) as error:
                log.warning("nothing could be let go of", error=repr(error))
            except Exception as error:  # noqa: BLE001  # it is tried again in a minute
                log.error("letting go failed", error=repr(error))

    async def run_once(self) -> tuple[int, int]:
        """Return how many conversations and how many rows of the journal went."""
        generation = self._cluster.generation
        if generation is None:
            return 0, 0
        now, archived = self._clock.now_ms(), await self._archive.cursor()
        self._marks.append((now, self._cluster.memory.position))
        gone = await self._evict(Keys(generation.counter), archived, self._place_before(now - self._hot_ms))
        rows = await self._cluster.journal.trim(archived, self._place_before(now - DAY_MS))
        while self._marks and self._marks[0][0] < now - max(DAY_MS, self._hot_ms) - 10 * EACH_S * 1000:
            self._marks.popleft()
        return gone, rows

    def _place_before(self, time_ms: int) -> int:
        """The last place that was reached before a time, as this process saw it; 0 if it began later."""
        return max((place for time, place in self._marks if time <= time_ms), default=0)

    async def _evict(self, keys: Keys, archived: int, quiet: int) -> int:
        client: Any = self._shard.client
        gone = start = 0
        while True:
            found = await client.zrangebyscore(
                keys.touched, "-inf", archived, start=start, num=BATCH, withscores=False
            )
            if not found:
                return gone
            went = int(await client.eval(_EVICT, 0, keys.prefix, archived, quiet, *found))
            gone += went
            start += len(found) - went
            await asyncio.sleep(0)

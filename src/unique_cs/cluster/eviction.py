"""Letting go: Redis keeps what is in use or not archived, a journal what is young or not archived."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from unique_cs.cluster.cluster import Cluster
from unique_cs.cluster.keys import Keys, first_place, named
from unique_cs.cluster.shard import TAG, Failure, Shard, spare
from unique_cs.errors import OutcomeUnknown, StorageUnavailable
from unique_cs.ports import Archive, Clock
from unique_cs.storage.people import read_contact
from unique_cs.telemetry import log

EACH_S: Final = 60.0
DAY_MS: Final = 86_400_000
BATCH: Final = 100
PAUSE_S: Final = 0.01
"""Between two steps, in which others are served."""

CLAIM: Final = f"{TAG}:evicting"
CLAIM_MS: Final = 50_000
"""For this long, nobody else begins to look after Redis."""

SHORT: Final = 200
"""Events of a conversation in use that stay in Redis when all of it is archived."""

_CLAIM: Final = spare("return redis.call('SET', KEYS[1], 1, 'NX', 'PX', ARGV[1]) and 1 or 0")

# A conversation is let go of only in the state in which it was found: archived, and quiet for long.
_EVICT: Final = """
local P, archived, quiet = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local gone = 0
for i = 4, #ARGV do
  local id = ARGV[i]
  local last = tonumber(redis.call('HGET', P .. 'c:' .. id, 'l') or '0')
  local touched = tonumber(redis.call('ZSCORE', P .. 't', id) or '0')
  if last <= archived and touched <= quiet and redis.call('HEXISTS', P .. 'i', id) == 0 then
    redis.call('DEL', P .. 'c:' .. id, P .. 'e:' .. id, P .. 'r:' .. id)
    redis.call('ZREM', P .. 't', id)
    gone = gone + 1
  end
end
return gone
"""

_SHORTEN: Final = """
local P, archived = ARGV[1], tonumber(ARGV[2])
for i = 4, #ARGV do
  local id = ARGV[i]
  if tonumber(redis.call('HGET', P .. 'c:' .. id, 'l') or '0') <= archived then
    redis.call('XTRIM', P .. 'e:' .. id, 'MAXLEN', '~', ARGV[3])
  end
end
return 0
"""

# A contact, where none of its conversations is held: whoever puts one back puts the contact back first.
_EVICT_CONTACTS: Final = """
local P, quiet, gone = ARGV[1], tonumber(ARGV[2]), 0
local function is_held(id)
  local touched = tonumber(redis.call('ZSCORE', P .. 'p', id) or '0')
  if touched > quiet then
    return true
  end
  for _, conversation in ipairs(redis.call('ZRANGE', P .. 'o:' .. id, 0, -1)) do
    local known = redis.call('EXISTS', P .. 'c:' .. conversation)
    if known + redis.call('HEXISTS', P .. 'i', conversation) > 0 then
      return true
    end
  end
  return false
end
for i = 3, #ARGV, 2 do
  local id, name = ARGV[i], P .. 'x:' .. ARGV[i + 1]
  if not is_held(id) then
    redis.call('DEL', P .. 'k:' .. id, P .. 'o:' .. id, P .. 'u:' .. id)
    if redis.call('GET', name) == id then
      redis.call('DEL', name)
    end
    redis.call('ZREM', P .. 'p', id)
    gone = gone + 1
  end
end
return gone
"""


class Gone(NamedTuple):
    """How many went; `rows` are the journal's."""

    conversations: int = 0
    contacts: int = 0
    rows: int = 0


class Eviction:
    """Runs on every node: for its journal, and for Redis on the one that is first in a minute."""

    def __init__(
        self, shard: Shard, cluster: Cluster, archive: Archive, clock: Clock, hot_hours: int
    ) -> None:
        """Conversations stay `hot_hours` after their last change, and for as long as they are not resolved.

        Contacts stay as long after theirs, and for as long as one of their conversations does.
        """
        self._shard = shard
        self._cluster = cluster
        self._archive = archive
        self._clock = clock
        self._hot_ms = hot_hours * 3_600_000
        self._marks: deque[tuple[int, int]] = deque()
        self._shortened = self._swept = 0

    async def run(self) -> None:
        """Once a minute."""
        while True:
            await asyncio.sleep(EACH_S)
            try:
                await self.take_turn()
            except (*Failure, StorageUnavailable, OutcomeUnknown) as error:
                log.warning("nothing could be let go of", error=repr(error))
            except Exception as error:  # noqa: BLE001  # it is tried again in a minute
                log.error("letting go failed", error=repr(error))

    async def take_turn(self) -> Gone:
        """Return what went; Redis is left alone where another node looked after it this minute."""
        first = await self._shard.client.eval(_CLAIM, 1, CLAIM, CLAIM_MS)
        return await self.run_once(redis=bool(first))

    async def run_once(self, *, redis: bool = True) -> Gone:
        """Return what went. `redis` says whether this node looks after Redis this time."""
        generation = self._cluster.generation
        if generation is None:
            return Gone()
        now, archived = self._clock.now_ms(), await self._archive.cursor()
        self._marks.append((now, self._cluster.memory.position))
        conversations = contacts = 0
        if redis:
            keys, quiet = Keys(generation.counter), min(archived, self._place_before(now - self._hot_ms))
            conversations = await self._evict(keys, archived, quiet)
            contacts = await self._evict_contacts(keys, quiet)
            await self._shorten(keys, archived)
            await self._sweep(generation.counter, archived)
        rows = await self._cluster.journal.trim(archived, self._place_before(now - DAY_MS))
        while self._marks and self._marks[0][0] < now - max(DAY_MS, self._hot_ms) - 10 * EACH_S * 1000:
            self._marks.popleft()
        return Gone(conversations, contacts, rows)

    def _place_before(self, time_ms: int) -> int:
        """The last place that was reached before a time, as this process saw it; 0 if it began later."""
        return max((place for time, place in self._marks if time <= time_ms), default=0)

    async def _evict(self, keys: Keys, archived: int, quiet: int) -> int:
        async def let_go(found: list[bytes]) -> int:
            return int(await self._shard.client.eval(_EVICT, 0, keys.prefix, archived, quiet, *found))

        return await self._each(keys.touched, 0, quiet, let_go)

    async def _shorten(self, keys: Keys, archived: int) -> None:
        """What changed since the last time and is archived keeps its newest events only."""

        async def cut(found: list[bytes]) -> int:
            return int(await self._shard.client.eval(_SHORTEN, 0, keys.prefix, archived, SHORT, *found))

        await self._each(keys.touched, self._shortened, archived, cut)
        self._shortened = archived

    async def _evict_contacts(self, keys: Keys, quiet: int) -> int:
        async def let_go(found: list[bytes]) -> int:
            known = await self._shard.client.mget([keys.contact(int(each)) for each in found])
            words = [word for each, row in zip(found, known, strict=True) for word in (each, _name(row))]
            return int(await self._shard.client.eval(_EVICT_CONTACTS, 0, keys.prefix, quiet, *words))

        return await self._each(keys.people, 0, quiet, let_go)

    async def _each(
        self, key: str, first: int, last: int, let_go: Callable[[list[bytes]], Awaitable[int]]
    ) -> int:
        """Let `let_go` see, some at a time, what was changed from one place to another; return how many went.

        It goes on from the place at which it is: to count from the start takes the longer the more there are.
        """
        gone, place, same = 0, float(first), 0
        while True:
            found = await self._shard.client.zrangebyscore(
                key, place, last, start=same, num=BATCH, withscores=True
            )
            newest = found[-1][1] if found else 0.0
            is_last, is_one_place = len(found) < BATCH, bool(found) and found[0][1] == newest
            # Those of the newest place come with the next step, unless all of this one are of that place.
            part = [each for each, at in found if is_last or is_one_place or at < newest]
            went = await let_go(part) if part else 0
            gone += went
            if is_last:
                return gone
            same = (same if place == newest else 0) + len(part) - went if is_one_place else 0
            place = newest
            await asyncio.sleep(PAUSE_S)

    async def _sweep(self, counter: int, archived: int) -> None:
        """Delete earlier generations, once no recovery needs their logs: all of them is archived."""
        if self._swept >= counter or archived < first_place(counter):
            return
        client, cursor = self._shard.client, 0
        while True:
            cursor, found = await client.scan(cursor, match=f"{TAG}:*", count=BATCH)
            old = [key for key in found if _is_before(counter, key)]
            if old:
                await client.unlink(*old)
            if not cursor:
                break
        self._swept = counter


def _name(row: bytes | None) -> str:
    contact = read_contact(row) if row is not None else None
    return named(contact.inbox, contact.identifier) if contact and contact.identifier else ""


def _is_before(counter: int, key: bytes) -> bool:
    """Say whether a key is one of an earlier generation."""
    number = key.split(b":")[1]
    return number.isdigit() and int(number) < counter

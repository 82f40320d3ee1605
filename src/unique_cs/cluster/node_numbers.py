"""Node numbers for Snowflake ids, leased from one table in Redis.

Why no id is made twice:

- A holder makes ids of times below its *ceiling* only, and the next holder of the number starts at or above
  the stored ceiling. So even a holder that runs on after it lost the number repeats nothing. The lease is the
  second wall: its holder stops on its own monotonic clock before the lease ends.
- Every time in the table is of one clock, that of Redis; a ceiling is never more than `AHEAD_MS` ahead of it.
  The clocks of the nodes do not matter: one that is fast is held at the time of Redis, one that is set back
  goes on from its last id.
- The table belongs to one run of one server, whose `run_id` it has. Where that differs, because Redis was
  restarted or replaced (its last writes may be gone) or emptied, the ceilings that are found may be too low.
  Then the first who comes sets `open` to the time plus `AHEAD_MS`, above every ceiling that was ever given,
  and nobody makes ids below it. A holder whose table is another loses its number at the next renewal. Ids
  are then ahead of the clock for `AHEAD_MS`; as the clock goes on so does the ceiling, and nobody waits.
- If the clock of Redis itself is set back, numbers with ceilings out of reach are passed over for others.

What is left: a Redis that is replaced *and* whose clock is behind by more than the time since the number's
last ceiling (`floor_ms`, for example the time of the newest archived id, covers that); and a master that goes
on beside the one that replaced it, which `min-replicas-to-write` forbids.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from secrets import token_hex
from typing import Final
from zlib import crc32

from unique_cs.cluster.leases import TTL_MS, Away, Term, within
from unique_cs.cluster.shard import TAG, Shard, spare
from unique_cs.domain.ids import MAX_NODE, CeilingReached, Snowflake
from unique_cs.errors import StorageUnavailable
from unique_cs.ports import Clock
from unique_cs.telemetry import log

AHEAD_MS: Final = 30_000
"""How far a ceiling is ahead of the clock of Redis, at most. Longer than a lease."""

EARLY_S: Final = 0.05
"""How soon a ceiling is raised that was reached: 200,000 ids later."""

TABLE: Final = f"{TAG}:numbers"
"""A hash: `run`, `open`, and for each number n `n:holder` (a token), `n:until` and `n:ceiling` (ms)."""

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local run, token, life, ahead = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
"""

_ACQUIRE: Final = (
    _NOW
    + """
local preferred, least, count = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local open = tonumber(redis.call('HGET', KEYS[1], 'open') or 0)
if redis.call('HGET', KEYS[1], 'run') ~= run then
  open = math.max(open, now + ahead)
  redis.call('HSET', KEYS[1], 'run', run, 'open', open)
end
for i = 0, count - 1 do
  local n = (preferred + i) % count
  local row = redis.call('HMGET', KEYS[1], n .. ':holder', n .. ':until', n .. ':ceiling')
  local free = not row[1] or row[1] == token or tonumber(row[2]) <= now
  local floor = math.max(open, least, tonumber(row[3] or 0))
  if free and floor <= now + ahead then
    local ceiling = now + ahead
    redis.call('HSET', KEYS[1], n .. ':holder', token, n .. ':until', now + life, n .. ':ceiling', ceiling)
    return {n, floor, ceiling, now}
  end
end
return {}
"""
)

_RENEW: Final = (
    _NOW
    + """
local n = ARGV[5]
if redis.call('HGET', KEYS[1], 'run') ~= run then return {} end
local row = redis.call('HMGET', KEYS[1], n .. ':holder', n .. ':until', n .. ':ceiling')
if row[1] ~= token or tonumber(row[2]) <= now then return {} end
local ceiling = math.max(tonumber(row[3]), now + ahead)
redis.call('HSET', KEYS[1], n .. ':until', now + life, n .. ':ceiling', ceiling)
return {n, 0, ceiling, now}
"""
)

_RELEASE: Final = """
local n = ARGV[2]
if redis.call('HGET', KEYS[1], n .. ':holder') ~= ARGV[1] then return 0 end
return redis.call('HDEL', KEYS[1], n .. ':holder', n .. ':until')
"""


class NumberedIds:
    """Ids of one node of a cluster; `IdSource` is the same for a node that is alone.

    Run `keep`; `ready` returns when there are ids. `times_taken` counts the numbers that were had, be it the
    same one again.
    """

    def __init__(
        self, shard: Shard, clock: Clock, place: str, *, ttl_ms: int = TTL_MS, floor_ms: int = 0
    ) -> None:
        """`place` names this node, for the number that it would like; no id is of `floor_ms` or before."""
        self._shard = shard
        self._clock = clock
        self._term = Term(clock, ttl_ms)
        self._token = token_hex(16)
        self._preferred = crc32(place.encode()) % (MAX_NODE + 1)
        self._floor_ms = floor_ms
        self._snowflake = Snowflake(0, ceiling_ms=0)
        self._wanted, self._raised = asyncio.Event(), asyncio.Event()
        self._server_ms = self._seen_at = 0.0
        self.number = self._preferred
        self.times_taken = 0

    def next(self, now_ms: int) -> int:
        """The next id. Raises `StorageUnavailable` without a number or while its ceiling is raised."""
        self.admit()
        try:
            return self._snowflake.next(min(now_ms, self._server_time()))
        except CeilingReached:
            self._wanted.set()
            raise StorageUnavailable("ids are being secured", 200) from None

    def admit(self) -> None:
        """Raise `StorageUnavailable` while there is no number."""
        if not self._term.held:
            self._wanted.set()
            raise StorageUnavailable("this node has no number for its ids", 500)

    def _server_time(self) -> int:
        """The time of Redis, or a little less."""
        return int(self._server_ms + (self._clock.monotonic() - self._seen_at) * 1000)

    async def acquire(self) -> bool:
        """Take a number; false if none is free. Raises one of `Away`; to repeat it then is safe."""
        self._term.end()
        sent = self._term.now()
        given = await self._call(_ACQUIRE, self._preferred, self._floor_ms, MAX_NODE + 1)
        if not given:
            return False
        self.number, floor, ceiling, _ = given
        self._snowflake = Snowflake(self.number, floor_ms=floor, ceiling_ms=ceiling)
        self._extend(sent, given)
        self.times_taken += 1
        # The floor may be no lower than the ceiling: room comes with the first renewal.
        self._raised.clear()
        return self._term.held

    async def renew(self) -> bool:
        """Begin the lease anew and raise the ceiling; false if the number was lost."""
        sent = self._term.now()
        given = await self._call(_RENEW, self.number)
        if not given:
            self._term.end()
            return False
        self._snowflake.ceiling_ms = given[2]
        self._extend(sent, given)
        self._raised.set()
        return self._term.held

    def _extend(self, sent: float, given: Sequence[int]) -> None:
        self._server_ms, self._seen_at = given[3], self._clock.monotonic()
        self._term.extend(sent)

    async def _call(self, script: str, *arguments: int) -> list[int]:
        own = (self._shard.run_id, self._token, self._term.ttl_ms, AHEAD_MS)
        return list(await self._shard.client.eval(spare(script), 1, TABLE, *own, *arguments))

    async def ready(self) -> None:
        """Return when there are ids."""
        await self._raised.wait()

    async def keep(self) -> None:
        """Hold a number for ever: renew it, and take one anew where it was lost."""
        while True:
            pause = await self._hold()
            await asyncio.sleep(min(EARLY_S, pause))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), pause - EARLY_S)
            self._wanted.clear()

    async def _hold(self) -> float:
        """Renew the number or take one; return the seconds until the next time."""
        try:
            if self._term.held:
                if await within(self._shard, self.renew):
                    return self._term.third
                log.warning("the node number was lost", number=self.number)
            if await within(self._shard, self.acquire):
                return EARLY_S
            log.error("no node number is free")
            return self._term.third
        except Away as error:
            log.debug("the node number can't be renewed", error=repr(error))
            return self._term.third / 8

    async def release(self) -> None:
        """Make no more ids, and let others have the number; raises one of `Away`."""
        self._term.end()
        await self._shard.client.eval(_RELEASE, 1, TABLE, self._token, self.number)

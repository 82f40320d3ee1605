"""Leases: what one node of the installation holds at a time, for as long as it renews it.

Redis keeps the holder's random token under a key that expires. The holder counts the lease's life on its own
monotonic clock, from before the call was sent, and lets a tenth of it go unused: by the time the key expires
it has long stopped, also after it was paused. What can't be stopped in time, as a write that is under way, is
refused by the lease's `fence` where that matters.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Final, TypeVar

from unique_cs.cluster.ending import end
from unique_cs.cluster.shard import TAG, Failure, Shard, spare
from unique_cs.errors import StorageUnavailable
from unique_cs.ports import Clock
from unique_cs.telemetry import log

TTL_MS: Final = 10_000
"""How long a lease lives that nobody renews."""

UNUSED: Final = 0.1
"""The part of a life that the holder does not use: clocks do not run equally fast."""

RETRY_S: Final = 1.0

T = TypeVar("T")

Away = (*Failure, StorageUnavailable)
"""What a call raises while Redis is away."""

# A fence grows also where Redis lost the one before: it is at least the time in milliseconds.
_ACQUIRE: Final = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fence = math.max(now, (tonumber(redis.call('GET', KEYS[2])) or 0) + 1)
redis.call('SET', KEYS[2], fence)
return fence
"""

_RENEW: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

_RELEASE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class Term:
    """How long the holder may believe that it holds something whose life is `ttl_ms`."""

    __slots__ = ("_clock", "_until", "ttl_ms")

    def __init__(self, clock: Clock, ttl_ms: int) -> None:
        self._clock = clock
        self._until = 0.0
        self.ttl_ms = ttl_ms

    @property
    def held(self) -> bool:
        """Whether it may still act as the holder."""
        return self._clock.monotonic() < self._until

    @property
    def left(self) -> float:
        """Seconds until `held` is false."""
        return max(0.0, self._until - self._clock.monotonic())

    @property
    def third(self) -> float:
        """Seconds after which to renew."""
        return self.ttl_ms / 3000

    def now(self) -> float:
        """The time to give to `extend`, taken before the call is sent."""
        return self._clock.monotonic()

    def extend(self, sent: float) -> None:
        """A call that was sent at `sent` began the life anew."""
        self._until = sent + self.ttl_ms / 1000 * (1 - UNUSED)

    def end(self) -> None:
        """Hold it no longer."""
        self._until = 0.0


class Lease:
    """One name that at most one node holds. `fence` grows with every acquisition by anybody.

    A process that was paused beyond the life sees `held` false before it does anything else. Two holders at
    once are possible only for a write that was under way, or where Redis lost the key: let what is written
    carry `fence`, and refuse a lower one.
    """

    def __init__(self, shard: Shard, clock: Clock, name: str, ttl_ms: int = TTL_MS) -> None:
        self._shard = shard
        self._term = Term(clock, ttl_ms)
        self._keys = (f"{TAG}:lease:{name}", f"{TAG}:fence:{name}")
        self._token = token_hex(16)
        self.name = name
        self.fence = 0

    @property
    def held(self) -> bool:
        """Whether this node may act as the holder now. Costs no round trip."""
        return self._term.held

    async def acquire(self) -> bool:
        """Try to become the holder; raises one of `Away`. To repeat it after a failure is safe."""
        sent = self._term.now()
        fence = await self._call(_ACQUIRE, self._token, self._term.ttl_ms)
        if fence:
            self.fence = fence
            self._term.extend(sent)
        return fence > 0 and self.held

    async def renew(self) -> bool:
        """Begin the life anew; false, and held no longer, if somebody else or nobody is known as holder."""
        sent = self._term.now()
        if await self._call(_RENEW, self._token, self._term.ttl_ms):
            self._term.extend(sent)
        else:
            self._term.end()
        return self.held

    async def release(self) -> None:
        """Hold it no longer, and let others have it at once; raises one of `Away`."""
        self._term.end()
        await self._call(_RELEASE, self._token)

    async def keep(self) -> None:
        """Renew at each third of the life, and return when the lease is lost, at the latest when it ends."""
        pause = self._term.third
        while self.held:
            await asyncio.sleep(min(pause, self._term.left))
            pause = self._term.third if await self._renewed() else self._term.third / 8
        self._term.end()

    async def _renewed(self) -> bool:
        with contextlib.suppress(*Away):
            async with asyncio.timeout(self._term.left):
                return await within(self._shard, self.renew)
        return False

    async def _call(self, script: str, *arguments: str | int) -> int:
        return int(await self._shard.client.eval(spare(script), 2, *self._keys, *arguments))


async def within(shard: Shard, call: Callable[[], Awaitable[T]]) -> T:
    """Await a call; where the server is lost, look for the one that has the keys now, and raise still."""
    run_id = shard.run_id
    try:
        return await call()
    except Away:
        with contextlib.suppress(*Failure):
            await shard.open(run_id)
        raise


async def run_under_lease(
    shard: Shard,
    clock: Clock,
    name: str,
    work: Callable[[Lease], Awaitable[None]],
    ttl_ms: int = TTL_MS,
) -> None:
    """Run `work` on one node of the installation: on this one whenever it holds the lease `name`.

    `work` is cancelled when the lease is lost, and before an irreversible step looks at `lease.held` or sends
    `lease.fence` with it. What it raises is logged, and it is tried again, maybe elsewhere. Returns when
    `work` does.
    """
    lease = Lease(shard, clock, name, ttl_ms)
    while True:
        try:
            if await within(shard, lease.acquire) and await _holding(lease, work):
                return
        except Away as error:
            log.debug("a lease can't be had", lease=name, error=repr(error))
        except Exception as error:  # noqa: BLE001  # it is run again
            log.error("a job failed", job=name, error=repr(error))
            await asyncio.sleep(RETRY_S)
        finally:
            await _let_go(lease)
        await asyncio.sleep(ttl_ms / 3000)


async def _holding(lease: Lease, work: Callable[[Lease], Awaitable[None]]) -> bool:
    """Do `work` while `lease` is held; return whether it came to its end."""
    keeper, worker = asyncio.ensure_future(lease.keep()), asyncio.ensure_future(work(lease))
    try:
        await asyncio.wait({keeper, worker}, return_when=asyncio.FIRST_COMPLETED)
        if worker.done():
            await worker
        return worker.done()
    finally:
        await end((keeper, worker))


async def _let_go(lease: Lease) -> None:
    if lease.held:
        with contextlib.suppress(*Away):
            await lease.release()

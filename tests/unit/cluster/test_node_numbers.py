"""No id is made twice: not by the next holder of a number, not where Redis or a clock lost what it knew."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support.clocks import OwnClock
from tests.support.redis import RedisServer
from unique_cs.cluster.node_numbers import AHEAD_MS, TABLE, NumberedIds
from unique_cs.cluster.shard import Failure, Shard
from unique_cs.domain.ids import time_ms
from unique_cs.errors import StorageUnavailable

TTL_MS = 400
HOUR_MS = 3_600_000
PLACE = "10.0.0.1"

Make = Callable[..., Awaitable["Maker"]]


class Maker:
    """A node that makes ids, on a clock of its own."""

    def __init__(self, shard: Shard, place: str = PLACE, ttl_ms: int = 10_000, floor_ms: int = 0) -> None:
        self.clock = OwnClock()
        self.ids = NumberedIds(shard, self.clock, place, ttl_ms=ttl_ms, floor_ms=floor_ms)
        self._keeper = asyncio.ensure_future(self.ids.keep())

    def one(self) -> int:
        return self.ids.next(self.clock.now_ms())

    async def many(self, count: int = 1_000) -> list[int]:
        """Ids as fast as they are given."""
        made: list[int] = []
        async with asyncio.timeout(10):
            while len(made) < count:
                try:
                    made.append(self.one())
                except StorageUnavailable:
                    await asyncio.sleep(0.01)
        return made

    async def die(self) -> None:
        """End as by `kill -9`: nothing is released."""
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makers that are ready; they end with the test."""
    makers: list[Maker] = []

    async def made(shard: Shard, place: str = PLACE, ttl_ms: int = 10_000, floor_ms: int = 0) -> Maker:
        maker = Maker(shard, place, ttl_ms, floor_ms)
        makers.append(maker)
        await asyncio.wait_for(maker.ids.ready(), 10)
        return maker

    yield made
    for maker in makers:
        await maker.die()


def node_of(made: int) -> int:
    return made >> 12 & 1023


async def test_nodes_that_would_like_one_number_get_two(shard: Shard, make: Make) -> None:
    ann, ben = await make(shard), await make(shard)
    assert ben.ids.number == (ann.ids.number + 1) % 1024
    one, other = await ann.many(), await ben.many()
    assert {node_of(each) for each in one} == {ann.ids.number}
    assert len({*one, *other}) == 2_000


async def test_there_are_no_ids_before_there_is_a_number(shard: Shard) -> None:
    ann = Maker(shard)
    with pytest.raises(StorageUnavailable):
        ann.one()
    await ann.die()


async def test_a_place_gets_its_number_again_and_goes_on_above_the_ceiling(shard: Shard, make: Make) -> None:
    ann = await make(shard)
    first = await ann.many()
    await ann.die()
    await ann.ids.release()
    with pytest.raises(StorageUnavailable):
        ann.one()
    later = await make(shard)
    assert later.ids.number == ann.ids.number
    assert min(await later.many()) > max(first)


async def test_a_number_of_the_dead_is_free_after_its_lease(shard: Shard, make: Make) -> None:
    ann = await make(shard, ttl_ms=TTL_MS)
    first = await ann.many()
    await ann.die()
    assert (await make(shard)).ids.number != ann.ids.number
    await asyncio.sleep(TTL_MS / 1000)
    later = await make(shard)
    assert later.ids.number == ann.ids.number
    assert min(await later.many()) > max(first)


async def test_ids_are_made_without_a_pause_while_the_number_is_kept(shard: Shard, make: Make) -> None:
    ann = await make(shard, ttl_ms=TTL_MS)
    ended = ann.clock.monotonic() + 3 * TTL_MS / 1000
    made = []
    while ann.clock.monotonic() < ended:
        made.append(ann.one())
        await asyncio.sleep(0.001)
    assert made == sorted(set(made))
    assert ann.ids.times_taken == 1


async def test_a_paused_holder_makes_none_until_it_has_a_number_again(shard: Shard, make: Make) -> None:
    ann = await make(shard)
    first = await ann.many()
    ann.clock.seconds += 9.1
    with pytest.raises(StorageUnavailable):
        ann.one()
    assert min(await ann.many()) > max(first)
    assert ann.ids.times_taken == 2


async def test_redis_that_was_emptied_leads_to_ids_above_all_before(
    shard: Shard, redis_server: RedisServer, make: Make
) -> None:
    ann = await make(shard, ttl_ms=TTL_MS)
    before = await ann.many()
    redis_server.flush()
    ben = await make(shard)  # takes the number that is still in use
    assert ben.ids.number == ann.ids.number
    between = await ann.many()
    after = await ben.many()
    assert len({*before, *between, *after}) == 3_000
    while ann.ids.times_taken < 2:
        await asyncio.sleep(0.01)
    assert ann.ids.number != ben.ids.number


async def test_redis_that_lost_its_last_writes_leads_to_ids_above_all_before(
    own_redis: RedisServer, make: Make
) -> None:
    """The number is held again at the ceiling that Redis remembers, and that is too low."""
    old = Shard(own_redis.url)
    await old.open()
    first = await make(old)
    await first.many()
    await first.die()
    row = own_redis.call("HGETALL", TABLE)
    ann = await make(old, ttl_ms=60_000)
    before = await ann.many()
    own_redis.call("DEL", TABLE)
    own_redis.call("HSET", TABLE, *(word for pair in row.items() for word in pair))
    own_redis.kill()
    own_redis.start()
    new = Shard(own_redis.url)
    await new.open()
    number = ann.ids.number
    own_redis.call("HDEL", TABLE, f"{number}:holder")
    ben = await make(new)
    after = await ben.many()
    assert len({*before, *await ann.many(), *after}) == 3_000
    for each in (old, new):
        await each.close()


@pytest.mark.parametrize("off_ms", [-HOUR_MS, HOUR_MS])
async def test_a_wall_clock_that_jumps_changes_nothing(shard: Shard, make: Make, off_ms: int) -> None:
    ann = await make(shard)
    first = await ann.many()
    ann.clock.wall_ms = off_ms
    later = await ann.many()
    assert first + later == sorted({*first, *later})
    assert time_ms(later[-1]) < OwnClock().now_ms() + AHEAD_MS


async def test_a_number_whose_ceiling_is_out_of_reach_is_left_to_others(
    shard: Shard, redis_server: RedisServer, make: Make
) -> None:
    """Seen from a Redis whose clock was set back."""
    ann = await make(shard)
    await ann.die()
    await ann.ids.release()
    redis_server.call("HINCRBY", TABLE, f"{ann.ids.number}:ceiling", HOUR_MS)
    ben = await make(shard)
    assert ben.ids.number == (ann.ids.number + 1) % 1024
    assert await ben.many()


async def test_nothing_is_made_of_the_time_that_the_archive_has(shard: Shard, make: Make) -> None:
    floor = OwnClock().now_ms() + AHEAD_MS - 100
    ann = await make(shard, floor_ms=floor)
    assert time_ms((await ann.many())[0]) > floor


async def test_ids_end_while_redis_is_away_and_begin_when_it_is_back(
    own_redis: RedisServer, make: Make
) -> None:
    shard = Shard(own_redis.url)
    await shard.open()
    ann = await make(shard, ttl_ms=TTL_MS)
    first = await ann.many()
    own_redis.kill()
    with pytest.raises(StorageUnavailable):  # noqa: PT012 - the lease ends at its time
        while True:
            first.append(ann.one())
            await asyncio.sleep(0.001)
    own_redis.start()
    assert min(await ann.many()) > max(first)
    await shard.close()


async def test_a_number_is_not_renewed_at_another_run_of_redis(own_redis: RedisServer) -> None:
    shard = Shard(own_redis.url)
    await shard.open()
    ids = NumberedIds(shard, OwnClock(), "10.0.0.1")
    assert await ids.acquire()
    assert await ids.renew()
    own_redis.kill()
    own_redis.start()
    with pytest.raises(Failure):
        await ids.renew()
    await shard.open(shard.run_id)
    assert not await ids.renew()
    await shard.close()

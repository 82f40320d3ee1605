"""A lease has one holder, who knows before anybody else that it ended."""

import asyncio
from collections.abc import Callable

import pytest

from tests.support.clocks import OwnClock
from tests.support.redis import RedisServer
from unique_cs.cluster.leases import Lease, run_under_lease
from unique_cs.cluster.shard import Shard

TTL_MS = 400


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


def lease(shard: Shard, ttl_ms: int = 10_000) -> Lease:
    return Lease(shard, OwnClock(), "relay", ttl_ms)


async def test_one_node_holds_it_and_the_next_has_it_once_it_is_released(shard: Shard) -> None:
    ann, ben = lease(shard), lease(shard)
    assert await ann.acquire()
    assert not await ben.acquire()
    assert (ann.held, ben.held) == (True, False)
    await ann.release()
    assert await ben.acquire()
    assert ben.fence > ann.fence > 0


async def test_nobody_releases_or_renews_what_another_holds(shard: Shard) -> None:
    ann, ben = lease(shard), lease(shard)
    await ann.acquire()
    await ben.release()
    assert not await ben.renew()
    assert await ann.renew()


async def test_an_acquisition_whose_answer_was_lost_can_be_repeated(shard: Shard) -> None:
    ann = lease(shard)
    await ann.acquire()
    fence = ann.fence
    assert await ann.acquire()
    assert ann.fence > fence


async def test_the_holder_stops_before_another_can_have_it(shard: Shard) -> None:
    ann, ben = lease(shard, TTL_MS), lease(shard, TTL_MS)
    await ann.acquire()
    assert not await ben.acquire()
    while not await ben.acquire():
        assert not ben.held
    assert not ann.held
    assert not await ann.renew()


async def test_a_holder_that_was_paused_knows_it_at_once(shard: Shard) -> None:
    clock = OwnClock()
    ann, ben = Lease(shard, clock, "relay", 10_000), lease(shard)
    await ann.acquire()
    clock.seconds += 9.1
    assert not ann.held
    assert not await ben.acquire()


async def test_keeping_it_outlasts_its_life_until_it_is_lost(shard: Shard, redis_server: RedisServer) -> None:
    ann, ben = lease(shard, TTL_MS), lease(shard, TTL_MS)
    await ann.acquire()
    keeper = asyncio.ensure_future(ann.keep())
    ended = asyncio.get_running_loop().time() + 3 * TTL_MS / 1000
    while asyncio.get_running_loop().time() < ended:
        assert not await ben.acquire()
        assert ann.held
        await asyncio.sleep(0.02)
    redis_server.flush()
    assert await ben.acquire()
    await asyncio.wait_for(keeper, TTL_MS / 1000)
    assert not ann.held


async def test_the_fence_grows_where_redis_forgot_the_one_before(
    shard: Shard, redis_server: RedisServer
) -> None:
    ann, ben = lease(shard), lease(shard)
    await ann.acquire()
    redis_server.flush()
    await asyncio.sleep(0.002)  # it counts in milliseconds
    await ben.acquire()
    assert ben.fence > ann.fence


class Rota:
    """Nodes that want to do one job, and who is at it."""

    def __init__(self) -> None:
        self.busy: list[str] = []
        self.fences: list[int] = []
        self.failing = False

    async def work(self, name: str, lease: Lease) -> None:
        """The job, which never ends; at its start it fails once if it is to."""
        if self.failing:
            self.failing = False
            raise RuntimeError(name)
        self.busy.append(name)
        self.fences.append(lease.fence)
        try:
            await asyncio.Event().wait()
        finally:
            self.busy.remove(name)

    def begin(self, shard: Shard, name: str) -> asyncio.Task[None]:
        job = run_under_lease(shard, OwnClock(), "relay", lambda held: self.work(name, held), TTL_MS)
        return asyncio.ensure_future(job)


async def end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_job_runs_on_one_node_and_moves_when_that_leaves(shard: Shard) -> None:
    rota = Rota()
    nodes = {name: rota.begin(shard, name) for name in ("ann", "ben", "cleo")}
    for _ in range(2):
        await until(lambda: len(rota.busy) == 1)
        await end(nodes.pop(rota.busy[0]))
    await until(lambda: rota.busy == list(nodes))
    assert rota.fences == sorted(set(rota.fences))
    await end(*nodes.values())


async def test_a_job_that_fails_is_begun_again(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unique_cs.cluster.leases.RETRY_S", 0.01)
    rota = Rota()
    rota.failing = True
    node = rota.begin(shard, "ann")
    await until(lambda: rota.busy == ["ann"])
    await end(node)


async def test_a_job_stops_while_redis_is_away_and_goes_on_after_it(
    own_shard: Shard, own_redis: RedisServer
) -> None:
    rota = Rota()
    node = rota.begin(own_shard, "ann")
    await until(lambda: bool(rota.busy))
    own_redis.pause()
    began = asyncio.get_running_loop().time()
    await until(lambda: not rota.busy)
    assert asyncio.get_running_loop().time() - began < TTL_MS / 1000
    own_redis.kill()
    own_redis.start()
    await until(lambda: bool(rota.busy))
    await end(node)


async def test_work_that_is_done_is_not_begun_again(shard: Shard) -> None:
    done: list[int] = []

    async def work(lease: Lease) -> None:
        done.append(lease.fence)

    await asyncio.wait_for(run_under_lease(shard, OwnClock(), "once", work), 5)
    assert len(done) == 1

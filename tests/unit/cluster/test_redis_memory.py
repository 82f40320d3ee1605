"""How full Redis is, and that it must not throw anything away."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.redis import RedisServer
from unique_cs.cluster import redis_memory
from unique_cs.cluster.redis_memory import RedisMemory
from unique_cs.cluster.shard import Shard
from unique_cs.telemetry import metrics


def sample(name: str) -> float:
    return metrics.registry.get_sample_value(f"unique_cs_redis_{name}_bytes") or 0.0


@pytest.fixture
def memory(own_shard: Shard, monkeypatch: pytest.MonkeyPatch) -> RedisMemory:
    monkeypatch.setattr(redis_memory, "PERIOD_S", 0.01)
    return RedisMemory(own_shard)


@asynccontextmanager
async def measuring(memory: RedisMemory) -> Any:
    task = asyncio.ensure_future(memory.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not found():
            await asyncio.sleep(0.005)


async def test_it_knows_what_is_used_and_what_may_be(own_redis: RedisServer, memory: RedisMemory) -> None:
    own_redis.call("CONFIG", "SET", "maxmemory", 0)
    async with measuring(memory):
        await until(lambda: sample("used") > 0)
        assert (memory.percent, sample("limit")) == (0, 0)
        own_redis.call("CONFIG", "SET", "maxmemory", 100 << 20)
        own_redis.call("SETRANGE", "{ucs}:x", 60 << 20, "y")
        await until(lambda: memory.percent > 60)
        assert memory.percent < 70
        assert sample("limit") == 100 << 20
        assert 60 << 20 < sample("used") < 70 << 20


async def test_a_policy_that_forgets_is_warned_of_once(own_redis: RedisServer, memory: RedisMemory) -> None:
    own_redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with capture_logs() as lines:
        async with measuring(memory):
            await until(lambda: bool(lines))
            own_redis.call("CONFIG", "SET", "maxmemory", 1 << 30)
            await until(lambda: sample("limit") == 1 << 30)
    assert [(line["log_level"], line["policy"]) for line in lines] == [("warning", "allkeys-lru")]

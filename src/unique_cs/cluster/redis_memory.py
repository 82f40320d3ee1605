"""How much of its memory Redis uses. All of it is needed: Redis must refuse to write before it forgets."""

import asyncio
import contextlib
from typing import Any, Final

from unique_cs.cluster.shard import Failure, Shard
from unique_cs.errors import StorageUnavailable
from unique_cs.telemetry import log, metrics

PERIOD_S: Final = 10.0
POLICY: Final = "noeviction"


class RedisMemory:
    """Measures the server; `percent` is 0 where it has no limit."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._policy = POLICY
        self.percent = 0.0

    async def run(self) -> None:
        """Measure every 10 s."""
        while True:
            with contextlib.suppress(*Failure, StorageUnavailable):
                self._take(await self._shard.client.info("memory"))
            await asyncio.sleep(PERIOD_S)

    def _take(self, facts: dict[str, Any]) -> None:
        used, limit = int(facts["used_memory"]), int(facts["maxmemory"])
        metrics.redis_used.set(used)
        metrics.redis_limit.set(limit)
        self.percent = 100 * used / limit if limit else 0.0
        policy = _text(facts["maxmemory_policy"])
        if policy not in (POLICY, self._policy):
            log.warning("Redis may throw messages away; set maxmemory-policy noeviction", policy=policy)
        self._policy = policy


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

"""Sessions whose connections last: Redis keeps a session for so long after its last connection has ended."""

import asyncio
from typing import Final

from unique_cs.cluster.cluster import Cluster
from unique_cs.cluster.keys import Keys
from unique_cs.cluster.leases import Away
from unique_cs.cluster.shard import Shard
from unique_cs.telemetry import log

EACH_S: Final = 3_600.0
BATCH: Final = 250
PAUSE_S: Final = 0.01
"""Between two steps, in which others are served."""


class SessionLife:
    """Renews the sessions that are connected to this node: they live for a week at least, so hourly does."""

    def __init__(self, shard: Shard, cluster: Cluster, session_days: int) -> None:
        self._shard = shard
        self._cluster = cluster
        self._ttl_ms = session_days * 86_400_000

    async def run(self) -> None:
        """Once an hour."""
        while True:
            await asyncio.sleep(EACH_S)
            try:
                await self.run_once()
            except Away as error:
                log.warning("sessions could not be renewed", error=repr(error))

    async def run_once(self) -> None:
        """Renew all that are connected now."""
        generation = self._cluster.generation
        if generation is None:
            return
        keys = Keys(generation.counter)
        sessions = self._cluster.memory.sessions.values()
        live = [each.key for each in sessions if each.connection is not None]
        for start in range(0, len(live), BATCH):
            async with self._shard.client.pipeline(transaction=False) as pipe:
                for key in live[start : start + BATCH]:
                    pipe.pexpire(keys.session(key), self._ttl_ms)
                    pipe.pexpire(keys.answers(key), self._ttl_ms)
                await pipe.execute()
            await asyncio.sleep(PAUSE_S)

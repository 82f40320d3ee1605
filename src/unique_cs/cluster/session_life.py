"""Sessions whose connections last: Redis keeps a session for so long after its last connection has ended."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from unique_cs.cluster.cluster import Cluster
from unique_cs.cluster.keys import Keys
from unique_cs.cluster.leases import Away
from unique_cs.cluster.shard import Shard
from unique_cs.protocol.notices import Resumed
from unique_cs.protocol.session import Session
from unique_cs.telemetry import log

EACH_S: Final = 3_600.0
AGAIN_S: Final = 5.0
"""Where that failed."""

BATCH: Final = 250
PAUSE_S: Final = 0.01
"""Between two steps, in which others are served."""


class SessionLife:
    """Renews the sessions that are connected to this node: they live for a week at least, so hourly does.

    Those that were resumed on another node without a word of it are told to `heard`; `look` seeks them soon.
    """

    def __init__(self, shard: Shard, cluster: Cluster, session_days: int) -> None:
        self._shard = shard
        self._cluster = cluster
        self._ttl_ms = session_days * 86_400_000
        self._wanted = asyncio.Event()
        self.heard: Callable[[Resumed], None] = lambda notice: None

    def look(self) -> None:
        """Notices may have been missed: do it now."""
        self._wanted.set()

    async def run(self) -> None:
        """Once an hour, and when it is wanted."""
        pause = EACH_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.run_once()
                pause = EACH_S
            except Away as error:
                log.warning("sessions could not be renewed", error=repr(error))
                pause = AGAIN_S

    async def run_once(self) -> None:
        """Renew all that are connected now."""
        generation = self._cluster.generation
        if generation is None:
            return
        keys = Keys(generation.counter)
        sessions = self._cluster.memory.sessions.values()
        live = [each for each in sessions if each.connection is not None]
        for start in range(0, len(live), BATCH):
            await self._renew(keys, live[start : start + BATCH])
            await asyncio.sleep(PAUSE_S)

    async def _renew(self, keys: Keys, sessions: Sequence[Session]) -> None:
        async with self._shard.client.pipeline(transaction=False) as pipe:
            for each in sessions:
                pipe.pexpire(keys.session(each.key), self._ttl_ms)
                pipe.pexpire(keys.answers(each.key), self._ttl_ms)
                pipe.hget(keys.session(each.key), "c")
            counts = (await pipe.execute())[2::3]
        for each, count in zip(sessions, counts, strict=True):
            if count is not None and int(count) > each.c:
                self.heard(Resumed(each.key, int(count)))

"""The tiers of one node of a cluster: Redis for what is new, its own disk as journal, SQL for the record."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from secrets import token_hex
from typing import Any, Final

from unique_cs.cluster.buckets import Pool
from unique_cs.cluster.cluster import Cluster
from unique_cs.cluster.eviction import Eviction
from unique_cs.cluster.keys import Keys
from unique_cs.cluster.leases import Lease, run_under_lease
from unique_cs.cluster.log_source import LogSource
from unique_cs.cluster.memory import tell_flushed
from unique_cs.cluster.node_numbers import NumberedIds
from unique_cs.cluster.peers import ClusterPeers
from unique_cs.cluster.recovery import JOURNALS
from unique_cs.cluster.redis_memory import RedisMemory
from unique_cs.cluster.session_life import SessionLife
from unique_cs.cluster.shard import Failure, Shard
from unique_cs.domain.flow import MakeBuckets
from unique_cs.domain.stored import Waiting
from unique_cs.errors import SettingsError, StorageUnavailable, UniqueCsError
from unique_cs.ports import Archive, Clock, Contacts, Entry, Timeline
from unique_cs.protocol.notices import Missed, Notice
from unique_cs.storage.group import GroupCommit
from unique_cs.storage.hot import Hot
from unique_cs.storage.relay import Relay
from unique_cs.storage.sql import Database
from unique_cs.telemetry import log

RELAY: Final = "relay"
START_S: Final = 60.0
"""How long a node waits for Redis when it starts."""

LEAVE_S: Final = 10.0
"""How long a node that leaves waits for the cold tier to have what only its journal has beside Redis."""

ASK_S: Final = 0.02
RELAY_TTL_MS: Final = 5_000


class ClusterTiers:
    """`Tiers` of a node that shares Redis and the cold tier with others. Made by `open_tiers`."""

    def __init__(
        self,
        shard: Shard,
        database: Database,
        archive: Archive,
        hot: Hot,
        clock: Clock,
        place: str,
        secret: bytes,
        session_days: int,
    ) -> None:
        self._shard = shard
        self._clock = clock
        self._archive = archive
        self._relaying = False
        self.hot = hot
        self.secret = secret
        self._buckets = Pool(shard, clock)
        self.make_buckets: MakeBuckets = self._buckets.make
        self.group = GroupCommit(hot, clock, tell_flushed)
        self.ids = NumberedIds(shard, clock, place)
        self.cluster = Cluster(shard, database, archive, hot, self.group, self.ids, clock, session_days)
        cluster = self.cluster
        self.source = LogSource(shard, cluster.memory, cluster.timeline, cluster.cold)
        self.relay = Relay(self.source, archive)
        self.peers = ClusterPeers(shard, clock, cluster.loading, cluster.committer.process)
        cluster.timeline.on_resumed = self.peers.resumed
        self._sessions = SessionLife(shard, cluster, session_days)
        self._memory = RedisMemory(shard)

    @classmethod
    async def open_tiers(
        cls,
        url: str,
        database: Database,
        archive: Archive,
        hot: Hot,
        clock: Clock,
        place: str,
        session_days: int,
    ) -> "ClusterTiers":
        """Find Redis, and what the installation's nodes have in common. Raises `SettingsError`."""
        shard = Shard(url)
        try:
            await shard.open()
        except Failure as error:
            raise SettingsError(f"Redis can't be reached: {error}") from error
        tiers = cls(shard, database, archive, hot, clock, place, b"", session_days)
        secret = await tiers.cluster.cold.fact("secret", token_hex(32))
        tiers.secret = bytes.fromhex(secret)
        return tiers

    @property
    def timeline(self) -> Timeline:
        """The timeline that the nodes share."""
        return self.cluster.timeline

    @property
    def contacts(self) -> Contacts:
        """The contacts that the nodes share."""
        return self.cluster.contacts

    @property
    def memory_percent(self) -> float:
        """How much of the memory that Redis may use it uses; 0 where it has no limit."""
        return self._memory.percent

    def open(
        self,
        deliver: Callable[[list[Entry]], None],
        begin: Callable[[list[Waiting]], None],
        lost: Callable[[], None],
        heard: Callable[[Notice], None],
    ) -> list[Coroutine[Any, Any, None]]:
        """Begin to tell; return what runs for as long as the node does."""

        def tell(entries: list[Entry]) -> None:
            deliver(entries)
            self.relay.wake()

        def hear(notice: Notice) -> None:
            if isinstance(notice, Missed):
                self._sessions.look()
            heard(notice)

        def opened(listed: list[Waiting]) -> None:
            self.source.generation = self.cluster.generation
            begin(listed)

        self.cluster.timeline.subscriber = tell
        self.cluster.on_open, self.cluster.on_lost = opened, lost
        self.peers.heard, self._sessions.heard = hear, heard
        return [
            self.ids.keep(),
            self.cluster.run(),
            self.peers.run(),
            self._buckets.run(),
            self._memory.run(),
            self._relay(),
            self._follow_relay(),
        ]

    async def _relay(self) -> None:
        await run_under_lease(self._shard, self._clock, RELAY, self._move, RELAY_TTL_MS)

    async def _move(self, lease: Lease) -> None:
        del lease
        self._relaying = True
        try:
            await self.cluster.ready.wait()
            await self.relay.run()
        finally:
            self._relaying = False

    async def _follow_relay(self) -> None:
        """Let every node know how far the relay is, wherever that runs."""
        while True:
            await asyncio.sleep(1)
            if not self._relaying:
                with contextlib.suppress(*Failure, StorageUnavailable):
                    self.relay.cursor = await self._archived()

    async def _archived(self) -> int:
        generation = self.cluster.generation
        if generation is None:
            return self.relay.cursor
        found = await self._shard.client.get(Keys(generation.counter).archived)
        return int(found or 0) or self.source.start

    def upkeep(self, hot_hours: int, session_days: int) -> list[Coroutine[Any, Any, None]]:
        """Trim Redis and the journal now and then, and keep what is in use."""
        eviction = Eviction(self._shard, self.cluster, self._archive, self._clock, hot_hours)
        return [eviction.run(), self._sessions.run()]

    async def alone(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` here whenever this node holds the lease of that name."""
        await run_under_lease(self._shard, self._clock, name, lambda lease: work())

    async def ready(self) -> None:
        """Return once messages are taken. Raises `SettingsError` where that takes too long."""
        try:
            async with asyncio.timeout(START_S):
                await self.ids.ready()
                await self.cluster.ready.wait()
        except TimeoutError as error:
            raise SettingsError(f"Redis gave no numbering within {START_S:.0f} s") from error

    def admit(self) -> None:
        """Raise `StorageUnavailable` while nothing can be accepted."""
        self.cluster.committer.admit()
        self.ids.admit()

    def pending(self) -> int:
        """Messages that are accepted and not durable: Redis comes first, then the journal."""
        return self.cluster.committer.pending + self.group.pending

    def next_id(self, now_ms: int) -> int:
        """A new id."""
        return self.ids.next(now_ms)

    def forget(self) -> None:
        """The journal was opened again: what was to be kept in it may be missing."""
        self.cluster.restart()

    def each_second(self) -> None:
        """Nothing: leases renew themselves."""

    async def caught_up(self, timeout_s: float) -> None:
        """Return when everything that this node followed is archived, or after a time."""
        if self._relaying:
            await self.relay.caught_up(timeout_s)
            return
        target = self.cluster.memory.position
        with contextlib.suppress(TimeoutError, StorageUnavailable, *Failure):
            async with asyncio.timeout(timeout_s):
                await self._until_archived(target)

    async def finish(self) -> None:
        """While all still runs: wait a little until nobody needs this node's journal, and say so."""
        journal = self.cluster.journal
        with contextlib.suppress(TimeoutError, UniqueCsError, *Failure):
            async with asyncio.timeout(LEAVE_S):
                await self._until_archived(journal.last())
                await self.cluster.cold.forget(JOURNALS + journal.id)

    async def _until_archived(self, place: int) -> None:
        # The relay may be another node's: there is nobody here to tell.
        while max(self.relay.cursor, await self._archived()) < place:  # noqa: ASYNC110
            await asyncio.sleep(ASK_S)

    async def close(self) -> None:
        """Let others have the node's number, and leave Redis."""
        with contextlib.suppress(*Failure, StorageUnavailable):
            await self.ids.release()
        await self._shard.close()
        log.info("left the cluster", journal=self.cluster.journal.id)

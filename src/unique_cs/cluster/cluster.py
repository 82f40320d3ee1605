"""One node's part in a cluster: it follows the log, commits, and outlives the loss of Redis."""

import asyncio
from collections.abc import Callable, Coroutine
from secrets import token_hex
from typing import Any, Final

from unique_cs.cluster import log
from unique_cs.cluster.cold import Cold
from unique_cs.cluster.commit import Committer, Generation, GenerationChanged
from unique_cs.cluster.ending import end
from unique_cs.cluster.journal import Journal
from unique_cs.cluster.keys import GENERATION, Keys
from unique_cs.cluster.leases import Lease
from unique_cs.cluster.loading import Loading
from unique_cs.cluster.memory import Memory
from unique_cs.cluster.node_numbers import NumberedIds
from unique_cs.cluster.pace import Pace
from unique_cs.cluster.people import ClusterContacts
from unique_cs.cluster.recovery import JOURNALS, MISSING, Recovery, forget_offers
from unique_cs.cluster.settling import Settling
from unique_cs.cluster.shard import Failure, Shard
from unique_cs.cluster.timeline import ClusterTimeline
from unique_cs.errors import StorageUnavailable
from unique_cs.ports import Archive, Clock
from unique_cs.storage.group import GroupCommit
from unique_cs.storage.hot import Hot
from unique_cs.storage.rows import read_index
from unique_cs.storage.sql import Database
from unique_cs.telemetry import log as events_log
from unique_cs.telemetry import metrics

RETRY_S: Final = 0.2
PATIENCE_S: Final = 3.0
"""How long Redis may be away before everybody is sent away to come back later, and nobody waits any more."""

PACE_S: Final = 0.005
"""The time from one reading of the log to the next is at least this: what grows is read by the handful."""

RECOVERY: Final = "recovery"

Listed = list[tuple[int, int, int, int]]


class Cluster:
    """The tiers of a node in a cluster. `run` never returns; `on_open` and `on_lost` are the node's.

    `on_open` gets (conversation, inbox, assignee, waiting since) of all that are not resolved, at the place
    from which the log is followed; `on_lost` is called when what connections were told may not hold any more.
    """

    def __init__(
        self,
        shard: Shard,
        database: Database,
        archive: Archive,
        journal: Hot,
        group: GroupCommit,
        ids: NumberedIds,
        clock: Clock,
        session_days: int,
    ) -> None:
        self._shard = shard
        self._clock = clock
        self._archive = archive
        self._ttl_ms = session_days * 86_400_000
        self.group = group
        self.cold = Cold(database)
        self.ids = ids
        self.journal = Journal(journal, group, token_hex(8).encode())
        self.committer = Committer(shard, group, self._ttl_ms)
        self.memory = Memory(self.committer.process)
        self.loading = Loading(shard, self.committer, self.memory, self.cold)
        self.contacts = ClusterContacts(self.committer, self.memory, self.loading)
        self.timeline = ClusterTimeline(
            shard, self.committer, self.memory, self.loading, archive, self.cold, ids.next, clock
        )
        self.generation: Generation | None = None
        self.on_open: Callable[[Listed], None] = lambda listed: None
        self.on_lost: Callable[[], None] = lambda: None
        self.ready = asyncio.Event()
        self._away_since: float | None = None
        self._restarted = asyncio.Event()
        self._begun = self._since = 0
        self._has_offered = False
        self._settling = Settling(self.journal, self.cold, archive, self.committer, self.loading, self.memory)

    async def run(self) -> None:
        """Follow the log for as long as the process runs, over every loss of Redis."""
        failed = ""
        while True:
            try:
                await self._shard.open(failed)
                failed = self._shard.run_id
                await self._follow(await self._open_generation())
            except (GenerationChanged, log.Trimmed) as error:
                events_log.warning("begin anew", reason=repr(error))
                self._lose("the order of messages is being restored")
            except (*Failure, StorageUnavailable) as error:
                self._be_away(error)
            except Exception as error:  # noqa: BLE001  # this work must not end before the process does
                events_log.error("following the log failed", error=repr(error))
                self._lose("the node begins anew")
            await asyncio.sleep(RETRY_S)

    async def _register(self) -> None:
        """Let recoveries wait for this journal."""
        await self.cold.put_fact(JOURNALS + self.journal.id, "1")

    # Redis is away, and back

    def _be_away(self, error: BaseException) -> None:
        now = self._clock.monotonic()
        if self._away_since is None:
            self._away_since = now
            events_log.warning("Redis is away", error=repr(error))
        self.committer.refusal = "Redis is away"
        metrics.redis_connected.set(0)
        if now - self._away_since > PATIENCE_S:
            self.committer.stop_waiting()
            self.memory.stop_waiting()
            self.on_lost()

    def _lose(self, reason: str) -> None:
        """What this node holds means nothing any more."""
        self.committer.refusal = reason
        self.ready.clear()
        self.generation = None
        metrics.redis_connected.set(0)
        self.committer.forget()
        self.memory.forget(self.committer.process)
        self.on_lost()

    def restart(self) -> None:
        """Drop what is held, and follow the log anew from its end."""
        self._lose("the journal was opened again")
        self._restarted.set()

    async def _open_generation(self) -> Generation:
        """The generation that is open on this server; where there is none, one is opened."""
        while True:
            found = await self._find_generation()
            if found is not None:
                return found
            if self.generation is not None:
                self._lose("Redis is being restored")
            await self._recover()
            await asyncio.sleep(RETRY_S)

    async def _find_generation(self) -> Generation | None:
        raw = await self._shard.client.get(GENERATION)
        counter, _, run_id = (raw or b"0:").decode().partition(":")
        if run_id != self._shard.run_id or await self._has_gone_back(int(counter)):
            return None
        return Generation(int(counter), run_id)

    async def _has_gone_back(self, counter: int) -> bool:
        """The server lacks what it had placed: replaced, it followed another one, and is master again."""
        known = max(self.journal.last(), self.memory.position)
        return await log.newest(self._shard.client, Keys(counter)) < known

    async def _recover(self) -> None:
        recovery = Recovery(
            self._shard, self.cold, self._archive, self._new_id, self._clock.now_ms(), self._ttl_ms
        )
        if not (self._has_offered and await recovery.is_offered(self.journal.id)):
            await self._register()
            await self.group.drain()
            unsettled = self.journal.unsettled(await self._archive.cursor())
            await recovery.offer(self.journal.id, unsettled)
            self._has_offered = True
        lease = Lease(self._shard, self._clock, RECOVERY)
        if not await lease.acquire():
            return
        keeper = asyncio.get_running_loop().create_task(lease.keep())
        try:
            # Another node may have ended its work, and let go of the lease, meanwhile.
            if await self._find_generation() is None:
                await self._restore(recovery, lease)
        finally:
            await end([keeper])
            await lease.release()

    async def _restore(self, recovery: Recovery, lease: Lease) -> None:
        known = await self.cold.facts(JOURNALS)
        wanted = {name for name, state in known.items() if state != MISSING}
        await recovery.run(wanted, lambda: lease.held)

    def _new_id(self) -> int:
        return self.ids.next(self._clock.now_ms())

    # In a generation

    async def _follow(self, generation: Generation) -> None:
        if generation != self.generation:
            await self._begin(generation)
        self._away_since = None
        self.committer.begin()
        metrics.redis_connected.set(1)
        self.ready.set()
        self._restarted.clear()
        await _first_to_fail(
            self.committer.run(generation),
            self._feed(generation),
            self._settling.run(generation.counter, self._begun, self._since, self._register),
            self._restarted.wait(),
        )

    async def _begin(self, generation: Generation) -> None:
        if self.generation is not None:
            self._lose("another numbering is open")
        client, keys = self._shard.client, Keys(generation.counter)
        self._has_offered = False
        await forget_offers(client, generation.run_id)
        self.memory.position = self._begun = await log.newest(client, keys)
        listed = await client.hgetall(keys.index)
        self.timeline.open(generation.counter, (await client.get(keys.epoch)).decode())
        self._since = int(await client.get(keys.since) or self.journal.settled)
        self.committer.journalled = 0
        self.generation = generation
        metrics.generation.set(generation.counter)
        self.on_open([(int(number), *read_index(row)) for number, row in listed.items()])

    async def _feed(self, generation: Generation) -> None:
        """Take the log as it grows; own steps wait until the journal has them."""
        client, memory, keys = self._shard.client, self.memory, Keys(generation.counter)
        pace = Pace(PACE_S)
        while True:
            await pace.turn()
            records = await log.follow(client, keys, memory.position)
            own = [record.place for record in records if memory.is_own(record)]
            if own:
                await self.committer.wait_journalled(own[-1])
            if records:
                self.timeline.take(records)
            elif await client.get(GENERATION) != generation.value.encode():
                # An emptied server says nothing, and waits.
                raise GenerationChanged


async def _first_to_fail(*works: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends, end the others, and raise what it raised."""
    tasks = [asyncio.get_running_loop().create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(tasks)

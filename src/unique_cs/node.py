"""A node over given adapters: the timeline, its relay, and the gateway on top. No sockets yet."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from unique_cs.cluster.ending import end
from unique_cs.domain.flow import MakeBuckets
from unique_cs.domain.stored import Waiting
from unique_cs.errors import OutcomeUnknown
from unique_cs.gateway.context import Authenticate
from unique_cs.gateway.desk import Desk
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.limits import Limits
from unique_cs.gateway.peers import heard
from unique_cs.machine import resident_bytes
from unique_cs.ports import Clock, Contacts, Entry, Peers, Timeline
from unique_cs.protocol import close
from unique_cs.protocol.notices import Changed, Ended, Missed, Notice
from unique_cs.storage.group import GroupCommit
from unique_cs.storage.hot import Hot
from unique_cs.storage.relay import Relay
from unique_cs.telemetry import log, metrics

REOPEN_S = 1.0


class Tiers(Protocol):
    """The stores of an installation, as this node sees them: one process alone, or one of a cluster.

    `open` is called once: from then on `deliver` gets durable entries in order, `begin` what is not resolved
    (again, whenever the numbering is another), `lost` is called when connections were told what may not hold,
    and `heard` gets what other nodes tell. It returns what runs as long as the node. `peers` are the other
    nodes, if there may be any. `hot` and `group` are this node's own disk; `forget` is called after it was
    opened again. `finish` is called when no more is accepted and all still runs, `close` at the very end.
    `upkeep` is what throws away what is old. `alone` runs work on one node of the installation, and cancels
    it where that is another one now. `secret` signs contact tokens. `make_buckets` makes token buckets that
    all nodes share; `memory_percent` is how full the memory is that they share.
    """

    hot: Hot
    group: GroupCommit
    relay: Relay
    secret: bytes
    make_buckets: MakeBuckets

    @property
    def timeline(self) -> Timeline: ...
    @property
    def contacts(self) -> Contacts: ...
    @property
    def peers(self) -> Peers | None: ...
    @property
    def memory_percent(self) -> float: ...
    def open(
        self,
        deliver: Callable[[list[Entry]], None],
        begin: Callable[[list[Waiting]], None],
        lost: Callable[[], None],
        heard: Callable[[Notice], None],
    ) -> list[Coroutine[Any, Any, None]]: ...
    async def ready(self) -> None: ...
    def admit(self) -> None: ...
    def pending(self) -> int: ...
    def next_id(self, now_ms: int) -> int: ...
    def upkeep(self, hot_hours: int, session_days: int) -> list[Coroutine[Any, Any, None]]: ...
    async def alone(self, name: str, work: Callable[[], Awaitable[None]]) -> None: ...
    def forget(self) -> None: ...
    def each_second(self) -> None: ...
    async def caught_up(self, timeout_s: float) -> None: ...
    async def finish(self) -> None: ...
    async def close(self) -> None: ...


class Node:
    """Everything that does not depend on how bytes arrive. Made inside a running event loop."""

    def __init__(self, tiers: Tiers, clock: Clock) -> None:
        self.tiers = tiers
        self.hot = tiers.hot
        self.group = tiers.group
        self.clock = clock
        self.secret = tiers.secret
        self.timeline = tiers.timeline
        self.contacts = tiers.contacts
        self.relay = tiers.relay
        self.gateway: Gateway | None = None
        self.on_changed: Callable[[], None] = lambda: None
        self.on_ended: Callable[[Ended], None] = lambda ended: None
        self.on_missed: Callable[[], None] = lambda: None
        self.broken = asyncio.Event()
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.group.on_failure = self._storage_failed

    def open_gateway(self, authenticate: Authenticate, limits: Limits, rng: random.Random) -> Gateway:
        """Make the gateway and start the relay."""
        self.gateway = gateway = Gateway(
            self.timeline, self.contacts, authenticate, self.clock, limits, rng, self.tiers.make_buckets
        )
        if self.tiers.peers is not None:
            gateway.hub.peers = self.tiers.peers
        gateway.pressure.backlog = self.tiers.pending
        for work in self.tiers.open(self._deliver, gateway.hub.desk.restore, self._lost, self._heard):
            self.start(work)
        return gateway

    def _heard(self, notice: Notice) -> None:
        if isinstance(notice, Ended):
            self.on_ended(notice)
        if isinstance(notice, Missed):
            self.on_missed()
        if isinstance(notice, Changed):
            self.on_changed()
        elif self.gateway is not None:
            heard(self.gateway, notice)

    def next_id(self) -> int:
        """A new id."""
        return self.tiers.next_id(self.clock.now_ms())

    def _lost(self) -> None:
        if self.gateway is not None:
            self.gateway.hub.close_all(close.INTERNAL)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until the node closes. Where that fails the node is `broken`: it lacks a part."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def attempt(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, which the node can do without: a failure is logged."""
        self.start(_logging(work))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and not self._closing:
            log.error("a background task failed: this node ends", error=repr(error))
            self.broken.set()

    def _deliver(self, entries: list[Entry]) -> None:
        if self.gateway is not None:
            self.gateway.deliver(entries)
        self.relay.wake()

    def _storage_failed(self, error: Exception) -> None:
        """The outcome of what is in flight is unknown: send everybody away, then read back what is there."""
        log.error("the store failed", error=repr(error))
        self._lost()
        self.start(self._reopen())

    async def _reopen(self) -> None:
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(None, self.hot.reopen)
                self.hot.write([(b"mprobe", b"")])
                await asyncio.get_running_loop().run_in_executor(None, self.hot.flush)
                break
            except Exception as error:  # noqa: BLE001  # whatever it is, it is tried again
                log.warning("the store can't be opened yet", error=repr(error))
                await asyncio.sleep(REOPEN_S)
        self.tiers.forget()
        self.group.recovered()
        log.info("the store is open again")

    def each_second(self) -> None:
        """Keep gauges true, and do what the tiers do once a second."""
        self.tiers.each_second()
        metrics.relay_lag.set(self.relay.lag)
        metrics.relay_lag_seconds.set(self.relay.lag_seconds(self.clock.monotonic()))
        metrics.pending.set(self.tiers.pending())
        if self.gateway is not None:
            hub = self.gateway.hub
            self.gateway.pressure.resident = resident_bytes()
            hub.desk.announce()
            self._measure(hub.desk)
            metrics.connections.set(hub.open)
            metrics.sessions.set(hub.sessions)
            metrics.connection_limit.set(self.gateway.limits.max_connections)
            metrics.queue_bytes.set(hub.queued())

    def _measure(self, desk: Desk) -> None:
        waiting, since = desk.waits()
        metrics.agents.set(desk.agents)
        metrics.waiting.set(waiting)
        metrics.oldest_wait.set(max(0, self.clock.now_ms() - since) / 1000 if since else 0)

    async def close(self) -> None:
        """Make everything accepted durable, stop, and close the hot tier."""
        self._closing = True
        with contextlib.suppress(OutcomeUnknown):
            await self.group.drain()
            await self.tiers.finish()
        await end(self._tasks)
        if self.gateway is not None:
            self.gateway.close()
        await self.tiers.close()
        self.group.close()
        self.hot.close()


async def _logging(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001  # whatever it is, the node goes on
        log.warning("a background task failed", error=repr(error))

"""A node over given adapters: the timeline, its relay, and the gateway on top. No sockets yet."""

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from typing import Any

from unique_cs.errors import OutcomeUnknown
from unique_cs.gateway.context import Authenticate
from unique_cs.gateway.desk import Desk
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.limits import Limits
from unique_cs.ports import Archive, Clock, Entry
from unique_cs.protocol import close
from unique_cs.storage.hot import Hot
from unique_cs.storage.installation import IdSource, secret_of
from unique_cs.storage.people import EmbeddedContacts
from unique_cs.storage.relay import Relay
from unique_cs.storage.timeline import EmbeddedTimeline
from unique_cs.telemetry import log, metrics

REOPEN_S = 1.0


class Node:
    """Everything that does not depend on how bytes arrive. Made inside a running event loop."""

    def __init__(self, hot: Hot, archive: Archive, clock: Clock) -> None:
        self.hot = hot
        self.clock = clock
        self.secret = secret_of(hot)
        self.ids = IdSource(hot, clock)
        self.timeline = EmbeddedTimeline(hot, archive, self.ids, clock)
        self.contacts = EmbeddedContacts(hot, self.timeline.group)
        self.relay = Relay(hot, archive, self.timeline, self.contacts)
        self.gateway: Gateway | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.timeline.subscribe(self._deliver)
        self.timeline.group.on_failure = self._storage_failed

    def open_gateway(self, authenticate: Authenticate, limits: Limits, rng: random.Random) -> Gateway:
        """Make the gateway and start the relay."""
        self.gateway = Gateway(self.timeline, self.contacts, authenticate, self.clock, limits, rng)
        self.gateway.hub.desk.restore(self.timeline.not_resolved())
        self.start(self.relay.run())
        return self.gateway

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until the node closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("a background task ended", error=repr(error))

    def _deliver(self, entries: list[Entry]) -> None:
        if self.gateway is not None:
            self.gateway.deliver(entries)
        self.relay.wake()

    def _storage_failed(self, error: Exception) -> None:
        """The outcome of what is in flight is unknown: send everybody away, then read back what is there."""
        log.error("the store failed", error=repr(error))
        if self.gateway is not None:
            self.gateway.hub.close_all(close.INTERNAL)
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
        self.timeline.forget()
        self.timeline.group.recovered()
        log.info("the store is open again")

    def each_second(self) -> None:
        """Keep gauges true and the ids' ceiling ahead."""
        self.ids.raise_ceiling(self.timeline.group)
        metrics.relay_lag.set(self.relay.lag)
        metrics.pending.set(self.timeline.group.pending)
        if self.gateway is not None:
            hub = self.gateway.hub
            hub.desk.announce()
            self._measure(hub.desk)
            metrics.connections.set(hub.open)
            metrics.connection_limit.set(self.gateway.limits.max_connections)
            metrics.queue_bytes.set(sum(each.link.buffered() for each in hub.slow))

    def _measure(self, desk: Desk) -> None:
        waiting, since = desk.waits()
        metrics.agents.set(desk.agents)
        metrics.waiting.set(waiting)
        metrics.oldest_wait.set(max(0, self.clock.now_ms() - since) / 1000 if since else 0)

    async def close(self) -> None:
        """Make everything accepted durable, stop, and close the hot tier."""
        with contextlib.suppress(OutcomeUnknown):
            await self.timeline.group.drain()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self.gateway is not None:
            self.gateway.close()
        self.timeline.group.close()
        self.hot.close()

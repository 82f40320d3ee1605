"""The tiers of an installation that is one process: RocksDB gives the places and keeps them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from unique_cs.domain.flow import MakeBuckets, own_buckets
from unique_cs.domain.stored import Waiting
from unique_cs.ports import Archive, Clock, Entry, Peers
from unique_cs.protocol.notices import Notice
from unique_cs.storage.hot import Hot
from unique_cs.storage.hot_source import HotSource
from unique_cs.storage.installation import IdSource, secret_of
from unique_cs.storage.people import EmbeddedContacts
from unique_cs.storage.relay import Relay
from unique_cs.storage.timeline import EmbeddedTimeline
from unique_cs.storage.trim import Trimmer
from unique_cs.telemetry import log

RETRY_S: Final = 1.0


class Embedded:
    """Timeline, contacts, relay and ids over one hot and one cold tier."""

    peers: Peers | None = None
    memory_percent = 0.0

    def __init__(self, hot: Hot, archive: Archive, clock: Clock) -> None:
        self._archive = archive
        self._clock = clock
        self.hot = hot
        self.secret = secret_of(hot)
        self.make_buckets: MakeBuckets = own_buckets
        self.ids = IdSource(hot, clock)
        self.timeline = EmbeddedTimeline(hot, archive, self.ids, clock)
        self.group = self.timeline.group
        self.contacts = EmbeddedContacts(hot, self.group)
        self.relay = Relay(HotSource(hot, self.timeline, self.contacts), archive)

    def open(
        self,
        deliver: Callable[[list[Entry]], None],
        begin: Callable[[list[Waiting]], None],
        lost: Callable[[], None],
        heard: Callable[[Notice], None],
    ) -> list[Coroutine[Any, Any, None]]:
        """Begin to tell; return what runs for as long as the node does."""
        del lost, heard
        self.timeline.subscribe(deliver)
        begin(self.timeline.not_resolved())
        return [self.relay.run()]

    def upkeep(self, hot_hours: int, session_days: int) -> list[Coroutine[Any, Any, None]]:
        """Trim the hot tier now and then."""
        trimmer = Trimmer(
            self.hot, self.group, self._archive, self._clock, hot_hours, session_days, self.timeline.is_live
        )
        return [trimmer.run()]

    async def alone(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`: there is no other node. Where it fails it is tried again."""
        while True:
            try:
                return await work()
            except Exception as error:  # noqa: BLE001  # it is run again
                log.error("a job failed", job=name, error=repr(error))
                await asyncio.sleep(RETRY_S)

    async def ready(self) -> None:
        """It is."""
        await asyncio.sleep(0)

    def admit(self) -> None:
        """Raise `StorageUnavailable` while nothing can be accepted."""
        self.group.admit()

    def pending(self) -> int:
        """Messages that are accepted and not durable."""
        return self.group.pending

    def next_id(self, now_ms: int) -> int:
        """A new id."""
        return self.ids.next(now_ms)

    def forget(self) -> None:
        """The hot tier was opened again: read back what it has."""
        self.timeline.forget()

    def each_second(self) -> None:
        """Keep the ids' ceiling ahead."""
        self.ids.raise_ceiling(self.group)

    async def caught_up(self, timeout_s: float) -> None:
        """Return when everything durable now is archived, or after a time."""
        await self.relay.caught_up(timeout_s)

    async def finish(self) -> None:
        """Nobody else needs what is here."""

    async def close(self) -> None:
        """Nothing of it is open beside the stores."""

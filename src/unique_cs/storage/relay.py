"""The relay: moves what is durable in the hot or warm tier to the cold tier, in order, in batches."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from unique_cs.domain.people import Contact
from unique_cs.domain.stored import ArchivedEvent, ConversationRow
from unique_cs.errors import OutcomeUnknown, UniqueCsError
from unique_cs.ports import Archive
from unique_cs.telemetry import log, metrics

RETRY_S = 1.0

GATHER_S = 0.2
"""How long to gather before a batch that nobody waits for: few large transactions cost least."""


class Batch(NamedTuple):
    """What goes to the archive in one transaction, and the place up to which it reaches.

    `also` does what the archive knows nothing of, in the same transaction.
    """

    cursor: int
    events: Sequence[ArchivedEvent]
    conversations: Sequence[ConversationRow]
    contacts: Sequence[Contact]
    also: Callable[[Connection], None] | None = None


class Source(Protocol):
    """Where the relay reads. Places are numbers that grow; `newest` is the last one that is durable.

    `read` gives what follows a place, up to a batch, or None; `start` is the place before the first one that
    can be read, where the archive is not further. `stored` is told what the archive has. `behind` is what it
    means that the archive is further than `newest`.
    """

    @property
    def newest(self) -> int: ...
    @property
    def start(self) -> int: ...
    async def read(self, after: int) -> Batch | None: ...
    async def stored(self, cursor: int) -> None: ...
    def behind(self) -> UniqueCsError: ...


Also = Callable[[int, Sequence[ArchivedEvent]], Callable[[Connection], None] | None]
"""What somebody has to do in the transaction of a batch: made of its place and events, before it."""


class Relay:
    """Copies batch by batch. A row that meets another id at its place stops it: nothing is ignored.

    `also` is whatever else has to be written in the transaction of a batch.
    """

    def __init__(self, source: Source, archive: Archive) -> None:
        self._source = source
        self._archive = archive
        self._wake = asyncio.Event()
        self._moved = asyncio.Condition()
        self._hurry = asyncio.Event()
        self._seen: deque[tuple[int, float]] = deque()
        self.cursor = 0
        self.stopped = ""
        self.also: Also = lambda place, events: None

    def wake(self) -> None:
        """Something became durable."""
        self._wake.set()

    @property
    def lag(self) -> int:
        """Steps that are durable and not archived: groups of one node, records of a cluster's log."""
        return self._source.newest - self.cursor

    def lag_seconds(self, now: float) -> float:
        """For how long the oldest step that is not archived has been seen; called once a second.

        `now` is monotonic time. What lay there when the process began counts from then on.
        """
        newest = self._source.newest
        if not self._seen or (self._seen[-1][0] < newest and self._is_worth_noting(now)):
            self._seen.append((newest, now))
        while self._seen and self._seen[0][0] <= self.cursor:
            self._seen.popleft()
        return now - self._seen[0][1] if self._seen and self.lag > 0 else 0.0

    def _is_worth_noting(self, now: float) -> bool:
        """To a thousandth of the lag is enough: while the archive is away for days, this must not grow."""
        return now - self._seen[-1][1] > (now - self._seen[0][1]) / 1_000

    async def run(self) -> None:
        """Move until cancelled. A cold tier that fails is tried again; one that diverges is left alone."""
        known = False
        while not self.stopped:
            self._wake.clear()
            try:
                if not known:
                    await self._find_place()
                    known = True
                full = await self.move()
            except Exception as error:  # noqa: BLE001  # whatever it is, it is tried again
                if _is_final(error):
                    self._stop(error)
                    return
                log.warning("relay failed, trying again", error=repr(error))
                known = False
                await asyncio.sleep(RETRY_S)
                continue
            if not full:
                await self._wake.wait()
                await self._gather()

    async def _find_place(self) -> None:
        """Go on where the archive is: only it knows what became of a transaction that failed."""
        self.cursor = max(await self._archive.cursor(), self._source.start)
        if self.lag < 0:
            raise self._source.behind()

    def _stop(self, error: Exception) -> None:
        self.stopped = str(error)
        metrics.relay_stopped.set(1)
        log.error("relay stopped: the tiers diverge", error=self.stopped, cursor=self.cursor)

    async def _gather(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                await self._hurry.wait()

    async def move(self) -> bool:
        """Move one batch; true if more may be waiting."""
        upto = self._source.newest
        batch = await self._source.read(self.cursor)
        if batch is None:
            self._hurry.clear()
            return False
        await self._archive.store(*batch[:-1], _both(batch.also, self.also(batch.cursor, batch.events)))
        self.cursor = batch.cursor
        metrics.relayed.inc(len(batch.events))
        async with self._moved:
            self._moved.notify_all()
        await self._source.stored(self.cursor)
        return self.cursor < upto

    async def move_all(self) -> None:
        """Move everything that is durable, for a node that does not serve. Raises what stops it."""
        await self._find_place()
        while await self.move():
            pass

    async def caught_up(self, timeout_s: float) -> None:
        """Return when everything durable now is archived, or after `timeout_s`."""
        target = self._source.newest
        self._hurry.set()
        async with self._moved:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._moved.wait_for(lambda: self.cursor >= target or bool(self.stopped))
            except TimeoutError:
                return


def _both(
    first: Callable[[Connection], None] | None, second: Callable[[Connection], None] | None
) -> Callable[[Connection], None] | None:
    if first is None or second is None:
        return first or second

    def both(connection: Connection) -> None:
        first(connection)
        second(connection)

    return both


def _is_final(error: Exception) -> bool:
    """The tiers diverge; a store that is away, or whose answer was lost, is another matter."""
    return (
        isinstance(error, UniqueCsError)
        and error.retry_after_ms is None
        and not isinstance(error, OutcomeUnknown)
    )

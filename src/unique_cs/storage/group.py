"""Group commit: everything asked for in one tick is one batch and one fsync; then it is told."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from unique_cs.errors import OutcomeUnknown, StorageUnavailable
from unique_cs.ports import Clock, Entry
from unique_cs.storage import keys
from unique_cs.storage.flusher import Flusher
from unique_cs.storage.hot import Hot
from unique_cs.telemetry import metrics

Told = Callable[[], None]


class GroupCommit:
    """Collects rows and writes them in groups, in order.

    While one group is being flushed the next one collects. After a group is durable `on_durable` gets
    its entries, then each `then` callback of the group runs. When a write or flush fails, everything in
    flight has an unknown outcome: `on_failure` runs once, and nothing is accepted until `recovered`.
    """

    def __init__(self, hot: Hot, clock: Clock, on_durable: Callable[[list[Entry]], None]) -> None:
        self._hot = hot
        self._clock = clock
        self._on_durable = on_durable
        self._loop = asyncio.get_running_loop()
        self._worker = Flusher(self._loop)
        self._busy = self._scheduled = self._failed = False
        self._puts: list[tuple[bytes, bytes]] = []
        self._deletes: list[bytes] = []
        self._entries: list[Entry] = []
        self._references: list[bytes] = []
        self._then: list[Told] = []
        self._blocked = ""
        self.refusal = ""
        self.number = self.durable_number = self._last_number()
        self.on_failure: Callable[[Exception], None] = _ignore

    def _last_number(self) -> int:
        last = self._hot.scan(b"l", b"m", 1, reverse=True)
        return keys.number_at(last[0][0]) if last else 0

    def admit(self) -> None:
        """Raise `StorageUnavailable` while nothing can be accepted."""
        if self.refusal:
            raise StorageUnavailable(self.refusal)

    def block(self, reason: str) -> None:
        """Refuse from now on, for a `reason` that a client may read; empty accepts again."""
        self._blocked = reason
        if not self._failed:
            self.refusal = reason

    def put(self, key: bytes, value: bytes) -> None:
        """Add a row to the current group."""
        self._puts.append((key, value))
        if not self._scheduled:
            self._schedule()

    def record(self, entry: Entry, key: bytes, row: bytes) -> None:
        """Add an event: its row, for the relay its key, and its entry for `on_durable`."""
        self._puts.append((key, row))
        self._references.append(key)
        self._entries.append(entry)
        if not self._scheduled:
            self._schedule()

    def delete(self, key: bytes) -> None:
        """Delete a row in the current group, after its puts."""
        self._deletes.append(key)
        if not self._scheduled:
            self._schedule()

    def add(self, entry: Entry) -> None:
        """Tell `on_durable` of this entry once the current group is durable."""
        self._entries.append(entry)

    def refer(self, reference: bytes) -> None:
        """Let the relay know of a row of the current group."""
        self._references.append(reference)

    def then(self, told: Told) -> None:
        """Call `told` once the current group is durable; it may never be called after a failure."""
        self._then.append(told)
        if not self._scheduled:
            self._schedule()

    def durable(self) -> asyncio.Future[None]:
        """A future that ends when the current group is durable, or fails with `OutcomeUnknown`."""
        future: asyncio.Future[None] = self._loop.create_future()
        if self._failed:
            future.set_exception(OutcomeUnknown())
            return future
        entry = Entry(None, None, b"", 0)
        entry.settle = lambda result: _finish(future, result)
        self._entries.append(entry)
        if not self._scheduled:
            self._schedule()
        return future

    def _schedule(self) -> None:
        self._scheduled = True
        if not self._busy:
            self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        puts, deletes, entries, then = self._puts, self._deletes, self._entries, self._then
        if self._references:
            self.number += 1
            stamp = self._clock.now_ms().to_bytes(8, "big")
            puts.append((keys.group(self.number), stamp + b"".join(self._references)))
        self._puts, self._deletes, self._entries, self._then, self._references = [], [], [], [], []
        self._busy, self._scheduled = True, False
        started = perf_counter()
        try:
            self._hot.write(puts, deletes)
        except Exception as error:  # noqa: BLE001  # whatever it is, the outcome is unknown
            self._fail(entries, error)
            return
        number = self.number
        flush = self._loop.run_in_executor(self._worker, self._hot.flush)
        flush.add_done_callback(lambda done: self._flushed(done, entries, then, started, number))

    def _flushed(
        self, done: asyncio.Future[None], entries: list[Entry], then: list[Told], started: float, number: int
    ) -> None:
        error = done.exception()
        if error is not None:
            self._fail(entries, error)
            return
        metrics.fsync_seconds.observe(perf_counter() - started)
        metrics.fsync_batch.observe(len(entries))
        self._busy = False
        self.durable_number = number
        # The disk works on the next group while this one is told.
        if self._scheduled:
            self._commit()
        self._on_durable(entries)
        for told in then:
            told()

    def _fail(self, entries: list[Entry], error: BaseException) -> None:
        self._failed = True
        self.refusal = "the store failed and is being opened again"
        self._drop(entries)
        self.on_failure(error if isinstance(error, Exception) else RuntimeError(str(error)))

    def _drop(self, entries: list[Entry]) -> None:
        """Tell everybody who waits that the outcome is unknown, and forget what was asked for."""
        unknown = entries + self._entries
        self._puts, self._deletes, self._entries, self._then, self._references = [], [], [], [], []
        for entry in unknown:
            if entry.settle is not None:
                entry.settle(OutcomeUnknown())

    def recovered(self) -> None:
        """The store was opened again and heads were read back: accept."""
        # What was asked for meanwhile came from heads that may have been wrong.
        self._drop([])
        self._busy = self._scheduled = self._failed = False
        self.number = self.durable_number = self._last_number()
        self.refusal = self._blocked

    @property
    def pending(self) -> int:
        """Entries that are accepted and not durable, without those being flushed now."""
        return len(self._entries)

    async def drain(self) -> None:
        """Return when everything accepted so far is durable."""
        if (self._busy or self._scheduled) and not self._failed:
            await self.durable()

    def close(self) -> None:
        """End the worker thread."""
        self._worker.shutdown(wait=True)


def _ignore(error: Exception) -> None:
    del error


def _finish(future: asyncio.Future[None], result: object) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(None)

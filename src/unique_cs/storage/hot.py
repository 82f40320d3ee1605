"""The hot tier: an ordered byte map on local disk (RocksDB), with atomic batches and group fsync."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from rocksdict import (
    BlockBasedOptions,
    Cache,
    Env,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from unique_cs.errors import StorageUnavailable

BLOCK_CACHE = 1 << 20


class Hot(Protocol):
    """An ordered byte map. A batch survives a crash once a later `flush` returned.

    `write` applies puts, then deletes, atomically. An exception from `write` or `flush` leaves the outcome of
    everything since the last good `flush` unknown: `reopen` and read. While that goes on, and after it
    failed, reads raise `StorageUnavailable`. `flush` and `reopen` block and are called in a worker thread;
    the rest is called on the event loop.
    """

    def write(self, puts: Sequence[tuple[bytes, bytes]], deletes: Sequence[bytes] = ()) -> None: ...
    def flush(self) -> None: ...
    def get(self, key: bytes) -> bytes | None: ...
    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]: ...
    def scan(
        self, start: bytes, end: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]: ...
    def space(self) -> tuple[int, int]: ...
    def reopen(self) -> None: ...
    def close(self) -> None: ...


class _Away:
    """In the place of a database that is being opened again."""

    def _refuse(self, *args: Any, **options: Any) -> NoReturn:
        raise StorageUnavailable("the store is being opened again")

    get = write = iter = flush_wal = _refuse


class RocksHot:
    """`Hot` on RocksDB. One process at a time: a second one fails to open the folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._options = WriteOptions()
        self._options.sync = False
        self._db: Rdict | _Away = self._open()
        self._cursor: RdictIter | None = None

    def _open(self) -> Rdict:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(32 << 20)
        options.set_max_total_wal_size(128 << 20)
        # What comes while a table is being written, at full load and with what time that leaves.
        options.set_max_write_buffer_number(4)
        options.set_keep_log_file_num(3)
        # Files are written and merged in the time that serving leaves.
        background = Env()
        background.lower_thread_pool_cpu_priority()
        background.lower_high_priority_thread_pool_cpu_priority()
        options.set_env(background)
        # Small: the newest rows lie in the memtable, and the system's page cache holds the files.
        blocks = BlockBasedOptions()
        blocks.set_block_cache(Cache(BLOCK_CACHE))
        options.set_block_based_table_factory(blocks)
        # Named, for a database that exists takes the options of an unnamed family from its own files, which
        # know nothing of the cache and keep the sizes that it was made with.
        return Rdict(str(self._folder), options, column_families={"default": options})

    def write(self, puts: Sequence[tuple[bytes, bytes]], deletes: Sequence[bytes] = ()) -> None:
        """Apply the batch; it is durable after the next `flush`."""
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for key, value in puts:
            put(key, value)
        for key in deletes:
            batch.delete(key)
        self._cursor = None
        self._db.write(batch, self._options)

    def flush(self) -> None:
        """Make every batch written so far durable. Releases the interpreter while the disk works."""
        self._db.flush_wal(True)

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        value: bytes | None = self._db.get(key)
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values in the order of `keys`."""
        return list(self._db.get(list(keys)))  # type: ignore[arg-type]  # a list of keys gives a list

    def scan(
        self, start: bytes, end: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` rows with start <= key < end; from the end downwards if `reverse`."""
        cursor = self._before(end) if reverse else self._from(start, end)
        rows: list[tuple[bytes, bytes]] = []
        while len(rows) < limit and cursor.valid() and (key := cursor.key()) >= start:
            rows.append((key, cursor.value()))
            if len(rows) < limit:  # a step costs as much as the search
                cursor.prev() if reverse else cursor.next()
        return rows

    def _from(self, start: bytes, end: bytes) -> RdictIter:
        # Without the bound it would read on through what was deleted behind it.
        options = ReadOptions()
        options.set_iterate_upper_bound(end)
        cursor = self._db.iter(options)
        cursor.seek(start)
        return cursor

    def _before(self, end: bytes) -> RdictIter:
        """A cursor that all searches share until the next write: it sees what there was when it was made."""
        if self._cursor is None:
            self._cursor = self._db.iter()
        cursor = self._cursor
        cursor.seek_for_prev(end)
        if cursor.valid() and cursor.key() == end:
            cursor.prev()
        return cursor

    def space(self) -> tuple[int, int]:
        """Bytes of the volume that are free, and all."""
        usage = shutil.disk_usage(self._folder)
        return usage.free, usage.total

    def reopen(self) -> None:
        """Close and open again: what is read afterwards is what the disk has. Repeat it until it succeeds."""
        failed, self._db, self._cursor = self._db, _Away(), None
        if isinstance(failed, Rdict):
            # A store that failed says so once more while it closes.
            with contextlib.suppress(Exception):
                failed.close()
        self._db = self._open()

    def close(self) -> None:
        """Flush and release the folder."""
        self._cursor = None
        if isinstance(self._db, Rdict):
            self._db.flush_wal(True)
            self._db.close()

"""SQLite: one thread writes, a few read.

A driver that hands each step of a statement to its thread and back pays for that with the interpreter's
lock: beside a busy event loop each step waits its turn. So a whole transaction is one function that runs in
the thread, and rows are written by statements of hundreds: a step of SQLite does not hold the lock.
"""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event

from unique_cs.storage.migrate import migrate

T = TypeVar("T")

_READERS = 2
_NICE = 10
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # A commit is on the disk when it returns: the hot tier drops what the cold one has.
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA cache_size=-16000",
    "PRAGMA wal_autocheckpoint=4000",
)


class SqliteDatabase:
    """One SQLite file. Make it with `open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = ThreadPoolExecutor(1, "sql-writer", initializer=_step_back)
        self._readers = ThreadPoolExecutor(_READERS, "sql-reader")

    @classmethod
    async def open(cls, path: Path) -> "SqliteDatabase":
        """Open or make the file and bring its schema up to date."""
        # Without an isolation level the driver leaves BEGIN to us: its own comes late and spares DDL.
        engine = create_engine(
            URL.create("sqlite", database=str(path)),
            pool_size=_READERS + 1,
            max_overflow=0,
            # Errors end up in logs; values are tokens' hashes and people's words.
            hide_parameters=True,
            connect_args={"isolation_level": None, "cached_statements": 16},
        )
        event.listen(engine, "connect", _prepare)
        database = cls(engine)
        await database.write(migrate)
        return database

    @property
    def dialect(self) -> Dialect:
        """What statements are compiled for."""
        return self._engine.dialect

    async def write(self, transaction: Callable[[Connection], T]) -> T:
        """Run one transaction: on return all of it is on the disk; after an exception, nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, transaction)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run queries."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, query)

    def _write(self, transaction: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return transaction(connection)

    def _read(self, query: Callable[[Connection], T]) -> T:
        with self._engine.connect() as connection:
            return query(connection)

    async def close(self) -> None:
        """Finish what runs and close every connection."""
        for pool in (self._writer, self._readers):
            await asyncio.to_thread(pool.shutdown)
        self._engine.dispose()


def _step_back() -> None:
    """Let this thread, which archives, have the time that serving leaves."""
    if sys.platform == "linux":
        # There, and only there, a priority is a thread's own. A sandbox may forbid it.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _prepare(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()

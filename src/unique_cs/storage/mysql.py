"""MySQL, MariaDB and TiDB: the same transactions on the event loop, over a pool of connections.

Writers commit under READ COMMITTED, readers have autocommit: what a function must not lose to others it locks
with FOR UPDATE, which SQLite's single writer needs not. docs/operations/mysql.md
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Dialect, ExceptionContext, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from unique_cs.errors import OutcomeUnknown, SettingsError, StorageUnavailable
from unique_cs.storage.migrate import migrate
from unique_cs.storage.mysql_url import MySqlUrl

T = TypeVar("T")

CONNECT_S: Final = 5
ANSWER_S: Final = 30
"""How long a transaction may take; then the database counts as away."""

POOL_WAIT_S: Final = 10
RECYCLE_S: Final = 1_800
"""A connection is replaced after this long: balancers and servers drop older ones without a word."""

TRIES: Final = 6
"""How often a transaction that lost a deadlock is run."""

PACKET: Final = 4 << 20
"""What the server's `max_allowed_packet` has to be at least."""

# Deadlock, lock wait timeout; TiDB: write conflict, commit to be tried again, schema changed meanwhile.
_LOST: Final = frozenset({1213, 1205, 9007, 8022, 8028})
# The server takes no writes: after a failover this connection leads to the wrong one.
_READ_ONLY: Final = frozenset({1290, 1792, 1836})
_AWAY: Final = (OperationalError, InterfaceError, InternalError, PoolTimeout, OSError, TimeoutError)
_SESSION: Final = (
    # An overlong value is an error and not a shorter value.
    "SET sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
    "time_zone = '+00:00', innodb_lock_wait_timeout = 10"
)


class _Lost(Exception):
    """The server chose this transaction to give way; nothing of it is stored."""


class MySqlDatabase:
    """A database in a server. Make it with `open`, inside the event loop that uses it."""

    def __init__(self, url: MySqlUrl) -> None:
        # The driver logs the server's remarks, which may hold values; what is wrong is an error to us.
        logging.getLogger("asyncmy").setLevel(logging.ERROR)
        self._writers = _engine(url, "READ COMMITTED")
        self._readers = _engine(url, "AUTOCOMMIT", skip_autocommit_rollback=True)

    @classmethod
    async def open(cls, url: str) -> "MySqlDatabase":
        """Connect and bring the schema up to date; of many nodes one does, and the others wait for it.

        Raises `SettingsError` where the address or the server won't do, `StorageUnavailable` where it's away.
        """
        database = cls(MySqlUrl.parse(url))
        try:
            async with database._writers.connect() as connection:
                await _check(connection)
                await connection.run_sync(migrate)
                await connection.commit()
        except BaseException as error:
            await database.close()
            if isinstance(error, _AWAY):
                raise _away(error) from error
            raise
        return database

    @property
    def dialect(self) -> Dialect:
        """What statements are compiled for."""
        return self._writers.dialect

    async def write(self, transaction: Callable[[Connection], T]) -> T:
        """Run one transaction, again where it lost a deadlock; see `Database`."""
        for number in range(1, TRIES):
            try:
                return await self._write(transaction)
            except _Lost:
                await asyncio.sleep(random.uniform(0.005, 0.02) * 2**number)  # noqa: S311 - spreads the losers
        try:
            return await self._write(transaction)
        except _Lost as error:
            raise StorageUnavailable(f"the transaction lost {TRIES} deadlocks") from error

    async def _write(self, transaction: Callable[[Connection], T]) -> T:
        committing = False
        try:
            async with asyncio.timeout(ANSWER_S), self._writers.connect() as connection:
                made = await connection.run_sync(transaction)
                committing = True
                await connection.commit()
                return made
        except _AWAY as error:
            if _code(error) in _LOST:
                raise _Lost from error
            raise (OutcomeUnknown() if committing else _away(error)) from error

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run queries; see `Database`."""
        try:
            async with asyncio.timeout(ANSWER_S), self._readers.connect() as connection:
                return await connection.run_sync(query)
        except _AWAY as error:
            raise _away(error) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._writers.dispose()
        await self._readers.dispose()


def _engine(url: MySqlUrl, isolation: Any, **options: Any) -> AsyncEngine:
    engine = create_async_engine(
        url.address,
        isolation_level=isolation,
        pool_size=url.pool,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        pool_recycle=RECYCLE_S,
        # A connection that a failover left behind is noticed before a transaction begins on it.
        pool_pre_ping=True,
        # Errors end up in logs; values are tokens' hashes and people's words.
        hide_parameters=True,
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_S,
            "init_command": _SESSION,
            # Without it bytes are text to the server, which has to be UTF-8.
            "binary_prefix": True,
            "max_allowed_packet": PACKET,
            **({"ssl": url.tls} if url.tls else {}),
        },
        **options,
    )
    event.listen(engine.sync_engine, "handle_error", _leave_read_only)
    return engine


def _leave_read_only(context: ExceptionContext) -> None:
    arguments = getattr(context.original_exception, "args", ())
    if arguments and arguments[0] in _READ_ONLY:
        # All connections of the pool are made anew.
        context.is_disconnect = True


async def _check(connection: AsyncConnection) -> None:
    packet = (await connection.execute(text("SELECT @@max_allowed_packet"))).scalar_one()
    if int(packet) < PACKET:
        raise SettingsError(f"the database's max_allowed_packet is {packet}; it has to be {PACKET} or more")


def _code(error: BaseException) -> int:
    arguments = error.orig.args if isinstance(error, DBAPIError) and error.orig else ()
    return arguments[0] if arguments and isinstance(arguments[0], int) else 0


def _away(error: BaseException) -> StorageUnavailable:
    # SQLAlchemy's own text repeats the statement, which may have a thousand rows.
    reason = error.orig if isinstance(error, DBAPIError) else error
    return StorageUnavailable("the database is away", reason=repr(reason))

"""The two stores of an installation: opening them, and making sure that they belong together."""

from pathlib import Path
from secrets import token_hex
from typing import Final

from sqlalchemy import Connection, delete, exists, insert, select, update

from unique_cs.errors import SettingsError, StorageUnavailable
from unique_cs.storage import keys
from unique_cs.storage.hot import Hot, RocksHot
from unique_cs.storage.schema import agents, installation
from unique_cs.storage.sql import Database
from unique_cs.storage.sqlite import SqliteDatabase

ID: Final = "id"
"""Fact of a database: which installation's it is."""

MOVING: Final = "moving"
"""Fact of a database that `unique-cs move` has begun to fill and not finished: the source's id."""

HANDED: Final = "handed"
"""Fact of a database that several nodes may go on with: `unique-cs move` put there all that they need."""

GENERATION: Final = "generation"
"""Fact of a database that several nodes have gone on with: the counter of their numbering."""

_BOUND: Final = "cold"
_WANTED: Final = "cold_wanted"


def open_hot(data_dir: Path) -> RocksHot:
    """Open the hot tier of a data folder. Raises `SettingsError`, as where another process has it open."""
    try:
        return RocksHot(data_dir / "hot")
    except Exception as error:
        raise SettingsError(f"the data folder {data_dir} can't be opened: {error}") from error


async def open_cold(data_dir: Path, url: str) -> Database:
    """Open the database at `url`, or the file in `data_dir` if `url` is empty, and migrate it.

    Raises `SettingsError` that says why it can't be used; it never repeats the password.
    """
    if not url:
        return await SqliteDatabase.open(archive_file(data_dir))
    # The driver is loaded only where it is used.
    from unique_cs.storage.mysql import MySqlDatabase  # noqa: PLC0415

    try:
        return await MySqlDatabase.open(url)
    except StorageUnavailable as error:
        raise SettingsError(str(error)) from error


def archive_file(data_dir: Path) -> Path:
    """Where the embedded cold tier lies."""
    return data_dir / "archive.sqlite"


async def bind(hot: Hot, database: Database) -> None:
    """Make sure that the hot and the cold tier belong together; the first time they meet, they are bound.

    Raises `SettingsError` for a wrong pair: the relay would go on at a place that is another's.
    """
    if await fact_of(database, MOVING):
        raise SettingsError("the database is half filled by unique-cs move: run that again")
    if await fact_of(database, GENERATION):
        raise SettingsError("the database is a cluster's: set UNIQUE_CS_REDIS_URL, as its other nodes do")
    found, bound = await fact_of(database, ID), bound_to(hot)
    if bound and found == bound:
        # From here on the hot tier knows more again than was handed over.
        await database.write(lambda connection: put_fact(connection, HANDED, ""))
        return
    if bound or (not found and _is_used(hot) and not await _has_agents(database)):
        raise SettingsError(
            "the data folder belongs to another database; to take it to a new one, run unique-cs move"
        )
    wanted = (hot.get(keys.fact(_WANTED)) or token_hex(8).encode()).decode()
    if found and found != wanted:
        raise SettingsError("the database belongs to another data folder")
    # In this order, so that a crash at any step leaves a pair that is recognised.
    _store(hot, _WANTED, wanted)
    await database.write(lambda connection: put_fact(connection, ID, wanted))
    rebind(hot, wanted)


async def share(hot: Hot, database: Database) -> None:
    """Make sure that a node with this hot tier may go on with a database that others share.

    Raises `SettingsError` where an installation of one process was not taken along completely.
    """
    if await fact_of(database, MOVING):
        raise SettingsError("the database is half filled by unique-cs move: run that again")
    found, bound = await fact_of(database, ID), bound_to(hot)
    handed = await fact_of(database, GENERATION) or await fact_of(database, HANDED)
    if (bound and bound != found) or (found and not handed):
        raise SettingsError("this is an installation of one process: take it along with unique-cs move")


def bound_to(hot: Hot) -> str:
    """The id of the cold tier that the hot tier belongs to; empty if it never had one."""
    return (hot.get(keys.fact(_BOUND)) or b"").decode()


def rebind(hot: Hot, cold_id: str) -> None:
    """Let the hot tier belong to the cold tier with this id; durable on return."""
    _store(hot, _BOUND, cold_id)


async def fact_of(database: Database, fact: str) -> str:
    """A fact of the database's installation, or nothing."""
    query = select(installation.c.value).where(installation.c.name == fact)
    found: str | None = await database.read(lambda connection: connection.scalar(query))
    return found or ""


def put_fact(connection: Connection, fact: str, value: str) -> None:
    """Store a fact in the transaction of the caller; an empty value removes it."""
    mine = installation.c.name == fact
    if not value:
        connection.execute(delete(installation).where(mine))
    elif connection.execute(update(installation).where(mine).values(value=value)).rowcount == 0:
        connection.execute(insert(installation).values(name=fact, value=value))


def _is_used(hot: Hot) -> bool:
    return bool(hot.scan(b"l", keys.after(b"l"), 1))


async def _has_agents(database: Database) -> bool:
    return bool(
        await database.read(lambda connection: connection.scalar(select(exists().select_from(agents))))
    )


def _store(hot: Hot, fact: str, value: str) -> None:
    hot.write([(keys.fact(fact), value.encode())])
    hot.flush()

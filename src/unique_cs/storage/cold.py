"""Which database is the cold tier of a data folder."""

from pathlib import Path
from secrets import token_hex

from sqlalchemy import Connection, delete, insert, select, update

from unique_cs.errors import SettingsError, StorageUnavailable
from unique_cs.storage import keys
from unique_cs.storage.hot import Hot
from unique_cs.storage.schema import installation
from unique_cs.storage.sql import Database
from unique_cs.storage.sqlite import SqliteDatabase

MOVING = "moving"
"""Fact of a database that `unique-cs move` has begun to fill and not finished: the source's id."""

_ID = "id"
_BOUND = "cold"
_WANTED = "cold_wanted"


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
        raise SettingsError(error.message) from error


def archive_file(data_dir: Path) -> Path:
    """Where the embedded cold tier lies."""
    return data_dir / "archive.sqlite"


async def bind(hot: Hot, database: Database) -> None:
    """Make sure that the hot and the cold tier belong together; the first time they meet, they are bound.

    Raises `SettingsError` for a wrong pair: the relay would go on at a place that is another's.
    """
    if await fact_of(database, MOVING):
        raise SettingsError("the database is half filled by unique-cs move: run that again")
    found, bound = await fact_of(database, _ID), bound_to(hot)
    if bound and found == bound:
        return
    if bound:
        raise SettingsError(
            "the data folder belongs to another database; to take it to a new one, run unique-cs move"
        )
    wanted = (hot.get(keys.fact(_WANTED)) or token_hex(8).encode()).decode()
    if found and found != wanted:
        raise SettingsError("the database belongs to another data folder")
    # In this order, so that a crash at any step leaves a pair that is recognised.
    _store(hot, _WANTED, wanted)
    await name(database, wanted)
    rebind(hot, wanted)


def bound_to(hot: Hot) -> str:
    """The id of the cold tier that the hot tier belongs to; empty if it never had one."""
    return (hot.get(keys.fact(_BOUND)) or b"").decode()


def rebind(hot: Hot, cold_id: str) -> None:
    """Let the hot tier belong to the cold tier with this id; durable on return."""
    _store(hot, _BOUND, cold_id)


async def name(database: Database, cold_id: str) -> None:
    """Give a database its id."""
    await set_fact(database, _ID, cold_id)


async def id_of(database: Database) -> str:
    """The id of a cold tier; empty if it was never used."""
    return await fact_of(database, _ID)


async def fact_of(database: Database, fact: str) -> str:
    """A fact of the database's installation, or nothing."""
    query = select(installation.c.value).where(installation.c.name == fact)
    found: str | None = await database.read(lambda connection: connection.scalar(query))
    return found or ""


async def set_fact(database: Database, fact: str, value: str) -> None:
    """Store a fact; an empty value removes it."""
    await database.write(lambda connection: put_fact(connection, fact, value))


def put_fact(connection: Connection, fact: str, value: str) -> None:
    """Store a fact in the transaction of the caller; an empty value removes it."""
    mine = installation.c.name == fact
    if not value:
        connection.execute(delete(installation).where(mine))
    elif connection.execute(update(installation).where(mine).values(value=value)).rowcount == 0:
        connection.execute(insert(installation).values(name=fact, value=value))


def _store(hot: Hot, fact: str, value: str) -> None:
    hot.write([(keys.fact(fact), value.encode())])
    hot.flush()

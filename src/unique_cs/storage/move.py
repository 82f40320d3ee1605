"""Takes the SQL of an embedded installation to another database: what `unique-cs move` does.

The source is only read. While the target is being filled it says so, and no node starts on it; the last step
is one durable write in the hot tier, which belongs to the target from then on. Until that step the source is
the installation's; a move that was cut off is run again and goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from hashlib import blake2b
from secrets import token_hex
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Integer, Table, and_, delete, func, literal_column, or_, select

from unique_cs.errors import Code, SettingsError, UniqueCsError
from unique_cs.storage import schema
from unique_cs.storage.event_rows import EventRows
from unique_cs.storage.hot import Hot
from unique_cs.storage.sql import BulkInsert, Database, Row
from unique_cs.storage.stores import ID, MOVING, bound_to, fact_of, put_fact, rebind

PAGE: Final = 2_000
"""Rows that are read at a time."""

_DONE: Final = "moving_events"
_OWN: Final = frozenset({ID, MOVING, _DONE})
_SMALL: Final = (schema.inboxes, schema.agents, schema.logins, schema.outbox, schema.snoozes)
_LARGE: Final = (schema.contacts, schema.conversations)
_CHECKED: Final = (*_SMALL, *_LARGE, schema.events)

Tell = Callable[[str], None]


async def move(source: Database, target: Database, hot: Hot, tell: Tell) -> None:
    """Copy everything, compare, and let the hot tier belong to `target`; again, it changes nothing.

    The hot tier must be bound to `source`, and all of it archived there. `tell` gets lines for the operator.
    Raises `SettingsError` where the target is not empty, `conflict` where the two differ at the end.
    """
    if await is_moved(target, hot):
        tell("this installation was moved already")
    else:
        await _begin(source, target)
        await _copy(source, target, tell)
        await _compare(source, target, tell)
        await _take_place(source, target)
        rebind(hot, await fact_of(target, ID))
    await target.write(lambda connection: put_fact(connection, MOVING, ""))


async def is_moved(target: Database, hot: Hot) -> bool:
    """Whether the hot tier belongs to `target`."""
    found = await fact_of(target, ID)
    return bool(found) and found == bound_to(hot)


async def _begin(source: Database, target: Database) -> None:
    mine, begun = await fact_of(source, ID), await fact_of(target, MOVING)
    if begun == mine:
        return
    if begun:
        raise SettingsError("the database is half filled by the move of another installation")
    if await fact_of(target, ID) or any([await _count(target, table) for table in _CHECKED]):
        raise SettingsError("the database is not empty: it belongs to another installation")

    def claim(connection: Connection) -> None:
        put_fact(connection, MOVING, mine)
        put_fact(connection, ID, token_hex(8))

    await target.write(claim)


async def _copy(source: Database, target: Database, tell: Tell) -> None:
    for table in _SMALL:
        rows = [row async for page in _pages(source, table) for row in page]
        await target.write(_replacing(table, target, rows))
        tell(f"{table.name}: {len(rows):,} copied")
    for table in _LARGE:
        upsert, done = BulkInsert(table, target.dialect, replace=True), 0
        async for page in _pages(source, table):
            await target.write(_running(upsert, page))
            done += len(page)
        tell(f"{table.name}: {done:,} copied")
    await _copy_events(source, target, tell)


def _replacing(table: Table, target: Database, rows: list[Row]) -> Callable[[Connection], None]:
    insert = BulkInsert(table, target.dialect)

    def transaction(connection: Connection) -> None:
        connection.execute(delete(table))
        insert.run(connection, rows)

    return transaction


def _running(upsert: BulkInsert, rows: list[Row]) -> Callable[[Connection], None]:
    return lambda connection: upsert.run(connection, rows)


async def _copy_events(source: Database, target: Database, tell: Tell) -> None:
    """In the order in which they arrived, which SQLite keeps: a move that goes on begins where it ended."""
    count, done = await _count(source, schema.events), int(await fact_of(target, _DONE) or 0)
    number = literal_column("rowid", Integer)
    writer, copied = EventRows(target.dialect), 0
    while True:
        query = select(number, *schema.events.c).where(number > done).order_by(number).limit(PAGE)
        rows = await _rows(source, query)
        if not rows:
            break
        done = rows[-1][0]
        await target.write(_writing(writer, [row[1:] for row in rows], done))
        copied += len(rows)
        if copied % (25 * PAGE) == 0:
            tell(f"events: {copied:,} of {count:,} copied")
    tell(f"events: {copied:,} of {count:,} copied this time")


def _writing(writer: EventRows, rows: list[Row], done: int) -> Callable[[Connection], None]:
    def transaction(connection: Connection) -> None:
        writer.insert(connection, rows)
        put_fact(connection, _DONE, str(done))

    return transaction


async def _compare(source: Database, target: Database, tell: Tell) -> None:
    for table in _CHECKED:
        ours, theirs = await asyncio.gather(_digest(source, table), _digest(target, table))
        if ours != theirs:
            # Next time from the beginning: what is there is compared, and what is missing written.
            await target.write(lambda connection: put_fact(connection, _DONE, ""))
            raise UniqueCsError(
                Code.CONFLICT,
                f"{table.name} differ: {ours[0]:,} rows here, {theirs[0]:,} there; run it again",
            )
        tell(f"{table.name}: {ours[0]:,} compared, the same ({ours[1]})")


async def _digest(database: Database, table: Table) -> tuple[int, str]:
    """How many rows there are, and a digest of them in the order of their key."""
    count, digest = 0, blake2b(digest_size=8)
    async for page in _pages(database, table):
        count += len(page)
        digest.update(msgspec.msgpack.encode(page))
    return count, digest.hexdigest()


async def _take_place(source: Database, target: Database) -> None:
    """The relay's cursor, and the facts of the installation that are no database's own."""
    cursors = await _rows(source, select(schema.relay))
    facts = await _rows(source, select(schema.installation))
    relay = BulkInsert(schema.relay, target.dialect, replace=True)

    def transaction(connection: Connection) -> None:
        relay.run(connection, cursors)
        for name, value in facts:
            if name not in _OWN and value:
                put_fact(connection, name, value)
        put_fact(connection, _DONE, "")

    await target.write(transaction)


async def _pages(database: Database, table: Table) -> AsyncIterator[list[Row]]:
    """All rows in the order of the primary key, which is one or two numbers."""
    key = list(table.primary_key)
    last: Row = ()
    while True:
        query = select(table).order_by(*key).limit(PAGE)
        if last:
            query = query.where(key[0] >= last[0], _beyond(key, last))
        page = await _rows(database, query)
        if not page:
            return
        yield page
        last = tuple(page[-1][table.columns.keys().index(column.name)] for column in key)


def _beyond(key: list[Any], last: Row) -> Any:
    if len(key) == 1:
        return key[0] > last[0]
    return or_(key[0] > last[0], and_(key[0] == last[0], key[1] > last[1]))


async def _rows(database: Database, query: Any) -> list[Row]:
    return await database.read(lambda connection: [tuple(row) for row in connection.execute(query)])


async def _count(database: Database, table: Table) -> int:
    query = select(func.count()).select_from(table)
    found: int | None = await database.read(lambda connection: connection.scalar(query))
    return found or 0

"""The cold tier in SQL: the record of all events, and what lists and searches of conversations need."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple
from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from unique_cs.domain.ids import parse
from unique_cs.domain.people import Contact
from unique_cs.domain.stored import ArchivedEvent, ConversationQuery, ConversationRow, Stored
from unique_cs.storage.event_rows import EventRows
from unique_cs.storage.schema import contacts as contacts_table
from unique_cs.storage.schema import conversations as conversations_table
from unique_cs.storage.schema import events as events_table
from unique_cs.storage.schema import relay as relay_table
from unique_cs.storage.snoozes import SqlSnoozes
from unique_cs.storage.sql import BulkInsert, Database, Row

CHUNK = BulkInsert.ROWS
"""Events of one statement."""

_RELAY = 1
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_stored = (
    events_table.c.seq,
    events_table.c.visibility,
    events_table.c.session,
    events_table.c.n,
    events_table.c.frame,
)


class SqlArchive:
    """`Archive` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._events = EventRows(dialect)
        self._conversations = BulkInsert(conversations_table, dialect, newer="seq")
        self._contacts = BulkInsert(contacts_table, dialect, replace=True)
        self._snoozes = SqlSnoozes(database)
        self._relay = BulkInsert(relay_table, dialect, newer="position")

    async def cursor(self) -> int:
        """How far the relay is; 0 at first."""
        query = select(relay_table.c.position).where(relay_table.c.id == _RELAY)
        found: int | None = await self._database.read(lambda connection: connection.scalar(query))
        return found or 0

    async def store(
        self,
        cursor: int,
        events: Sequence[ArchivedEvent],
        conversations: Sequence[ConversationRow],
        contacts: Sequence[Contact],
        also: Callable[[Connection], None] | None = None,
    ) -> None:
        """Write everything in one transaction; see the port. `also` comes first in it."""
        # Made here, a chunk at a time: in the thread it would hold the interpreter's lock for longer.
        chunks: list[list[Row]] = []
        for start in range(0, len(events), CHUNK):
            chunks.append([_event_row(each) for each in events[start : start + CHUNK]])
            await asyncio.sleep(0)
        states = [astuple(each) for each in conversations]
        people = [_contact_row(each) for each in contacts]
        snooze = self._snoozes.of_events(events)

        def transaction(connection: Connection) -> None:
            if also is not None:
                also(connection)
            for rows in chunks:
                self._events.insert(connection, rows)
            snooze(connection)
            self._conversations.run(connection, states)
            self._contacts.run(connection, people)
            self._relay.run(connection, [(_RELAY, cursor)])

        await self._database.write(transaction)

    async def events(
        self, conversation: int, after: int, before: int, limit: int, newest: bool
    ) -> list[Stored]:
        """Events with after < seq < before, oldest first; the last `limit` of them if `newest`."""
        seq = events_table.c.seq
        query = (
            select(*_stored)
            .where(events_table.c.conversation == conversation, seq > after, seq < before)
            .order_by(seq.desc() if newest else seq)
            .limit(limit)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        found = [Stored(*row) for row in rows]
        return found[::-1] if newest else found

    async def find(self, query: ConversationQuery) -> list[ConversationRow]:
        """Conversations that match, newest activity first."""
        statement = _select(query)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [ConversationRow(*row) for row in rows]


def _event_row(event: ArchivedEvent) -> Row:
    stored = event.stored
    return (
        event.conversation,
        stored.seq,
        event.id,
        event.time,
        event.name,
        stored.visibility,
        stored.session,
        stored.n,
        stored.frame,
    )


def _contact_row(contact: Contact) -> Row:
    return (
        contact.id,
        contact.inbox,
        contact.name,
        contact.email,
        contact.identifier,
        msgspec.json.encode(contact.attributes).decode(),
        msgspec.json.encode(contact.visit).decode(),
        contact.blocked,
        contact.created_at,
    )


def _select(query: ConversationQuery) -> Select[Any]:
    table = conversations_table.c
    wanted: dict[Any, int | str | None] = {
        table.contact: query.contact,
        table.status: query.status,
        table.assignee: query.assignee,
        table.inbox: query.inbox,
    }
    statement = select(conversations_table).where(
        *(column == value for column, value in wanted.items() if value is not None)
    )
    if query.before is not None:
        time, last = query.before
        statement = statement.where(
            or_(table.updated_at < time, and_(table.updated_at == time, table.id < last))
        )
    if query.text:
        statement = statement.where(_matches(query))
    return statement.order_by(table.updated_at.desc(), table.id.desc()).limit(query.limit)


def _matches(query: ConversationQuery) -> ColumnElement[bool]:
    """One of the visible columns contains the text; the contact is looked up only for rows that need it."""
    text, table, person = query.text, conversations_table.c, contacts_table.c
    visible = [table.contact_name]
    if query.contact is None:
        visible.append(table.last_text)
    about = (person.name, person.email, person.identifier)
    contact = select(person.id).where(
        person.id == table.contact, or_(*(_contains(column, text) for column in about))
    )
    found = [*(_contains(column, text) for column in visible), contact.exists()]
    number = parse(text)
    # A part of an id means nothing to anybody, and would be found in many.
    return or_(*found, table.id == number) if 0 < number < 2**63 else or_(*found)


def _contains(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """`column` contains `text` without regard to the case of ASCII letters."""
    # MySQL folds the case of all letters, SQLite that of ASCII: others have to be there as they were given.
    cased = [part for part in _NOT_ASCII.findall(text) if part.lower() != part or part.upper() != part]
    exact = [column.contains(part, autoescape=True) for part in cased]
    return and_(column.icontains(text, autoescape=True), *exact)

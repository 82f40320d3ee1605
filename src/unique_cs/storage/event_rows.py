"""Writing rows of events: each has its place, and nothing is written over."""

from typing import Final

from sqlalchemy import Connection, Dialect, select, tuple_
from sqlalchemy.exc import IntegrityError

from unique_cs.errors import Code, UniqueCsError
from unique_cs.storage.schema import events
from unique_cs.storage.sql import BulkInsert, Row

_place: Final = tuple_(events.c.conversation, events.c.seq)


class EventRows:
    """Inserts rows of the table of events."""

    def __init__(self, dialect: Dialect) -> None:
        self._rows = BulkInsert(events, dialect)

    def insert(self, connection: Connection, rows: list[Row]) -> None:
        """Insert what is not there. Raises `conflict` where another event lies, or two want one place."""
        try:
            self._rows.run(connection, rows)
        except IntegrityError:
            # The statement that failed wrote nothing, those before it are in the transaction.
            self._rows.run(connection, _missing(connection, rows))


def _missing(connection: Connection, rows: list[Row]) -> list[Row]:
    """The rows whose place is empty."""
    wanted: dict[tuple[int, int], Row] = {}
    for row in rows:
        if wanted.setdefault((row[0], row[1]), row)[2] != row[2]:
            raise _diverged(row)
    lies = select(events.c.conversation, events.c.seq, events.c.id)
    for conversation, seq, event_id in connection.execute(lies.where(_place.in_(list(wanted)))):
        row = wanted.pop((conversation, seq))
        if row[2] != event_id:
            raise _diverged(row)
    return list(wanted.values())


def _diverged(row: Row) -> UniqueCsError:
    return UniqueCsError(
        Code.CONFLICT, f"another event than {row[2]} lies at {row[1]} of conversation {row[0]}"
    )

"""When snoozed conversations come back, as the archived events say."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, and_, delete, or_, select

from unique_cs.domain.events import CONVERSATION_STATUS_CHANGED, StatusChanged
from unique_cs.domain.stored import ArchivedEvent
from unique_cs.storage.schema import snoozes
from unique_cs.storage.sql import BulkInsert, Database

PAGE: Final = 200
"""Conversations of one statement."""


class _Frame(Struct, gc=False):
    data: StatusChanged


_read = msgspec.json.Decoder(_Frame).decode


class SqlSnoozes:
    """The snoozes in SQL. A row says what the archive knows: the conversation itself may be further."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = BulkInsert(snoozes, database.dialect, newer="seq")

    def of_events(self, events: Sequence[ArchivedEvent]) -> Callable[[Connection], None]:
        """What has to be written in the transaction of these events."""
        latest = {each.conversation: each for each in events if each.name == CONVERSATION_STATUS_CHANGED}
        rows = [(each.conversation, each.stored.seq, _until(each)) for each in latest.values()]
        return lambda connection: self._replace(connection, rows)

    def _replace(self, connection: Connection, rows: Sequence[tuple[int, int, int]]) -> None:
        table = snoozes.c
        older = [and_(table.conversation == each, table.seq < seq) for each, seq, _ in rows]
        for start in range(0, len(older), PAGE):
            connection.execute(delete(snoozes).where(or_(*older[start : start + PAGE])))
        self._rows.run(connection, [row for row in rows if row[2]])

    async def due(self, now_ms: int, limit: int) -> list[tuple[int, int]]:
        """(conversation, place of the event that snoozed it) of those whose time has come, in order."""
        query = (
            select(snoozes.c.conversation, snoozes.c.seq)
            .where(snoozes.c.due <= now_ms)
            .order_by(snoozes.c.due, snoozes.c.conversation)
            .limit(limit)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [(row[0], row[1]) for row in rows]

    async def remove(self, conversation: int, seq: int) -> None:
        """It is over."""
        mine = (snoozes.c.conversation == conversation, snoozes.c.seq == seq)
        await self._database.write(lambda connection: connection.execute(delete(snoozes).where(*mine)))


def _until(event: ArchivedEvent) -> int:
    return _read(event.stored.frame).data.until or 0

"""The outbox: what is to be told to a webhook, written in the transaction of what it tells of."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, delete, func, select, tuple_, update

from unique_cs.domain.alarms import Alarm
from unique_cs.domain.outbox import OLDEST_MS, PARKED_MS, Delivery, delivery
from unique_cs.domain.stored import ArchivedEvent
from unique_cs.storage.schema import conversations, installation, outbox
from unique_cs.storage.sql import BulkInsert, Database
from unique_cs.storage.stores import put_fact

ALARM: Final = "alarm:"
"""Facts of the installation that begin so are incidents that are not over."""

PAGE: Final = 500

_place: Final = tuple_(outbox.c.place, outbox.c.n)
_waiting: Final = outbox.c.parked == 0
_columns: Final = [outbox.c[name] for name in Delivery.__struct_fields__]


class SqlOutbox:
    """The outbox in SQL. Everything that writes is durable on return."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = BulkInsert(outbox, database.dialect, replace=True)

    def of_events(
        self, names: Collection[str]
    ) -> Callable[[int, Sequence[ArchivedEvent]], Callable[[Connection], None] | None]:
        """What the relay adds to its transaction, so that events of these names are told."""

        def told(place: int, events: Sequence[ArchivedEvent]) -> Callable[[Connection], None] | None:
            made = [
                delivery(place, n, str(each.id), each.name, each.time, each.stored.frame)
                for n, each in enumerate(events)
                if each.name in names
            ]
            return (lambda connection: self._insert(connection, made)) if made else None

        return told

    def _insert(self, connection: Connection, made: Sequence[Delivery]) -> None:
        self._rows.run(connection, [(*msgspec.structs.astuple(each), 0) for each in made])

    async def due(self, limit: int) -> list[Delivery]:
        """The first of those that wait, in order."""
        query = select(*_columns).where(_waiting).order_by(outbox.c.place, outbox.c.n).limit(limit)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [Delivery(*row) for row in rows]

    async def remove(self, told: Sequence[Delivery]) -> None:
        """They were delivered."""
        places = [(each.place, each.n) for each in told]
        await self._database.write(
            lambda connection: connection.execute(delete(outbox).where(_place.in_(places)))
        )

    async def failed(self, told: Delivery, now_ms: int, *, park: bool) -> None:
        """An attempt failed; `park` gives it up. So is what waits for too long."""
        mine = _place.in_([(told.place, told.n)])
        counted = update(outbox).where(mine).values(attempts=told.attempts + 1, parked=now_ms if park else 0)
        aged = update(outbox).where(_waiting, outbox.c.time < now_ms - OLDEST_MS).values(parked=now_ms)
        gone = delete(outbox).where(outbox.c.parked > 0, outbox.c.parked < now_ms - PARKED_MS)

        def transaction(connection: Connection) -> None:
            for statement in (counted, aged, gone):
                connection.execute(statement)

        await self._database.write(transaction)

    async def counts(self) -> tuple[int, int, int]:
        """How many wait, the time of the first of them (ms, 0: none), and how many were given up."""

        def query(connection: Connection) -> tuple[int, int, int]:
            waiting, first = connection.execute(
                select(func.count(), func.min(outbox.c.time)).where(_waiting)
            ).one()
            parked = connection.scalar(select(func.count()).select_from(outbox).where(outbox.c.parked > 0))
            return waiting, first or 0, parked or 0

        return await self._database.read(query)

    # Alarms

    async def alarms(self) -> dict[str, Alarm]:
        """The incidents that are not over, by name."""
        query = select(installation.c.value).where(installation.c.name.startswith(ALARM, autoescape=True))
        found = await self._database.read(lambda connection: connection.scalars(query).all())
        told = [msgspec.json.decode(each, type=Alarm) for each in found]
        return {each.name: each for each in told}

    async def tell(self, alarm: Alarm, told: Delivery | None) -> None:
        """Remember that an incident began or is over, and tell the webhook, if there is one."""
        value = msgspec.json.encode(alarm).decode() if alarm.raised else ""

        def transaction(connection: Connection) -> None:
            put_fact(connection, ALARM + alarm.name, value)
            if told is not None:
                self._insert(connection, [told])

        await self._database.write(transaction)

    # What is behind

    async def quiet(self, listed: Sequence[int], since: int, before: int) -> list[tuple[int, int]]:
        """(conversation, head) of those listed in which the last thing happened between two times (ms).

        Costs as much as happened since then, or, where `since` is 0, as much as is listed.
        """
        table = conversations.c
        query = select(table.id, table.seq).where(table.updated_at < before)
        if since:
            wanted = set(listed)
            found = await self._database.read(partial(_pairs, query.where(table.updated_at >= since)))
            return [each for each in found if each[0] in wanted]
        parts = [listed[start : start + PAGE] for start in range(0, len(listed), PAGE)]
        return [
            each
            for part in parts
            for each in await self._database.read(partial(_pairs, query.where(table.id.in_(part))))
        ]


def _pairs(query: Select[Any], connection: Connection) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in connection.execute(query)]

"""Lets several nodes go on with the installation of one process: what `unique-cs move` does last.

What only the hot tier knows goes into the database that the nodes will share: which send became which event,
how far the participants are, and the secret that signs contacts' tokens. It may be done again at any time.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy import Connection, insert, select

from unique_cs.storage.hot import Hot
from unique_cs.storage.installation import secret_of
from unique_cs.storage.people import cursor_page
from unique_cs.storage.rows import NO_SESSION
from unique_cs.storage.schema import answers, cursors, events
from unique_cs.storage.sql import BulkInsert, Database, Row
from unique_cs.storage.stores import HANDED, put_fact

PAGE: Final = 5_000
"""Events of one transaction, rounded up to whole conversations; and cursors."""

SECRET: Final = "secret"  # noqa: S105 - the name of the fact
"""Fact of the installation that a cluster signs contacts' tokens with, in hex."""


async def hand_over(database: Database, hot: Hot, tell: Callable[[str], None]) -> None:
    """Tell the database what the hot tier, all of which is archived there, knows beside.

    Sessions whose sends were all refused, or that sent nothing, are not taken: their clients begin new ones.
    """
    tell(f"sends: {await _hand_answers(database):,} taken over")
    tell(f"cursors: {await _hand_cursors(database, hot):,} taken over")
    secret = secret_of(hot).hex()

    def transaction(connection: Connection) -> None:
        put_fact(connection, SECRET, secret)
        put_fact(connection, HANDED, "1")

    await database.write(transaction)


async def _hand_answers(database: Database) -> int:
    done = last = 0
    while (end := await _end_of_page(database, last)) > last:
        done += await database.write(partial(_answers_between, last, end))
        last = end
    return done


async def _end_of_page(database: Database, last: int) -> int:
    """The conversation that ends a page after `last`; `last` itself where there is no more."""
    place = events.c.conversation, events.c.seq
    beyond = select(events.c.conversation).where(events.c.conversation > last)
    full = beyond.order_by(*place).offset(PAGE).limit(1)
    rest = beyond.order_by(*(column.desc() for column in place)).limit(1)
    found: int | None = await database.read(lambda connection: connection.scalar(full))
    if found is None:
        found = await database.read(lambda connection: connection.scalar(rest))
    return last if found is None else found


def _answers_between(after: int, end: int, connection: Connection) -> int:
    number = events.c.conversation
    sent = select(events.c.session, events.c.n, number, events.c.seq).where(
        number > after, number <= end, events.c.session != NO_SESSION
    )
    new = insert(answers).prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite")
    return connection.execute(new.from_select(["session", "n", "conversation", "seq"], sent)).rowcount


async def _hand_cursors(database: Database, hot: Hot) -> int:
    writer = BulkInsert(cursors, database.dialect, newer="delivered")
    done, start = 0, b"r"
    while True:
        page, start = cursor_page(hot, start, PAGE)
        if not page:
            return done
        rows = [(number, each.kind, int(each.actor), each.read, each.delivered) for number, each in page]
        await database.write(partial(_write, writer, rows))
        done += len(rows)


def _write(writer: BulkInsert, rows: list[Row], connection: Connection) -> None:
    writer.run(connection, rows)

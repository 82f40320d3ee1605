"""The SQL database of an installation: one interface over SQLite and MySQL, and the writing of many rows.

Work is a function of a SQLAlchemy connection: the same functions run in a thread on SQLite (`sqlite.py`) and
in a greenlet on MySQL (`mysql.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Dialect, Insert, Table, UniqueConstraint, func
from sqlalchemy.dialects import mysql, sqlite

T = TypeVar("T")
Row = tuple[Any, ...]


class Database(Protocol):
    """A database of the present schema.

    `write` runs one transaction: on return all of it is durable; after an exception nothing is stored, except
    that `OutcomeUnknown` means what it says. `read` runs queries that see what was committed. Both may run
    the function again from its beginning, so it must not change anything but the database. They raise
    `StorageUnavailable` while the database can't be reached.
    """

    @property
    def dialect(self) -> Dialect: ...
    async def write(self, transaction: Callable[[Connection], T]) -> T: ...
    async def read(self, query: Callable[[Connection], T]) -> T: ...
    async def close(self) -> None: ...


class BulkInsert:
    """Writes many rows with few statements.

    With `newer`, a row whose primary key is taken replaces the old one where its column `newer` is not
    lower; with `replace`, always; else the statement fails with `IntegrityError` and inserts nothing.
    """

    ROWS = 1_000
    """Rows of a statement on SQLite. It binds at most 32,766 values; binding holds the interpreter's lock."""

    MYSQL_ROWS = 100
    """Rows of a statement on MySQL. Its text is made on the event loop."""

    MYSQL_BYTES = 1 << 20
    """Bytes of values of a statement on MySQL; its text has twice as many, see `_literal`."""

    def __init__(self, table: Table, dialect: Dialect, *, replace: bool = False, newer: str = "") -> None:
        self._on_mysql = dialect.name == "mysql"
        make = _mysql_insert if self._on_mysql else _sqlite_insert
        statement = make(table, replace=replace, newer=newer)
        mark = "%s" if self._on_mysql else "?"
        self._row = f"({', '.join([mark] * len(table.columns))})"
        self._before, _, self._after = str(statement.compile(dialect=dialect)).partition(self._row)

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Insert rows that hold every column, in the table's order."""
        for part in self._parts(rows):
            if self._on_mysql:
                connection.exec_driver_sql(self._before + ", ".join(map(_literals, part)) + self._after)
            else:
                text = self._before + ", ".join([self._row] * len(part)) + self._after
                connection.exec_driver_sql(text, tuple(chain.from_iterable(part)))

    def _parts(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        if self._on_mysql:
            return _within(rows, self.MYSQL_ROWS, self.MYSQL_BYTES)
        return (rows[start : start + self.ROWS] for start in range(0, len(rows), self.ROWS))


def _literals(row: Row) -> str:
    return f"({', '.join(map(_literal, row))})"


def _literal(value: Any) -> str:
    """A value as MySQL reads it. In hex nothing needs escaping, which costs a driver more than all else."""
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return f"_utf8mb4 X'{value.encode().hex()}'"


def _within(rows: Sequence[Row], most: int, most_bytes: int) -> Iterator[Sequence[Row]]:
    """Cut rows into parts of at most `most` rows and, unless one row alone has more, `most_bytes`."""
    start, size = 0, 0
    for number, row in enumerate(rows):
        length = sum(len(value) if isinstance(value, (str, bytes)) else 8 for value in row)
        if number > start and (number - start == most or size + length > most_bytes):
            yield rows[start:number]
            start, size = number, 0
        size += length
    if rows:
        yield rows[start:]


def _sqlite_insert(table: Table, *, replace: bool, newer: str) -> Insert:
    names = table.columns.keys()
    statement = sqlite.insert(table).values(dict.fromkeys(names))
    if not replace and not newer:
        return statement
    given = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: given[name] for name in names},
        where=given[newer] >= table.c[newer] if newer else None,
    )


def _mysql_insert(table: Table, *, replace: bool, newer: str) -> Insert:
    names = table.columns.keys()
    statement = mysql.insert(table).values(dict.fromkeys(names))
    if not replace and not newer:
        return statement
    if any(isinstance(each, UniqueConstraint) for each in table.constraints):
        # ON DUPLICATE KEY looks at every unique key: it would write over another row, and say nothing.
        raise ValueError(f"{table.name} has unique keys beside its primary key")
    given, key = statement.inserted, set(table.primary_key.columns.keys())
    changed = [name for name in names if name not in key]
    if not newer:
        return statement.on_duplicate_key_update([(name, given[name]) for name in changed])
    # Assignments take effect from left to right, so the column that decides comes last.
    changed = [name for name in changed if name != newer] + [newer]
    is_newer = given[newer] >= table.c[newer]
    return statement.on_duplicate_key_update(
        [(name, func.if_(is_newer, given[name], table.c[name])) for name in changed]
    )

"""What is said to MySQL without a server: its address, and the text of statements."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Dialect
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateIndex, CreateTable

from tests.support.door import make_certificate
from unique_cs.errors import SettingsError
from unique_cs.storage import schema
from unique_cs.storage.migrate import FOLDER
from unique_cs.storage.mysql import PACKET
from unique_cs.storage.mysql_url import POOL, MySqlUrl
from unique_cs.storage.sql import BulkInsert


def server(version: tuple[int, ...], *, mariadb: bool = False) -> Dialect:
    """The dialect as it is after it met a server."""
    dialect: Any = mysql.dialect(paramstyle="format")
    dialect.server_version_info = version
    dialect.is_mariadb = mariadb
    dialect._requires_alias_for_on_duplicate_key = not mariadb and version >= (8, 0, 20)
    return dialect  # type: ignore[no-any-return]


MYSQL_8 = server((8, 4, 0))
TIDB = server((8, 0, 11))
MARIADB = server((10, 11, 19), mariadb=True)


class Recorded:
    """A connection that keeps statements."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def exec_driver_sql(self, text: str) -> None:
        self.statements.append(text)


def run(insert: BulkInsert, rows: list[tuple[Any, ...]]) -> list[str]:
    recorded: Any = Recorded()
    insert.run(recorded, rows)
    return recorded.statements  # type: ignore[no-any-return]


def test_an_address() -> None:
    url = MySqlUrl.parse("mysql://ann:p%40ss%2F@db.example:3307/chat?pool=20")
    assert url.address.render_as_string(hide_password=False).startswith(
        "mysql+asyncmy://ann:p%40ss%2F@db.exa"
    )
    assert (url.address.password, url.address.port, url.address.database) == ("p@ss/", 3307, "chat")
    assert (url.pool, url.tls, dict(url.address.query)) == (20, None, {})
    plain = MySqlUrl.parse("mariadb://ann@db.example/chat")
    assert (plain.address.port, plain.pool) == (3306, POOL)


@pytest.mark.parametrize(
    "address",
    [
        "chat",
        "mysql://ann:secret@/chat",
        "mysql://ann:secret@host",
        "mysql://ann:secret@host:port/chat",
        "mysql://ann:two@secret@host/chat",
        "postgresql://ann:secret@host/chat",
        "mysql+pymysql://ann:secret@host/chat",
        "mysql://ann:secret@host/chat?charset=latin1",
        "mysql://ann:secret@host/chat?pool=0",
        "mysql://ann:secret@host/chat?pool=many",
        "mysql://ann:secret@host/chat?ssl=off",
        "mysql://ann:secret@host/chat?ssl_ca=/nowhere/ca.pem",
    ],
)
def test_an_address_that_will_not_do_is_refused_and_its_password_not_repeated(address: str) -> None:
    with pytest.raises(SettingsError) as raised:
        MySqlUrl.parse(address)
    assert "secret" not in raised.value.message


def test_tls_checks_the_server(tmp_path: Path) -> None:
    authority = make_certificate(tmp_path / "ca.pem")
    for options in ("ssl=on", f"ssl_ca={authority}", f"ssl_ca={authority}&ssl_cert={authority}"):
        tls = MySqlUrl.parse(f"mysql://ann@host/chat?{options}").tls
        assert tls is not None
        assert tls.check_hostname


@pytest.mark.parametrize(("dialect", "given"), [(MYSQL_8, "new."), (TIDB, "VALUES("), (MARIADB, "VALUES(")])
def test_the_column_that_decides_is_assigned_last(dialect: Dialect, given: str) -> None:
    insert = BulkInsert(schema.conversations, dialect, newer="seq")
    (text,) = run(insert, [tuple(range(11)), tuple(range(11))])
    head, _, update = text.partition("ON DUPLICATE KEY UPDATE")
    assert head.count("(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)") == 2
    assert given in update
    assert update.rpartition("seq = ")[0].count(" = if(") == 9
    assert " id = " not in update


def test_a_table_with_other_unique_keys_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="unique keys"):
        BulkInsert(schema.agents, MARIADB, replace=True)
    assert "ON DUPLICATE" not in run(BulkInsert(schema.agents, MARIADB), [(1,) * 6])[0]


def test_values_are_said_in_a_way_that_holds_no_quotes() -> None:
    (text,) = run(BulkInsert(schema.agents, MARIADB), [(-1, "a'b\\", b"'\0", "你", "%s", True)])
    assert text.endswith("(-1, _utf8mb4 X'6127625c', X'2700', _utf8mb4 X'e4bda0', _utf8mb4 X'2573', 1)")


def test_statements_stay_below_what_a_server_takes() -> None:
    insert = BulkInsert(schema.relay, MARIADB)
    found = run(insert, [(1, 2)] * (2 * insert.MYSQL_ROWS + 1))
    assert [text.count("(1, 2)") for text in found] == [insert.MYSQL_ROWS, insert.MYSQL_ROWS, 1]
    large = (1, b"x" * (insert.MYSQL_BYTES // 3))
    found = run(insert, [large, large, large, (1, b"x" * 1_900_000), large])
    assert [text.count("(1, X'") for text in found] == [2, 1, 1, 1]
    assert max(map(len, found)) < PACKET
    assert run(insert, []) == []


@pytest.mark.parametrize("dialect", [MYSQL_8, TIDB, MARIADB])
def test_every_table_and_index_can_be_said(dialect: Dialect) -> None:
    for table in schema.metadata.tables.values():
        text = str(CreateTable(table).compile(dialect=dialect))
        assert "utf8mb4_0900_bin" in text
        assert "ENGINE=InnoDB" in text
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect)).startswith("CREATE INDEX")


class NothingThere:
    """Where a migration looks: a database of one dialect that is empty. It has no server."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def has_table(self, _: str) -> bool:
        return False

    def get_indexes(self, _: str) -> list[Any]:
        return []

    def execute(self, _: object) -> "NothingThere":
        return self

    def first(self) -> None:
        return None


def said_by_migrations(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The statements that make the schema, one revision after the other."""
    text = StringIO()
    options = {"as_sql": True, "output_buffer": text}
    context = MigrationContext.configure(dialect=dialect, opts=options)
    nothing = NothingThere(dialect)
    with monkeypatch.context() as patch, Operations.context(context):
        patch.setattr("alembic.op.get_bind", lambda: nothing)
        patch.setattr("sqlalchemy.inspect", lambda _: nothing)
        for script in reversed(list(ScriptDirectory(str(FOLDER)).walk_revisions())):
            script.module.upgrade()
    return {" ".join(each.split()) for each in text.getvalue().split(";") if each.strip()}


@pytest.mark.parametrize("dialect", [MYSQL_8, TIDB])
def test_migrations_say_what_the_schema_says(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = schema.metadata.tables.values()
    wanted = {str(CreateTable(each).compile(dialect=dialect)) for each in tables}
    wanted |= {str(CreateIndex(index).compile(dialect=dialect)) for each in tables for index in each.indexes}
    assert said_by_migrations(dialect, monkeypatch) == {" ".join(each.split()) for each in wanted}

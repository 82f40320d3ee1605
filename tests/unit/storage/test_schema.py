"""The schema and its migrations."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from unique_cs.storage.migrate import FOLDER, migrate, revision_of
from unique_cs.storage.schema import HEAD, metadata
from unique_cs.storage.sqlite import SqliteDatabase


def test_head_is_the_newest_revision_and_there_is_one_line_of_them() -> None:
    scripts = ScriptDirectory(str(FOLDER))
    assert scripts.get_heads() == [HEAD]


def test_the_migrations_make_the_schema() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        migrate(connection)
        assert revision_of(connection) == HEAD
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


async def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "archive.sqlite"

    def fail(*_: object) -> None:
        raise OSError("power failure")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.operations.Operations.create_index", fail)
        with pytest.raises(OSError, match="power failure"):
            await SqliteDatabase.open(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    await (await SqliteDatabase.open(path)).close()


def test_the_schema_suits_mysql() -> None:
    dialect = mysql.dialect()
    tables = metadata.tables.values()
    made = {table.name: str(CreateTable(table).compile(dialect=dialect)) for table in tables}
    assert all("utf8mb4" in text for text in made.values())
    assert "frame MEDIUMBLOB" in made["events"]
    assert "PRIMARY KEY (conversation, seq)" in made["events"]
    assert "AUTO_INCREMENT" not in "".join(made.values())
    # InnoDB indexes at most 3,072 bytes: four for a character, eight for a number.
    for index in (index for table in tables for index in table.indexes):
        assert sum(4 * (getattr(column.type, "length", None) or 2) for column in index.columns) <= 3_072


def test_opening_a_current_database_does_not_import_alembic(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from unique_cs.storage.sqlite import SqliteDatabase\n"
        "async def main(): await (await SqliteDatabase.open(Path(sys.argv[1]))).close()\n"
        "asyncio.run(main()); print('alembic' in sys.modules)"
    )
    path = str(tmp_path / "archive.sqlite")
    runs = [
        subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [run.stdout.strip() for run in runs] == ["True", "False"]

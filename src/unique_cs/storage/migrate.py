"""Bring a database to the schema of this version, forward only, while nodes of other versions run.

The rule that makes this safe stands in `migrations/__init__.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from unique_cs.errors import SettingsError, StorageUnavailable
from unique_cs.storage.schema import HEAD, metadata

FOLDER = Path(__file__).parent / "migrations"

LOCK_S: Final = 600
"""How long a node waits for another that migrates."""

# A lock is the server's, for all its databases; its name may have 64 characters.
_LOCK: Final = "CONCAT('unique-cs:', MD5(DATABASE()))"


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing; commit is the caller's.

    Alembic is imported only where there is something to do: a start has no time for it. On MySQL, where each
    change of a table commits by itself, one node migrates and the others wait. Raises `SettingsError` where
    the schema is so new that this version can't work with it.
    """
    if _is_current(connection):
        return
    with _alone(connection):
        if not _is_current(connection):
            _upgrade(connection)


def revision_of(connection: Connection) -> str:
    """The revision that the database is at; empty for a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found or ""


def _is_current(connection: Connection) -> bool:
    revision = revision_of(connection)
    if revision > HEAD:
        _check_oldest(connection)
    return revision >= HEAD


def _check_oldest(connection: Connection) -> None:
    query = text("SELECT value FROM installation WHERE name = 'oldest_revision'")
    oldest: str | None = connection.execute(query).scalar()
    if oldest is not None and oldest > HEAD:
        raise SettingsError("the database was migrated by a newer version, which this one can't work with")


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    if connection.dialect.name != "mysql":
        # The caller's transaction is the only one that writes.
        yield
        return
    got = connection.execute(text(f"SELECT GET_LOCK({_LOCK}, {LOCK_S})")).scalar()
    if got != 1:
        raise StorageUnavailable("another node has been migrating the database for long")
    # What the one before committed is seen by a new transaction only.
    connection.commit()
    try:
        yield
        connection.commit()
    finally:
        connection.execute(text(f"SELECT RELEASE_LOCK({_LOCK})"))


def _upgrade(connection: Connection) -> None:
    from alembic.config import Config  # noqa: PLC0415 - 0.3 s that most starts need not spend
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory(str(FOLDER))
    environment = EnvironmentContext(
        Config(),
        scripts,
        fn=lambda revision, _: scripts._upgrade_revs(HEAD, revision),  # noqa: SLF001 - as its own `upgrade` command
    )
    with environment:
        environment.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        environment.run_migrations()

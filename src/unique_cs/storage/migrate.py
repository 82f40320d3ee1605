"""Bring a database to the schema of this version, forward only."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from unique_cs.storage.schema import HEAD, metadata

FOLDER = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing; commit is the caller's.

    Alembic is imported only where there is something to do: a start has no time for it.
    """
    if revision_of(connection) != HEAD:
        _upgrade(connection)


def revision_of(connection: Connection) -> str:
    """The revision that the database is at; empty for a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found or ""


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

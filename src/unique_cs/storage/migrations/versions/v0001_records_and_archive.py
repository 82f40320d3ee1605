"""Make the records and the archive."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_FRAME = sa.LargeBinary(2**24 - 1)


def upgrade() -> None:
    """Make every table and index."""
    _records()
    _people()
    _archive()


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(name, *parts, mysql_charset="utf8mb4", mariadb_charset="utf8mb4")


def _column(name: str, kind: sa.types.TypeEngine[Any] = _BIG) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, autoincrement=False)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _unique(table: str, column: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(column, name=f"uq_{table}_{column}")


def _index(table: str, *columns: str) -> None:
    op.create_index("_".join(("ix", table, *columns)), table, list(columns))


def _records() -> None:
    _table(
        "inboxes",
        _column("id"),
        _column("name", sa.String(300)),
        _column("key", sa.String(64)),
        _column("identity_secret", sa.Text()),
        _column("identity_algorithm", sa.String(16)),
        _column("allowed_origins", sa.Text()),
        _key("inboxes", "id"),
        _unique("inboxes", "key"),
    )
    _table(
        "agents",
        _column("id"),
        _column("email", sa.String(320)),
        _column("name", sa.String(300)),
        _column("role", sa.String(16)),
        _column("password", sa.String(300)),
        _column("disabled", sa.Boolean()),
        _key("agents", "id"),
        _unique("agents", "email"),
    )
    _table(
        "installation",
        _column("name", sa.String(64)),
        _column("value", sa.Text()),
        _key("installation", "name"),
    )


def _people() -> None:
    _table(
        "logins",
        _column("id"),
        _column("agent"),
        _column("token_hash", sa.String(64)),
        _column("created_at"),
        _column("last_seen_at"),
        _column("user_agent", sa.String(300)),
        _column("ip", sa.String(64)),
        _key("logins", "id"),
        _unique("logins", "token_hash"),
    )
    _index("logins", "agent")
    _table(
        "contacts",
        _column("id"),
        _column("inbox"),
        _column("name", sa.String(300)),
        _column("email", sa.String(320)),
        _column("identifier", sa.String(300)),
        _column("attributes", sa.Text()),
        _column("visit", sa.Text()),
        _column("blocked", sa.Boolean()),
        _column("created_at"),
        _key("contacts", "id"),
    )
    _index("contacts", "inbox", "identifier")


def _archive() -> None:
    _table(
        "conversations",
        *(_column(name) for name in ("id", "inbox", "contact")),
        _column("contact_name", sa.String(300)),
        _column("status", sa.String(16)),
        *(_column(name) for name in ("assignee", "waiting_since", "created_at", "updated_at", "seq")),
        _column("last_text", sa.String(300)),
        _key("conversations", "id"),
    )
    _index("conversations", "updated_at")
    _index("conversations", "contact", "updated_at")
    _index("conversations", "assignee", "status", "updated_at")
    _table(
        "events",
        *(_column(name) for name in ("conversation", "seq", "id", "time")),
        _column("name", sa.String(64)),
        _column("visibility", sa.SmallInteger()),
        _column("session", sa.LargeBinary(16)),
        _column("n"),
        _column("frame", _FRAME),
        _key("events", "conversation", "seq"),
    )
    _table("relay", _column("id"), _column("position"), _key("relay", "id"))

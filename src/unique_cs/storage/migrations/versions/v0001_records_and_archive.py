"""Make the records and the archive."""

import sqlalchemy as sa

from unique_cs.storage.migrations.steps import FRAME, KEY16, TEXT, column, index, key, table, unique

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table and index."""
    _records()
    _people()
    _archive()


def _records() -> None:
    table(
        "inboxes",
        column("id"),
        column("name", sa.String(300)),
        column("key", sa.String(64)),
        column("identity_secret", TEXT),
        column("identity_algorithm", sa.String(16)),
        column("allowed_origins", TEXT),
        key("inboxes", "id"),
        unique("inboxes", "key"),
    )
    table(
        "agents",
        column("id"),
        column("email", sa.String(320)),
        column("name", sa.String(300)),
        column("role", sa.String(16)),
        column("password", sa.String(300)),
        column("disabled", sa.Boolean()),
        key("agents", "id"),
        unique("agents", "email"),
    )
    table(
        "installation",
        column("name", sa.String(64)),
        column("value", TEXT),
        key("installation", "name"),
    )


def _people() -> None:
    table(
        "logins",
        column("id"),
        column("agent"),
        column("token_hash", sa.String(64)),
        column("created_at"),
        column("last_seen_at"),
        column("user_agent", sa.String(300)),
        column("ip", sa.String(64)),
        key("logins", "id"),
        unique("logins", "token_hash"),
    )
    index("logins", "agent")
    table(
        "contacts",
        column("id"),
        column("inbox"),
        column("name", sa.String(300)),
        column("email", sa.String(320)),
        column("identifier", sa.String(300)),
        column("attributes", TEXT),
        column("visit", TEXT),
        column("blocked", sa.Boolean()),
        column("created_at"),
        key("contacts", "id"),
    )
    index("contacts", "inbox", "identifier")


def _archive() -> None:
    table(
        "conversations",
        *(column(name) for name in ("id", "inbox", "contact")),
        column("contact_name", sa.String(300)),
        column("status", sa.String(16)),
        *(column(name) for name in ("assignee", "waiting_since", "created_at", "updated_at", "seq")),
        column("last_text", sa.String(300)),
        key("conversations", "id"),
    )
    index("conversations", "updated_at")
    index("conversations", "contact", "updated_at")
    index("conversations", "assignee", "status", "updated_at")
    table(
        "events",
        *(column(name) for name in ("conversation", "seq", "id", "time")),
        column("name", sa.String(64)),
        column("visibility", sa.SmallInteger()),
        column("session", KEY16),
        column("n"),
        column("frame", FRAME),
        key("events", "conversation", "seq"),
    )
    table("relay", column("id"), column("position"), key("relay", "id"))

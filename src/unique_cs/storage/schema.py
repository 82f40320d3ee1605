"""The tables of the cold tier and of the records: one schema for SQLite, MySQL and MariaDB.

Ids are made by the program, times are integer milliseconds. A change here needs a migration in `migrations/`.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

HEAD: Final = "0005"
"""The revision of `migrations/` that makes this schema."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite makes a primary key the row's own id only where its type is exactly INTEGER.
Big: Final[TypeEngine[int]] = BigInteger().with_variant(Integer(), "sqlite")
# MySQL's plain types end at 64 KiB, and a frame may be longer.
Frame: Final = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")
Long: Final = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
Key16: Final = LargeBinary(16).with_variant(mysql.VARBINARY(16), "mysql")
# Text is compared byte by byte, trailing blanks included, as SQLite does.
_MYSQL: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_0900_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
}


def _id() -> Column[int]:
    return Column("id", Big, primary_key=True, autoincrement=False)


def _required(name: str, kind: TypeEngine[Any]) -> Column[Any]:
    return Column(name, kind, nullable=False)


inboxes = Table(
    "inboxes",
    metadata,
    _id(),
    _required("name", String(300)),
    _required("key", String(64)),
    _required("identity_secret", Long),
    _required("identity_algorithm", String(16)),
    _required("allowed_origins", Long),
    UniqueConstraint("key"),
    **_MYSQL,
)

agents = Table(
    "agents",
    metadata,
    _id(),
    _required("email", String(320)),
    _required("name", String(300)),
    _required("role", String(16)),
    _required("password", String(300)),
    _required("disabled", Boolean()),
    UniqueConstraint("email"),
    **_MYSQL,
)

logins = Table(
    "logins",
    metadata,
    _id(),
    _required("agent", Big),
    _required("token_hash", String(64)),
    _required("created_at", Big),
    _required("last_seen_at", Big),
    _required("user_agent", String(300)),
    _required("ip", String(64)),
    UniqueConstraint("token_hash"),
    Index(None, "agent"),
    **_MYSQL,
)

contacts = Table(
    "contacts",
    metadata,
    _id(),
    _required("inbox", Big),
    _required("name", String(300)),
    _required("email", String(320)),
    _required("identifier", String(300)),
    _required("attributes", Long),
    _required("visit", Long),
    _required("blocked", Boolean()),
    _required("created_at", Big),
    Index(None, "inbox", "identifier"),
    **_MYSQL,
)

# An index ends with the primary key, so those on `updated_at` serve (updated_at, id).
conversations = Table(
    "conversations",
    metadata,
    _id(),
    _required("inbox", Big),
    _required("contact", Big),
    _required("contact_name", String(300)),
    _required("status", String(16)),
    _required("assignee", Big),
    _required("waiting_since", Big),
    _required("created_at", Big),
    _required("updated_at", Big),
    _required("seq", Big),
    _required("last_text", String(300)),
    Index(None, "updated_at"),
    Index(None, "contact", "updated_at"),
    Index(None, "assignee", "status", "updated_at"),
    **_MYSQL,
)

# SQLite keeps these in the order of arrival, with an index for the key: a third of the work of a table that
# is ordered by the key, since hundreds of conversations are written to at once.
events = Table(
    "events",
    metadata,
    Column("conversation", Big, nullable=False, autoincrement=False),
    Column("seq", Big, nullable=False, autoincrement=False),
    _required("id", Big),
    _required("time", Big),
    _required("name", String(64)),
    _required("visibility", SmallInteger()),
    _required("session", Key16),
    _required("n", Big),
    _required("frame", Frame),
    PrimaryKeyConstraint("conversation", "seq"),
    **_MYSQL,
)

# Only a cluster writes these two: an embedded installation has them in its hot tier.
answers = Table(
    "answers",
    metadata,
    Column("session", Key16, nullable=False),
    Column("n", Big, nullable=False, autoincrement=False),
    _required("conversation", Big),
    _required("seq", Big),
    PrimaryKeyConstraint("session", "n"),
    **_MYSQL,
)

cursors = Table(
    "cursors",
    metadata,
    Column("conversation", Big, nullable=False, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("actor", Big, nullable=False, autoincrement=False),
    _required("seen", Big),
    _required("delivered", Big),
    PrimaryKeyConstraint("conversation", "kind", "actor"),
    **_MYSQL,
)

relay = Table(
    "relay",
    metadata,
    _id(),
    _required("position", Big),
    **_MYSQL,
)

# In the order of (place, n): place is the relay's where it wrote the row, and 0 goes first. `parked` is when
# it was given up, or 0.
outbox = Table(
    "outbox",
    metadata,
    Column("place", Big, nullable=False, autoincrement=False),
    Column("n", Big, nullable=False, autoincrement=False),
    _required("id", String(64)),
    _required("name", String(64)),
    _required("time", Big),
    _required("body", Frame),
    _required("attempts", Big),
    _required("parked", Big),
    PrimaryKeyConstraint("place", "n"),
    Index(None, "parked", "place", "n"),
    **_MYSQL,
)

# The snoozed conversations that come back by themselves, and which event said so.
snoozes = Table(
    "snoozes",
    metadata,
    Column("conversation", Big, primary_key=True, autoincrement=False),
    _required("seq", Big),
    _required("due", Big),
    Index(None, "due"),
    **_MYSQL,
)

installation = Table(
    "installation",
    metadata,
    Column("name", String(64), primary_key=True),
    _required("value", Long),
    **_MYSQL,
)

"""What revisions are made of. Each makes only what is missing, since MySQL keeps a half of a revision."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
FRAME = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")
KEY16 = sa.LargeBinary(16).with_variant(mysql.VARBINARY(16), "mysql")


def table(name: str, *parts: sa.schema.SchemaItem) -> None:
    """Make a table. Text is compared byte by byte, trailing blanks included, as SQLite does."""
    if sa.inspect(op.get_bind()).has_table(name):
        return
    is_mariadb = getattr(op.get_bind().dialect, "is_mariadb", False)
    collate = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
    op.create_table(name, *parts, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate=collate)


def column(name: str, kind: sa.types.TypeEngine[Any] = BIG) -> sa.Column[Any]:
    """A column that has to be given."""
    return sa.Column(name, kind, nullable=False, autoincrement=False)


def key(table_name: str, *columns: str) -> sa.PrimaryKeyConstraint:
    """The primary key."""
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table_name}")


def unique(table_name: str, column_name: str) -> sa.UniqueConstraint:
    """A unique column."""
    return sa.UniqueConstraint(column_name, name=f"uq_{table_name}_{column_name}")


def index(table_name: str, *columns: str) -> None:
    """Make an index."""
    name = "_".join(("ix", table_name, *columns))
    if name not in {each["name"] for each in sa.inspect(op.get_bind()).get_indexes(table_name)}:
        op.create_index(name, table_name, list(columns))


def fact(name: str, value: str) -> None:
    """Store a fact of the installation unless it is there."""
    facts = sa.table("installation", sa.column("name", sa.String), sa.column("value", sa.Text))
    there = sa.select(facts.c.name).where(facts.c.name == name)
    if op.get_bind().execute(there).first() is None:
        op.get_bind().execute(facts.insert().values(name=name, value=value))

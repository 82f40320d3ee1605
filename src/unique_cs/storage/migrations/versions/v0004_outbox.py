"""Keep what is to be told to a webhook, written with what it tells of."""

import sqlalchemy as sa

from unique_cs.storage.migrations.steps import FRAME, column, index, key, table

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table; nodes that don't know it tell nobody."""
    table(
        "outbox",
        column("place"),
        column("n"),
        column("id", sa.String(64)),
        column("name", sa.String(64)),
        column("time"),
        column("body", FRAME),
        column("attempts"),
        column("parked"),
        key("outbox", "place", "n"),
    )
    index("outbox", "parked", "place", "n")

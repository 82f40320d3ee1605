"""Keep what a cluster must know again after its Redis was lost: answers to sends, and cursors."""

import sqlalchemy as sa

from unique_cs.storage.migrations.steps import KEY16, column, key, table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the tables; nodes that don't know them go on without."""
    table(
        "answers",
        column("session", KEY16),
        *(column(name) for name in ("n", "conversation", "seq")),
        key("answers", "session", "n"),
    )
    table(
        "cursors",
        column("conversation"),
        column("kind", sa.String(16)),
        *(column(name) for name in ("actor", "seen", "delivered")),
        key("cursors", "conversation", "kind", "actor"),
    )

"""Keep when snoozed conversations come back."""

from unique_cs.storage.migrations.steps import column, index, key, table

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table; nodes that don't know it wake nobody."""
    table(
        "snoozes",
        *(column(name) for name in ("conversation", "seq", "due")),
        key("snoozes", "conversation"),
    )
    index("snoozes", "due")

"""Make the row that is locked while an agent is added: e-mails are unique without regard to case."""

from unique_cs.storage.migrations.steps import fact

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the row."""
    fact("agents", "")

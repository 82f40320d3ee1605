"""What owners and administrators do with inboxes."""

from msgspec.structs import replace

from unique_cs.actions.agents import require_administrator
from unique_cs.domain.people import Inbox
from unique_cs.domain.permission import Principal
from unique_cs.errors import not_found
from unique_cs.ports import Records


async def change(
    records: Records, principal: Principal, inbox_id: int, name: str | None, allowed_origins: list[str] | None
) -> Inbox:
    """Rename an inbox, or say which sites may use it; None leaves it. Durable on return."""
    require_administrator(principal)

    def changed(inbox: Inbox) -> Inbox:
        origins = inbox.allowed_origins if allowed_origins is None else allowed_origins
        return replace(inbox, name=inbox.name if name is None else name, allowed_origins=origins)

    found = await records.change_inbox(inbox_id, changed)
    if found is None:
        raise not_found()
    return found

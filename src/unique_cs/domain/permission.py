"""Who is asking, and what an actor of that kind may do with a conversation."""

from msgspec import Struct

from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import Actor


class Principal(Struct, frozen=True, gc=False):
    """An authenticated actor. `role` and `login` (the id of the login) are an agent's."""

    kind: str
    id: int
    actor: Actor
    role: str = ""
    login: int = 0

    @property
    def is_contact(self) -> bool:
        """Contacts see their own conversations only, and no notes."""
        return self.kind == "contact"


def may_see(principal: Principal, conversation: Conversation) -> bool:
    """A contact sees what it opened; agents serve every inbox of the account."""
    return principal.kind != "contact" or conversation.contact.id == principal.actor.id


def may_administer(principal: Principal) -> bool:
    """Owners and administrators see other agents' data and change settings."""
    return principal.role in ("owner", "admin")

"""What REST shows: typed views, and how they are made from the ports' structures."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from unique_cs.api.deps import Deps
from unique_cs.domain.conversation import Conversation, Cursor
from unique_cs.domain.events import MESSAGE_CREATED, Named, Visibility, reduce_for_contact
from unique_cs.domain.people import Agent, Contact, Inbox
from unique_cs.domain.permission import Principal
from unique_cs.domain.stored import Stored

Id = Annotated[str, Meta(pattern=r"^[0-9]{1,19}$", description="64-bit id in decimal digits")]
Time = Annotated[int, Meta(ge=0, description="Unix time in milliseconds")]
Place = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Status = Literal["open", "pending", "snoozed", "resolved"]

LOOK_BACK = 10
"""Events among which the last message is looked for first, and then ten times as many."""


class NamedView(Struct):
    """An id with its public name. A contact is not told the ids of agents."""

    name: str
    id: Id | UnsetType = UNSET


class VisitView(Struct):
    """Where and with what a contact was seen last; each may be empty."""

    url: str = ""
    title: str = ""
    referrer: str = ""
    user_agent: str = ""
    language: str = ""
    time_zone: str = ""


class ContactView(Struct):
    """A person as known. `verified` says that a signed identity token proved `identifier`."""

    id: Id
    name: str
    email: str
    identifier: str
    verified: bool
    blocked: bool
    attributes: dict[str, Any]
    created_at: Time
    visit: VisitView | None


class AgentView(Struct):
    """Staff who answers."""

    id: Id
    name: str
    email: str
    role: str
    disabled: bool


class InboxView(Struct):
    """Where conversations arrive; `key` is public."""

    id: Id
    name: str
    key: str


class InboxSecretsView(Struct):
    """An inbox with what signs its identity tokens."""

    id: Id
    name: str
    key: str
    identity_algorithm: str
    identity_secret: str
    allowed_origins: list[str]


class ActorView(Struct):
    """Who acts."""

    kind: Literal["contact", "agent", "bot", "system"]
    id: Id


class CursorView(Struct):
    """How far a participant is."""

    actor: ActorView
    read: Place
    delivered: Place


class EventActor(Struct):
    """Who issued the command."""

    kind: Literal["contact", "agent", "bot", "system"]
    id: Id
    name: str


class EventView(Struct, tag="event", tag_field="type"):
    """A durable event, exactly as on the wire; `data` belongs to `name`."""

    name: str
    conversation: Id
    seq: Place
    id: Id
    time: Time
    actor: EventActor
    data: dict[str, Any]


class EventPage(Struct):
    """Events, oldest first; `more` says that there are others beyond the page."""

    epoch: str
    events: list[EventView]
    more: bool


class ConversationView(Struct):
    """A conversation as the caller sees it; `read` and `delivered` are the caller's own cursors."""

    id: Id
    inbox: NamedView
    contact: ContactView
    status: Status
    assignee: NamedView | None
    labels: list[str]
    epoch: str
    seq: Place
    read: Place
    delivered: Place
    cursors: list[CursorView]
    created_at: Time
    updated_at: Time
    waiting_since: Time | None
    last_message: Raw | None


def view_agent(agent: Agent) -> AgentView:
    """Show an agent."""
    return AgentView(str(agent.id), agent.name, agent.email, agent.role, agent.disabled)


def view_inbox(inbox: Inbox) -> InboxView:
    """Show an inbox."""
    return InboxView(str(inbox.id), inbox.name, inbox.key)


def view_contact(contact: Contact) -> ContactView:
    """Show a contact."""
    return ContactView(
        str(contact.id),
        contact.name,
        contact.email,
        contact.identifier,
        bool(contact.identifier),
        contact.blocked,
        contact.attributes,
        contact.created_at,
        msgspec.convert(contact.visit, VisitView) if contact.visit else None,
    )


async def view_conversation(deps: Deps, principal: Principal, conversation: Conversation) -> ConversationView:
    """Show a conversation that the caller may see, as of now."""
    contact_id = int(conversation.contact.id)
    contact = await deps.contacts.contact(contact_id)
    inbox = deps.records.inbox(conversation.inbox)
    cursors = await deps.contacts.cursors(conversation)
    own = Cursor(principal.kind, str(principal.id))
    others = [each for each in cursors if not _is_of(each, principal)]
    own = next((each for each in cursors if _is_of(each, principal)), own)
    return ConversationView(
        id=conversation.wire_id,
        inbox=NamedView(inbox.name if inbox else "", str(conversation.inbox)),
        contact=view_contact(contact or Contact(contact_id, conversation.inbox, conversation.contact.name)),
        status=conversation.status,  # type: ignore[arg-type]  # one of the four by the rules
        assignee=_view_assignee(conversation.assignee, principal),
        labels=[] if principal.is_contact else list(conversation.labels),
        epoch=deps.timeline.epoch,
        seq=conversation.durable,
        read=own.read,
        delivered=own.delivered,
        cursors=[CursorView(ActorView(each.kind, each.actor), each.read, each.delivered) for each in others],  # type: ignore[arg-type]  # a kind of actor
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        waiting_since=conversation.waiting_since or None,
        last_message=await _last_message(deps, principal, conversation),
    )


def _is_of(cursor: Cursor, principal: Principal) -> bool:
    return cursor.kind == principal.kind and cursor.actor == str(principal.id)


def _view_assignee(assignee: Named | None, principal: Principal) -> NamedView | None:
    if assignee is None:
        return None
    return NamedView(assignee.name, UNSET if principal.is_contact else assignee.id)


async def _last_message(deps: Deps, principal: Principal, conversation: Conversation) -> Raw | None:
    mark = f'"name":"{MESSAGE_CREATED}"'.encode()
    for limit in (LOOK_BACK, 10 * LOOK_BACK):
        newest = await deps.timeline.events(conversation, 0, conversation.durable + 1, limit, True)
        for stored in reversed(newest):
            frame = frame_for(principal, stored)
            if frame is not None and mark in frame[:100]:
                return Raw(frame)
        if len(newest) < limit:
            break
    return None


def frame_for(principal: Principal, stored: Stored) -> bytes | None:
    """The event's JSON frame as the caller may see it, or None if it may not."""
    if not principal.is_contact or stored.visibility == Visibility.SAME:
        return stored.frame
    if stored.visibility == Visibility.HIDDEN:
        return None
    return msgspec.json.encode(reduce_for_contact(msgspec.json.decode(stored.frame)))

"""Contacts: their sessions, and what agents see of them."""

from typing import Annotated, Any

from litestar import Router, get, patch, post
from litestar.params import FromPath
from msgspec import Meta, Struct

from unique_cs.actions import contacts as use_cases
from unique_cs.actions.contacts import Visitor
from unique_cs.api.conversations import Conversations, Cursor, Limit, list_page
from unique_cs.api.deps import AnyRequest, Asking, Injected, Sent, bearer, strict
from unique_cs.api.views import ContactView, ConversationView, view_contact, view_conversation
from unique_cs.domain.events import Actor
from unique_cs.domain.ids import parse
from unique_cs.domain.people import Contact
from unique_cs.domain.permission import Principal
from unique_cs.domain.stored import ConversationQuery
from unique_cs.errors import not_found

Line = Annotated[str, Meta(max_length=300)]
Address = Annotated[str, Meta(max_length=2_048)]


class Profile(Struct):
    """What a page says of its visitor; `identifier` is taken only from an identity token."""

    identifier: Line | None = None
    name: Line | None = None
    email: Annotated[str, Meta(max_length=320)] | None = None
    attributes: dict[str, Any] | None = None


class Visit(Struct):
    """Where the visitor is."""

    url: Address = ""
    title: Line = ""
    referrer: Address = ""
    language: Line = ""
    time_zone: Line = ""


class SessionRequest(Struct):
    """A visitor of a site that embeds the inbox."""

    inbox: Annotated[str, Meta(max_length=64, description="The public key of the inbox")]
    contact: Profile | None = None
    identity_token: Annotated[str, Meta(max_length=4_096)] | None = None
    visit: Visit | None = None


class SessionAnswer(Struct):
    """The contact with its token, and its newest conversation that is not resolved."""

    token: str
    contact: ContactView
    conversation: ConversationView | None


class ContactChange(Struct):
    """What to change of a contact."""

    blocked: bool


@post("/contacts/session", operation_id="open_contact_session", status_code=200, security=[{}, {"token": []}])
async def open_session(data: Sent[SessionRequest], request: AnyRequest, deps: Injected) -> SessionAnswer:
    """Make a visitor a contact, or find the contact again.

    The token of an earlier session, as the bearer token, keeps the contact. An identity token (JWT) of the
    site decides whose contact it is. E-mail and identifier alone prove nothing.
    """
    deps.admit_visitor()
    visitor = _visitor(strict(SessionRequest, data), request.headers.get("user-agent", ""))
    opened = await use_cases.open_contact_session(deps.contact_ports, visitor, bearer(request))
    contact = opened.contact
    actor = Actor("contact", str(contact.id), contact.name)
    principal = Principal("contact", contact.id, actor)
    newest = opened.conversation
    shown = await view_conversation(deps, principal, newest) if newest else None
    return SessionAnswer(opened.token, view_contact(contact), shown)


def _visitor(data: SessionRequest, user_agent: str) -> Visitor:
    profile = data.contact or Profile()
    visit = data.visit or Visit()
    return Visitor(
        data.inbox,
        data.identity_token or "",
        (profile.name or "").strip(),
        (profile.email or "").strip(),
        profile.attributes or {},
        {
            "url": visit.url,
            "title": visit.title,
            "referrer": visit.referrer,
            "user_agent": user_agent[:300],
            "language": visit.language,
            "time_zone": visit.time_zone,
        },
    )


@get("/contacts/{contact_id:str}", operation_id="get_contact")
async def get_contact(contact_id: FromPath[str], principal: Asking, deps: Injected) -> ContactView:
    """Show a contact. A contact sees itself only."""
    return view_contact(await _contact(deps, principal, contact_id))


@patch("/contacts/{contact_id:str}", operation_id="change_contact")
async def change_contact(
    contact_id: FromPath[str], data: Sent[ContactChange], acting: Asking, deps: Injected
) -> ContactView:
    """Block a contact, which closes its connections, or let it in again. Agents only."""
    blocked = strict(ContactChange, data).blocked
    contact = await _contact(deps, acting, contact_id)
    changed = await use_cases.set_blocked(deps.contacts, contact, blocked)
    if changed.blocked:
        deps.hub.close_principal("contact", changed.id)
    return view_contact(changed)


@get("/contacts/{contact_id:str}/conversations", operation_id="list_contact_conversations")
async def list_of_contact(
    contact_id: FromPath[str], principal: Asking, deps: Injected, cursor: Cursor = "", limit: Limit = 50
) -> Conversations:
    """List a contact's conversations, newest activity first. A contact sees its own only."""
    contact = await _contact(deps, principal, contact_id)
    return await list_page(deps, principal, ConversationQuery(contact=contact.id, limit=limit), cursor)


async def _contact(deps: Injected, principal: Principal, wire_id: str) -> Contact:
    number = parse(wire_id)
    if principal.is_contact and number != principal.id:
        raise not_found()
    contact = await deps.contacts.contact(number) if number else None
    if contact is None:
        raise not_found()
    return contact


router = Router(
    "/api/v1",
    route_handlers=[open_session, get_contact, change_contact, list_of_contact],
    tags=["Contacts"],
)

"""Contacts: how a visitor becomes one, stays one, and is recognised as somebody whom the site knows."""

import asyncio
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from unique_cs.actions.identity import Identity, read_identity
from unique_cs.actions.tokens import ContactTokens
from unique_cs.domain.body import is_plain
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.people import Contact, Inbox
from unique_cs.errors import Code, UniqueCsError, invalid, not_found
from unique_cs.ports import Clock, Contacts, Records, Timeline

MAX_ATTRIBUTES: Final = 8_192
"""Bytes of a contact's attributes as JSON."""

MAX_TRIES: Final = 8
"""How often a contact is looked up again because another request has changed it meanwhile."""

MAX_VISIT: Final = 2_048
"""Characters of one field of a visit."""


class ContactPorts(Struct, frozen=True):
    """What `open_contact_session` needs. `ids` gives new ids."""

    records: Records
    contacts: Contacts
    timeline: Timeline
    tokens: ContactTokens
    clock: Clock
    ids: Callable[[], int]
    subjects: WeakValueDictionary[tuple[int, str], asyncio.Lock]
    """One lock for each subject that is being looked up: two first visits at once must make one contact."""


class Visitor(Struct, frozen=True):
    """What a visitor's page says of it. None of it is proved, except by `identity_token`."""

    inbox_key: str
    identity_token: str = ""
    name: str = ""
    email: str = ""
    attributes: dict[str, Any] = {}
    visit: dict[str, str] = {}


class ContactSession(Struct, frozen=True):
    """The contact with a new token, and its newest conversation that is not resolved."""

    token: str
    contact: Contact
    conversation: Conversation | None


async def open_contact_session(ports: ContactPorts, visitor: Visitor, held_token: str) -> ContactSession:
    """Return the contact that a visitor is; it is stored on return.

    With a valid identity token its subject decides: the subject's contact is returned; a new subject takes
    over the held contact if that is anonymous, else gets a new one. Without, the held contact stays, or a new
    anonymous one is made: an e-mail proves nothing. A held token that is no longer valid counts as none.

    Raises `not_found` (inbox), `unauthorized` (identity token), `forbidden` (blocked), `invalid`.
    """
    inbox = ports.records.inbox_by_key(visitor.inbox_key)
    if inbox is None:
        raise not_found("no inbox has this key")
    now = ports.clock.now_ms()
    identity = read_identity(inbox, visitor.identity_token, now) if visitor.identity_token else None
    if identity is None:
        contact = await _settle(ports, inbox, visitor, None, held_token)
    else:
        lock = ports.subjects.setdefault((inbox.id, identity.subject), asyncio.Lock())
        async with lock:
            contact = await _settle(ports, inbox, visitor, identity, held_token)
    conversation = await ports.timeline.newest_open(contact.id)
    return ContactSession(ports.tokens.issue(inbox.id, contact.id, now), contact, conversation)


async def _settle(
    ports: ContactPorts, inbox: Inbox, visitor: Visitor, identity: Identity | None, held_token: str
) -> Contact:
    for attempt in range(1, MAX_TRIES + 1):
        known = await _known(ports, inbox, identity, held_token)
        contact = known or Contact(ports.ids(), inbox.id, created_at=ports.clock.now_ms())
        updated = _updated(contact, visitor, identity)
        if updated == known:
            break
        try:
            await ports.contacts.save_contact(updated, known)
            break
        except UniqueCsError as error:
            # It became somebody else at the same moment, or its subject got a contact elsewhere.
            if error.code is not Code.CONFLICT or attempt == MAX_TRIES:
                raise
    return updated


async def _known(
    ports: ContactPorts, inbox: Inbox, identity: Identity | None, held_token: str
) -> Contact | None:
    held = await _held(ports, inbox, held_token)
    known = held
    if identity is not None:
        known = await ports.contacts.contact_by_identifier(inbox.id, identity.subject)
        if known is None and held is not None and not held.identifier:
            known = held
    for each in (held, known):
        if each is not None and each.blocked:
            raise UniqueCsError(Code.FORBIDDEN, "this contact is blocked")
    return known


async def _held(ports: ContactPorts, inbox: Inbox, token: str) -> Contact | None:
    claim = ports.tokens.read(token, ports.clock.now_ms())
    if claim is None or claim.inbox != inbox.id:
        return None
    return await ports.contacts.contact(claim.contact)


def _updated(contact: Contact, visitor: Visitor, identity: Identity | None) -> Contact:
    """The contact with what is said now; empty says nothing, and attributes are merged."""
    attributes = {**contact.attributes, **visitor.attributes}
    if not is_plain(attributes):
        raise invalid("attributes hold JSON values, integers of 64 bits, and not too deep")
    if len(msgspec.json.encode(attributes)) > MAX_ATTRIBUTES:
        raise invalid(f"attributes have at most {MAX_ATTRIBUTES} bytes")
    visit = {key: value[:MAX_VISIT] for key, value in visitor.visit.items() if value}
    # Who is known by a token is described by tokens: without one nobody renames a verified contact.
    mine = identity is not None or not contact.identifier
    return replace(
        contact,
        name=(identity and identity.name) or (mine and visitor.name) or contact.name,
        email=(identity and identity.email) or (mine and visitor.email) or contact.email,
        identifier=identity.subject if identity else contact.identifier,
        attributes=attributes,
        visit=visit or contact.visit,
    )


async def set_blocked(contacts: Contacts, contact: Contact, blocked: bool) -> Contact:
    """Block or unblock a contact; stored on return. Closing its connections is the caller's."""
    for _ in range(MAX_TRIES):
        updated = replace(contact, blocked=blocked)
        try:
            await contacts.save_contact(updated, contact)
        except UniqueCsError as error:
            if error.code is not Code.CONFLICT:
                raise
            contact = await contacts.contact(contact.id) or contact
        else:
            return updated
    raise UniqueCsError(Code.CONFLICT, "the contact keeps changing")

"""The items of a batch: what `lua/commit.lua` takes, kind by kind, in its order of fields."""

from collections.abc import Sequence
from typing import Final

import msgspec

from unique_cs.cluster.commit import Word
from unique_cs.cluster.keys import named
from unique_cs.domain import conversation as rules
from unique_cs.domain.conversation import Conversation, Cursor, Draft
from unique_cs.domain.events import MESSAGE_CREATED, Actor, Event, visibility
from unique_cs.domain.people import Contact
from unique_cs.domain.stored import Stored
from unique_cs.protocol.session import Session
from unique_cs.storage import rows

_encode = msgspec.json.Encoder().encode
_SEQ: Final = b'"seq":0,'


def is_plain(drafts: Sequence[Draft]) -> bool:
    """Only a message: it expects the last event that is none, everything else expects the head."""
    return len(drafts) == 1 and drafts[0].name == MESSAGE_CREATED


def append(
    conversation: Conversation,
    actor: Actor,
    drafts: Sequence[Draft],
    ids: Sequence[int],
    time: int,
    session: Session | None,
    c: int,
    n: int,
    origin: str,
) -> tuple[list[Word], Event]:
    """Events that one action makes; returned with the last of them, which has no place yet."""
    contact = conversation.contact.id
    if is_plain(drafts):
        expectation: list[Word] = ["state", conversation.state_seq]
        after: list[Word] = [b"", b""]
    else:
        expectation = ["head" if conversation.seq else "new", conversation.seq]
        after = list(_after(conversation, drafts, time))
    sender: list[Word] = [session.key.hex(), c, n] if session is not None else ["", 0, 0]
    words = ["append", conversation.id, contact, *expectation, *sender, origin, *after, len(drafts)]
    for draft, event_id in zip(drafts, ids, strict=True):
        event = Event(draft.name, conversation.wire_id, 0, str(event_id), time, actor, draft.data)
        last = event_id == ids[-1]
        words += _event(draft, event, session if last else None, n)
    return words, event


def _event(draft: Draft, event: Event, session: Session | None, n: int) -> tuple[Word, Word, Word]:
    # The script gives the place: it puts the number between the two halves of the row. Names and ids, which
    # come first, hold no quotes, so the first match is the field.
    before, _, after = _encode(event).partition(_SEQ)
    head = rows.event_row(
        visibility(draft.name, draft.data),
        session.key if session else rows.NO_SESSION,
        n if session else 0,
        before + b'"seq":',
    )
    return head, b"," + after, "0" if draft.name == MESSAGE_CREATED else "1"


def _after(conversation: Conversation, drafts: Sequence[Draft], time: int) -> tuple[bytes, bytes]:
    """State and index row of the conversation once the drafts are in their places."""
    later = copy(conversation)
    for name, data in drafts:
        rules.apply(later, name, data, time)
    return rows.state_row(later), listed(later)


def copy(conversation: Conversation) -> Conversation:
    """The same state, without listeners."""
    later = Conversation(conversation.id, conversation.inbox, conversation.contact)
    later.status, later.assignee, later.labels = (
        conversation.status,
        conversation.assignee,
        conversation.labels,
    )
    later.seq, later.state_seq = conversation.seq, conversation.state_seq
    later.created_at, later.waiting_since = conversation.created_at, conversation.waiting_since
    return later


def listed(conversation: Conversation) -> bytes:
    """The row of the index of those not resolved; empty where it is resolved."""
    return b"" if conversation.status == "resolved" else rows.index_row(conversation)


def refuse(session: Session, c: int, n: int, origin: str, row: bytes) -> list[Word]:
    """The final error of a send."""
    return ["refuse", session.key.hex(), c, n, origin, row]


def open_session(
    key: bytes, kind: str, actor: int, count: int | str, acked: int, n: int | None
) -> list[Word]:
    """Open a session: `count` is a number, `next` or `same`; made with last number `n` if that is given."""
    return ["open", key.hex(), kind, actor, count, acked, "" if n is None else n]


def contact(contact: Contact, origin: str, known: Contact | None = None) -> list[Word]:
    """Store a contact; in place of `known`, if that is given."""
    name = named(contact.inbox, contact.identifier) if contact.identifier else ""
    was = f"{known.blocked:d}{known.identifier}" if known is not None else ""
    return ["contact", contact.id, name, was, origin, rows.encode(contact)]


def cursor(conversation: int, cursor: Cursor) -> list[Word]:
    """Let a participant's cursors grow."""
    return ["cursor", conversation, who(cursor), cursor.read, cursor.delivered]


def who(cursor: Cursor) -> str:
    """How a participant is named."""
    return f"{cursor.kind}:{cursor.actor}"


def restore_conversation(conversation: Conversation, cursors: Sequence[Cursor]) -> list[Word]:
    """Put back what the cold tier knows of a conversation."""
    words: list[Word] = ["restore", conversation.id, conversation.contact.id]
    words += [conversation.seq, conversation.state_seq, rows.state_row(conversation), listed(conversation)]
    words.append(len(cursors))
    for each in cursors:
        words += [who(each), f"{each.read}:{each.delivered}"]
    return words


def restore_contact(contact: Contact, conversations: Sequence[tuple[int, bool]]) -> list[Word]:
    """Put back what the cold tier knows of a contact: (conversation, not resolved) of all its own."""
    name = named(contact.inbox, contact.identifier) if contact.identifier else ""
    words: list[Word] = ["person", contact.id, name, rows.encode(contact), len(conversations)]
    for conversation, unresolved in conversations:
        words += [conversation, "1" if unresolved else "0"]
    return words


def import_event(
    conversation: Conversation, seq: int, changes: bool, stored: Stored, actor: Actor
) -> list[Word]:
    """An event of an earlier generation: `conversation` is the state after it, `actor` who made it."""
    session, n, row = stored.session, stored.n, rows.row_of(stored)
    key = "" if session == rows.NO_SESSION else session.hex()
    sender: list[Word] = [key, actor.kind, actor.id, n]
    words: list[Word] = ["import", conversation.id, conversation.contact.id, seq, "1" if changes else "0"]
    return [*words, rows.state_row(conversation), listed(conversation), *sender, row]

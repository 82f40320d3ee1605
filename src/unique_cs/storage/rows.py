"""Rows of the hot tier: what lies under the keys of `storage/keys.py`."""

import sys
from functools import lru_cache
from struct import Struct as Layout
from typing import Final

import msgspec
from msgspec import Struct

from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import Named
from unique_cs.domain.stored import Answer, Stored

_event_head: Final = Layout(">B16sQ")
_answer: Final = Layout(">QQ")
_reference: Final = Layout(">cQQ")
_cursor: Final = Layout(">QQ")
_index: Final = Layout(">QQQ")

NO_SESSION: Final = bytes(16)


class StateRow(Struct, array_like=True):
    """A conversation without its head; the head is the newest event row."""

    inbox: int
    contact: Named
    status: str
    assignee: Named | None
    labels: tuple[str, ...]
    state_seq: int
    created_at: int
    waiting_since: int


class SessionRow(Struct, array_like=True):
    """A session without its numbers; `n` is the newest answer row, or `acked` where that is more."""

    kind: str
    actor: int
    c: int
    acked: int
    seen_at: int


class ErrorRow(Struct, array_like=True):
    """A final error."""

    code: str
    message: str


_state_decoder = msgspec.msgpack.Decoder(StateRow)
_session_decoder = msgspec.msgpack.Decoder(SessionRow)
_error_decoder = msgspec.msgpack.Decoder(ErrorRow)
encode = msgspec.msgpack.Encoder().encode


def event_row(visibility: int, session: bytes, n: int, frame: bytes) -> bytes:
    """An event: who may see it, which send made it, and its JSON frame."""
    return _event_head.pack(visibility, session, n) + frame


def read_event(seq: int, row: bytes) -> Stored:
    """The inverse of `event_row`."""
    visibility, session, n = _event_head.unpack_from(row)
    return Stored(seq, visibility, session, n, row[_event_head.size :])


def row_of(stored: Stored) -> bytes:
    """The row that `read_event` read."""
    return event_row(stored.visibility, stored.session, stored.n, stored.frame)


def state_row(conversation: Conversation) -> bytes:
    """What must be kept of a conversation beside its events."""
    return encode(
        StateRow(
            conversation.inbox,
            conversation.contact,
            conversation.status,
            conversation.assignee,
            conversation.labels,
            conversation.state_seq,
            conversation.created_at,
            conversation.waiting_since,
        )
    )


def read_state(conversation_id: int, row: bytes) -> Conversation:
    """The inverse of `state_row`; the caller sets the heads."""
    state = _state_decoder.decode(row)
    conversation = Conversation(conversation_id, _shared(state.inbox), state.contact)
    conversation.status = sys.intern(state.status)
    conversation.assignee = state.assignee
    conversation.labels = state.labels
    conversation.state_seq = state.state_seq
    conversation.created_at = state.created_at
    since_opened = state.waiting_since == state.created_at
    conversation.waiting_since = state.created_at if since_opened else state.waiting_since
    return conversation


@lru_cache(1_024)
def _shared(inbox: int) -> int:
    """One object for equal numbers: tens of thousands of idle conversations are held."""
    return inbox


def read_session(row: bytes) -> SessionRow:
    """The session under a session key."""
    return _session_decoder.decode(row)


def answer_row(conversation: int, seq: int) -> bytes:
    """The place of the event that a send became."""
    return _answer.pack(conversation, seq)


def error_row(code: str, message: str) -> bytes:
    """The final error that a send got."""
    return bytes(16) + encode(ErrorRow(code, message))


def read_answer(row: bytes) -> Answer:
    """The inverse of `answer_row` and `error_row`; the event itself is not read."""
    conversation, seq = _answer.unpack_from(row)
    if conversation:
        return Answer(conversation, seq)
    error = _error_decoder.decode(row[16:])
    return Answer(code=error.code, message=error.message)


def contact_reference(contact: int) -> bytes:
    """Part of a group row: a contact that the group wrote."""
    return _reference.pack(b"k", contact, 0)


def read_references(row: bytes) -> tuple[list[tuple[int, int]], list[int]]:
    """The (conversation, seq) of events and the ids of contacts in a group row.

    An event is referred to by its key, see `storage/keys.py`.
    """
    events, contacts = [], []
    for kind, first, second in _reference.iter_unpack(row[8:]):
        if kind == b"e":
            events.append((first, second))
        else:
            contacts.append(first)
    return events, contacts


def cursor_row(read: int, delivered: int) -> bytes:
    """How far a participant is."""
    return _cursor.pack(read, delivered)


def read_cursor(row: bytes) -> tuple[int, int]:
    """The inverse of `cursor_row`: (read, delivered)."""
    read, delivered = _cursor.unpack(row)
    return read, delivered


def index_row(conversation: Conversation) -> bytes:
    """What the desk must know of a conversation that is not resolved."""
    assignee = int(conversation.assignee.id) if conversation.assignee else 0
    return index_fields(conversation.inbox, assignee, conversation.waiting_since)


def index_fields(inbox: int, assignee: int, waiting_since: int) -> bytes:
    """The same, of its fields."""
    return _index.pack(inbox, assignee, waiting_since)


def read_index(row: bytes) -> tuple[int, int, int]:
    """The inverse of `index_row`: (inbox, assignee, waiting_since)."""
    inbox, assignee, waiting_since = _index.unpack(row)
    return inbox, assignee, waiting_since

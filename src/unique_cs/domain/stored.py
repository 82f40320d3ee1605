"""What the tiers keep of a timeline: events in their places, answers to sends, rows of conversations."""

import msgspec
from msgspec import Struct


class Stored(Struct, frozen=True, gc=False):
    """An event as it lies in a tier: its JSON frame, and what a reader needs without decoding it."""

    seq: int
    visibility: int
    session: bytes
    n: int
    frame: bytes

    def id_and_time(self) -> tuple[str, int]:
        """The event's id and its time in milliseconds."""
        columns = _columns.decode(self.frame)
        return columns.id, columns.time

    def name(self) -> str:
        """What happened."""
        return _columns.decode(self.frame).name


class _Columns(Struct, gc=False):
    id: str
    time: int
    name: str


_columns = msgspec.json.Decoder(_Columns)


class Answer(Struct, frozen=True, gc=False):
    """The stored final answer to a send: an event's place, or an error (`code` not empty)."""

    conversation: int = 0
    seq: int = 0
    stored: Stored | None = None
    code: str = ""
    message: str = ""


class ArchivedEvent(Struct, frozen=True, gc=False):
    """A row of the cold tier: the stored event with the columns that queries need."""

    conversation: int
    id: int
    time: int
    name: str
    stored: Stored


class ConversationRow(Struct, frozen=True):
    """The state of a conversation as lists and searches see it. `assignee` 0 is nobody."""

    id: int
    inbox: int
    contact: int
    contact_name: str
    status: str
    assignee: int
    waiting_since: int
    created_at: int
    updated_at: int
    seq: int
    last_text: str


class ConversationQuery(Struct, frozen=True):
    """What to list, newest activity first. None means any; `assignee` 0 means nobody.

    `text` is part of the contact's name, e-mail or identifier or of the last text, without regard to the case
    of ASCII letters, or the whole id; with `contact` not of the last text, which may be a note. `before` is
    the (updated_at, id) of the last row of the page before.
    """

    contact: int | None = None
    status: str | None = None
    assignee: int | None = None
    inbox: int | None = None
    text: str = ""
    before: tuple[int, int] | None = None
    limit: int = 50


Waiting = tuple[int, int, int, int]
"""(conversation, inbox, assignee, waiting since) of one that is not resolved; 0 is nobody, or never."""

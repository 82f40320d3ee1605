"""A conversation's state and its rules: `decide_*` says what would happen, `apply` makes it so.

State changes only by applying events, so any holder of the events can rebuild it.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec import Struct

from unique_cs.domain import events
from unique_cs.domain.body import Body
from unique_cs.domain.events import (
    Actor,
    Assigned,
    Data,
    Labelled,
    MessageCreated,
    Named,
    Opened,
    StatusChanged,
)
from unique_cs.errors import invalid

STATUSES: Final = ("open", "pending", "snoozed", "resolved")
MAX_LABELS: Final = 50


class Draft(NamedTuple):
    """An event that is decided but has no place, id or time yet."""

    name: str
    data: Data


class Cursor(Struct, gc=False):
    """How far a participant is: read, and delivered to its device. Both only grow and never pass the head."""

    kind: str
    actor: str
    read: int = 0
    delivered: int = 0


class Conversation:
    """State of one conversation.

    `seq` is the given head (the last event that has a place), `durable` the last one that would
    survive a crash; readers are shown the durable head only. `state_seq` is the last event that is
    no message: a plain message expects it, every other event expects `seq`. `cursors` is None until
    loaded. `listeners` belongs to whoever delivers events on this node.
    """

    __slots__ = (
        "__weakref__",
        "assignee",
        "contact",
        "created_at",
        "cursors",
        "durable",
        "id",
        "inbox",
        "labels",
        "listeners",
        "seq",
        "state_seq",
        "status",
        "updated_at",
        "waiting_since",
    )

    def __init__(self, conversation_id: int, inbox: int, contact: Named) -> None:
        self.id = conversation_id
        self.inbox = inbox
        self.contact = contact
        self.status = ""
        self.assignee: Named | None = None
        self.labels: tuple[str, ...] = ()
        self.seq = self.durable = self.state_seq = 0
        self.created_at = self.updated_at = 0
        self.waiting_since = 0
        self.cursors: tuple[Cursor, ...] | None = None
        self.listeners: tuple[Any, ...] = ()

    @property
    def wire_id(self) -> str:
        """The id as it goes over the wire."""
        return str(self.id)

    @property
    def waiting(self) -> bool:
        """Open and assigned to nobody: the console's waiting list."""
        return self.waiting_since > 0


def advance(conversation: Conversation, cursor: Cursor) -> Cursor | None:
    """Let one participant's cursors, which were loaded, grow up to the durable head; None if neither did."""
    known = conversation.cursors or ()
    own = next((each for each in known if (each.kind, each.actor) == (cursor.kind, cursor.actor)), None)
    if own is None:
        own = Cursor(cursor.kind, cursor.actor)
        conversation.cursors = (*known, own)
    read = max(own.read, min(cursor.read, conversation.durable))
    delivered = max(own.delivered, read, min(cursor.delivered, conversation.durable))
    if (read, delivered) == (own.read, own.delivered):
        return None
    own.read, own.delivered = read, delivered
    return own


def decide_open(conversation: Conversation) -> Draft:
    """The first event of a timeline."""
    return Draft(events.CONVERSATION_OPENED, Opened(str(conversation.inbox), conversation.contact))


def decide_message(conversation: Conversation, actor: Actor, body: Body, private: bool) -> list[Draft]:
    """A message, and before it what it causes: a contact's message reopens a resolved conversation."""
    message = Draft(events.MESSAGE_CREATED, MessageCreated(body, private))
    if actor.kind == "contact":
        if not conversation.status:
            return [decide_open(conversation), message]
        if conversation.status in ("resolved", "snoozed"):
            return [
                Draft(events.CONVERSATION_STATUS_CHANGED, StatusChanged("open", conversation.status)),
                message,
            ]
    return [message]


def decide_assign(conversation: Conversation, assignee: Named | None) -> list[Draft]:
    """An assignment, or nothing when it is already so."""
    if conversation.assignee == assignee:
        return []
    return [Draft(events.CONVERSATION_ASSIGNED, Assigned(assignee, conversation.assignee))]


def decide_status(conversation: Conversation, status: str, until: int | None = None) -> list[Draft]:
    """A change of status, or nothing when it is already so. `until` goes with `snoozed` only."""
    if status not in STATUSES:
        raise invalid(f"status must be one of {', '.join(STATUSES)}")
    if until is not None and status != "snoozed":
        raise invalid("until goes with the status snoozed only")
    if conversation.status == status and until is None:
        return []
    return [Draft(events.CONVERSATION_STATUS_CHANGED, StatusChanged(status, conversation.status, until))]


def decide_labels(conversation: Conversation, labels: list[str]) -> list[Draft]:
    """A new set of labels, or nothing when it is already so."""
    wanted = sorted({label.strip() for label in labels})
    if len(wanted) > MAX_LABELS or any(not 0 < len(label) <= 50 for label in wanted):
        raise invalid(f"at most {MAX_LABELS} labels of 1 to 50 characters")
    return (
        []
        if tuple(wanted) == conversation.labels
        else [Draft(events.CONVERSATION_LABELLED, Labelled(wanted))]
    )


def apply(conversation: Conversation, name: str, data: Data, time: int) -> None:
    """Let the event at the next place change the state."""
    conversation.seq += 1
    conversation.updated_at = time
    if name == events.MESSAGE_CREATED:
        return
    conversation.state_seq = conversation.seq
    _APPLY[name](conversation, data, time)
    _note_waiting(conversation, time)


def _apply_opened(conversation: Conversation, data: Data, time: int) -> None:
    conversation.status = "open"
    conversation.created_at = time


def _apply_assigned(conversation: Conversation, data: Data, time: int) -> None:
    assert isinstance(data, Assigned)
    conversation.assignee = data.assignee


def _apply_status(conversation: Conversation, data: Data, time: int) -> None:
    assert isinstance(data, StatusChanged)
    conversation.status = data.status


def _apply_labelled(conversation: Conversation, data: Data, time: int) -> None:
    assert isinstance(data, Labelled)
    conversation.labels = tuple(data.labels)


def _note_waiting(conversation: Conversation, time: int) -> None:
    waiting = conversation.status == "open" and conversation.assignee is None
    if not waiting:
        conversation.waiting_since = 0
    elif not conversation.waiting_since:
        conversation.waiting_since = time


_APPLY: Final[dict[str, Callable[[Conversation, Data, int], None]]] = {
    events.CONVERSATION_OPENED: _apply_opened,
    events.CONVERSATION_ASSIGNED: _apply_assigned,
    events.CONVERSATION_STATUS_CHANGED: _apply_status,
    events.CONVERSATION_LABELLED: _apply_labelled,
}

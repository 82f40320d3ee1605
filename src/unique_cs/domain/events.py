"""Events: what happened in a conversation, and which part of it each kind of actor may see."""

from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from unique_cs.domain.body import Body

MESSAGE_CREATED: Final = "message.created"
CONVERSATION_OPENED: Final = "conversation.opened"
CONVERSATION_ASSIGNED: Final = "conversation.assigned"
CONVERSATION_STATUS_CHANGED: Final = "conversation.status_changed"
CONVERSATION_LABELLED: Final = "conversation.labelled"

CONTACT_SEES: Final = frozenset(
    {
        "message.created",
        "message.edited",
        "message.deleted",
        "conversation.opened",
        "conversation.assigned",
        "conversation.status_changed",
        "conversation.rated",
    }
)
"""Names that a contact may see; for every other event it gets `advance`."""


class Actor(Struct, frozen=True, gc=False):
    """Who issued a command, as others see it. `kind` is contact, agent, bot or system."""

    kind: str
    id: str
    name: str


SYSTEM: Final = Actor("system", "0", "system")


class Named(Struct, frozen=True, gc=False):
    """An id with the public name behind it."""

    id: str
    name: str


class MessageCreated(Struct):
    """Data of `message.created`; a private message is a note that only agents see."""

    body: Body
    private: bool = False


class Opened(Struct):
    """Data of `conversation.opened`."""

    inbox: str
    contact: Named


class Assigned(Struct):
    """Data of `conversation.assigned`."""

    assignee: Named | None
    previous: Named | None


class StatusChanged(Struct, omit_defaults=True):
    """Data of `conversation.status_changed`; `until` (ms) belongs to `snoozed`."""

    status: str
    previous: str
    until: int | None = None


class Labelled(Struct):
    """Data of `conversation.labelled`: the whole new set."""

    labels: list[str]


Data = MessageCreated | Opened | Assigned | StatusChanged | Labelled


class Event(Struct, tag="event", tag_field="type", omit_defaults=True):
    """A durable event with its place in the timeline, exactly as it goes over the wire.

    `n` is set only in the copy for another connection of the sender's own session.
    """

    name: str
    conversation: str
    seq: int
    id: str
    time: int
    actor: Actor
    data: Data | dict[str, Any]
    n: int | UnsetType = UNSET


class Visibility:
    """How an event looks to a contact; stored beside it so that readers need not decode it."""

    SAME: Final = 0
    HIDDEN: Final = 1
    REDUCED: Final = 2


def visibility(name: str, data: Data) -> int:
    """Return the `Visibility` of an event to the conversation's contact."""
    if type(data) is MessageCreated:
        return Visibility.HIDDEN if data.private else Visibility.SAME
    if name not in CONTACT_SEES:
        return Visibility.HIDDEN
    return Visibility.REDUCED if name == CONVERSATION_ASSIGNED else Visibility.SAME


def reduce_for_contact(event: dict[str, Any]) -> dict[str, Any]:
    """Return the copy of a `REDUCED` event that a contact may see: public names, no ids of agents."""
    data = event["data"]
    public = {key: data[key] and {"name": data[key]["name"]} for key in ("assignee", "previous")}
    return {**event, "data": public}

"""Frames of protocol version 1, as typed structures. The page is docs/reference/protocol.md."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from unique_cs.domain.body import TypedBody
from unique_cs.domain.events import Actor, Event

Number = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Position = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Id = Annotated[str, Meta(max_length=64)]
Line = Annotated[str, Meta(max_length=300)]
Address = Annotated[str, Meta(max_length=2_048)]

MAX_SINCE = 500


class Since(Struct, gc=False):
    """A position: a place in one numbering of a timeline."""

    epoch: Id
    seq: Position


class ClientInfo(Struct, omit_defaults=True, gc=False):
    """What the client says of itself; for people, never for decisions."""

    name: Line = ""
    version: Line = ""


class Connect(Struct, tag="connect", tag_field="type"):
    """First frame of every connection. What may be left out may also be null."""

    token: Annotated[str, Meta(max_length=4_096)]
    session: Id | None = None
    c: Number | None = None
    acked: Position | None = None
    since: Annotated[dict[Id, Since], Meta(max_length=MAX_SINCE)] | None = None
    client: ClientInfo | None = None

    def __post_init__(self) -> None:
        self.acked, self.since = self.acked or None, self.since or None

    @property
    def positions(self) -> dict[Id, Since]:
        """`since`, of which there may be none."""
        return self.since or {}


class Send(Struct, tag="send", tag_field="type"):
    """A message; `n` numbers the sends of the session without gaps."""

    n: Number
    body: TypedBody
    conversation: Id | None = None
    private: bool = False


class InvalidSend(Struct):
    """A `send` whose number is readable and whose content is not: it uses its number up."""

    n: int
    message: str


class Subscribe(Struct, tag="subscribe", tag_field="type"):
    """Ask for the events of one conversation, from a position on."""

    conversation: Id
    since: Since | None = None


class Unsubscribe(Struct, tag="unsubscribe", tag_field="type"):
    """End a subscription."""

    conversation: Id


class Typing(Struct, tag="typing", tag_field="type"):
    """Signal: the actor is typing, or stopped. `private`: an agent types a note."""

    conversation: Id
    on: bool = True
    preview: Annotated[str, Meta(max_length=1_000)] | None = None
    private: bool = False


class Read(Struct, tag="read", tag_field="type"):
    """Signal: the actor has read up to `seq`."""

    conversation: Id
    seq: Position


class Delivered(Struct, tag="delivered", tag_field="type"):
    """Signal: the actor's device has everything up to `seq`."""

    conversation: Id
    seq: Position


class Page(Struct, tag="page", tag_field="type", omit_defaults=True):
    """Signal: the page that the contact looks at now."""

    url: Address = ""
    title: Line = ""
    referrer: Address = ""


class Ping(Struct, tag="ping", tag_field="type"):
    """Heartbeat."""


ClientFrame = Connect | Send | Subscribe | Unsubscribe | Typing | Read | Delivered | Page | Ping


class CursorView(Struct):
    """How far another participant is."""

    actor: dict[str, str]
    read: int
    delivered: int


class Head(Struct):
    """One conversation in `connected`: its durable head and the actor's own cursors."""

    id: str
    status: str
    epoch: str
    seq: int
    read: int = 0
    delivered: int = 0
    contact: dict[str, str] | UnsetType = UNSET
    cursors: list[CursorView] = []


class Connected(Struct, tag="connected", tag_field="type"):
    """Answer to `connect`."""

    session: str
    resumed: bool
    c: int
    n: int
    actor: Actor
    conversations: list[Head]
    heartbeat_ms: int
    max_frame: int
    time: int


class Sent(Struct, tag="sent", tag_field="type"):
    """The send is durable, at this place."""

    n: int
    id: str
    conversation: str
    seq: int
    time: int


class ErrorFrame(Struct, tag="error", tag_field="type", omit_defaults=True):
    """A refusal. It is a final answer to `n` exactly when it has neither `retry_after_ms` nor `expected`."""

    code: str
    message: str
    n: int | None = None
    expected: int | None = None
    retry_after_ms: int | None = None


class Close(Struct, tag="close", tag_field="type"):
    """Last frame before the server closes."""

    code: int
    reason: str
    reconnect: bool
    after_ms: int


class Pong(Struct, tag="pong", tag_field="type"):
    """Answer to `ping`."""

    time: int


class Advance(Struct, tag="advance", tag_field="type"):
    """The position jumps to `seq`: what lies between is not for this actor."""

    conversation: str
    seq: int


class Resync(Struct, tag="resync", tag_field="type"):
    """The position can't be served by replay: live starts at `seq` + 1, the rest is read over REST."""

    conversation: str
    epoch: str
    seq: int


class Subscribed(Struct, tag="subscribed", tag_field="type"):
    """A conversation joined this session; it is live after `seq`."""

    conversation: str
    epoch: str
    seq: int
    status: str = ""
    contact: dict[str, str] | UnsetType = UNSET
    cursors: list[CursorView] = []


class Unsubscribed(Struct, tag="unsubscribed", tag_field="type"):
    """No more events of this conversation come down this session."""

    conversation: str


class Signal(Struct, tag="signal", tag_field="type", omit_defaults=True):
    """Something ephemeral: typing, read, delivered, presence, page, queue, backlog."""

    name: str
    data: dict[str, Any]
    conversation: str | UnsetType = UNSET
    actor: Actor | UnsetType = UNSET


ServerFrame = (
    Connected
    | Sent
    | ErrorFrame
    | Close
    | Pong
    | Advance
    | Resync
    | Subscribed
    | Unsubscribed
    | Signal
    | Event
)

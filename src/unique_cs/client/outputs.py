"""What a client session asks its shell to do, and what it tells the application."""

from dataclasses import dataclass
from enum import StrEnum

from unique_cs.client.state import Frame, Send

# To the shell.


@dataclass(frozen=True, slots=True)
class Open:
    """Open a transport, then call `opened`, or `closed` where that fails."""


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send this frame over the open transport."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the transport, and pass nothing of it to the session any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReadHistory:
    """Read the conversation over REST, oldest first, until `more` is false or `seq` is passed; then call
    `history_read`, or `history_failed`.
    """

    conversation: str
    epoch: str
    seq: int
    connection: int


# To the application.


@dataclass(frozen=True, slots=True)
class Connected:
    """The session is live; its unanswered sends are on their way again."""

    session: str
    resumed: bool
    frame: Frame


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection ended. `retry_in` is in seconds, or None where the session waits for somebody."""

    code: int | None
    reason: str
    retry_in: float | None


class Halt(StrEnum):
    """Why a session does not come back by itself."""

    WRONG = "wrong"  # the client is at fault, or forbidden: `resume` after it was changed
    TOKEN = "token"  # noqa: S105 - it wants a new token: `set_token`
    REPLACED = "replaced"  # the session lives elsewhere: `resume` when the user asks
    CLOSED = "closed"  # `close` was called


@dataclass(frozen=True, slots=True)
class Halted:
    """The session stays away until the application acts."""

    why: Halt
    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The send is durable. `fresh`: it stands in its event's place, so the application adds the message now;
    else its event came, or comes, by itself.
    """

    send: Send
    id: str
    conversation: str
    seq: int
    time: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The final answer to a send that was not stored and never will be."""

    send: Send
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Sends of an actor who is no longer signed in; they were not stored under another name."""

    sends: tuple[Send, ...]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The next durable event of a timeline."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Advanced:
    """The timeline went on to `seq` with events that this actor may not see."""

    conversation: str
    seq: int


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A timeline goes on after `seq`. `frame` says more about the conversation."""

    conversation: str
    epoch: str
    seq: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """No more events of this conversation: it was left, or access to it was lost."""

    conversation: str


@dataclass(frozen=True, slots=True)
class Rebased:
    """The whole timeline up to `seq`, in place of what the application had up to there."""

    conversation: str
    epoch: str
    seq: int
    events: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Signalled:
    """An ephemeral signal, or a frame of a type that this client does not know."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Failed:
    """An error that belongs to no send."""

    code: str
    message: str
    retry_after_ms: int | None


@dataclass(frozen=True, slots=True)
class Fault:
    """The server broke the protocol; the session drops the connection and resumes."""

    reason: str


Output = (
    Open
    | Transmit
    | Drop
    | ReadHistory
    | Connected
    | Disconnected
    | Halted
    | Sent
    | Refused
    | Abandoned
    | Delivered
    | Advanced
    | Subscribed
    | Unsubscribed
    | Rebased
    | Signalled
    | Failed
    | Fault
)

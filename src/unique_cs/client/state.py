"""What a client keeps between connections, and the port through which it is stored."""

import random
from dataclasses import dataclass, field
from typing import Any, Protocol

Frame = dict[str, Any]


@dataclass(slots=True)
class Settings:
    """What a session may be told beside its token. Times are in seconds."""

    name: str = "unique-cs-python"
    version: str = "1"
    backoff_base: float = 0.5
    backoff_cap: float = 30.0
    rng: random.Random = field(default_factory=random.SystemRandom)


@dataclass(frozen=True, slots=True)
class Position:
    """The last event of one timeline that the application was given."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Send:
    """A message under its number, as it is transmitted each time until it has its answer."""

    n: int
    body: Frame
    conversation: str | None = None
    private: bool = False

    def frame(self) -> Frame:
        frame: Frame = {"type": "send", "n": self.n, "body": self.body}
        if self.conversation is not None:
            frame["conversation"] = self.conversation
        if self.private:
            frame["private"] = True
        return frame


@dataclass(slots=True)
class State:
    """Everything that a session needs to be resumed.

    `acked` is the highest number up to which every send has its final answer, `last` the highest number given
    out; `pending` holds the sends between them.
    """

    session: str | None = None
    actor: str | None = None
    c: int = 0
    acked: int = 0
    last: int = 0
    pending: dict[int, Send] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)


class Store(Protocol):
    """Keeps a `State` over restarts of the client. Each method is atomic.

    `identity` and `enqueue` are durable on return: a number must never be used for two messages, and a count
    of connections never twice. Losing the newest `answered` or `position` only costs a repeat.
    """

    def load(self) -> State: ...

    def identity(self, state: State) -> None:
        """Keep session, actor, `c`, `acked`, `last`."""

    def enqueue(self, send: Send) -> None: ...

    def answered(self, n: int) -> None: ...

    def position(self, conversation: str, position: Position | None) -> None: ...

    def renumber(self, state: State) -> None:
        """Keep the whole of `state` in place of what was there: a new session began."""


class MemoryStore:
    """A store for as long as the object lives; a new client over it resumes the session of the last one."""

    def __init__(self) -> None:
        self._state = State()

    def load(self) -> State:
        kept = self._state
        return State(
            kept.session, kept.actor, kept.c, kept.acked, kept.last, dict(kept.pending), dict(kept.positions)
        )

    def identity(self, state: State) -> None:
        kept = self._state
        kept.session, kept.actor, kept.c = state.session, state.actor, state.c
        kept.acked, kept.last = state.acked, state.last

    def enqueue(self, send: Send) -> None:
        self._state.pending[send.n] = send
        self._state.last = send.n

    def answered(self, n: int) -> None:
        self._state.pending.pop(n, None)
        self._state.acked = n

    def position(self, conversation: str, position: Position | None) -> None:
        if position is None:
            self._state.positions.pop(conversation, None)
        else:
            self._state.positions[conversation] = position

    def renumber(self, state: State) -> None:
        self.identity(state)
        self._state.pending = dict(state.pending)
        self._state.positions = dict(state.positions)

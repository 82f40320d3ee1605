"""The roads that a client's frames can take, and which one comes next."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

from unique_cs.client.state import Frame

Road = Literal["websocket", "http", "poll", "mqtt", "grpc", "sm"]

ROADS: Final[tuple[Road, ...]] = ("websocket", "http", "poll")
"""What a client tries unless it is told otherwise."""

TRIES: Final = 3
"""Failed attempts on the first road before the next one is tried; each other road has one."""

LOYALTY: Final = 5
"""Failed attempts on a road that worked before it is left: the server may be away, and not the road."""

RETURN_S: Final = 300.0
"""After so long on another road, the next attempt is made on the first one again."""


class Wire(Protocol):
    """One connection. After `close` nothing of it reaches the session."""

    async def run(self) -> None:
        """Open it, report to its `Ends`, and return when it is over."""

    def write(self, frame: Frame) -> None:
        """Send a frame, after all earlier ones."""

    def close(self) -> None:
        """End it in an orderly way."""

    def abort(self) -> None:
        """End it as a network does: the session is told that it is lost."""


class Ends(Protocol):
    """What a wire reports to."""

    def wire_opened(self, wire: Wire) -> None:
        """It wants a `connect` frame: at its start, and on a road of polls before each of them."""

    def wire_received(self, wire: Wire, frame: Frame) -> None:
        """A frame came."""

    def wire_closed(self, wire: Wire, code: int | None, reason: str, after_ms: int = 0) -> None:
        """It is over, or could not be opened; `code` as a WebSocket's, where there is one.

        `after_ms` is when to come back, where an answer that was no frame said so.
        """


Factory = Callable[[Ends, str], Wire]


class Choice:
    """Stays on the road that worked; goes on to the next one where attempts end without `connected`."""

    def __init__(self, roads: Sequence[Road]) -> None:
        if not roads:
            raise ValueError("a client needs a road")
        self._roads = tuple(roads)
        self._at = self._failures = 0
        self._left = 0.0
        self._connected = True
        self._worked = False

    def take(self, now: float) -> Road:
        """The road of the attempt that begins now."""
        if not self._connected:
            self._failed(now)
        if self._at and now >= self._left + RETURN_S:
            self._at = self._failures = 0
            self._worked = False
        self._connected = False
        return self._roads[self._at]

    def connected(self) -> None:
        """The attempt was answered with `connected`."""
        self._connected = self._worked = True
        self._failures = 0

    def _failed(self, now: float) -> None:
        self._failures += 1
        if self._failures < (LOYALTY if self._worked else 1 if self._at else TRIES):
            return
        if self._at == 0:
            self._left = now
        self._at = (self._at + 1) % len(self._roads)
        self._failures, self._worked = 0, False

"""What a codec or transport of another package is, and what it gets: `docs/guides/plugins.md`."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from ssl import SSLContext
from typing import Any, NamedTuple, Protocol

from unique_cs.gateway.connection import Connection
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.link import Link, Wire
from unique_cs.protocol.close import CloseCode
from unique_cs.protocol.codec import JSON

Frames = Sequence[bytes]
"""Frames of the protocol in JSON, in order."""


class Setup(NamedTuple):
    """What the operator gave: each option that the class declares, a folder to be made if needed, TLS."""

    options: Mapping[str, str]
    folder: Path
    tls: SSLContext | None


class Coding(Protocol):
    """A codec in one connection. To refuse what came, raise `BadFrame` or another `UniqueCsError`."""

    def receive(self, message: bytes) -> Frames | Coroutine[Any, Any, Frames]:
        """The frames in a message; none while hands are shaken.

        It must not block: what takes time is returned as a coroutine, and later messages wait for its end.
        """

    def send(self, frame: bytes) -> bytes | None:
        """The message that carries a frame, which leaves at once; None: nothing can be said yet."""


class Codec(Protocol):
    """A class with `options` (names and defaults), made once with its `Setup`."""

    subprotocol: str  # of the WebSocket
    binary: bool  # which kind of WebSocket message it speaks
    overhead: int  # bytes by which a message may be longer than its frame

    def open(self, write: Callable[[bytes], None]) -> Coding:
        """A connection begins; `write` sends a message of the codec's own."""

    def close(self) -> None:
        """The server stops; no connection is left."""


class Channel(Protocol):
    """A connection, as its transport sees it."""

    def receive(self, payload: bytes) -> None:
        """Take one frame in JSON."""

    def alive(self) -> None:
        """The client showed that it lives, without a frame."""

    def close(self, code: CloseCode) -> None:
        """Tell the client why, then call the link's `close`."""

    def lost(self) -> None:
        """The transport is gone; called once, after everything else."""

    def writing_paused(self) -> None:
        """Too much waits to be written."""

    def writing_resumed(self) -> None:
        """It was written."""


class Handle:
    """The gateway, as a transport sees it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._wires: dict[Callable[[bytes], bytes], Wire] = {}
        self.max_frame = gateway.limits.max_frame

    def admit(self, address: str) -> int | None:
        """None lets a client in; else it is turned away and may come back after so many seconds."""
        refused = self._gateway.admit(address)
        return None if refused is None else refused[1]

    def connect(self, link: Link, address: str, framing: Callable[[bytes], bytes]) -> Channel:
        """A connection begins. `framing` makes of a frame what `link.write` gets, once for all receivers."""
        wire = self._wires.get(framing) or self._wires.setdefault(framing, Wire(JSON, framing))
        return Connection(self._gateway, link, wire, address)


class Transport(Protocol):
    """A class with `options` (names and defaults), made once with its `Setup`."""

    async def start(self, gateway: Handle) -> None:
        """Accept clients. Raises `OSError` where an address can't be had."""

    def stop_accepting(self) -> None:
        """Let nobody in any more; those who are here are sent away by the gateway. May be called twice."""

    async def close(self) -> None:
        """Free everything; no connection is left."""

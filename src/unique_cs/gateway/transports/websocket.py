"""WebSocket: our engine below a connection."""

import asyncio
from typing import Final

from unique_cs.gateway.connection import Connection
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.link import Wire
from unique_cs.protocol import close
from unique_cs.protocol.codec import JSON, MSGPACK
from unique_cs.protocol.websocket import (
    CLOSED,
    TOO_LARGE,
    Binary,
    WebSocket,
    frame_binary,
    frame_ping,
    frame_text,
)

WIRES: Final = {
    None: Wire(JSON, frame_text),
    MSGPACK.name: Wire(MSGPACK, frame_binary),
    JSON.name: Wire(JSON, frame_text),
}


class WebSocketTransport(asyncio.Protocol):
    """The protocol of one accepted WebSocket, and the `Link` of its connection."""

    __slots__ = ("_binary", "_connection", "_engine", "_from_page", "_transport")

    _transport: asyncio.Transport
    _connection: Connection

    def __init__(
        self, gateway: Gateway, subprotocol: str | None, address: str, *, from_page: bool = False
    ) -> None:
        """`from_page`: a browser made the connection."""
        self._from_page = from_page
        self._engine = WebSocket(gateway.limits.max_frame)
        wire = WIRES[subprotocol]
        self._binary = wire.codec.binary
        self._connection = Connection(gateway, self, wire, address)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.lost()
        # The two hold each other, and the collector that would find that out comes rarely.
        del self._connection

    def data_received(self, data: bytes) -> None:
        engine, connection = self._engine, self._connection
        messages = engine.receive(data)
        if not messages:
            # A ping or pong, or part of a frame: the client lives.
            connection.alive()
        for message in messages:
            if isinstance(message, Binary) is not self._binary:
                connection.close(close.BAD_FRAME)
                return
            self._take(message)
        if engine.output or engine.state:
            self._react()

    def _take(self, message: bytes) -> None:
        self._connection.receive(message)

    def _react(self) -> None:
        """Answer the engine's control frames; end when it has ended."""
        if self._engine.state == TOO_LARGE:
            self._connection.close(close.TOO_LARGE)
        if self._engine.output:
            self._transport.write(self._engine.take_output())
            self._connection.bound()
        if self._engine.state == CLOSED:
            self._transport.close()

    def pause_writing(self) -> None:
        self._connection.writing_paused()

    def resume_writing(self) -> None:
        self._connection.writing_resumed()

    # Link

    def write(self, frames: list[bytes]) -> None:
        self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def buffered(self) -> int:
        return self._transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> None:
        self._engine.close(code, reason)
        self._transport.write(self._engine.take_output())

    def abort(self) -> None:
        self._transport.abort()

    def ping(self) -> None:
        # Browsers slow the timers of hidden pages to one a minute, and answer pings by themselves.
        # Other clients keep their own time.
        if self._from_page:
            self._transport.write(frame_ping())

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

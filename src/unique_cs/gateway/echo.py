"""A WebSocket endpoint that sends each message back, for suites that test the engine."""

import asyncio

from unique_cs.gateway.door import Accept
from unique_cs.protocol.handshake import UpgradeRequest
from unique_cs.protocol.websocket import CLOSED, OPEN, TOO_LARGE, Binary, WebSocket, frame_binary, frame_text

MAX_MESSAGE = 16 * 1024 * 1024  # bytes; suites send some MB
_MESSAGE_TOO_BIG = 1009
_GOODBYE = 5.0  # seconds for the client to answer a close


class Echo(asyncio.Protocol):
    """One echoing connection. It stops reading while the client does not read."""

    __slots__ = ("_transport", "_ws")

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._ws = WebSocket(MAX_MESSAGE)

    # On a stream socket the transport is one of streams.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        ws = self._ws
        messages = ws.receive(data)
        replies = [frame_binary(item) if isinstance(item, Binary) else frame_text(item) for item in messages]
        if ws.state == TOO_LARGE:
            ws.close(_MESSAGE_TOO_BIG)
            asyncio.get_running_loop().call_later(_GOODBYE, self._transport.abort)
        # No data may follow a close frame (5.5.1).
        output = [ws.take_output(), *replies] if ws.state == OPEN else [*replies, ws.take_output()]
        self._transport.write(b"".join(output))
        if ws.state == CLOSED:
            self._transport.close()

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()


def admit_echo(_request: UpgradeRequest, _client: str) -> Accept:
    """Let everyone in."""
    return Accept(Echo())

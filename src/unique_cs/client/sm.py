"""The road `unique-cs.v1+sm`: a WebSocket whose frames are sealed with SM4 between here and the server."""

import asyncio
from secrets import token_bytes
from typing import Final

from websockets.asyncio.client import ClientConnection

from unique_cs.client.frames import Unreadable
from unique_cs.client.roads import Ends
from unique_cs.client.websocket import WebSocketWire
from unique_cs.sm.channel import BadRecord, Channel
from unique_cs.sm.handshake import SUBPROTOCOL, BadHello, begin, finish

HANDSHAKE_S: Final = 10.0


class SmWire(WebSocketWire):
    """One sealed connection. Nothing is said to a server that has another key, or does not speak this."""

    def __init__(self, ends: Ends, url: str) -> None:
        """`url` is the server's HTTP address, `#` and its fingerprint."""
        address, _, self._pin = url.partition("#")
        super().__init__(ends, address)
        self._options["subprotocols"] = [SUBPROTOCOL]
        self._channel: Channel

    async def _prepare(self, socket: ClientConnection) -> None:
        async with asyncio.timeout(HANDSHAKE_S):
            await self._shake(socket)

    async def _shake(self, socket: ClientConnection) -> None:
        if socket.subprotocol != SUBPROTOCOL:
            raise Unreadable(f"the server does not speak {SUBPROTOCOL}")
        hello = await asyncio.to_thread(begin, token_bytes)
        await socket.send(hello.message)
        answer = await socket.recv(decode=False)
        try:
            self._channel = await asyncio.to_thread(finish, hello, answer, self._pin)
        except BadHello as error:
            raise Unreadable(str(error)) from error

    def _pack(self, frame: bytes) -> bytes:
        return self._channel.sealer.seal(frame)

    def _unpack(self, message: str | bytes) -> bytes:
        if isinstance(message, str):
            raise Unreadable("a record is binary")
        try:
            return self._channel.opener.open(message)
        except BadRecord as error:
            raise Unreadable(str(error)) from error

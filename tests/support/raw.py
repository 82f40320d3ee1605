"""A WebSocket without a session behind it, for tests that break rules."""

import asyncio
import contextlib
import json
import socket
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

DEADLINE = 10.0
_GRACE = 0.5
Frame = dict[str, Any]


class RawSocket:
    """Sends what it is told and keeps what it hears."""

    def __init__(self, url: str, receive_buffer: int | None = None) -> None:
        self._receive_buffer = receive_buffer
        self._host, _, self._port = url.removeprefix("http://").partition(":")
        self._url = "ws" + url.removeprefix("http") + "/ws"
        self._socket: ClientConnection | None = None
        self.connected: Frame = {}
        self.token: str | None = None

    async def __aenter__(self) -> Self:
        self._socket = await connect(
            self._url, ping_interval=None, compression=None, max_size=None, proxy=None, sock=self._open()
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A close handshake would wait behind everything that was not read.
        self.socket.transport.abort()
        await self.socket.wait_closed()

    def _open(self) -> socket.socket:
        made = socket.socket()
        if self._receive_buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        made.connect((self._host, int(self._port)))
        return made

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    async def connect(self, token: str | None, **fields: Any) -> Frame:
        """Send `connect` and keep its answer in `connected`."""
        self.token = token
        await self.send({"type": "connect", "token": token, **fields})
        self.connected = await self.receive("connected")
        return self.connected

    async def send(self, frame: Any) -> None:
        await self.write(json.dumps(frame))

    async def write(self, message: str | bytes) -> None:
        """Any message at all, also when the server is closing already."""
        try:
            await self.socket.send(message)
        except ConnectionClosed:
            """What it said is read by the caller."""

    async def next(self) -> Frame:
        """The next frame."""
        message = await asyncio.wait_for(self.socket.recv(), DEADLINE)
        frame: Frame = json.loads(message)
        return frame

    async def receive(self, kind: str, **fields: Any) -> Frame:
        """The next frame, which must be of this kind and carry these fields; signals are skipped."""
        frame = await self.next()
        while frame["type"] == "signal" and kind != "signal":
            frame = await self.next()
        assert frame["type"] == kind, frame
        assert fields.items() <= frame.items(), frame
        return frame

    async def until(self, kind: str, **fields: Any) -> Frame:
        """The next frame of this kind with these fields; others before it are passed over."""
        while True:
            frame = await self.next()
            if frame["type"] == kind and fields.items() <= frame.items():
                return frame

    async def outcome(self) -> list[str]:
        """What became of what was sent before: errors heard, then `open` or the code of the close.

        A final answer to a send waits for the disk, so it may come after the `pong`.
        """
        heard: list[str] = []
        try:
            await self.send({"type": "ping"})
            while (frame := await self.next())["type"] != "pong":
                _note(heard, frame)
            with contextlib.suppress(TimeoutError):
                while not heard:
                    _note(heard, await asyncio.wait_for(self.next(), _GRACE))
        except ConnectionClosed:
            heard.append(str(self.socket.close_code))
        else:
            heard.append("open")
        return heard

    async def closed(self) -> int | None:
        """Read to the end; the code of the close."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.next()
        return self.socket.close_code


def _note(heard: list[str], frame: Frame) -> None:
    if frame["type"] in {"error", "close"}:
        heard.append(f"{frame['type']} {frame['code']}")

"""The road over WebSocket: one text message a frame."""

import asyncio
from collections import deque
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from unique_cs.client.frames import Unreadable, read_frame
from unique_cs.client.roads import Ends
from unique_cs.client.state import Frame

# The protocol has its own heartbeat, and bounds what a client may send, not what it may be sent.
_OPTIONS: dict[str, Any] = {
    "ping_interval": None,
    "compression": None,
    "max_size": None,
    "close_timeout": 2.0,
    "proxy": None,
}


class WebSocketWire:
    """One WebSocket connection: reads in `run`, writes what was queued in one task."""

    def __init__(self, ends: Ends, url: str) -> None:
        """`url` is the server's HTTP address."""
        self._ends = ends
        self._url = "ws" + url.removeprefix("http") + "/ws"
        self._options = dict(_OPTIONS)
        self._queue: deque[bytes] = deque()
        self._work = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._closing = False

    def write(self, frame: Frame) -> None:
        self._queue.append(msgspec.json.encode(frame))
        self._work.set()

    def close(self) -> None:
        self._closing = True
        self._work.set()

    def abort(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()

    async def run(self) -> None:
        code, reason, after_ms = None, "", 0
        try:
            async with connect(self._url, **self._options) as socket:
                await self._attached(socket)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else None
            reason = closed.rcvd.reason if closed.rcvd is not None else "connection lost"
        except InvalidStatus as refused:
            reason = str(refused)
            wait = refused.response.headers.get("Retry-After", "")
            after_ms = int(wait) * 1000 if wait.isdecimal() else 0
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, EOFError, Unreadable) as error:
            reason = str(error)
        self._ends.wire_closed(self, code, reason, after_ms)

    async def _attached(self, socket: ClientConnection) -> None:
        self._socket = socket
        await self._prepare(socket)
        self._ends.wire_opened(self)
        writer = asyncio.create_task(self._write(socket))
        try:
            while True:
                self._ends.wire_received(self, read_frame(self._unpack(await socket.recv())))
        finally:
            writer.cancel()

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                while self._queue:
                    await socket.send(self._pack(self._queue.popleft()))
                if self._closing:
                    await socket.close()
        except ConnectionClosed:
            """The reader reports it."""

    # What a codec adds

    async def _prepare(self, socket: ClientConnection) -> None:
        """Done before the first frame."""

    def _pack(self, frame: bytes) -> str | bytes:
        """The message for a frame, in the order in which they leave."""
        return frame.decode()

    def _unpack(self, message: str | bytes) -> str | bytes:
        """The frame in a message. Raises `Unreadable`."""
        return message

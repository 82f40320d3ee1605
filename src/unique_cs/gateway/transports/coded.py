"""WebSockets whose messages a codec of a plug-in makes and reads."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from unique_cs.errors import UniqueCsError
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.link import Wire
from unique_cs.gateway.plugin import Codec, Frames
from unique_cs.gateway.transports.websocket import WebSocketTransport
from unique_cs.protocol import close
from unique_cs.protocol.codec import JSON
from unique_cs.protocol.websocket import WebSocket, frame_binary, frame_text
from unique_cs.telemetry import log

_WIRE: Final = Wire(JSON, lambda payload: payload)


class CodedTransport(WebSocketTransport):
    """The protocol of one such WebSocket: the connection below sees JSON, the network what the codec says."""

    __slots__ = ("_coding", "_framing", "_held", "_max_frame", "_work")

    def __init__(self, gateway: Gateway, codec: Codec, address: str, *, from_page: bool = False) -> None:
        self._coding = codec.open(self._say)
        super().__init__(gateway, None, address, from_page=from_page)
        self._max_frame = gateway.limits.max_frame
        self._engine = WebSocket(self._max_frame + codec.overhead)
        self._connection.wire = _WIRE
        self._binary = codec.binary
        self._framing = frame_binary if codec.binary else frame_text
        self._held: list[bytes] | None = None
        self._work: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._work is not None:
            self._work.cancel()
        super().connection_lost(exc)
        # As there: the codec's part may hold `_say`.
        del self._coding

    def write(self, frames: list[bytes]) -> None:
        try:
            messages = [self._coding.send(frame) for frame in frames]
        except Exception as error:  # noqa: BLE001  # whoever writes for all connections goes on
            log.error("a codec failed", error=repr(error))
            # Not in the midst of a close, which writes more.
            asyncio.get_running_loop().call_soon(self._transport.abort)
            return
        self._transport.write(b"".join(self._framing(each) for each in messages if each is not None))

    def _say(self, message: bytes) -> None:
        if not self._connection.closed:
            self._transport.write(self._framing(message))

    def _take(self, message: bytes) -> None:
        if self._held is not None:
            self._held.append(message)
        elif not self._connection.closed:
            self._read(message)

    def _read(self, message: bytes) -> None:
        try:
            found = self._coding.receive(message)
        except Exception as error:  # noqa: BLE001  # ends this connection only
            self._fail(error)
            return
        if isinstance(found, Coroutine):
            self._transport.pause_reading()
            self._held = []
            self._work = asyncio.get_running_loop().create_task(self._finish(found))
            # A task that is cancelled before its first step leaves the work untouched.
            self._work.add_done_callback(lambda _: found.close())
        else:
            self._give(found)

    def _give(self, frames: Frames) -> None:
        for frame in frames:
            if len(frame) > self._max_frame:
                self._connection.close(close.TOO_LARGE)
                return
            self._connection.receive(frame)

    async def _finish(self, work: Coroutine[Any, Any, Frames]) -> None:
        """Wait for what takes time, then go on with what came meanwhile."""
        try:
            self._give(await work)
        except Exception as error:  # noqa: BLE001  # ends this connection only
            self._fail(error)
        self._work = None
        held, self._held = self._held, None
        for message in held or ():
            self._take(message)
        self._read_on()

    def _read_on(self) -> None:
        """Read again, unless there is a reason not to."""
        if self._work is None and not self._connection.paused and not self._transport.is_closing():
            self._transport.resume_reading()

    def _fail(self, error: Exception) -> None:
        """Close as the error says; one that is no refusal is the codec's own fault."""
        if isinstance(error, UniqueCsError):
            self._connection.fail(error)
        else:
            log.error("a codec failed", error=repr(error))
            self._connection.close(close.INTERNAL)

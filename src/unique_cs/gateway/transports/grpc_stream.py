"""gRPC: one `Messaging/Connect` call below a connection."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import grpc
from grpc import StatusCode

from unique_cs.gateway.connection import LOW_WATER, Connection
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.link import Wire
from unique_cs.protocol import close
from unique_cs.protocol.close import CloseCode
from unique_cs.protocol.protobuf import PROTOBUF
from unique_cs.telemetry import log

ANSWER_S: Final = 25.0
"""How long a client that half-closed waits for its answers."""

GOODBYE: Final = CloseCode(1000, "goodbye", False)
"""The client half-closed, and has all its answers."""

STATUSES: Final = {
    GOODBYE.code: StatusCode.OK,
    close.BAD_FRAME.code: StatusCode.INVALID_ARGUMENT,
    close.UNAUTHORIZED.code: StatusCode.UNAUTHENTICATED,
    close.FORBIDDEN.code: StatusCode.PERMISSION_DENIED,
    close.CONNECT_TIMEOUT.code: StatusCode.DEADLINE_EXCEEDED,
    close.REPLACED.code: StatusCode.ABORTED,
    close.TOO_LARGE.code: StatusCode.RESOURCE_EXHAUSTED,
    close.INTERNAL.code: StatusCode.INTERNAL,
    close.DRAINING.code: StatusCode.OK,
    close.HEARTBEAT_MISSED.code: StatusCode.UNAVAILABLE,
    close.TOO_SLOW.code: StatusCode.UNAVAILABLE,
    close.OVERLOADED.code: StatusCode.UNAVAILABLE,
}
"""The status that a stream ends with, by the code of its `close` frame."""

_WIRE: Final = Wire(PROTOBUF, lambda payload: payload)


_TURNS: Final = 5
"""A call that is lost ends the reading, too, and some turns of the loop later its handler is cancelled."""


class Context(Protocol):
    """What a stream needs of gRPC's call. `read` gives `EOF` once the client has half-closed."""

    async def read(self) -> Any: ...
    async def write(self, message: bytes) -> None: ...
    def set_code(self, code: StatusCode) -> None: ...
    def set_details(self, details: str) -> None: ...
    def add_done_callback(self, callback: Callable[[Any], None]) -> None: ...


class GrpcStream:
    """One call, and the `Link` of its connection.

    What is written waits here until HTTP/2's flow control lets it go: gRPC holds one frame at a time.
    """

    __slots__ = (
        "_changed",
        "_closed",
        "_connection",
        "_context",
        "_cut",
        "_frames",
        "_gateway",
        "_may_read",
        "_size",
    )

    def __init__(self, gateway: Gateway, context: Context, address: str, cut: Callable[[], None]) -> None:
        """`cut` ends the HTTP/2 connection of the call."""
        self._gateway = gateway
        self._context = context
        self._cut = cut
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._changed = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._connection = Connection(gateway, self, _WIRE, address)
        context.add_done_callback(self._over)

    async def run(self) -> None:
        """Carry frames until the client or the server ends the call; to be cancelled where it is lost."""
        reader = asyncio.get_running_loop().create_task(self._read_all())
        try:
            await self._write_all()
        finally:
            reader.cancel()

    def _over(self, _: object) -> None:
        """The client has the status, or is gone."""
        self._connection.lost()
        # They hold each other, and the collector that would find that out comes rarely.
        del self._connection, self._context

    async def _write_all(self) -> None:
        frames, connection = self._frames, self._connection
        while frames or not self._closed:
            if not frames:
                self._changed.clear()
                await self._changed.wait()
                continue
            frame = frames.popleft()
            await self._context.write(frame)
            self._size -= len(frame)
            if connection.drained is not None and self._size <= LOW_WATER:
                connection.writing_resumed()

    async def _read_all(self) -> None:
        try:
            while not self._closed:
                await self._may_read.wait()
                payload = await self._context.read()
                if payload is grpc.aio.EOF:
                    await self._answer_all()
                    return
                self._receive(payload)
        except Exception as error:  # noqa: BLE001  # a fault of ours ends this connection only
            log.exception("a gRPC stream could not be read", error=repr(error))
            self._connection.close(close.INTERNAL)

    def _receive(self, payload: bytes) -> None:
        if len(payload) > self._gateway.limits.max_frame:
            self._connection.close(close.TOO_LARGE)
        else:
            self._connection.receive(payload)

    async def _answer_all(self) -> None:
        """The client says no more: give it the answers that it waits for, and end."""
        connection = self._connection
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(ANSWER_S):
                await connection.idle()
                session = connection.session
                if session is not None:
                    await self._gateway.timeline.settled(session, session.n)
        except TimeoutError:
            connection.close(close.INTERNAL)
        else:
            connection.close(GOODBYE, 0)

    # Link

    def write(self, frames: list[bytes]) -> None:
        self._frames += frames
        self._size += sum(map(len, frames))
        self._changed.set()
        if self._size > LOW_WATER:
            self._connection.writing_paused()

    def buffered(self) -> int:
        return self._size

    def close(self, code: int, reason: str) -> None:
        self._closed = True
        self._changed.set()
        self._context.set_code(STATUSES[code])
        self._context.set_details("" if STATUSES[code] is StatusCode.OK else f"{code} {reason}")

    def abort(self) -> None:
        self._frames.clear()
        self._cut()

    def ping(self) -> None:
        """The clients keep their own time."""

    def pause_reading(self) -> None:
        self._may_read.clear()

    def resume_reading(self) -> None:
        self._may_read.set()

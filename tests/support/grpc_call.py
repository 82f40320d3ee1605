"""A call of gRPC's without gRPC: the server's end of `Messaging/Connect` in a test's hands."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from grpc import StatusCode

from tests.support.node import House
from unique_cs.gateway.transports.grpc_stream import GrpcStream
from unique_cs.protobuf import from_dict, to_dict
from unique_cs.v1.messaging_pb2 import ClientFrame, ServerFrame

Frame = dict[str, Any]


class GrpcCall:
    """A client's call, and the context that gRPC would give. `holds`: the client does not read."""

    def __init__(self, house: House, address: str = "10.0.0.1") -> None:
        self.house = house
        self.holds = self.was_cut = self.over = False
        self.reads = 0
        self.status: StatusCode | None = None
        self.details = ""
        self._frames: list[Frame] = []
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._callbacks: list[Callable[[Any], None]] = []
        self._stream = GrpcStream(house.gateway, self, address, self._cut)
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            await self._stream.run()
        finally:
            self.over = True
            for callback in self._callbacks:
                callback(self)

    def _cut(self) -> None:
        self.was_cut = True
        self.task.cancel()

    # What the test does

    def send(self, frame: Any) -> None:
        """Send a frame, or bytes in its place."""
        self._inbox.put_nowait(frame if isinstance(frame, bytes) else encode(frame))

    def half_close(self) -> None:
        """The client sends no more."""
        self._inbox.put_nowait(grpc.aio.EOF)

    def cancel(self) -> None:
        """The client cancels, its deadline passes, or the network is gone."""
        self.half_close()
        self.task.cancel()

    async def ask(self, frame: Any) -> list[Frame]:
        """Send a frame, and return what came until everything is quiet."""
        self.send(frame)
        return await self.next()

    async def next(self) -> list[Frame]:
        """What came since the last call, after everything has happened."""
        await self.house.settle()
        taken, self._frames = self._frames, []
        return taken

    # Context

    async def read(self) -> Any:
        self.reads += 1
        return await self._inbox.get()

    async def write(self, message: bytes) -> None:
        assert not self.over, "written after the end"
        while self.holds:
            await asyncio.sleep(0)
        self._frames.append(decode(message))

    def set_code(self, code: StatusCode) -> None:
        self.status = code

    def set_details(self, details: str) -> None:
        self.details = details

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)


def encode(frame: Frame) -> bytes:
    """A client's frame."""
    return from_dict(ClientFrame(), frame).SerializeToString()


def decode(data: bytes) -> Frame:
    """A server's frame."""
    return to_dict(ServerFrame.FromString(data))

"""A session over gRPC, with Python's own client: a channel each, as separate clients have."""

import asyncio
from collections import deque
from typing import Any

import grpc

from unique_cs.bench.lines import BODY, Line
from unique_cs.bench.peers import PeerError
from unique_cs.bench.process import Target
from unique_cs.v1.messaging_pb2 import ClientFrame, ServerFrame

_SENT = bytes((ServerFrame.SENT_FIELD_NUMBER << 3 | 2,))  # the key of a `sent`, which a message begins with


class GrpcLine(Line):
    """One call of `Messaging/Connect`."""

    def __init__(self, server: Target, token: str) -> None:
        super().__init__(server, token)
        self._waiting: deque[int] = deque()
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, source: str) -> None:
        where = f"{self.server.host}:{self.server.grpc_port}"
        self._channel = grpc.aio.insecure_channel(where, options=[("grpc.use_local_subchannel_pool", 1)])
        self._call: Any = _call(self._channel)
        asked = ClientFrame()
        asked.connect.token = self.token
        await self._call.write(asked.SerializeToString())
        told = ServerFrame.FromString(await self._call.read())
        if not told.HasField("connected"):
            raise PeerError(f"refused: {told}")
        self.connected.set_result(told.connected.session)
        self._tasks = [asyncio.ensure_future(self._read())]

    async def prepare(self) -> None:
        self._tasks.append(asyncio.ensure_future(self._write()))

    async def _read(self) -> None:
        while (payload := await self._call.read()) is not grpc.aio.EOF:
            if payload.startswith(_SENT):
                self.got(1)
        self.fail(PeerError("closed by the server"))

    async def _write(self) -> None:
        frame = ClientFrame()
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                frame.send.n = self._waiting.popleft()
                frame.send.body.text.text = BODY["text"]
                await self._call.write(frame.SerializeToString())

    def put(self, first: int, last: int) -> None:
        self._waiting += range(first, last + 1)
        self._work.set()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._call.cancel()
        self._tasks = [asyncio.ensure_future(self._channel.close())]


def _call(channel: grpc.aio.Channel) -> Any:
    """A call whose messages are bytes, which the types of the library do not foresee."""
    return channel.stream_stream("/unique_cs.v1.Messaging/Connect")()

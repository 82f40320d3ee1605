"""Python's own gRPC client, bare: calls of `Messaging/Connect` and of the desk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc import StatusCode

from tests.support.grpc_call import decode, encode
from unique_cs.protobuf import from_dict, to_dict

Frame = dict[str, Any]
DEADLINE = 10.0
TEXT = {"kind": "text", "text": "hello"}


@asynccontextmanager
async def channel(
    port: int, certificate: bytes | None = None, **options: int
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel on a connection of its own; `options` are gRPC's without prefix, `__` stands for a dot."""
    named = [("grpc." + name.replace("__", "."), value) for name, value in options.items()]
    named.append(("grpc.use_local_subchannel_pool", 1))
    where = f"127.0.0.1:{port}"
    if certificate is None:
        made = grpc.aio.insecure_channel(where, options=named)
    else:
        made = grpc.aio.secure_channel(where, grpc.ssl_channel_credentials(certificate), options=named)
    async with made:
        yield made


class Line:
    """One call."""

    def __init__(
        self,
        on: grpc.aio.Channel,
        timeout: float | None = None,
        metadata: tuple[tuple[str, str], ...] | None = None,
    ) -> None:
        method: Any = on.stream_stream("/unique_cs.v1.Messaging/Connect")
        self.call: Any = method(timeout=timeout, metadata=metadata)

    async def connect(self, token: str | None, **fields: Any) -> Frame:
        """Send `connect`, and return the first frame that comes."""
        await self.send(type="connect", token=token, **fields)
        return await self.next()

    async def send(self, **frame: Any) -> None:
        """Send a frame."""
        await self.call.write(encode(frame))

    async def next(self) -> Frame:
        """The next frame. Raises `EOFError` at the end, and gRPC's error where the status is one."""
        payload = await asyncio.wait_for(self.call.read(), DEADLINE)
        if payload is grpc.aio.EOF:
            raise EOFError
        return decode(payload)

    async def until(self, kind: str) -> Frame:
        """The next frame of this type."""
        while True:
            frame = await self.next()
            if frame["type"] == kind:
                return frame

    async def rest(self) -> tuple[list[Frame], StatusCode, str]:
        """All frames up to the end, and how it ended."""
        frames: list[Frame] = []
        try:
            while True:
                frames.append(await self.next())
        except (EOFError, grpc.aio.AioRpcError):
            return frames, await self.call.code(), await self.call.details()


async def begin(road: grpc.aio.Channel, token: str | None) -> tuple[Line, Frame]:
    """A call that is connected, and what its first send was answered with."""
    line = Line(road)
    assert (await line.connect(token))["type"] == "connected"
    await line.send(type="send", n=1, body=TEXT)
    return line, await line.until("sent")


class Desk:
    """The desk's calls under one token."""

    def __init__(self, on: grpc.aio.Channel, token: str | None) -> None:
        self._channel = on
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def ask(self, name: str, request: Message, answer: type[Message], **fields: Any) -> Frame:
        """One call. Raises gRPC's error for a refusal."""
        method: Any = self._channel.unary_unary(f"/unique_cs.v1.Desk/{name}")
        payload = from_dict(request, fields).SerializeToString()
        raw: bytes = await method(payload, metadata=self._metadata, timeout=DEADLINE)
        return to_dict(answer.FromString(raw))

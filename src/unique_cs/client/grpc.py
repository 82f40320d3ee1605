"""The road over gRPC: one `Messaging/Connect` call on an HTTP/2 connection of its own."""

import asyncio
import ssl
from collections import deque
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from grpc import StatusCode

from unique_cs.client.roads import Ends
from unique_cs.client.state import Frame
from unique_cs.protobuf import from_dict, to_dict
from unique_cs.v1.messaging_pb2 import ClientFrame, ServerFrame

METHOD: Final = "/unique_cs.v1.Messaging/Connect"
PORT: Final = 8081

GOODBYE_S: Final = 2.0

_CODES: Final = {
    StatusCode.UNAUTHENTICATED: 4401,
    StatusCode.PERMISSION_DENIED: 4403,
    StatusCode.INVALID_ARGUMENT: 4400,
    StatusCode.RESOURCE_EXHAUSTED: 4529,
}
"""What a call ends with that brought no `close` frame, as close codes."""

_OPTIONS: Final = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    # Else all sessions of a process would share one connection, and wait for each other's attempts.
    ("grpc.use_local_subchannel_pool", 1),
]


def open_channel(url: str) -> grpc.aio.Channel:
    """Open a channel to `grpc(s)://host:port`; of `http(s)://…` the host is taken, with the usual port."""
    parts = urlsplit(url)
    own = parts.scheme in {"grpc", "grpcs"}
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    target = f"{host}:{(parts.port if own else None) or PORT}"
    if parts.scheme not in {"grpcs", "https"}:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(_roots()), options=_OPTIONS)


def _roots() -> bytes | None:
    """Whom the machine trusts, as on every other road (`SSL_CERT_FILE`); gRPC brings a list of its own."""
    file = ssl.get_default_verify_paths().cafile
    return Path(file).read_bytes() if file else None


class GrpcWire:
    """One call: reads in `run`, writes what was queued in one task."""

    def __init__(self, ends: Ends, url: str) -> None:
        """`url` is as `open_channel` takes it."""
        self._ends = ends
        self._url = url
        self._queue: deque[bytes] = deque()
        self._work = asyncio.Event()
        self._closing = self._aborted = False
        self._call: Any = None

    def write(self, frame: Frame) -> None:
        self._queue.append(from_dict(ClientFrame(), frame).SerializeToString())
        self._work.set()

    def close(self) -> None:
        self._closing = True
        self._work.set()

    def abort(self) -> None:
        self._aborted = True
        if self._call is not None:
            self._call.cancel()

    async def run(self) -> None:
        code, reason = None, "the call ended"
        async with open_channel(self._url) as channel:
            self._call = channel.stream_stream(METHOD)()
            if self._aborted:
                self._call.cancel()
            writer = asyncio.create_task(self._write())
            try:
                self._ends.wire_opened(self)
                await self._read()
            except grpc.aio.AioRpcError as error:
                code, reason = _CODES.get(error.code()), error.details() or str(error.code())
            except DecodeError as error:
                reason = str(error)
            except asyncio.CancelledError:
                if not self._aborted:
                    raise
            finally:
                writer.cancel()
                self._call.cancel()
        self._ends.wire_closed(self, code, reason)

    async def _read(self) -> None:
        while (payload := await self._call.read()) is not grpc.aio.EOF:
            frame = to_dict(ServerFrame.FromString(payload))
            self._ends.wire_received(self, frame)
        status = await self._call.code()
        if status is not StatusCode.OK:
            raise grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(), "")

    async def _write(self) -> None:
        try:
            while not self._closing:
                await self._work.wait()
                self._work.clear()
                while self._queue:
                    await self._call.write(self._queue.popleft())
            await self._call.done_writing()
            await asyncio.sleep(GOODBYE_S)
            self.abort()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            """The reader reports it."""

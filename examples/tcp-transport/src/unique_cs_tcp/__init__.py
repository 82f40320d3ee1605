"""A transport of unique-cs over bare TCP: four bytes of length, big-endian, then one frame in JSON."""

import asyncio
from typing import ClassVar

from unique_cs.plugins import TOO_LARGE, Channel, Handle, Setup


def framed(frame: bytes) -> bytes:
    """A frame as it goes over the line."""
    return len(frame).to_bytes(4, "big") + frame


class Tcp:
    """The plug-in: listens where its options say."""

    options: ClassVar = {"host": "127.0.0.1", "port": "7070"}

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    async def start(self, gateway: Handle) -> None:
        options, loop = self._setup.options, asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Line(gateway), options["host"], int(options["port"]), ssl=self._setup.tls
        )

    def stop_accepting(self) -> None:
        self._server.close()

    async def close(self) -> None:
        """Its connections were the gateway's to end."""


class Line(asyncio.Protocol):
    """One TCP connection, and the link below a channel."""

    _transport: asyncio.Transport
    _channel: Channel

    def __init__(self, gateway: Handle) -> None:
        self._gateway = gateway
        self._data = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's
        self._transport = transport
        address = str(transport.get_extra_info("peername")[0])
        if self._gateway.admit(address) is not None:
            transport.set_protocol(asyncio.Protocol())
            transport.close()
        else:
            self._channel = self._gateway.connect(self, address, framed)

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel.lost()

    def data_received(self, data: bytes) -> None:
        self._channel.alive()
        data, at = self._data + data, 0
        while len(data) >= at + 4:
            size = int.from_bytes(data[at : at + 4], "big")
            if size > self._gateway.max_frame:
                self._channel.close(TOO_LARGE)
            if len(data) < at + 4 + size:
                break
            self._channel.receive(data[at + 4 : at + 4 + size])  # drops what follows its end
            at += 4 + size
        self._data = data[at:]

    def pause_writing(self) -> None:
        self._channel.writing_paused()

    def resume_writing(self) -> None:
        self._channel.writing_resumed()

    # The link

    def write(self, frames: list[bytes]) -> None:
        self._transport.write(b"".join(frames))

    def buffered(self) -> int:
        return self._transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> None:
        self._transport.close()  # after what was written, the `close` frame last

    def abort(self) -> None:
        self._transport.abort()

    def ping(self) -> None:
        """Clients of this transport keep their own time."""

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

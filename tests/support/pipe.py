"""The server's end of a connection without a socket: what a transport wrote, and how it ended."""

import asyncio
from typing import Any


class Pipe(asyncio.Transport):
    """Keeps what is written in `written`. `holds`: it stays in the buffer, as if nobody read.

    `lenient`: what is written after the end is dropped, as asyncio does it; else that is a fault.
    """

    def __init__(self, address: str = "10.0.0.1") -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = self.aborted = self.paused = self.holds = self.lenient = False
        self._address = address
        self._unread = 0
        self._protocol: asyncio.Protocol | None = None

    def attach(self, protocol: asyncio.Protocol) -> None:
        """Connect."""
        self._protocol = protocol
        protocol.connection_made(self)

    def feed(self, data: bytes) -> None:
        """The client's bytes arrive."""
        assert self._protocol is not None
        if not self.aborted:
            self._protocol.data_received(data)

    def lose(self) -> None:
        """The connection is gone; harmless if it is already."""
        if not self.aborted and self._protocol is not None:
            self.aborted = self.ended = True
            self._protocol.connection_lost(None)

    def catch_up(self) -> None:
        """Read everything that lies in the buffer."""
        assert self._protocol is not None
        self._unread = 0
        self._protocol.resume_writing()

    def taken(self) -> bytes:
        """What was written since the last call."""
        taken, self.written = bytes(self.written), bytearray()
        return taken

    # asyncio's

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._address, 1) if name == "peername" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self.lenient or not self.ended, "written after the end"
        if self.ended:
            return
        self.written += data
        if self.holds:
            self._unread += len(data)
            if self._unread > 65_536 and self._protocol is not None:
                self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self._unread

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = True
        asyncio.get_running_loop().call_soon(self.lose)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.ended

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

"""TCP as it can be: streams that split, merge, delay, stall and break under real `asyncio.Protocol`s."""

import asyncio
from typing import Any

from tests.sim.loop import SimLoop

_HIGH_WATER = 65_536


class SimTransport(asyncio.Transport):
    """One end of a stream. What is written arrives in order, in pieces of any size, until it breaks."""

    def __init__(self, loop: SimLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.peer: SimTransport
        self.stalled = False
        self._loop = loop
        self._protocol = protocol
        self._out = bytearray()
        self._held: bytearray | None = None
        self._moving = self._closing = self._lost = self._paused = self._dead = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("10.0.0.1", 1) if name == "peername" else default

    # Writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self._lost:
            return
        self._out += data
        self._move_later()
        if not self._paused and len(self._out) > _HIGH_WATER:
            self._paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self._out)

    def _move_later(self) -> None:
        if not self._moving and not self.stalled:
            self._moving = True
            self._loop.later(self._loop.rng.choice((0.0, 0.0, 0.001, 0.01, 0.05)), self._move)

    def _move(self) -> None:
        self._moving = False
        if self._lost or self.stalled:
            return
        size = len(self._out)
        part = size if self._loop.rng.random() < 0.7 else self._loop.rng.randint(1, max(1, size))
        data, self._out = bytes(self._out[:part]), self._out[part:]
        if data:
            self.peer.arrive(data)
        if self._paused and not self._dead and len(self._out) <= _HIGH_WATER // 4:
            self._paused = False
            self._protocol.resume_writing()
        if self._out:
            self._move_later()
        elif self._closing:
            self._finish()

    # Reading

    def arrive(self, data: bytes) -> None:
        """Bytes from the other end."""
        if self._lost or self._closing:
            return
        if self._held is not None:
            self._held += data
        else:
            self._protocol.data_received(data)

    def pause_reading(self) -> None:
        if self._held is None:
            self._held = bytearray()

    def resume_reading(self) -> None:
        held, self._held = self._held, None
        if held:
            self._loop.later(0, self.arrive, bytes(held))

    # Ends

    def is_closing(self) -> bool:
        return self._closing or self._lost

    def close(self) -> None:
        """What was written still arrives, then the end."""
        if not self._closing and not self._lost:
            self._closing = True
            self._move_later()

    def _finish(self) -> None:
        self.lose(None)
        self._loop.later(self._loop.rng.choice((0.0, 0.01)), self.peer.lose, None)

    def abort(self) -> None:
        """The stream breaks; what is on its way is lost."""
        self._loop.later(0, self.lose, None)
        self._loop.later(self._loop.rng.choice((0.0, 0.01, 0.1)), self.peer.lose, ConnectionResetError())

    def die(self) -> None:
        """This end's process is gone: it hears no more, but what the kernel has may still arrive."""
        if not self.is_closing():
            self._closing = self._dead = True
            self._protocol.connection_lost(None)
            self._move_later()

    def lose(self, error: Exception | None) -> None:
        """This end learns that the stream is gone."""
        if not self._lost:
            self._lost = True
            if not self._dead:
                self._protocol.connection_lost(error)

    # Faults

    def stall(self) -> None:
        """Nothing goes through in either direction, and nobody is told."""
        self.stalled = self.peer.stalled = True

    def heal(self) -> None:
        """What was stalled goes on."""
        for end in (self, self.peer):
            end.stalled = False
            if not end.is_lost and (end.get_write_buffer_size() or end.is_closing()):
                end.go_on()

    @property
    def is_lost(self) -> bool:
        return self._lost

    def go_on(self) -> None:
        """Move what waits."""
        self._move_later()


def connect(loop: SimLoop, client: asyncio.Protocol, server: asyncio.Protocol) -> SimTransport:
    """Make a stream; the client's end is returned."""
    ends = SimTransport(loop, client), SimTransport(loop, server)
    ends[0].peer, ends[1].peer = ends[1], ends[0]
    server.connection_made(ends[1])
    client.connection_made(ends[0])
    return ends[0]

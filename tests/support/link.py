"""A network link to a server, which tests cut, stall one way or both, slow down, and heal."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final, NamedTuple

_CHUNK = 1 << 16


class Side(NamedTuple):
    """Where an end of a link is: an address, and the network whose sockets can reach it."""

    address: str = "127.0.0.1"
    inside: Callable[[], AbstractContextManager[None]] = nullcontext

    def socket(self) -> socket.socket:
        """One that belongs to that network."""
        with self.inside():
            # Named, for asyncio sends at once (TCP_NODELAY) where it knows that this is TCP.
            made = socket.socket(proto=socket.IPPROTO_TCP)
        made.setblocking(False)
        return made

    async def dial(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port there."""
        made = self.socket()
        try:
            await asyncio.get_running_loop().sock_connect(made, (self.address, port))
        except BaseException:
            made.close()
            raise
        return await asyncio.open_connection(sock=made)


HERE: Final = Side()


class Way:
    """One direction of a link. `delay_s` is added to each piece, of `piece` bytes at most."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.delay_s = 0.0
        self.piece = _CHUNK

    def stall(self) -> None:
        """Let nothing through; nobody is told."""
        self._open.clear()

    def heal(self) -> None:
        """Let everything through at once."""
        self.delay_s, self.piece = 0.0, _CHUNK
        self._open.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on until one side ends."""
        while data := await reader.read(self.piece):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._open.wait()
            writer.write(data)
            await writer.drain()


class Link:
    """Listens on `port` and leads to the port `target`; `up` is the way there, `down` the way back."""

    def __init__(self, target: int, *, near: Side = HERE, far: Side = HERE) -> None:
        """`near` is where it listens, `far` where the target is."""
        self._target = target
        self._near = near
        self._far = far
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._refusing = False
        self.up = Way()
        self.down = Way()
        self.port = 0

    async def open(self) -> None:
        """Listen."""
        listening = self._near.socket()
        listening.bind((self._near.address, self.port))
        self._server = await asyncio.start_server(self._accept, sock=listening)
        self.port = listening.getsockname()[1]

    def cut(self) -> None:
        """Reset every connection and each new one."""
        self._refusing = True
        for writer in self._writers:
            writer.transport.abort()

    def heal(self) -> None:
        """Be a good link again, for connections that live and for new ones."""
        self._refusing = False
        self.up.heal()
        self.down.heal()

    async def close(self) -> None:
        """End every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = {writer}
        self._writers.add(writer)
        with suppress(OSError, asyncio.CancelledError):
            if not self._refusing:
                there = await self._far.dial(self._target)
                ends.add(there[1])
                self._writers.add(there[1])
                await self._join((reader, writer), there)
        for each in ends:
            self._writers.discard(each)
            each.transport.abort()

    async def _join(
        self,
        here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """What ends in one direction ends in both: nobody here speaks half-closed."""
        if self._refusing:
            return
        ways = [self.up.carry(here[0], there[1]), self.down.carry(there[0], here[1])]
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

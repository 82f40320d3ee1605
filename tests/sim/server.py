"""The real node over simulated disks and streams; it can crash, lose what was not flushed, and come back."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from tests.sim.loop import SimLoop
from tests.sim.network import SimTransport, connect
from unique_cs.domain.events import Actor, Visibility, reduce_for_contact
from unique_cs.domain.people import Contact
from unique_cs.domain.permission import Principal
from unique_cs.domain.stored import ArchivedEvent, ConversationRow, Stored
from unique_cs.errors import Code, UniqueCsError
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.limits import Limits
from unique_cs.gateway.transports.websocket import WebSocketTransport
from unique_cs.node import Node
from unique_cs.ports import Archive
from unique_cs.storage.archive_memory import MemoryArchive
from unique_cs.storage.embedded import Embedded
from unique_cs.storage.hot import Hot
from unique_cs.storage.hot_memory import MemoryHot
from unique_cs.storage.trim import Trimmer

EPOCH_MS = 1_800_000_000_000


class SimClock:
    """Wall and monotonic time of the simulation; the wall may jump."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.offset_ms = 0

    def now_ms(self) -> int:
        return EPOCH_MS + self.offset_ms + int(self._loop.time() * 1000)

    def monotonic(self) -> float:
        return self._loop.time()


class SimDisk(MemoryHot):
    """In a crash it keeps any number of the batches that were not flushed, from the first one on."""

    def __init__(self, loop: SimLoop) -> None:
        super().__init__()
        self._loop = loop
        self._batches: list[int] = []

    def write(self, puts: Sequence[tuple[bytes, bytes]], deletes: Sequence[bytes] = ()) -> None:
        before = len(self._undo)
        if self.fail is not None and self._loop.rng.random() < 0.5:
            # An error says nothing about what reached the disk.
            failure, self.fail = self.fail, None
            super().write(puts, deletes)
            self.fail = failure
            self._batches.append(before)
            raise failure
        super().write(puts, deletes)
        self._batches.append(before)

    def flush(self) -> None:
        super().flush()
        self._batches.clear()

    def reopen(self) -> None:
        if self.fail is not None:
            raise self.fail
        super().reopen()

    def crash(self) -> None:
        if self._batches:
            kept = self._loop.rng.randint(0, len(self._batches))
            ends = [*self._batches, len(self._undo)]
            for key, value in reversed(self._undo[ends[kept] :]):
                self._set(key, value)
        self._undo.clear()
        self._batches.clear()


class SimArchive(MemoryArchive):
    """A cold tier that takes its time, and sometimes fails before or after it did what was asked."""

    def __init__(self, loop: SimLoop) -> None:
        super().__init__()
        self._loop = loop
        self.ill = False

    async def _wait(self) -> None:
        await asyncio.sleep(self._loop.rng.choice((0.0, 0.001, 0.05)))
        if self.ill and self._loop.rng.random() < 0.5:
            raise OSError("the archive is ill")

    async def store(
        self,
        cursor: int,
        events: Sequence[ArchivedEvent],
        conversations: Sequence[ConversationRow],
        contacts: Sequence[Contact],
        also: Callable[[Any], None] | None = None,
    ) -> None:
        await self._wait()
        await super().store(cursor, events, conversations, contacts, also)
        await self._wait()

    async def events(
        self, conversation: int, after: int, before: int, limit: int, newest: bool
    ) -> list[Stored]:
        await asyncio.sleep(self._loop.rng.choice((0.0, 0.001, 0.05)))
        return await super().events(conversation, after, before, limit, newest)


class DeadError(Exception):
    """The process that asks is no longer there."""


class Alive:
    """Passes calls on to a store as long as the process lives; the dead neither read nor write."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        if self.dead:
            raise DeadError(name)
        return getattr(self._store, name)


class SimServer:
    """One node after the other over the same disk, archive and people."""

    def __init__(self, loop: SimLoop, limits: Limits) -> None:
        self.loop = loop
        self.clock = SimClock(loop)
        self.disk = SimDisk(loop)
        self.archive = SimArchive(loop)
        self.trims = loop.rng.random() < 0.5
        self.principals: dict[str, Principal] = {}
        self._limits = limits
        self._streams: list[SimTransport] = []
        self._stores: tuple[Alive, ...] = ()
        self._node: Node | None = None
        self.starts = 0

    @property
    def up(self) -> bool:
        return self._node is not None

    @property
    def node(self) -> Node:
        """The living node; raises `DeadError` while there is none."""
        if self._node is None:
            raise DeadError("no server")
        return self._node

    def start(self) -> None:
        """A new process opens what the last one left."""
        hot, archive = self._stores = (Alive(self.disk), Alive(self.archive))
        node = Node(Embedded(cast("Hot", hot), cast("Archive", archive), self.clock), self.clock)
        node.open_gateway(self._authenticate, self._limits, self.loop.rng)
        node.start(_each_second(node))
        if self.trims:
            trimmer = Trimmer(node.hot, node.group, cast("Archive", archive), self.clock, 0, 7)
            node.start(_trim(trimmer))
        self._node = node
        self.starts += 1

    async def _authenticate(self, token: str) -> Principal:
        found = self.principals.get(token)
        if found is None:
            raise UniqueCsError(Code.UNAUTHORIZED, "no such token")
        return found

    async def add_contact(self, number: int) -> str:
        """A new contact's token."""
        name = f"contact {number}"
        contact = Contact(number, 1, name)
        await self.node.contacts.save_contact(contact)
        actor = Actor("contact", str(number), name)
        self.principals[name] = Principal("contact", number, actor)
        return name

    def add_agent(self, number: int) -> str:
        """A new agent's token."""
        name = f"agent {number}"
        self.principals[name] = Principal("agent", number, Actor("agent", str(number), name), role="agent")
        return name

    def accept(self, client: asyncio.Protocol) -> SimTransport:
        """A stream from a client, already past its upgrade; raises `ConnectionRefusedError`."""
        if self._node is None or self._node.gateway is None or self._node.gateway.draining:
            raise ConnectionRefusedError
        transport = connect(self.loop, client, WebSocketTransport(self._node.gateway, None, "10.0.0.1"))
        self._streams = [stream for stream in self._streams if not stream.is_lost]
        self._streams.append(transport)
        return transport

    def streams(self) -> list[SimTransport]:
        """The client ends that are open."""
        return [stream for stream in self._streams if not stream.is_lost]

    def crash(self) -> None:
        """The process is gone from one instant to the next, as by `kill -9` or a power failure."""
        node = self.node
        self._node = None
        for store in self._stores:
            store.dead = True
        node.group.on_failure = lambda _: None
        for stream in self.streams():
            # What the kernel has already may still arrive.
            if self.loop.rng.random() < 0.5:
                stream.peer.abort()
            else:
                stream.peer.die()
        _gateway(node).close()
        node._closing = True  # The dead log nothing.
        for task in list(node._tasks):
            task.cancel()
        self.disk.crash()

    async def stop(self) -> None:
        """Drain and end, as SIGTERM does."""
        node = self.node
        await _gateway(node).drain(0.2)
        self._node = None
        await node.close()

    async def read(self, token: str, conversation: str) -> tuple[str, list[dict[str, Any]]]:
        """The whole history that REST would show to this actor; raises `DeadError` if the server dies."""
        node, principal = self.node, self.principals[token]
        found = await node.timeline.conversation(int(conversation))
        assert found is not None
        shown: list[dict[str, Any]] = []
        after = 0
        while page := await node.timeline.events(found, after, found.durable + 1, 100, False):
            after = page[-1].seq
            shown += [
                msgspec.json.decode(_seen(stored, principal))
                for stored in page
                if not principal.is_contact or stored.visibility != Visibility.HIDDEN
            ]
            await asyncio.sleep(self.loop.rng.choice((0.0, 0.01)))
        return node.timeline.epoch, shown


def _gateway(node: Node) -> Gateway:
    assert node.gateway is not None
    return node.gateway


def _seen(stored: Stored, principal: Principal) -> bytes:

    if not stored.visibility or not principal.is_contact:
        return stored.frame
    return msgspec.json.encode(reduce_for_contact(msgspec.json.decode(stored.frame)))


async def _trim(trimmer: Trimmer) -> None:
    """Old is what was archived: the tiers meet at every place that there is."""
    while True:
        await asyncio.sleep(3)
        with contextlib.suppress(UniqueCsError, OSError):
            await trimmer.run_once()


async def _each_second(node: Node) -> None:
    while True:
        await asyncio.sleep(1)
        node.each_second()

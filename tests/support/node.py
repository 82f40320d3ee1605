"""A whole node in a test's hands: its clock, its disk, and clients that keep every frame they get.

Nothing here sleeps. Time stands still until `House.advance`; `House.settle` lets everything that was begun
come to its end.
"""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
import pytest

from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import Actor
from unique_cs.domain.people import Contact
from unique_cs.domain.permission import Principal
from unique_cs.errors import Code, OutcomeUnknown, UniqueCsError
from unique_cs.gateway.connection import Connection
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.limits import Limits
from unique_cs.gateway.link import Wire
from unique_cs.node import Node
from unique_cs.protocol import close
from unique_cs.protocol.codec import JSON, MSGPACK, Codec
from unique_cs.storage.archive_memory import MemoryArchive
from unique_cs.storage.embedded import Embedded
from unique_cs.storage.hot_memory import MemoryHot
from unique_cs.storage.trim import HOUR_MS, Trimmer

START_MS: Final = 1_800_000_000_000
DEADLINE_S: Final = 10.0
_TURNS: Final = 25

Frame = dict[str, Any]


class FakeClock:
    """Time that moves only when a test says so; `wall_ms` is what the wall clock is off."""

    def __init__(self) -> None:
        self.seconds = 1.0
        self.wall_ms = 0

    def now_ms(self) -> int:
        return START_MS + self.wall_ms + int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


class TestDisk(MemoryHot):
    """A disk whose flushes can be held back, and which can be read after a power failure."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self._gate = threading.Event()
        self._gate.set()
        self._dead = False

    def hold(self) -> None:
        """Let every flush wait until `release`."""
        self._gate.clear()

    def release(self) -> None:
        """Let flushes end."""
        self._gate.set()

    def flushing(self) -> bool:
        """Whether flushes end by themselves."""
        return self._gate.is_set()

    def flush(self) -> None:
        assert self._gate.wait(DEADLINE_S)
        if self._dead:
            raise OSError("the power is gone")
        super().flush()

    def after_power_failure(self) -> "TestDisk":
        """What a new process finds; this one's disk fails from now on."""
        found = TestDisk()
        found._rows, found._keys, found._undo = dict(self._rows), list(self._keys), list(self._undo)
        found.crash()
        self._dead = True
        self.release()
        return found


def _framing(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


WIRES: Final = {codec.name: Wire(codec, _framing) for codec in (JSON, MSGPACK)}


class Peer:
    """A client, and the `Link` of its connection. `take` gives the frames that came since the last time.

    `queue` signals come at any time; they lie apart, in `queues`.
    """

    def __init__(self, house: "House", codec: Codec = JSON, address: str = "10.0.0.1") -> None:
        self._house = house
        self._binary = codec.binary
        self._new: list[Frame] = []
        self._unread = self.writes = 0
        self.queues: list[Frame] = []
        self.holds = False
        self.code: int | None = None
        self.paused = self.aborted = False
        self.pings = 0
        self.connected: Frame = {}
        self.connection = Connection(house.gateway, self, WIRES[codec.name], address)

    # What the test does

    def send(self, type: str, **fields: Any) -> None:  # noqa: A002 - the wire's name
        """Send one frame."""
        module: Any = msgspec.msgpack if self._binary else msgspec.json
        self.receive(module.encode({"type": type, **fields}))

    def receive(self, payload: bytes) -> None:
        """Send bytes as one frame."""
        self.connection.receive(payload)

    def say(self, n: int, text: str = "hello", conversation: str | None = None, **fields: Any) -> None:
        """Send a text message."""
        if conversation is not None:
            fields["conversation"] = conversation
        self.send("send", n=n, body={"kind": "text", "text": text}, **fields)

    async def connect(self, token: str, **fields: Any) -> "Peer":
        """Send `connect`; what follows `connected` stays to be taken."""
        self.send("connect", token=token, **fields)
        await self._house.settle()
        self.connected = self._new.pop(0)
        assert self.connected["type"] == "connected", self.connected
        return self

    async def ask(self, type: str, **fields: Any) -> list[Frame]:  # noqa: A002 - the wire's name
        """Send one frame and return what came until everything is quiet."""
        self.send(type, **fields)
        await self._house.settle()
        return self.take()

    def take(self, *types: str) -> list[Frame]:
        """The frames since the last call, of these types if any are named; the others are dropped."""
        taken, self._new = self._new, []
        return [frame for frame in taken if not types or frame["type"] in types]

    def hang_up(self) -> None:
        """The transport is lost."""
        self.connection.lost()

    def catch_up(self) -> None:
        """Read everything that was written, as a client does that was slow until now."""
        self._unread = 0
        self.connection.writing_resumed()

    # Link

    def write(self, frames: list[bytes]) -> None:
        assert self.code is None, "written after the close"
        self.writes += 1
        data = b"".join(frames)
        while data:
            size = 4 + int.from_bytes(data[:4], "big")
            frame = _decode(data[4:size], self._binary)
            (self.queues if frame.get("name") == "queue" else self._new).append(frame)
            if self.holds:
                self._unread += size - 4
            data = data[size:]
        if self._unread > 65_536:
            self.connection.writing_paused()

    def buffered(self) -> int:
        return self._unread

    def close(self, code: int, reason: str) -> None:
        assert self.code is None, "closed twice"
        self.code = code

    def abort(self) -> None:
        self.aborted = True
        self.connection.lost()

    def ping(self) -> None:
        self.pings += 1

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def _decode(data: bytes, binary: bool) -> Frame:
    frame: Frame = msgspec.msgpack.decode(data) if binary else msgspec.json.decode(data)
    return frame


class House:
    """One node after the other over the same disk and archive, and the people who use it."""

    def __init__(self, limits: Limits, clock: FakeClock) -> None:
        self.limits = limits
        self.clock = clock
        self.disk = TestDisk()
        self.archive = MemoryArchive()
        self.principals: dict[str, Principal] = {}
        self._numbers = iter(range(1, 1_000_000))
        self.open()

    def open(self) -> None:
        """Start a node over what is there."""
        self.node = Node(Embedded(self.disk, self.archive, self.clock), self.clock)
        self.gateway: Gateway = self.node.open_gateway(self._authenticate, self.limits, random.Random(1))

    async def _authenticate(self, token: str) -> Principal:
        found = self.principals.get(token)
        if found is None:
            raise UniqueCsError(Code.UNAUTHORIZED, "no such token")
        return found

    # People

    async def contact(self, name: str = "ann") -> str:
        """A new contact's token, which is its name."""
        number = next(self._numbers)
        await self.node.contacts.save_contact(Contact(number, 1, name))
        self.principals[name] = Principal("contact", number, Actor("contact", str(number), name))
        return name

    def agent(self, name: str = "bob") -> str:
        """A new agent's token, which is its name."""
        number = next(self._numbers)
        actor = Actor("agent", str(number), name)
        self.principals[name] = Principal("agent", number, actor, role="agent", login=number)
        return name

    def id_of(self, name: str) -> str:
        """The id of a contact or agent."""
        return self.principals[name].actor.id

    def peer(self, codec: Codec = JSON, address: str = "10.0.0.1") -> Peer:
        """A client that has not connected yet."""
        return Peer(self, codec, address)

    async def visitor(self, name: str = "ann", **fields: Any) -> Peer:
        """A new contact's connected client."""
        return await self.peer().connect(await self.contact(name), **fields)

    async def staff(self, name: str = "bob", **fields: Any) -> Peer:
        """A new agent's connected client."""
        return await self.peer().connect(self.agent(name), **fields)

    async def talk(self, *texts: str, name: str = "ann") -> tuple[Peer, str]:
        """A new contact's client after it said these things, and its conversation."""
        peer = await self.visitor(name)
        for n, text in enumerate(texts or ("hello",), start=1):
            peer.say(n, text)
            if n % 100 == 0:
                await self.settle()
        await self.settle()
        sent = peer.take("sent")
        return peer, str(sent[0]["conversation"])

    async def conversation(self, wire_id: str) -> Conversation:
        """The conversation."""
        found = await self.node.timeline.conversation(int(wire_id))
        assert found is not None
        return found

    # Time

    async def settle(self) -> None:
        """Return when everything that was begun has come to its end, without any time passing."""
        for _ in range(4):
            await turns(_TURNS)
            if not self.node.group.refusal:
                with suppress(OutcomeUnknown):
                    await self.node.group.drain()
        await turns(_TURNS)

    async def advance(self, seconds: float) -> None:
        """Let time pass, one turn of the wheel after the other."""
        end = self.clock.seconds + seconds
        while self.clock.seconds < end:
            self.clock.seconds = min(end, self.clock.seconds + self.gateway.wheel.tick_s)
            await turns(5)
        await self.settle()

    async def until(self, found: Callable[[], object]) -> None:
        """Let the loop turn until a condition holds; threads may be needed for it."""
        deadline = time.monotonic() + DEADLINE_S
        while not found():
            assert time.monotonic() < deadline, "it never happened"
            await turns(1)

    async def trim(self, after_hours: int, session_days: int = 30) -> tuple[int, int]:
        """Archive everything, let the wall clock go on, and trim what is older than two days."""
        await self.node.relay.caught_up(1)
        self.clock.wall_ms += after_hours * HOUR_MS
        self.node.each_second()
        await self.settle()
        trimmer = Trimmer(self.disk, self.node.group, self.archive, self.clock, 48, session_days)
        return await trimmer.run_once()

    # Ends

    async def power_failure(self) -> None:
        """The process and everything that was not flushed are gone; a new one starts."""
        self.node.group.on_failure = lambda _: None
        old = self.node
        self.disk = self.disk.after_power_failure()
        for task in list(old._tasks):
            task.cancel()
        old.group.close()
        await turns(_TURNS)
        self.gateway.close()
        self.open()

    async def restart(self) -> None:
        """Stop in good order and start again."""
        await self.close()
        self.open()

    async def close(self) -> None:
        """Send everybody away and close."""
        self.disk.fail = None
        self.disk.release()
        self.gateway.hub.close_all(close.DRAINING)
        await self.settle()
        await self.node.close()


async def turns(count: int) -> None:
    """Let the event loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def open_house(**limits: Any) -> AsyncIterator[House]:
    """A node and its people; `limits` are those of the gateway, rates are off unless given."""
    with pytest.MonkeyPatch.context() as patch:
        clock = FakeClock()
        patch.setattr(asyncio.get_running_loop(), "time", clock.monotonic)
        house = House(Limits(**{"rates": False, **limits}), clock)
        yield house
        await house.close()

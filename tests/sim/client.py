"""A client of the simulation: the real session, a recorder, and bad habits."""

import asyncio
import json
from collections.abc import Callable

from websockets.speedups import apply_mask

from tests.sim.loop import SimLoop
from tests.sim.network import SimTransport
from tests.sim.server import DeadError, SimServer
from tests.support.recording import Recorder
from unique_cs.bench.wire import Unframer
from unique_cs.client import (
    Drop,
    Fault,
    Frame,
    MemoryStore,
    Open,
    Output,
    Phase,
    ReadHistory,
    Session,
    Settings,
    Transmit,
)
from unique_cs.errors import UniqueCsError

_KEY = b"\x11\xf2\x00\x83"


class Endpoint(asyncio.Protocol):
    """One connection: WebSocket frames around the session's."""

    def __init__(self, client: "SimClient") -> None:
        self._client = client
        self._frames = Unframer()
        self._code: int | None = None

    def data_received(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            if payload[:1] == b"{":
                self._client.received(self, json.loads(payload))
            elif len(payload) >= 2:
                self._code = int.from_bytes(payload[:2], "big")

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.closed(self, self._code)


class SimClient:
    """Drives one session; its store outlives it, as a phone's does an app that is killed."""

    def __init__(self, name: str, token: str, server: SimServer, *, contact: bool) -> None:
        self.name = name
        self.recorder = Recorder(name, contact=contact)
        self.faults: list[str] = []
        self.repeats = 0.0
        self._token = token
        self._server = server
        self._loop: SimLoop = server.loop
        self._store = MemoryStore()
        self._endpoint: Endpoint | None = None
        self._transport: SimTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keys = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.session = self._new_session()

    def _new_session(self) -> Session:
        settings = Settings(rng=self._loop.rng, backoff_base=0.2, backoff_cap=5.0)
        return Session(self._token, self._store, settings)

    # What a scenario does with it

    def wake(self) -> None:
        """Begin, or come back from a halt."""
        self._input(self.session.resume)
        self._input(self.session.tick)

    def say(self, conversation: str | None = None, *, private: bool = False) -> None:
        """Send a message with a key of its own."""
        self._keys += 1
        key = f"{self.name}-{self._keys}"
        self.recorder.sending(key)
        self._input(self.session.send, {"kind": "text", "text": key}, conversation, private=private)

    def fidget(self, conversation: str) -> None:
        """Read, type, come to listen, go away."""
        position = self.session.state.positions.get(conversation)
        steps: list[Callable[[], None]] = [lambda: self._input(self.session.subscribe, conversation)]
        if position is not None:
            signal = {"type": self._loop.rng.choice(("read", "delivered")), "seq": position.seq}
            typing = {"type": "typing", "on": True, "preview": "…"}
            steps = [
                lambda: self._input(self.session.signal, signal | {"conversation": conversation}),
                lambda: self._input(self.session.signal, typing | {"conversation": conversation}),
                lambda: self._input(self.session.unsubscribe, conversation),
            ]
        self._loop.rng.choice(steps)()

    def restart(self) -> None:
        """The client's process is killed and started again: only the store is left."""
        if self._transport is not None:
            self._transport.abort()
        self._endpoint = self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.session = self._new_session()
        self.wake()

    @property
    def settled(self) -> bool:
        """Connected, and every send has its answer."""
        return self.session.phase is Phase.LIVE and self.session.unanswered == 0

    # Between session and stream

    def received(self, endpoint: Endpoint, frame: Frame) -> None:
        if endpoint is self._endpoint:
            self._loop.trace(f"{self.name} <- {frame}")
            self.recorder.frame(self.session, frame)
            self._input(self.session.received, frame)

    def closed(self, endpoint: Endpoint, code: int | None) -> None:
        if endpoint is self._endpoint:
            self._endpoint = self._transport = None
            self._input(self.session.closed, code)

    def _input(self, call: Callable[..., object], *args: object, **options: object) -> None:
        call(self._loop.time(), *args, **options)
        for output in self.session.take():
            self._carry_out(output)
        self._arm()

    def _carry_out(self, output: Output) -> None:
        match output:
            case Transmit(frame):
                self._transmit(frame)
            case Open():
                self._loop.later(self._loop.rng.choice((0.0, 0.01, 0.1)), self._open, self.session)
            case Drop():
                self._hang_up()
            case ReadHistory():
                self._read(output)
            case _:
                self._loop.trace(f"{self.name} told {output!r:.150}")
                if isinstance(output, Fault):
                    self.faults.append(output.reason)
                self.recorder.output(output)

    def _transmit(self, frame: Frame) -> None:
        if self._transport is None:
            return
        self._loop.trace(f"{self.name} -> {frame}")
        payload = json.dumps(frame).encode()
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        data = b"\x81" + length + _KEY + apply_mask(payload, _KEY)
        again = frame["type"] == "send" and self._loop.rng.random() < self.repeats
        self._transport.write(data * 2 if again else data)

    def _open(self, session: Session) -> None:
        if session is not self.session:
            return
        endpoint = Endpoint(self)
        try:
            self._transport = self._server.accept(endpoint)
        except ConnectionRefusedError:
            self._input(self.session.closed, None)
            return
        self._endpoint = endpoint
        self._input(self.session.opened)

    def _hang_up(self) -> None:
        transport, self._transport, self._endpoint = self._transport, None, None
        if transport is not None:
            (transport.close if self._loop.rng.random() < 0.5 else transport.abort)()

    def _read(self, read: ReadHistory) -> None:
        task = self._loop.create_task(self._read_history(self.session, read))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_history(self, session: Session, read: ReadHistory) -> None:
        try:
            epoch, events = await self._server.read(self._token, read.conversation)
        except (DeadError, UniqueCsError):
            if session is self.session:
                self._input(session.history_failed, read)
            return
        if session is self.session:
            self._input(session.history_read, read, epoch, events)

    def _arm(self) -> None:
        deadline = self.session.deadline
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline + 1e-3):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.later(deadline - self._loop.time(), self._due)

    def _due(self) -> None:
        self._timer = None
        self._input(self.session.tick)

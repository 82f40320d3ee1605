"""The shell around a `Session`: the roads, REST, asyncio's clock."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx2

from unique_cs.client.http import HttpWire, PollWire
from unique_cs.client.mqtt import MqttWire
from unique_cs.client.outputs import (
    Abandoned,
    Connected,
    Drop,
    Open,
    Output,
    ReadHistory,
    Refused,
    Sent,
    Transmit,
)
from unique_cs.client.rest import Rest, RestError
from unique_cs.client.roads import ROADS, Choice, Ends, Factory, Road, Wire
from unique_cs.client.session import Session
from unique_cs.client.state import Frame, MemoryStore, Position, Settings, Store
from unique_cs.client.websocket import WebSocketWire

Answer = Sent | Refused | Abandoned
Listener = Callable[[Output], None]


def _grpc(ends: Ends, url: str) -> Wire:
    # Only here: it takes 20 MB, which clients on other roads have no use for.
    from unique_cs.client.grpc import GrpcWire  # noqa: PLC0415

    return GrpcWire(ends, url)


def _sm(ends: Ends, url: str) -> Wire:
    """The cryptography is loaded only where it is used."""
    from unique_cs.client.sm import SmWire  # noqa: PLC0415

    return SmWire(ends, url)


_FACTORIES: dict[Road, Factory] = {
    "websocket": WebSocketWire,
    "http": HttpWire,
    "poll": PollWire,
    "mqtt": MqttWire,
    "grpc": _grpc,
    "sm": _sm,
}


class Client:
    """A session that keeps itself connected over one road or another, from `async with` until its end.

    `listener` is called on the loop for each output meant for the application, in order. It must not block.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        store: Store | None = None,
        settings: Settings | None = None,
        listener: Listener | None = None,
        roads: Sequence[Road] | Choice = ROADS,
        addresses: Mapping[Road, str] | None = None,
    ) -> None:
        """`url` is the server's HTTP address, for example `http://127.0.0.1:8080`.

        `roads` are tried in order: the next one where the one before does not get through. `addresses` are
        those of roads that begin elsewhere: `grpc` at `grpc://host:8081`, `mqtt` at `mqtt://host:1883`, or
        at a broker, `sm` at the HTTP address with the server's fingerprint, `http://host:8080#9f3c…`.
        """
        self.session = Session(token, store or MemoryStore(), settings)
        self.rest = Rest(url, token)
        self._url = url
        self._roads = roads if isinstance(roads, Choice) else Choice(roads)
        self._addresses = addresses or {}
        self._listener = listener or (lambda _: None)
        self._answers: deque[asyncio.Future[Answer] | None] = deque([None] * self.session.unanswered)
        self._wire: Wire | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        self._input(self.session.tick)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._input(self.session.close)
        if self._timer is not None:
            self._timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.rest.aclose()

    def send(
        self, body: Frame, conversation: str | None = None, *, private: bool = False
    ) -> asyncio.Future[Answer]:
        """Send a message. The future ends in its final answer, over however many connections that takes."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._answers.append(answer)
        self._input(self.session.send, body, conversation, private=private)
        return answer

    def signal(self, frame: Frame) -> None:
        """`typing`, `read`, `delivered`, `page`: merged to what the protocol allows."""
        self._input(self.session.signal, frame)

    def subscribe(self, conversation: str, since: Position | None = None) -> None:
        """Follow a conversation; no effect while disconnected."""
        self._input(self.session.subscribe, conversation, since)

    def unsubscribe(self, conversation: str) -> None:
        self._input(self.session.unsubscribe, conversation)

    def set_token(self, token: str) -> None:
        """Go on with another token of the same actor."""
        self.rest.token = token
        self._input(self.session.set_token, token)

    def resume(self) -> None:
        """Come back from a halt."""
        self._input(self.session.resume)

    def cut(self) -> None:
        """Lose the connection as a network does: no close handshake. The session resumes by itself."""
        if self._wire is not None:
            self._wire.abort()

    # Between session and wire

    def _input(self, call: Callable[..., object], *args: Any, **options: Any) -> None:
        call(self._loop.time(), *args, **options)
        for output in self.session.take():
            self._carry_out(output)
        self._arm()

    def _carry_out(self, output: Output) -> None:
        match output:
            case Transmit(frame):
                if self._wire is not None:
                    self._wire.write(frame)
            case Open():
                road = self._roads.take(self._loop.time())
                self._wire = _FACTORIES[road](self, self._addresses.get(road, self._url))
                self._spawn(self._wire.run())
            case Drop():
                wire, self._wire = self._wire, None
                if wire is not None:
                    wire.close()
            case ReadHistory():
                self._spawn(self._read_history(output))
            case _:
                self._tell(output)

    def _tell(self, output: Output) -> None:
        if isinstance(output, Connected):
            self._roads.connected()
        if isinstance(output, Sent | Refused | Abandoned):
            for _ in output.sends if isinstance(output, Abandoned) else (output,):
                answer = self._answers.popleft()
                if answer is not None and not answer.done():
                    answer.set_result(output)
        self._listener(output)

    def _arm(self) -> None:
        """Keep one timer; where the deadline moved away, the early call does no harm."""
        deadline = self.session.deadline
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._due)

    def _due(self) -> None:
        self._timer = None
        self._input(self.session.tick)

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_history(self, read: ReadHistory) -> None:
        try:
            epoch, events = await self.rest.history(read.conversation, read.seq)
        except (RestError, httpx2.HTTPError):
            self._input(self.session.history_failed, read)
        else:
            self._input(self.session.history_read, read, epoch, events)

    # Called by the wire that is current

    def wire_opened(self, wire: Wire) -> None:
        if wire is self._wire:
            self._input(self.session.opened)

    def wire_received(self, wire: Wire, frame: Frame) -> None:
        if wire is self._wire:
            self._input(self.session.received, frame)

    def wire_closed(self, wire: Wire, code: int | None, reason: str, after_ms: int = 0) -> None:
        if wire is self._wire:
            self._wire = None
            self._input(self.session.closed, code, reason, after_ms)

"""The shell around a `Session`: WebSocket, REST, asyncio's clock."""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx2
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.typing import Data

from unique_cs.client.outputs import Abandoned, Drop, Open, Output, ReadHistory, Refused, Sent, Transmit
from unique_cs.client.rest import Rest, RestError
from unique_cs.client.session import Session, Settings
from unique_cs.client.state import Frame, MemoryStore, Position, Store

Answer = Sent | Refused | Abandoned
Listener = Callable[[Output], None]

# The protocol has its own heartbeat, and bounds what a client may send, not what it may be sent.
_OPTIONS: dict[str, Any] = {
    "ping_interval": None,
    "compression": None,
    "max_size": None,
    "close_timeout": 2.0,
    "proxy": None,
}


class Client:
    """A session over WebSocket that keeps itself connected, from `async with` until its end.

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
    ) -> None:
        """`url` is the server's HTTP address, for example `http://127.0.0.1:8080`."""
        self.session = Session(token, store or MemoryStore(), settings)
        self.rest = Rest(url, token)
        self._wire_url = "ws" + url.removeprefix("http") + "/ws"
        self._listener = listener or (lambda _: None)
        self._answers: deque[asyncio.Future[Answer] | None] = deque([None] * self.session.unanswered)
        self._wire: _Wire | None = None
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
                    self._wire.write(msgspec.json.encode(frame).decode())
            case Open():
                self._wire = _Wire(self)
                self._spawn(self._wire.run(self._wire_url))
            case Drop():
                wire, self._wire = self._wire, None
                if wire is not None:
                    wire.close()
            case ReadHistory():
                self._spawn(self._read_history(output))
            case _:
                self._tell(output)

    def _tell(self, output: Output) -> None:
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

    def wire_opened(self, wire: "_Wire") -> None:
        if wire is self._wire:
            self._input(self.session.opened)

    def wire_received(self, wire: "_Wire", message: Data) -> None:
        if wire is self._wire:
            self._input(self.session.received, msgspec.json.decode(message))

    def wire_closed(self, wire: "_Wire", code: int | None, reason: str) -> None:
        if wire is self._wire:
            self._wire = None
            self._input(self.session.closed, code, reason)


class _Wire:
    """One WebSocket connection: reads in `run`, writes what was queued in one task."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queue: deque[str] = deque()
        self._work = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._closing = False

    def write(self, message: str) -> None:
        self._queue.append(message)
        self._work.set()

    def close(self) -> None:
        self._closing = True
        self._work.set()

    def abort(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()

    async def run(self, url: str) -> None:
        code, reason = None, ""
        try:
            async with connect(url, **_OPTIONS) as socket:
                await self._attached(socket)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else None
            reason = closed.rcvd.reason if closed.rcvd is not None else "connection lost"
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, EOFError) as error:
            reason = str(error)
        self._client.wire_closed(self, code, reason)

    async def _attached(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._client.wire_opened(self)
        writer = asyncio.create_task(self._write(socket))
        try:
            while True:
                self._client.wire_received(self, await socket.recv())
        finally:
            writer.cancel()

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                while self._queue:
                    await socket.send(self._queue.popleft())
                if self._closing:
                    await socket.close()
        except ConnectionClosed:
            """The reader reports it."""

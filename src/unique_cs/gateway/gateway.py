"""The gateway of a node: who may come in, which handler a frame goes to, where durable entries go."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final

from unique_cs.domain.conversation import Conversation
from unique_cs.domain.flow import AddressBuckets, MakeBuckets, TokenBucket, own_buckets
from unique_cs.domain.pressure import Crowd, Kind
from unique_cs.gateway import entrance, sending, signals
from unique_cs.gateway.connection import Connection
from unique_cs.gateway.context import Authenticate, Context
from unique_cs.gateway.limits import Limits
from unique_cs.ports import Clock, Contacts, Entry, Timeline
from unique_cs.protocol import close, frames
from unique_cs.protocol.codec import BadFrame, Decoded
from unique_cs.telemetry import log

Work = Coroutine[Any, Any, None] | None


class Gateway(Context):
    """Frames come in here and become actions; durable entries come in here and become frames."""

    def __init__(
        self,
        timeline: Timeline,
        contacts: Contacts,
        authenticate: Authenticate,
        clock: Clock,
        limits: Limits,
        rng: random.Random,
        make_buckets: MakeBuckets = own_buckets,
    ) -> None:
        super().__init__(timeline, contacts, authenticate, clock, limits, rng, make_buckets)
        self.rng = rng
        self._crowd = Crowd()
        self.draining = False
        self.connect_ticks = self.wheel.ticks(limits.connect_timeout_ms)
        self.heartbeat_ticks = self.wheel.ticks(limits.heartbeat_ms)
        self.silence_ticks = self.wheel.ticks(2 * limits.heartbeat_ms)
        self.goodbye_ticks = self.wheel.ticks(2_000)
        self._handshakes = TokenBucket(limits.handshakes_per_second, limits.handshakes_per_second)
        per_ip = limits.handshakes_per_ip
        self._handshakes_by_ip = AddressBuckets(make_buckets("handshake", per_ip, 2 * per_ip))
        self._tasks: set[asyncio.Task[None]] = set()
        self._transports = 0
        self._empty = asyncio.Event()
        self._empty.set()

    # Connections come and go

    def admit(self, address: str) -> tuple[int, int] | None:
        """None lets a handshake in; else (HTTP status, seconds to wait)."""
        full = self.draining or self.hub.open >= self.limits.max_connections
        if full or self.pressure.sheds(Kind.CONNECTS):
            return 503, self.pressure.come_back_s()
        if not self.limits.rates:
            return None
        now = self.clock.monotonic()
        wait = self._handshakes_by_ip.take(address, now) or self._handshakes.take(now)
        return (429, 1 + wait // 1000) if wait else None

    def opened(self, connection: Connection) -> None:
        """A transport made a connection."""
        self._transports += 1
        self._empty.clear()
        self.hub.open += 1
        self.wheel.add(connection, self.wheel.tick + self.connect_ticks)

    def wait_for_goodbye(self, connection: Connection) -> None:
        """We closed: give the client a moment to close too."""
        self.wheel.add(connection, self.wheel.tick + self.goodbye_ticks)

    def ended(self, connection: Connection) -> None:
        """Nothing more goes in or out of the connection."""
        self.hub.open -= 1
        self.hub.slow.discard(connection)
        entrance.leave(self, connection)

    def lost(self, connection: Connection) -> None:
        """The transport is gone."""
        self._transports -= 1
        if not self._transports:
            self._empty.set()
        self.wheel.discard(connection)

    def after_ms(self, code: close.CloseCode) -> int:
        """When to come back, spread so that those who are sent away together don't come back so."""
        if not code.reconnect:
            return 0
        return self.pressure.comeback_ms(self._crowd.size(self.hub.open, self.clock.monotonic()))

    async def drain(self, timeout_s: float) -> None:
        """Let nobody in any more, send everybody away with 4503, and wait until they are gone."""
        self.draining = True
        for number, connection in enumerate(self.hub.connections):
            connection.close(close.DRAINING)
            if number % 200 == 199:
                await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()

    def close(self) -> None:
        """Stop the wheel and every task."""
        self.wheel.close()
        self.pressure.close()
        for task in self._tasks:
            task.cancel()

    # Frames

    def handle(self, connection: Connection, frame: Decoded) -> Work:
        """Do what a frame asks; a coroutine is returned where it can't be done at once."""
        if connection.session is None:
            if type(frame) is not frames.Connect:
                raise BadFrame("the first frame is connect")
            self.pressure.admit_connect()
            return entrance.connect(self, connection, frame)
        return _HANDLERS[type(frame)](self, connection, frame)

    def subscribed(self, connection: Connection, conversation: Conversation, seq: int) -> frames.Subscribed:
        """The frame that tells a session of a conversation."""
        return entrance.subscribed(self, connection, conversation, seq)

    # Entries

    def deliver(self, entries: list[Entry]) -> None:
        """The timeline's subscriber."""
        self._time(entries)
        self.hub.deliver(entries)
        if self.hub.desk.wanted:
            wanted, self.hub.desk.wanted = self.hub.desk.wanted, []
            self._start(self._enter(wanted))

    def _time(self, entries: list[Entry]) -> None:
        """Tell how long this node's first send of a group waited; the others came after it."""
        for entry in entries:
            if entry.event is not None and entry.sender is not None:
                self.pressure.answered(self.clock.now_ms() - entry.event.time)
                return

    async def _enter(self, wanted: list[int]) -> None:
        for conversation_id in wanted:
            conversation = await self.timeline.conversation(conversation_id)
            if conversation is not None:
                await self.contacts.cursors(conversation)
                self.hub.desk.enter(conversation)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("a background step failed", error=repr(error))


def _second_connect(gateway: Gateway, connection: Connection, frame: frames.Connect) -> Work:
    raise BadFrame("this connection is connected already")


def _ping(gateway: Gateway, connection: Connection, frame: frames.Ping) -> Work:
    connection.send(frames.Pong(gateway.clock.now_ms()))
    return None


_HANDLERS: Final[dict[type, Callable[[Gateway, Connection, Any], Work]]] = {
    frames.Connect: _second_connect,
    frames.Send: sending.send,
    frames.InvalidSend: sending.invalid,
    frames.Subscribe: entrance.subscribe,
    frames.Unsubscribe: entrance.unsubscribe,
    frames.Typing: signals.typing,
    frames.Read: signals.read,
    frames.Delivered: signals.delivered,
    frames.Page: signals.page,
    frames.Ping: _ping,
}

"""A connection: one live channel of a session. Frames in one at a time, frames out in one write a tick."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

from unique_cs.domain.conversation import Conversation
from unique_cs.domain.permission import Principal
from unique_cs.errors import Code, OutcomeUnknown, Replaced, UniqueCsError
from unique_cs.gateway.limits import Limits
from unique_cs.gateway.link import Link, Wire
from unique_cs.gateway.wheel import Timed, Wheel
from unique_cs.protocol import close, frames
from unique_cs.protocol.close import CloseCode
from unique_cs.protocol.codec import BadFrame, Decoded
from unique_cs.protocol.session import Session
from unique_cs.telemetry import log, metrics

MAX_HELD: Final = 1_024
"""Frames held back while another one is being worked on; beyond that, and beyond as many bytes as may wait to
be sent, the transport is not read."""

LOW_WATER: Final = 65_536
"""Bytes that a replay writes at once; then it waits until the client has read them."""


class Outgoing(Protocol):
    """Whoever writes for all connections of a node, once a tick."""

    slow: set["Connection"]

    def touch(self, connection: "Connection") -> None: ...


class Host(Protocol):
    """What a connection needs of the node that it belongs to: limits, deadlines, a writer, and handlers.

    `handle` does what a frame asks, and returns a coroutine where it can't be done at once. `opened`, `ended`
    and `lost` follow the transport; after `wait_for_goodbye` the client has a moment to close too.
    """

    connect_ticks: int
    heartbeat_ticks: int
    silence_ticks: int

    @property
    def limits(self) -> Limits: ...
    @property
    def wheel(self) -> Wheel: ...
    @property
    def hub(self) -> Outgoing: ...
    @property
    def authenticate(self) -> Callable[[str], Awaitable[Principal]]: ...
    def handle(self, connection: "Connection", frame: Decoded) -> Coroutine[Any, Any, None] | None: ...
    def subscribed(
        self, connection: "Connection", conversation: Conversation, seq: int
    ) -> frames.Subscribed: ...
    def opened(self, connection: "Connection") -> None: ...
    def wait_for_goodbye(self, connection: "Connection") -> None: ...
    def ended(self, connection: "Connection") -> None: ...
    def lost(self, connection: "Connection") -> None: ...
    def after_ms(self, code: CloseCode) -> int: ...


class Subscription:
    """A connection's place in one conversation. `explicit`: the client asked for it by name."""

    __slots__ = ("connection", "conversation", "explicit", "live", "position")

    def __init__(
        self, connection: "Connection", conversation: Conversation, position: int, *, explicit: bool
    ) -> None:
        self.connection = connection
        self.conversation = conversation
        self.position = position
        self.explicit = explicit
        self.live = position == conversation.durable


class Connection(Timed):
    """State machine: new, then ready once `session` is set, then closed.

    Frames are worked on strictly one after another: while `work` runs, later ones wait in `held`.
    """

    __slots__ = (
        "address",
        "c",
        "closed",
        "drained",
        "gateway",
        "held",
        "held_size",
        "link",
        "out",
        "paused",
        "seen",
        "session",
        "subscriptions",
        "wire",
        "work",
    )

    def __init__(self, gateway: Host, link: Link, wire: Wire, address: str) -> None:
        super().__init__()
        self.gateway = gateway
        self.link = link
        self.wire = wire
        self.address = address
        self.session: Session | None = None
        self.c = 0
        self.subscriptions: tuple[Subscription, ...] = ()
        self.out: list[bytes] | None = None
        self.held: deque[bytes] | None = None
        self.held_size = 0
        self.work: asyncio.Task[None] | None = None
        self.drained: asyncio.Future[None] | None = None
        self.closed = self.paused = False
        self.seen = gateway.wheel.tick
        gateway.opened(self)

    def subscription(self, conversation_id: int) -> Subscription | None:
        """The place in a conversation, or None if it is not subscribed."""
        for each in self.subscriptions:
            if each.conversation.id == conversation_id:
                return each
        return None

    # In

    def receive(self, payload: bytes) -> None:
        """Take one frame from the transport."""
        if self.closed:
            return
        if self.session is not None:
            self.seen = self.gateway.wheel.tick
        if self.held is None:
            self._handle(payload)
            return
        self.held.append(payload)
        self.held_size += len(payload)
        if len(self.held) >= MAX_HELD or self.held_size > self.gateway.limits.max_queue:
            self.paused = True
            self.link.pause_reading()

    async def authenticate(self, token: str) -> Principal:
        """Whose token it is. Raises `unauthorized`."""
        return await self.gateway.authenticate(token)

    def alive(self) -> None:
        """The transport saw a sign of life that is no frame (a ping or pong of its own)."""
        if self.session is not None:
            self.seen = self.gateway.wheel.tick

    def _handle(self, payload: bytes) -> bool:
        """Do what a frame asks; true if that goes on after this call."""
        try:
            work = self.gateway.handle(self, self.wire.codec.decode(payload))
        except UniqueCsError as error:
            self.fail(error)
            return False
        if work is None:
            return False
        self.held = deque()
        self.work = asyncio.get_running_loop().create_task(work)
        self.work.add_done_callback(self._worked)
        return True

    def _worked(self, work: "asyncio.Task[None]") -> None:
        error = None if work.cancelled() else work.exception()
        if isinstance(error, UniqueCsError):
            self.fail(error)
        elif error is not None:  # a fault of ours ends this connection only
            log.error("a frame could not be handled", error=repr(error), exc_info=error)
            self.close(close.INTERNAL)
        self._go_on()

    def _go_on(self) -> None:
        """Work through what was held back, up to the next frame that takes time."""
        held, self.held, self.work = self.held or deque(), None, None
        while held and not self.closed:
            payload = held.popleft()
            self.held_size -= len(payload)
            if self._handle(payload):
                self.held = held
                return
        if self.paused:
            self.paused = False
            self.link.resume_reading()

    async def idle(self) -> None:
        """Return when no frame is being worked on and none is held back."""
        while self.work is not None:
            await asyncio.wait([self.work])

    # Out

    def put(self, data: bytes) -> None:
        """Queue bytes made by this connection's wire; they leave at the end of the tick."""
        if self.out is None:
            if not self.closed:
                self.out = [data]
                self.gateway.hub.touch(self)
        else:
            self.out.append(data)

    def send(self, frame: frames.ServerFrame) -> None:
        """Queue one frame."""
        self.put(self.wire.frame(frame))

    def flush(self) -> None:
        """Write what is queued at once; a reader that is too slow is closed."""
        if self._write_out():
            self.bound()

    def bound(self) -> None:
        """Close a reader that is too slow. The transport calls it where it wrote something of its own."""
        if self.drained is not None and self.link.buffered() > self.gateway.limits.max_queue:
            self.close(close.TOO_SLOW)

    def _write_out(self) -> bool:
        out, self.out = self.out, None
        if out is None or self.closed:
            return False
        self.link.write(out)
        return True

    def writing_paused(self) -> None:
        """The transport's buffer is over its high-water mark."""
        if self.drained is None:
            self.drained = asyncio.get_running_loop().create_future()
            self.gateway.hub.slow.add(self)

    def writing_resumed(self) -> None:
        """The transport's buffer is low again."""
        drained, self.drained = self.drained, None
        self.gateway.hub.slow.discard(self)
        if drained is not None and not drained.done():
            drained.set_result(None)

    async def wait_drained(self) -> None:
        """Return when the client has read most of what was written; others get their turn meanwhile."""
        self._write_out()
        await (asyncio.sleep(0) if self.drained is None else asyncio.shield(self.drained))

    # Ends

    def fail(self, error: UniqueCsError) -> None:
        """Tell the client of an error, and close where the error ends the connection."""
        metrics.refused[error.code].inc()
        if isinstance(error, OutcomeUnknown):
            self.close(close.INTERNAL)
            return
        if isinstance(error, Replaced):
            self.close(close.REPLACED)
            return
        self.send(frames.ErrorFrame(error.code, error.message, retry_after_ms=error.retry_after_ms))
        if isinstance(error, BadFrame):
            self.close(close.BAD_FRAME)
        elif self.session is None and error.code is not Code.UNKNOWN_TYPE:
            self.close(_ON_CONNECT.get(error.code, close.BAD_FRAME), error.retry_after_ms)

    def close(self, code: CloseCode, after_ms: int | None = None) -> None:
        """Say why, then close the transport; nothing more is read."""
        if self.closed:
            return
        if after_ms is None:
            after_ms = self.gateway.after_ms(code)
        self.send(frames.Close(code.code, code.reason, code.reconnect, after_ms))
        self._write_out()
        self.link.close(code.code, code.reason)
        self.gateway.wait_for_goodbye(self)
        metrics.closed.labels(str(code.code)).inc()
        log.debug("closed", code=code.code, reason=code.reason)
        self._end()

    def lost(self) -> None:
        """The transport is gone."""
        self._end()
        self.gateway.lost(self)

    def _end(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.out = None
        self.writing_resumed()
        self.gateway.ended(self)
        if self.work is not None:
            self.work.cancel()

    def expire(self, tick: int) -> int:
        """The wheel: close in time what never connected, fell silent, or did not say goodbye."""
        gateway = self.gateway
        if self.closed:
            self.link.abort()
            return 0
        if self.session is None:
            return self._expire_at(self.seen + gateway.connect_ticks, tick, close.CONNECT_TIMEOUT)
        if tick < self.seen + gateway.heartbeat_ticks:
            return self.seen + gateway.heartbeat_ticks
        self.link.ping()
        return self._expire_at(self.seen + gateway.silence_ticks, tick, close.HEARTBEAT_MISSED)

    def _expire_at(self, deadline: int, tick: int, code: CloseCode) -> int:
        if tick < deadline:
            return deadline
        self.close(code)
        return 0


class Courier(Connection):
    """Carries frames for a session that another connection holds, or nobody now; it hears no events."""

    __slots__ = ()

    def carry_for(self, session: Session) -> None:
        """Work on frames as the session's newest connection would."""
        self.session, self.c = session, session.c

    def close(self, code: CloseCode, after_ms: int | None = None) -> None:
        """As a connection. What replaced it may be the client's own next poll: it comes back and resends."""
        super().close(close.INTERNAL if code is close.REPLACED else code, after_ms)

    def _end(self) -> None:
        # The session stays with its holder.
        self.session = None
        super()._end()


_ON_CONNECT: Final = {
    Code.UNAUTHORIZED: close.UNAUTHORIZED,
    Code.FORBIDDEN: close.FORBIDDEN,
    Code.OVERLOADED: close.OVERLOADED,
    Code.RATE_LIMITED: close.OVERLOADED,
    Code.INTERNAL: close.INTERNAL,
}

"""The clients behind a broker: a connection for each `{client}` whose `connect` came, and what leaves for it.

Nothing here knows how messages come from the broker or go to it: `Lines.receive` takes them, `Outgoing` keeps
them until they go.
"""

import asyncio
from collections import deque
from typing import Any, Final, NamedTuple

from unique_cs.domain.flow import KeyedBuckets, TokenBucket
from unique_cs.errors import UniqueCsError
from unique_cs.gateway.connection import LOW_WATER, MAX_HELD, Connection
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.transports.mqtt_connection import WIRE, Asked, asked_in, is_same
from unique_cs.protocol import close, frames
from unique_cs.protocol.mqtt import MAX_CLIENT_ID
from unique_cs.telemetry import log, metrics

BACKLOG: Final = 64 << 20
"""Bytes that may wait for the broker in all; beyond it, who has more than `LOW_WATER` waiting is closed."""

TURNED_AWAY: Final = 500
"""Clients without a connection that are told so, a second; one client at most once a second."""


class Parcel(NamedTuple):
    """A frame on its way to a client. `line` is None where the client has no connection."""

    client: str
    payload: bytes
    line: "Line | None"


class Outgoing:
    """What waits for the broker, in order."""

    def __init__(self) -> None:
        self.size = 0  # bytes, with those that the broker has not acknowledged
        self.waits = asyncio.Event()
        self.empty = asyncio.Event()
        self.empty.set()
        self._queue: deque[Parcel] = deque()

    def put(self, parcel: Parcel) -> None:
        """Queue a frame."""
        self.size += len(parcel.payload)
        self._queue.append(parcel)
        self.waits.set()
        self.empty.clear()

    async def take(self) -> Parcel:
        """The next one, once there is one. The caller says `done` with it, whatever becomes of it."""
        while True:
            while self._queue:
                parcel = self._queue.popleft()
                if parcel.line is None or not parcel.line.replaced:
                    return parcel
                self.done(parcel)
            self.waits.clear()
            await self.waits.wait()

    def done(self, parcel: Parcel) -> None:
        """The broker has it, or it is given up."""
        self.size -= len(parcel.payload)
        if parcel.line is not None:
            parcel.line.written(len(parcel.payload))
        if not self.size:
            self.empty.set()

    def clear(self) -> None:
        """Give everything up that was not taken."""
        while self._queue:
            self.done(self._queue.popleft())


class Line:
    """The `Link` of one client's connection. While it is `held`, somebody else's `connect` is looked at."""

    __slots__ = ("_lines", "_waiting", "asked", "client", "connection", "held", "replaced")

    def __init__(self, lines: "Lines", client: str, asked: Asked) -> None:
        self._lines = lines
        self._waiting = 0
        self.asked = asked
        self.client = client
        self.held: list[bytes] | None = None
        self.replaced = False
        self.connection: Connection | None = Connection(lines.gateway, self, WIRE, f"mqtt/{client}")

    def is_late(self, asked: Asked) -> bool:
        """Whether a `connect` is a copy of the one that made this line, or older."""
        connection = self.connection
        session = None if connection is None else connection.session
        known = {None, self.asked.session, None if session is None else session.id}
        last = self.asked.c if session is None or connection is None else connection.c
        return (
            asked.session in known and isinstance(asked.c, int) and isinstance(last, int) and asked.c <= last
        )

    def end(self) -> None:
        """Nothing more comes from the client, and the connection need not say goodbye."""
        self._lines.forget(self)
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.lost()

    def written(self, size: int) -> None:
        """The broker has so many bytes more."""
        self._waiting -= size
        connection = self.connection
        if connection is not None and connection.drained is not None and self._waiting <= LOW_WATER:
            connection.writing_resumed()

    # Link

    def write(self, frames: list[bytes]) -> None:
        for frame in frames:
            self._waiting += len(frame)
            self._lines.outgoing.put(Parcel(self.client, frame, self))
        if self._waiting > LOW_WATER and self.connection is not None:
            self.connection.writing_paused()

    def buffered(self) -> int:
        if self._lines.outgoing.size > BACKLOG:
            return self._lines.gateway.limits.max_queue + 1
        return self._waiting

    def close(self, code: int, reason: str) -> None:
        self._lines.forget(self)
        asyncio.get_running_loop().call_soon(self.end)

    def abort(self) -> None:
        self.end()

    def ping(self) -> None:
        """A broker answers pings in its own name."""

    def pause_reading(self) -> None:
        """One client can't be held back without the others; a lawful one never has so many in flight."""
        connection = self.connection
        if connection is not None and len(connection.held or ()) >= MAX_HELD:
            connection.close(close.OVERLOADED)

    def resume_reading(self) -> None:
        """Never paused."""


class Lines:
    """The clients of a broker."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.outgoing = Outgoing()
        self._lines: dict[str, Line] = {}
        self._cut_off: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._turned_away = TokenBucket(TURNED_AWAY, TURNED_AWAY)
        self._turned_away_each = KeyedBuckets(1, 1)

    def receive(self, client: str, payload: bytes) -> None:
        """Take what a client published. What is no frame of a client that is connected changes nothing."""
        line = self._lines.get(client)
        if line is None:
            self._first(client, payload)
        elif line.held is not None:
            if len(line.held) < MAX_HELD:
                line.held.append(payload)
        elif line.connection is not None:
            self._next(line, line.connection, payload)

    def lose(self) -> None:
        """The broker is gone, and every client with it."""
        lines = list(self._lines.values())
        self._cut_off += [line.client for line in lines]
        for line in lines:
            line.end()
        self.outgoing.clear()

    def find_again(self) -> None:
        """The broker is back: whoever still listens hears that it has to connect again."""
        cut_off, self._cut_off = self._cut_off, []
        for client in cut_off:
            self._say(client, close.INTERNAL)

    def forget(self, line: Line) -> None:
        """The line's connection is closed."""
        if self._lines.get(line.client) is line:
            del self._lines[line.client]
            metrics.bridge.connections.dec()

    # In

    def _first(self, client: str, payload: bytes) -> None:
        small = len(payload) <= self.gateway.limits.max_frame and len(client.encode()) <= MAX_CLIENT_ID
        asked = asked_in(payload) if small else None
        if asked is None or not isinstance(asked.type, str) or asked.type == "close":
            metrics.bridge.ignored.inc()
        elif asked.type != "connect":
            # It was connected before this process, or the broker, began.
            self._turn_away(client, close.INTERNAL)
        elif self.gateway.admit(f"mqtt/{client}") is not None:
            self._turn_away(client, close.DRAINING if self.gateway.draining else close.OVERLOADED)
        else:
            line = self._lines[client] = Line(self, client, asked)
            metrics.bridge.connections.inc()
            assert line.connection is not None
            line.connection.receive(payload)

    def _next(self, line: Line, connection: Connection, payload: bytes) -> None:
        if len(payload) > self.gateway.limits.max_frame:
            connection.close(close.TOO_LARGE)
            return
        asked = asked_in(payload) if b'"connect"' in payload or b'"close"' in payload else None
        kind = None if asked is None else asked.type
        if asked is None or kind not in {"connect", "close"}:
            connection.receive(payload)
        elif kind == "close":
            if asked.c in {None, connection.c}:
                line.end()
        elif line.is_late(asked):
            metrics.bridge.ignored.inc()
        else:
            line.held = [payload]
            self._start(self._decide(line, asked))

    async def _decide(self, line: Line, asked: Asked) -> None:
        """A further `connect`: it takes the line over if it is the same actor's, else it changes nothing.

        Its owner must not notice: what is said to one of them on `down`, the other one hears.
        """
        may = await self._is_same_actor(line, asked.token)
        held, line.held = line.held or [], None
        if self._lines.get(line.client) is line:
            if may:
                line.replaced = True
                line.end()
            else:
                del held[0]
                metrics.bridge.ignored.inc()
        for payload in held:
            self.receive(line.client, payload)

    async def _is_same_actor(self, line: Line, token: Any) -> bool:
        try:
            principal = await self.gateway.authenticate(token if isinstance(token, str) else "")
        except UniqueCsError:
            return False
        except Exception as error:  # noqa: BLE001  # the line must not be held for ever
            log.exception("a token could not be checked", error=repr(error))
            return False
        session = None if line.connection is None else line.connection.session
        return session is None or is_same(principal, session.principal)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Out

    def _turn_away(self, client: str, code: close.CloseCode) -> None:
        metrics.bridge.ignored.inc()
        now = self.gateway.clock.monotonic()
        if not (self._turned_away_each.take(client, now) or self._turned_away.take(now)):
            self._say(client, code)

    def _say(self, client: str, code: close.CloseCode) -> None:
        goodbye = frames.Close(code.code, code.reason, code.reconnect, self.gateway.after_ms(code))
        self.outgoing.put(Parcel(client, WIRE.frame(goodbye), None))

"""Connections of the generator: plain `asyncio.Protocol`s that do as little as they can."""

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from unique_cs.bench.histogram import Histogram
from unique_cs.bench.wire import Counter, SendTable, Unframer, json_frame, masked

WINDOW = 256
PING = masked(b'{"type":"ping"}')
_UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)


class PeerError(Exception):
    """The server closed the connection, or said what a well-behaved client never hears.

    `after` is when to come back, in seconds, where the server said so.
    """

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class Peer(asyncio.Protocol):
    """Connects with a token; `connected` is done with the server's answer, or fails.

    While it talks, each frame is decoded and given to `told`; once `live`, bytes go to `scan` as they come.
    """

    __slots__ = ("_buffer", "_feed", "_frames", "_token", "connected", "failure", "transport")

    def __init__(self, token: str, loop: asyncio.AbstractEventLoop) -> None:
        self._token = token
        self._buffer = b""
        self._frames = Unframer()
        self._feed: Callable[[bytes], None] = self._upgrade
        self.connected: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.transport: asyncio.Transport | None = None
        self.failure: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.write(_UPGRADE)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(exc or PeerError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        self._feed(data)

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def fail(self, error: Exception) -> None:
        """Keep the first error; who waits for `connected` gets it."""
        self.failure = self.failure or error
        if not self.connected.done():
            self.connected.set_exception(error)

    def _upgrade(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101 "):
            found = _RETRY_AFTER.search(head)
            self.fail(PeerError(head.split(b"\r\n")[0].decode(), float(found[1]) if found else 0.0))
            return
        self._buffer, self._feed = b"", self._talk
        self.write(json_frame(self.hello()))
        if rest:
            self._talk(rest)

    def hello(self) -> dict[str, Any]:
        """The first frame."""
        return {"type": "connect", "token": self._token}

    def _talk(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            # A close frame holds a code instead of JSON; the loss of the connection follows it.
            if payload[:1] == b"{":
                self.told(json.loads(payload))

    def told(self, frame: dict[str, Any]) -> None:
        """A frame while talking."""
        if frame["type"] == "connected" and not self.connected.done():
            self.connected.set_result(frame)
        elif frame["type"] in {"error", "close"}:
            after = frame.get("retry_after_ms") or frame.get("after_ms") or 0
            self.fail(PeerError(f"{frame['type']} {frame['code']}", after / 1000))

    def go_live(self) -> None:
        """From now on the stream is scanned, not decoded."""
        self._feed = self.scan
        if rest := self._frames.rest():
            self.scan(rest)

    def scan(self, data: bytes) -> None:
        """Bytes while live."""


class Sender(Peer):
    """A contact with one conversation. At most `window` of its sends wait for their answers."""

    __slots__ = ("_errors", "_sent", "_table", "conversation", "due", "n", "opened", "window")

    def __init__(self, token: str, loop: asyncio.AbstractEventLoop, table: SendTable) -> None:
        super().__init__(token, loop)
        self._table = table
        self._sent, self._errors = Counter(b'"type":"sent"'), Counter(b'"type":"error"')
        self.conversation = ""
        self.opened: asyncio.Future[None] = loop.create_future()
        self.window = WINDOW
        self.n = 1
        self.due = 1

    def told(self, frame: dict[str, Any]) -> None:
        super().told(frame)
        if frame["type"] == "connected":
            self.write(self._table.run(0, 1))
        elif frame["type"] == "sent" and not self.opened.done():
            self.conversation = frame["conversation"]
            self.opened.set_result(None)
            self.go_live()

    def fail(self, error: Exception) -> None:
        super().fail(error)
        if not self.opened.done():
            self.opened.set_exception(error)

    @property
    def answered(self) -> int:
        """How many sends have their `sent`; the one that opened the conversation counts."""
        return self._sent.count + 1

    def pump(self) -> None:
        """Write what is due, as far as the window goes."""
        upto = min(self.due, self.answered + self.window)
        if upto > self.n:
            self.write(self._table.run(self.n, upto))
            self.n = upto

    def scan(self, data: bytes) -> None:
        found = self._sent.feed(data)
        if self._errors.feed(data):
            self.fail(PeerError("a send was refused"))
        if found and self.due > self.n:
            self.pump()


class Probe(Sender):
    """A sender whose every message is timed, from the moment at which it was meant to start."""

    __slots__ = ("_clock", "_unanswered", "acknowledged", "delivered", "unseen")

    def __init__(self, token: str, loop: asyncio.AbstractEventLoop, table: SendTable) -> None:
        super().__init__(token, loop, table)
        self._clock = loop.time
        self._unanswered: deque[float] = deque()
        self.unseen: deque[float] = deque()
        self.acknowledged, self.delivered = Histogram(), Histogram()

    def intend(self, start: float) -> None:
        """One more message is due, and was meant to start then."""
        self.due += 1
        self._unanswered.append(start)
        self.unseen.append(start)

    def scan(self, data: bytes) -> None:
        before = self.answered
        super().scan(data)
        _record(self._unanswered, self.answered - before, self._clock(), self.acknowledged)

    def seen(self, times: int) -> None:
        """An observer got that many of its messages."""
        _record(self.unseen, times, self._clock(), self.delivered)


def _record(starts: deque[float], times: int, now: float, histogram: Histogram) -> None:
    for _ in range(min(times, len(starts))):
        histogram.record(int((now - starts.popleft()) * 1e6))


class Observer(Peer):
    """An agent that follows conversations and counts their events."""

    __slots__ = ("_closed", "_events", "_probes", "followed")

    def __init__(self, token: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(token, loop)
        self._events, self._closed = Counter(b'"type":"event"'), Counter(b'"type":"close"')
        self._probes: list[tuple[Counter, Probe]] = []
        self.followed: set[str] = set()

    @property
    def events(self) -> int:
        return self._events.count

    def told(self, frame: dict[str, Any]) -> None:
        super().told(frame)
        if frame["type"] == "connected":
            self.followed.update(shown["id"] for shown in frame["conversations"])
        elif frame["type"] == "subscribed":
            self.followed.add(frame["conversation"])

    def follow(self, conversation: str) -> None:
        self.write(json_frame({"type": "subscribe", "conversation": conversation}))

    def time(self, probe: Probe) -> None:
        """Time the deliveries of this sender's messages."""
        self._probes.append((Counter(f'"conversation":"{probe.conversation}"'.encode()), probe))

    def scan(self, data: bytes) -> None:
        self._events.feed(data)
        if self._closed.feed(data):
            self.fail(PeerError("the observer was closed"))
        for counter, probe in self._probes:
            if found := counter.feed(data):
                probe.seen(found)

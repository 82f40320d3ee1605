"""One session on each road that frames can take: it connects, sends with a window, and counts its answers."""

import asyncio
import re
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, Final, cast

import msgspec

from unique_cs.bench.histogram import Histogram
from unique_cs.bench.load import dial
from unique_cs.bench.peers import PeerError
from unique_cs.bench.process import Target
from unique_cs.bench.wire import Counter, masked
from unique_cs.protocol import mqtt_packets

BODY: Final = {"kind": "text", "text": "Hello, my order has not arrived yet. Could you have a look?"}
MAX_FRAMES: Final = 256
_STREAM: Final = "/api/v1/stream"
_SESSION: Final = re.compile(rb"s_[0-9a-f]{32}")
_json: Final = msgspec.json.Encoder().encode
_msgpack: Final = msgspec.msgpack.Encoder().encode
_numbers: Final = count(1)


def _send(n: int) -> dict[str, Any]:
    return {"type": "send", "n": n, "body": BODY}


class Line(asyncio.Protocol):
    """A contact on one road. `connected` is done with its session's id; `starts` are the sends to be timed.

    At most `window` sends wait for their answers.
    """

    def __init__(self, server: Target, token: str) -> None:
        loop = asyncio.get_running_loop()
        self.server = server
        self.token = token
        self.connected: asyncio.Future[str] = loop.create_future()
        self.failure: Exception | None = None
        self.n = self.due = self.answered = 0
        self.window = MAX_FRAMES
        self.starts: deque[float] = deque()
        self.latency = Histogram()
        self.transport: asyncio.Transport | None = None
        self._clock = loop.time
        self._seen = b""

    # The road

    async def open(self, source: str) -> None:
        """Connect from this address; `connected` tells what became of it."""
        await dial(self.server, self, source)

    def begin(self) -> None:
        """Say what has to be said first, up to `connect`."""

    async def prepare(self) -> None:
        """Open what sending needs beside the connection."""

    @abstractmethod
    def put(self, first: int, last: int) -> None:
        """Write the sends from number `first` to `last`."""

    def came(self, data: bytes) -> None:
        """Bytes after `connected`."""

    # What all roads share

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.begin()

    def data_received(self, data: bytes) -> None:
        if self.connected.done():
            self.came(data)
            return
        self._seen += data
        self.greeting(self._seen)

    def greeting(self, seen: bytes) -> None:
        """Look for `connected` in all that came."""
        found = _SESSION.search(seen)
        if found is not None:
            self._seen = b""
            self.connected.set_result(found[0].decode())
        elif b"close" in seen:
            self.fail(PeerError(f"refused: {seen[-200:]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(exc or PeerError(f"closed by the server: {self._seen[:200]!r}"))

    def fail(self, error: Exception) -> None:
        """Keep the first error; who waits for `connected` gets it."""
        self.failure = self.failure or error
        if not self.connected.done():
            self.connected.set_exception(error)

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def pump(self) -> None:
        """Write what is due, as far as the window goes."""
        upto = min(self.due, self.answered + self.window)
        if upto > self.n:
            first, self.n = self.n + 1, upto
            self.put(first, upto)

    def got(self, answers: int) -> None:
        """So many sends were answered."""
        self.answered += answers
        now = self._clock()
        for _ in range(min(answers, len(self.starts))):
            self.latency.record(int((now - self.starts.popleft()) * 1e6))
        self.pump()


class WebSocketLine(Line):
    """JSON over WebSocket."""

    subprotocol = ""
    mark = b'"type":"sent"'

    def begin(self) -> None:
        offer = f"Sec-WebSocket-Protocol: {self.subprotocol}\r\n" if self.subprotocol else ""
        self.write(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%b"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            % offer.encode()
        )
        self._answers = Counter(self.mark)
        self._upgraded = False

    def greeting(self, seen: bytes) -> None:
        if self._upgraded:
            super().greeting(seen)
        elif b"\r\n\r\n" in seen:
            if b" 101 " not in seen[:16]:
                self.fail(PeerError(seen.split(b"\r\n")[0].decode()))
                return
            self._upgraded = True
            self.write(self.frame({"type": "connect", "token": self.token}))

    def frame(self, frame: dict[str, Any]) -> bytes:
        return masked(_json(frame))

    def put(self, first: int, last: int) -> None:
        self.write(b"".join(self.frame(_send(n)) for n in range(first, last + 1)))

    def came(self, data: bytes) -> None:
        if found := self._answers.feed(data):
            self.got(found)


class MsgpackLine(WebSocketLine):
    """msgpack over WebSocket."""

    subprotocol = "unique-cs.v1+msgpack"
    mark = b"\xa4type\xa4sent"

    def frame(self, frame: dict[str, Any]) -> bytes:
        return b"\x82" + masked(_msgpack(frame))[1:]


class MqttLine(Line):
    """MQTT 3.1.1 over TCP, QoS 0 both ways."""

    async def open(self, source: str) -> None:
        await dial(self.server, self, source, port=self.server.mqtt_port)

    def begin(self) -> None:
        client = f"bench-{next(_numbers)}"
        self._up = mqtt_packets.text(f"ucs/v1/{client}/up")
        self._answers = Counter(b'"type":"sent"')
        asked = mqtt_packets.text("MQTT") + b"\x04\xc2\x00\x3c"
        asked += mqtt_packets.text(client) + mqtt_packets.text("x") + mqtt_packets.text(self.token)
        down = b"\0\1" + mqtt_packets.text(f"ucs/v1/{client}/down") + b"\0"
        self.write(
            mqtt_packets.packet(0x10, asked)
            + mqtt_packets.packet(0x82, down)
            + self._publish({"type": "connect", "token": self.token})
        )

    def _publish(self, frame: dict[str, Any]) -> bytes:
        return mqtt_packets.publish(self._up, _json(frame), 0, mqtt_packets.V311)

    def put(self, first: int, last: int) -> None:
        self.write(b"".join(self._publish(_send(n)) for n in range(first, last + 1)))

    def came(self, data: bytes) -> None:
        if found := self._answers.feed(data):
            self.got(found)


class _Requests(asyncio.Protocol):
    """Requests over a kept connection, one at a time; `answered` gets each body."""

    def __init__(self, answered: Callable[[bytes], None], fail: Callable[[Exception], None]) -> None:
        self._answered = answered
        self._fail = fail
        self._seen = b""
        self.busy = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> None:
        """Send a request; none may be under way."""
        assert self.transport is not None
        self.busy = True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        body = _body_of(self._seen)
        if body is None:
            return
        head, self._seen, self.busy = self._seen, b"", False
        if b" 200 " in head[:16]:
            self._answered(body)
        else:
            self._fail(PeerError(head[:300].decode("latin-1")))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or PeerError("closed by the server"))


def _body_of(seen: bytes) -> bytes | None:
    """The body of a response that tells its length; None while it is incomplete."""
    head, blank, body = seen.partition(b"\r\n\r\n")
    if not blank:
        return None
    lower = head.lower()
    at = lower.index(b"content-length:") + 15
    return body if len(body) >= int(lower[at:].split(b"\r\n")[0]) else None


class StreamLine(Line):
    """HTTP: a stream of events down, requests with arrays of sends up."""

    def begin(self) -> None:
        self.write(self.request(_STREAM, _json({"type": "connect"})))

    def request(self, path: str, body: bytes) -> bytes:
        return (
            b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"
            % (path.encode(), self.token.encode(), len(body))
            + body
        )

    async def prepare(self) -> None:
        self._path = f"{_STREAM}/{await self.connected}"
        self._requests = await dial(self.server, _Requests(self._answers, self.fail))
        self._waiting: deque[bytes] = deque()
        self._batch: list[bytes] = []

    def put(self, first: int, last: int) -> None:
        self._waiting += [_json(_send(n)) for n in range(first, last + 1)]
        self._ask()

    def _ask(self) -> None:
        if self._waiting and not self._requests.busy:
            self._batch = [self._waiting.popleft() for _ in range(min(MAX_FRAMES, len(self._waiting)))]
            self._requests.ask(self.request(self._path, b"[" + b",".join(self._batch) + b"]"))

    def _answers(self, body: bytes) -> None:
        answers = body.count(b'"type":"sent"')
        # A poll that begins meanwhile ends the connection that the frames came for: they go again.
        self._waiting.extendleft(reversed(self._batch[answers:]))
        self.got(answers)
        self._ask()

    def close(self) -> None:
        super().close()
        requests = getattr(self, "_requests", None)
        if requests is not None and requests.transport is not None:
            requests.transport.abort()


class PollLine(StreamLine):
    """HTTP: polls in the stream's place."""

    def begin(self) -> None:
        self._session = ""
        self._since: dict[str, dict[str, Any]] = {}
        self._polled = b""
        self.write(self.request(_STREAM + "?poll=1&now=1", _json({"type": "connect"})))

    def greeting(self, seen: bytes) -> None:
        self._polled = b""
        self.came(seen)
        if self._session:
            self.connected.set_result(self._session)

    def _poll(self) -> None:
        asked = {"type": "connect", "session": self._session, "since": self._since}
        self.write(self.request(_STREAM + "?poll=1", _json(asked)))

    def came(self, data: bytes) -> None:
        self._polled += data
        body = _body_of(self._polled)
        if body is None:
            return
        head, self._polled, self._seen = self._polled, b"", b""
        if b" 200 " in head[:16]:
            self._learn(body)
            self._poll()
        else:
            self.fail(PeerError(head[-300:].decode("latin-1")))

    def _learn(self, body: bytes) -> None:
        """Keep the positions, so that the next poll has news only."""
        for frame in msgspec.json.decode(body):
            if frame["type"] == "connected":
                self._session = frame["session"]
                for shown in frame["conversations"]:
                    self._since.setdefault(shown["id"], {"epoch": shown["epoch"], "seq": shown["seq"]})
            elif frame["type"] in {"event", "advance"}:
                self._since[frame["conversation"]]["seq"] = frame["seq"]
            elif frame["type"] in {"subscribed", "resync"}:
                self._since[frame["conversation"]] = {"epoch": frame["epoch"], "seq": frame["seq"]}

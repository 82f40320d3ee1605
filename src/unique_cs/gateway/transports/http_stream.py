"""The HTTP fallback, for networks that block WebSockets: a stream or polls down, requests up.

`POST /api/v1/stream` carries the `connect` frame and its response is the stream of events; with `?poll=1` the
response is an array of frames. `POST /api/v1/stream/{session}` carries frames up and answers them. It is a
raw ASGI application: the clean-up after a client that left must not depend on a framework.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from unique_cs.domain.flow import Buckets
from unique_cs.domain.permission import Principal
from unique_cs.errors import HTTP_STATUS, Code, UniqueCsError, invalid, not_found
from unique_cs.gateway.connection import LOW_WATER, Connection, Courier
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.link import Wire
from unique_cs.protocol.codec import JSON, UNREADABLE
from unique_cs.protocol.session import Session

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PATH: Final = "/api/v1/stream"

COMMENT_S: Final = 15.0
"""How often a comment line tells proxies and clients that an idle stream lives."""

POLL_S: Final = 25.0
"""How long a poll waits for something to say."""

ANSWER_S: Final = 25.0
"""How long a request waits for the answers to its frames."""

MAX_FRAMES: Final = 256

_PLAIN: Final = Wire(JSON, lambda payload: payload)
_JSON: Final = [(b"content-type", b"application/json")]
_headers: Final = [
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
_raw_frames: Final = msgspec.json.Decoder(list[msgspec.Raw])


class _Mailbox:
    """The `Link` of a connection over HTTP: frames wait here until a response takes them."""

    connection: Connection

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.size = 0
        self.closed = False
        self.changed = asyncio.Event()

    def take(self) -> list[bytes]:
        """The frames that came since the last call."""
        taken, self.frames, self.size = self.frames, [], 0
        self.changed.clear()
        self.connection.writing_resumed()
        return taken

    def end(self) -> None:
        """The response is over."""
        self.closed = True
        self.connection.lost()
        # The two hold each other, and the collector that would find that out comes rarely.
        del self.connection

    # Link

    def write(self, frames: list[bytes]) -> None:
        self.frames += frames
        self.size += sum(map(len, frames))
        self.changed.set()
        if self.size > LOW_WATER:
            self.connection.writing_paused()

    def buffered(self) -> int:
        return self.size

    def close(self, code: int, reason: str) -> None:
        self.closed = True
        self.changed.set()

    def abort(self) -> None:
        self.close(0, "")

    def ping(self) -> None:
        """A stream's client sends its own heartbeats."""

    def pause_reading(self) -> None:
        """A request's body was read already."""

    def resume_reading(self) -> None:
        """A request's body was read already."""


class HttpStream:
    """The ASGI application of the fallback; it takes `PATH` and what lies below it."""

    def __init__(
        self,
        gateway: Gateway,
        authenticate: Callable[[str], Awaitable[Principal]],
        requests: Buckets | None = None,
    ) -> None:
        """`requests` has a bucket for each address, for requests that bring no connection with them."""
        self._gateway = gateway
        self._authenticate = authenticate
        self._requests = requests

    def takes(self, path: str) -> bool:
        """Say whether a request of this path is ours."""
        return path == PATH or path.startswith(PATH + "/")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self._serve(scope, receive, send)
        except UniqueCsError as error:
            await _problem(send, error)

    async def _serve(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await _respond(send, 405, b"", [(b"allow", b"POST")])
            return
        address = scope["client"][0] if scope.get("client") else ""
        session_id = scope["path"].removeprefix(PATH).strip("/")
        if session_id:
            self._admit_request(address)
        else:
            self._admit(address)
        body = await _body(receive, self._gateway.limits.max_frame)
        token = _bearer(scope)
        if session_id:
            await self._frames_up(session_id, token, body, address, send)
            return
        connect = _with_token(body, token)
        mailbox = _Mailbox()
        mailbox.connection = Connection(self._gateway, mailbox, _PLAIN, address)
        try:
            mailbox.connection.receive(connect)
            asked = scope.get("query_string", b"").split(b"&")
            if b"poll=1" in asked:
                await _poll(mailbox, body, receive, send, wait=b"now=1" not in asked)
            else:
                await _stream(mailbox, receive, send)
        finally:
            mailbox.end()

    def _admit_request(self, address: str) -> None:
        now = self._gateway.clock.monotonic()
        wait = self._requests.take(address, now) if self._requests is not None else 0
        if wait:
            raise UniqueCsError(Code.RATE_LIMITED, "too many requests from this address", retry_after_ms=wait)

    def _admit(self, address: str) -> None:
        refused = self._gateway.admit(address)
        if refused is not None:
            status, seconds = refused
            code = Code.OVERLOADED if status == HTTP_STATUS[Code.OVERLOADED] else Code.RATE_LIMITED
            raise UniqueCsError(code, "too many connections, come back later", retry_after_ms=seconds * 1000)

    async def _frames_up(self, session_id: str, token: str, body: bytes, address: str, send: Send) -> None:
        principal = await self._authenticate(token)
        session = await self._gateway.timeline.session(principal, session_id)
        if session is None:
            raise not_found("no such session")
        holder = _stream_of(session)
        mailbox = _Mailbox()
        courier = mailbox.connection = Courier(self._gateway, mailbox, _PLAIN, address)
        courier.carry_for(session)
        try:
            for payload in _frames_in(body):
                _carry(payload, courier, holder)
            async with asyncio.timeout(ANSWER_S):
                await courier.idle()
                await self._gateway.timeline.settled(session, session.n)
            courier.flush()
            await _respond(send, 200, _array(mailbox.take()), _JSON)
        finally:
            mailbox.end()


def _stream_of(session: Session) -> Connection | None:
    """The session's stream, if it is connected. Raises `conflict` where it has moved to another road."""
    holder = session.connection
    if not isinstance(holder, Connection):
        return None
    if not isinstance(holder.link, _Mailbox):
        raise UniqueCsError(Code.CONFLICT, "another connection holds the session")
    return holder


def _carry(payload: bytes, courier: Courier, holder: Connection | None) -> None:
    """Work on one frame; subscriptions are the stream's own, and every frame shows that its client lives."""
    if holder is not None:
        holder.alive()
        if _is_subscription(payload):
            if holder.paused:
                raise UniqueCsError(Code.OVERLOADED, "the stream is too far behind", retry_after_ms=1_000)
            holder.receive(payload)
            return
    courier.receive(payload)


async def _stream(mailbox: _Mailbox, receive: Receive, send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/event-stream; charset=utf-8"), *_headers],
        }
    )
    gone = asyncio.ensure_future(_disconnected(receive))
    gone.add_done_callback(lambda _: mailbox.changed.set())
    try:
        while not gone.done():
            frames = mailbox.take()
            data = b"".join(b"data: %b\n\n" % frame for frame in frames)
            if frames:
                await send({"type": "http.response.body", "body": data, "more_body": True})
            elif mailbox.closed:
                break
            elif not await _changed(mailbox, COMMENT_S):
                await send({"type": "http.response.body", "body": b": alive\n\n", "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _poll(mailbox: _Mailbox, body: bytes, receive: Receive, send: Send, *, wait: bool) -> None:
    gone = asyncio.ensure_future(_disconnected(receive))
    gone.add_done_callback(lambda _: mailbox.changed.set())
    try:
        await _entered(mailbox, gone)
        frames = mailbox.take()
        if wait and frames and _has_no_news(frames, body):
            entered = len(frames)
            while len(frames) == entered and not mailbox.closed and not gone.done():
                if not await _changed(mailbox, POLL_S):
                    break
                frames += mailbox.take()
        if not gone.done():
            await _respond(send, 200, _array(frames), _JSON)
    finally:
        gone.cancel()


async def _entered(mailbox: _Mailbox, gone: asyncio.Future[None]) -> None:
    """Return when `connect` is answered and what was missed is there, or a response full of it."""
    work = mailbox.connection.work
    if work is None:
        return
    work.add_done_callback(lambda _: mailbox.changed.set())
    while not (work.done() or gone.done() or mailbox.closed or mailbox.size > LOW_WATER):
        mailbox.changed.clear()
        await mailbox.changed.wait()
    mailbox.connection.flush()


def _has_no_news(frames: list[bytes], body: bytes) -> bool:
    """Whether `connected` tells the client nothing that it did not say itself, so that the poll may wait.

    Signals that greet every connection are none: they leave with what comes next.
    """
    told, *others = (msgspec.json.decode(frame) for frame in frames)
    if any(frame["type"] != "signal" for frame in others):
        return False
    asked: dict[str, Any] = msgspec.json.decode(body)
    if told.get("type") != "connected" or not told["resumed"]:
        return False
    known = asked.get("since") or {}
    return all(known.get(each["id"], {}).get("seq") == each["seq"] for each in told["conversations"])


async def _changed(mailbox: _Mailbox, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await mailbox.changed.wait()
    except TimeoutError:
        return False
    # The frames of one tick leave together.
    await asyncio.sleep(0)
    return True


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _body(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise invalid("the request ended early")
        body += message.get("body", b"")
        if len(body) > limit:
            raise UniqueCsError(Code.TOO_LARGE, f"a request holds at most {limit} bytes")
        if not message.get("more_body"):
            return bytes(body)


def _bearer(scope: dict[str, Any]) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return str(token.strip()) if scheme.lower() == "bearer" else ""
    return ""


def _with_token(body: bytes, token: str) -> bytes:
    """The `connect` frame with the token of the header."""
    try:
        frame = msgspec.json.decode(body)
    except UNREADABLE:
        frame = None
    if not isinstance(frame, dict) or frame.get("type") != "connect":
        raise UniqueCsError(Code.BAD_FRAME, "the body is a connect frame")
    return msgspec.json.encode({**frame, "token": token or frame.get("token", "")})


def _frames_in(body: bytes) -> list[bytes]:
    try:
        payloads = [bytes(raw) for raw in _raw_frames.decode(body)] if body[:1] == b"[" else [body]
    except UNREADABLE as error:
        raise UniqueCsError(Code.BAD_FRAME, "the body is a frame or an array of frames") from error
    if len(payloads) > MAX_FRAMES:
        raise UniqueCsError(Code.TOO_LARGE, f"a request holds at most {MAX_FRAMES} frames")
    return payloads


def _is_subscription(payload: bytes) -> bool:
    try:
        frame = msgspec.json.decode(payload)
    except UNREADABLE:
        return False
    return isinstance(frame, dict) and frame.get("type") in {"subscribe", "unsubscribe"}


def _array(frames: list[bytes]) -> bytes:
    return b"[" + b",".join(frames) + b"]"


async def _respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_headers, length]})
    await send({"type": "http.response.body", "body": body})


async def _problem(send: Send, error: UniqueCsError) -> None:
    """An RFC 9457 problem document, as every refusal over HTTP."""
    problem = {
        "type": "about:blank",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    headers = [(b"content-type", b"application/problem+json")]
    if error.retry_after_ms is not None:
        headers.append((b"retry-after", str(-(-error.retry_after_ms // 1000)).encode()))
    await _respond(send, error.status, msgspec.json.encode(problem), headers)

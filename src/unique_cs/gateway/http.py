"""uvicorn's HTTP/1 protocol behind our door: bounded heads, our WebSockets, other upgrade offers ignored, and
connections that are closed in stages.

It builds on a class that uvicorn calls internal, hence the pinned minor version and a test for each change.
"""

import weakref
from typing import Any

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from unique_cs.gateway.door import Deadlines, Upgrades, refuse
from unique_cs.protocol.handshake import Refusal, RequestHead, join_headers, tokens, wants_websocket


class _Staged:
    """The transport as requests' answers see it: who closes it closes in stages."""

    __slots__ = ("_protocol", "_transport")

    def __init__(self, transport: Any, protocol: "HttpProtocol") -> None:
        self._transport = transport
        # The protocol holds what holds this, and shall not wait for a collection.
        self._protocol = weakref.ref(protocol)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def is_closing(self) -> bool:
        return bool(self._transport.is_closing())

    def close(self) -> None:
        protocol = self._protocol()
        if protocol is not None and not self.is_closing():
            protocol.close_in_stages()


class HttpProtocol(HttpToolsProtocol):
    """A connection's HTTP requests, until one of them upgrades to a WebSocket."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        upgrades: Upgrades,
        heads: Deadlines,
        bodies: Deadlines,
        unread: Deadlines,
        idle: Deadlines,
        max_head: int,
    ) -> None:
        """A request head must come before its deadline in `heads` and hold at most `max_head` bytes.

        What follows it must come before its deadline in `bodies`, the answer must be read before that in
        `unread`, and the next request must come before that in `idle`.
        """
        super().__init__(config, server_state, app_state)
        self._upgrades = upgrades
        self._heads = heads
        self._bodies = bodies
        self._unread = unread
        self._idle = idle
        self._max_head = max_head
        self._fields = 0  # bytes of the head in its target and header fields
        self._unfinished: int | None = None  # bytes of reads that lay within the head; `None` outside of one
        self._has_offer = False
        self._closes_when_read = False

    def connection_made(self, transport: Any) -> None:  # asyncio's, or uvloop's
        super().connection_made(transport)
        self._heads.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._heads.discard(self)
        self._bodies.discard(self)
        self._unread.discard(self)
        self._idle.discard(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.add(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.discard(self)

    def expire(self) -> None:
        """What was written was not read in time, or the head or the body did not come.

        That is said, unless nobody would hear it, nothing was begun, or it is answered.
        """
        if self.flow.write_paused:
            self.transport.abort()
            return
        cycle: RequestResponseCycle | None = self.cycle
        waits_for_body = cycle is not None and cycle.more_body and not cycle.response_started
        if self._unfinished is None and not waits_for_body:
            self.transport.close()
        else:
            refuse(self.transport, Refusal(408))

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._idle.discard(self)
        if self._closes_when_read:
            self._read_off(data)
            return
        while data:
            data = self._feed(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._heads.add(self)
        self._fields = 0
        self._unfinished = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._fields += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._fields += len(name) + len(value)

    def on_headers_complete(self) -> None:
        self._heads.discard(self)
        self._unfinished = None
        if self._fields > self._max_head:
            raise ValueError("head too large")  # the parser stops and `_feed` answers
        self._has_offer = self.parser.should_upgrade()
        if not self._has_offer:
            super().on_headers_complete()
            self.cycle.transport = _Staged(self.transport, self)  # type: ignore[assignment]
            self._bodies.add(self)

    def on_message_complete(self) -> None:
        self._bodies.discard(self)
        if self._closes_when_read:
            self.transport.close()
        elif not self._has_offer:
            super().on_message_complete()

    def close_in_stages(self) -> None:
        """Close; while a request's body is still coming, say that no more is said, and close at its end.

        To close before would reset the connection, and the client might never see the answer (RFC 9112 9.6).
        What it sends is thrown away, until the body's deadline at most.
        """
        if not self.cycle.more_body:
            self.transport.close()
            return
        self._closes_when_read = True
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _read_off(self, data: bytes) -> None:
        """Nothing is answered any more: only the end matters."""
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.transport.close()

    def on_response_complete(self) -> None:
        if self._closes_when_read:
            return
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            # One timer for all is enough, and knows who has been idle longest.
            self._unset_keepalive_if_required()
            self._idle.add(self)

    def _feed(self, data: bytes) -> bytes:
        """Parse; return what is to be parsed next, which is less than `data` or an offer less."""
        unfinished = self._unfinished
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return self._answer_offer(data[offer.args[0] :])
        except httptools.HttpParserError:
            is_large = self._fields > self._max_head
            refuse(
                self.transport, Refusal(431) if is_large else Refusal(400, "Invalid HTTP request received.")
            )
        else:
            if unfinished is not None and self._unfinished is not None:
                self._bound_head(unfinished + len(data))
        return b""

    def _bound_head(self, size: int) -> None:
        self._unfinished = size
        if size > self._max_head:
            refuse(self.transport, Refusal(431))

    def _answer_offer(self, rest: bytes) -> bytes:
        """Take up the offer of a WebSocket; ignore any other, as RFC 9110 7.8 allows, and read on without it.

        Java's `HttpClient` and Ktor offer `h2c` on requests with a body, which the parser leaves unread.
        """
        headers = join_headers(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers
        )
        method = self.parser.get_method().decode()
        if wants_websocket(headers):
            version = self.parser.get_http_version()
            self._upgrade(RequestHead(method, self.url.decode("latin-1"), version, headers), rest)
        elif method == "CONNECT":
            refuse(self.transport, Refusal(501))
        else:
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            return self._head_without_offer(method) + rest
        return b""

    def _head_without_offer(self, method: str) -> bytes:
        lines = [b"%b %b HTTP/1.1" % (method.encode(), self.url)]
        for name, value in self.headers:
            if name == b"connection":
                kept = [
                    item
                    for item in tokens(value.decode("latin-1"))
                    if item not in ("upgrade", "http2-settings")
                ]
                lines.append(b"connection: " + ", ".join(kept).encode("latin-1"))
            elif name not in (b"upgrade", b"http2-settings"):
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    def _upgrade(self, head: RequestHead, rest: bytes) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            # Behind a running request, whose response ends the connection: the client has to come again.
            cycle.keep_alive = False
            self.flow.pause_reading()
        elif self._upgrades.perform(self.transport, head, rest):
            self.connections.discard(self)
            self._unread.discard(self)
            # Protocol and parser hold each other, and this object would keep the head until a collection.
            self.parser = self.flow = self.transport = self.cycle = None  # type: ignore[assignment]

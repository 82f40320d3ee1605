"""The one listening socket's first protocol: WebSockets go to our engine, all else to the HTTP server.

A door lives from the connection to the end of its first request head; then the transport belongs to another
protocol and nothing of the head is kept.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from unique_cs.gateway.origin import OriginPolicy, TrustedProxies
from unique_cs.protocol.handshake import (
    Refusal,
    RequestHead,
    UpgradeRequest,
    accept_response,
    check_upgrade,
    parse_head,
    refuse_response,
    wants_websocket,
)


class Accept(NamedTuple):
    """Let the WebSocket in: `connection` gets its transport, `subprotocol` is one of the offers or `None`."""

    connection: asyncio.Protocol
    subprotocol: str | None = None


Admit = Callable[[UpgradeRequest, str], Accept | Refusal]
"""Decides on a lawful handshake from a client address (that of the client, not of a trusted proxy).

It runs on the event loop and must not block. To hold off, refuse with 429 or 503 and `retry_after`.
"""


class Upgrades:
    """All WebSocket handshakes of a listener, whichever protocol read their heads."""

    def __init__(self, routes: Mapping[str, Admit], origins: OriginPolicy, proxies: TrustedProxies) -> None:
        """`routes` maps the path of each WebSocket endpoint to its admission."""
        self._routes = routes
        self._origins = origins
        self._proxies = proxies

    def perform(self, transport: asyncio.Transport, head: RequestHead, rest: bytes) -> bool:
        """Answer a handshake. True: another protocol has the transport, and `rest`. False: it closes."""
        request = check_upgrade(head)
        if isinstance(request, Refusal):
            refuse(transport, request)
            return False
        answer = self._decide(request, transport)
        if isinstance(answer, Refusal):
            refuse(transport, answer)
            return False
        transport.write(accept_response(request, answer.subprotocol))
        hand_over(transport, answer.connection, rest)
        return True

    def _decide(self, request: UpgradeRequest, transport: asyncio.Transport) -> Accept | Refusal:
        admit = self._routes.get(request.path)
        if admit is None:
            return Refusal(404)
        peer = peer_address(transport)
        secure = transport.get_extra_info("sslcontext") is not None
        if not self._origins.admits(request.headers, peer, secure=secure):
            return Refusal(403, "This origin may not connect.")
        return admit(request, self._proxies.client(peer, request.headers))


def peer_address(transport: asyncio.Transport) -> str:
    """The IP of the other end; empty on a Unix socket."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""


def hand_over(transport: asyncio.Transport, protocol: asyncio.Protocol, data: bytes) -> None:
    """Make `protocol` the transport's, as if it had been so from the start."""
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if data:
        protocol.data_received(data)


def refuse(transport: asyncio.Transport, refusal: Refusal) -> None:
    """Answer and close."""
    transport.write(refuse_response(refusal))
    transport.close()


class Debtor(Protocol):
    """Whoever owes something by a deadline."""

    def expire(self) -> None:
        """The deadline has passed."""


def unbounded() -> int:
    """There is room for everybody."""
    return 1 << 30


class Deadlines:
    """One timer for all connections that owe something within the same number of seconds.

    Where there is no room for so many, the deadline of those who have owed it longest has come: newcomers who
    pay at once get in also while somebody holds the door with connections that say nothing. Those of `first`
    share the room, and make way before anybody here does.
    """

    def __init__(
        self, seconds: float, places: Callable[[], int] = unbounded, first: "Sequence[Deadlines]" = ()
    ) -> None:
        self._seconds = seconds
        self._places = places
        self._first = first
        self._due: dict[Debtor, float] = {}  # in order of time, as each adds the same amount
        self._timer: asyncio.TimerHandle | None = None
        self._settled: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._due)

    def add(self, debtor: Debtor) -> None:
        """Begin to wait; no change for one that is waited for."""
        if debtor in self._due:
            return
        loop = asyncio.get_running_loop()
        self._due[debtor] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._sweep)
        crowd = (*self._first, self)
        if sum(map(len, crowd)) > max(1, self._places()):
            next(filter(len, crowd)).expire_oldest()

    def discard(self, debtor: Debtor) -> None:
        """The debt is paid, or does not matter any more."""
        self._due.pop(debtor, None)
        if self._settled is not None and not self._due:
            self._settled.set()

    async def settled(self) -> None:
        """Return once nobody is waited for."""
        while self._due:
            self._settled = asyncio.Event()
            await self._settled.wait()

    def expire_all(self) -> None:
        """Wait no longer, and stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._expire(list(self._due))

    def _sweep(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._expire([debtor for debtor, when in self._due.items() if when <= now])
        if self._due and self._timer is None:
            self._timer = loop.call_at(next(iter(self._due.values())), self._sweep)

    def expire_oldest(self) -> None:
        """The deadline of who has waited longest has come."""
        self._expire([next(iter(self._due))])

    def _expire(self, debtors: list[Debtor]) -> None:
        for debtor in debtors:
            self.discard(debtor)
            debtor.expire()


class Entrance(NamedTuple):
    """What the doors of a listener share."""

    upgrades: Upgrades
    http: Callable[[], asyncio.Protocol]
    heads: Deadlines
    max_head: int  # bytes


class Door(asyncio.Protocol):
    """Reads the first request head of a connection and hands the transport over."""

    __slots__ = ("_entrance", "_head", "_transport")

    _transport: asyncio.Transport

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._head: bytes | bytearray = b""

    # On a stream socket the transport is one of streams.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._entrance.heads.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._entrance.heads.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        known = len(self._head)
        head = self._gather(data)
        blank = head.find(b"\r\n\r\n", max(0, known - 3))
        if blank >= 0:
            self._enter(bytes(head), blank + 4)
        elif not b"GET ".startswith(head[:4]):  # no WebSocket handshake
            self._enter(bytes(head), 0)
        elif len(head) > self._entrance.max_head:
            refuse(self._transport, Refusal(431))

    def expire(self) -> None:
        """The head did not come in time: say so to who has begun one."""
        if self._head:
            refuse(self._transport, Refusal(408))
        else:
            self._transport.close()

    def _gather(self, data: bytes) -> bytes | bytearray:
        """Keep what came, without copying it all again for each read."""
        if not self._head:
            self._head = data
        elif isinstance(self._head, bytes):
            self._head = bytearray(self._head + data)
        else:
            self._head += data
        return self._head

    def _enter(self, data: bytes, head: int) -> None:
        """Go in with all that came, of which the first `head` bytes are a whole head."""
        self._entrance.heads.discard(self)
        request = _websocket_request(data[:head])
        if head > self._entrance.max_head:
            refuse(self._transport, Refusal(431))
        elif request is None:
            hand_over(self._transport, self._entrance.http(), data)
        else:
            self._entrance.upgrades.perform(self._transport, request, data[head:])


def _websocket_request(head: bytes) -> RequestHead | None:
    """The head, if it is lawful and offers a WebSocket; all else is the HTTP server's to judge."""
    if b"\nupgrade:" not in head.lower():
        return None
    request = parse_head(head)
    if isinstance(request, Refusal) or not wants_websocket(request.headers):
        return None
    return request

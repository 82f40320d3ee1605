"""One listening port for WebSockets and an ASGI application, in the program's own event loop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Collection, Sequence
from email.utils import formatdate
from typing import Any, NamedTuple

import uvicorn

from unique_cs.gateway.door import Deadlines, Door, Entrance, Upgrades, unbounded
from unique_cs.gateway.http import HttpProtocol


class HttpLimits(NamedTuple):
    """What a client may take. Times are in seconds."""

    max_head: int = 16 * 1024  # bytes of a request head
    head_timeout: float = 10.0  # from the connection, or the head's first byte, to its end
    body_timeout: float = 60.0  # from the head's end to that of the body
    unread_timeout: float = 60.0  # in which what was written must be read, but for some KB
    keep_alive: int = (
        75  # between requests: longer than a proxy keeps its connections, or it meets closed ones
    )
    tls_handshake_timeout: float = 10.0


DEFAULT_LIMITS = HttpLimits()
_LAST_WORDS = 1.0  # seconds for a cancelled request to clean up
_LAST_GUESTS = 1.0  # seconds for a connection that was accepted at the end to make its request
_TURNS = 5  # of the loop, until what it accepted is at the door


def listen(host: str, port: int, *, reuse_port: bool = False, backlog: int = 4096) -> list[socket.socket]:
    """Open a listening socket for each address of `host`, an empty one being all addresses.

    `reuse_port` lets several processes share the port. Raises `OSError` when an address can't be had.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with contextlib.ExitStack() as undo:
        sockets: list[socket.socket] = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = undo.enter_context(socket.socket(family, kind, protocol))
            _prepare(sock, reuse_port=reuse_port)
            # With port 0 the first address draws it for all.
            drawn = sockets[0].getsockname()[1] if sockets and port == 0 else address[1]
            sock.bind((address[0], drawn, *address[2:]))
            sock.listen(backlog)
            sockets.append(sock)
        undo.pop_all()
    return sockets


def _prepare(sock: socket.socket, *, reuse_port: bool) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


class HttpServer:
    """Serves `app` and `upgrades` on sockets that already listen, which it then owns.

    It installs no signal handlers. Connections that became WebSockets are their own protocol's to close.
    """

    def __init__(
        self,
        app: Any,  # an ASGI 3 application
        sockets: Sequence[socket.socket],
        upgrades: Upgrades,
        *,
        trusted_proxies: Collection[str] = (),
        tls: ssl.SSLContext | None = None,
        limits: HttpLimits = DEFAULT_LIMITS,
        places: Callable[[], int] = unbounded,
    ) -> None:
        """`trusted_proxies` may name the client and scheme of a request in `X-Forwarded-*` headers.

        `places` says how many connections may be there that are no sessions.
        """
        self._sockets = sockets
        self._tls = tls
        self._limits = limits
        self._idle = Deadlines(limits.keep_alive, places)
        self._unread = Deadlines(limits.unread_timeout, places, (self._idle,))
        self._bodies = Deadlines(limits.body_timeout, places, (self._idle, self._unread))
        self._heads = Deadlines(limits.head_timeout, places, (self._idle, self._unread, self._bodies))
        self._upgrades = upgrades
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            timeout_keep_alive=limits.keep_alive,
        )
        self._state = uvicorn.Server(self._config).server_state
        self._listeners: list[asyncio.Server] = []
        self._clock: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start the application, then accept. Raises `RuntimeError` if the application does not start."""
        self._config.load()
        self._lifespan = self._config.lifespan_class(self._config)
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            raise RuntimeError("the HTTP application did not start")
        self._set_date()
        entrance = Entrance(self._upgrades, self._make_http, self._heads, self._limits.max_head)
        timeout = self._limits.tls_handshake_timeout if self._tls else None
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            listener = await loop.create_server(
                lambda: Door(entrance), sock=sock, backlog=4096, ssl=self._tls, ssl_handshake_timeout=timeout
            )
            self._listeners.append(listener)

    def stop_accepting(self) -> None:
        """Close the listening sockets; a further call does nothing."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()

    async def close(self, timeout: float = 5.0) -> None:  # a limit that ends in a cancel
        """Finish the requests in flight, for at most `timeout` seconds; cut off the rest; stop the app."""
        self.stop_accepting()
        await self._hear(min(timeout, _LAST_GUESTS))
        self._heads.expire_all()
        for connection in list(self._state.connections):
            connection.shutdown()
        await self._finish_requests(timeout)
        for each in (self._unread, self._bodies, self._idle):
            each.expire_all()
        for connection in list(self._state.connections):
            connection.transport.close()
        if self._clock is not None:
            self._clock.cancel()
        await self._lifespan.shutdown()

    async def _hear(self, seconds: float) -> None:
        """Let those who were just accepted say what they want: to hang up on them would be to refuse them."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._heads.settled()

    async def _finish_requests(self, seconds: float) -> None:
        """Wait for the running requests and for those that clients have queued behind them."""
        tasks = self._state.tasks
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while tasks:
                    await asyncio.wait(set(tasks))
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(set(tasks), timeout=_LAST_WORDS)

    def _make_http(self) -> HttpProtocol:
        return HttpProtocol(
            self._config,
            self._state,
            self._lifespan.state,
            upgrades=self._upgrades,
            heads=self._heads,
            bodies=self._bodies,
            unread=self._unread,
            idle=self._idle,
            max_head=self._limits.max_head,
        )

    def _set_date(self) -> None:
        """An origin server with a clock sends `Date` (RFC 9110 6.6.1); once a second is enough for all."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._clock = asyncio.get_running_loop().call_later(1, self._set_date)

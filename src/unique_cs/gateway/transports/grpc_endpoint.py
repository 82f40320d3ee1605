"""The gRPC endpoint: its port, `Messaging/Connect`, the desk's calls, health and reflection."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import grpc
from grpc import StatusCode

from unique_cs.errors import HTTP_STATUS, Code, UniqueCsError
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.limits import Limits
from unique_cs.gateway.origin import TrustedProxies
from unique_cs.gateway.transports.grpc_listener import hold_off, listening
from unique_cs.gateway.transports.grpc_peers import Guests, Shears, peer_address
from unique_cs.gateway.transports.grpc_stream import GrpcStream
from unique_cs.gateway.transports.grpc_tools import DESCRIBER, HEALTH, Health, Reflection
from unique_cs.telemetry import log
from unique_cs.v1.messaging_pb2 import DESCRIPTOR

MESSAGING: Final = DESCRIPTOR.services_by_name["Messaging"].full_name
DESK: Final = DESCRIPTOR.services_by_name["Desk"].full_name

CODE: Final = "unique-cs-code"
RETRY: Final = "retry-after-ms"

STATUSES: Final = {
    Code.BAD_FRAME: StatusCode.INVALID_ARGUMENT,
    Code.UNKNOWN_TYPE: StatusCode.INVALID_ARGUMENT,
    Code.UNAUTHORIZED: StatusCode.UNAUTHENTICATED,
    Code.FORBIDDEN: StatusCode.PERMISSION_DENIED,
    Code.NOT_FOUND: StatusCode.NOT_FOUND,
    Code.OUT_OF_ORDER: StatusCode.ABORTED,
    Code.CONFLICT: StatusCode.ABORTED,
    Code.TOO_LARGE: StatusCode.RESOURCE_EXHAUSTED,
    Code.INVALID: StatusCode.INVALID_ARGUMENT,
    Code.RATE_LIMITED: StatusCode.RESOURCE_EXHAUSTED,
    Code.INTERNAL: StatusCode.INTERNAL,
    Code.OVERLOADED: StatusCode.UNAVAILABLE,
}
"""The status of a call that is refused, by our code."""

_IDLE_MS: Final = 300_000
"""How long an HTTP/2 connection may stay without a call."""

_PING_MS: Final = 10_000
"""How often a client may send HTTP/2 pings."""

_STREAMS: Final = 1_000
"""Calls at a time on one HTTP/2 connection: a bot may carry many sessions on one."""

_CALL_S: Final = 30.0
"""How long a call of the desk may take, until its client has read the answer."""

Call = Callable[[bytes, str, str], Awaitable[bytes]]
"""A call of the desk: the request's bytes, the token and the client's address, to the answer's bytes."""


class PortTaken(Exception):
    """The port can't be had."""


class GrpcEndpoint:
    """A server on a port of its own, which it takes at once."""

    def __init__(
        self,
        host: str,
        port: int,
        limits: Limits,
        tls: tuple[bytes, bytes] | None = None,
        *,
        shared: bool = False,
    ) -> None:
        """`tls` is the private key and the certificate chain, in PEM. Raises `PortTaken`.

        Several processes may have a port that is `shared`; the kernel divides the connections.
        """
        self._server = grpc.aio.server(options=_options(limits, shared=shared))
        self._health = Health(("", MESSAGING, DESK))
        self._ending: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._shears = Shears()
        address = f"[{host or '::'}]:{port}" if ":" in (host or "::") else f"{host}:{port}"
        try:
            if tls is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, grpc.ssl_server_credentials([tls]))
        except RuntimeError as error:
            raise PortTaken(str(error)) from error

    async def start(self, gateway: Gateway, proxies: TrustedProxies, desk: Mapping[str, Call]) -> None:
        """Serve; `desk` has its calls by the names of their methods."""
        self._gateway, self._proxies = gateway, proxies
        streams: dict[str, Any] = {"Connect": grpc.stream_stream_rpc_method_handler(self._connect)}
        calls: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(self._unary(call)) for name, call in desk.items()
        }
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(MESSAGING, streams),
                grpc.method_handlers_generic_handler(DESK, calls),
                self._health.handler(),
                Reflection((MESSAGING, DESK, HEALTH, DESCRIBER)).handler(),
            )
        )
        await self._server.start()
        self._guests = Guests(self.port)
        self._watch = asyncio.get_running_loop().create_task(self._guests.watch())

    def hold_off(self) -> None:
        """Leave new connections to the other processes that share the port."""
        for sock in listening(self.port):
            # A sandbox whose kernel knows no socket filters still stops in order.
            with contextlib.suppress(OSError):
                hold_off(sock)

    def stop_accepting(self, seconds: float) -> None:
        """Take no more connections and calls; what runs has so many seconds. A further call does nothing."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(seconds))

    async def _end(self, seconds: float) -> None:
        self._health.serving = False
        await self._server.stop(seconds)

    async def close(self) -> None:
        """Return when everything is over."""
        self.stop_accepting(0)
        assert self._ending is not None
        await self._ending
        if self._watch is not None:
            self._watch.cancel()

    # Calls

    async def _connect(self, _: object, context: Any) -> None:
        self._guests.called(context)
        address = self._address(context)
        refused = self._gateway.admit(address)
        if refused is not None:
            _refuse(context, _not_admitted(*refused))
            return
        await GrpcStream(self._gateway, context, address, partial(self._shears.cut, context.peer())).run()

    def _unary(self, call: Call) -> Callable[[bytes, Any], Awaitable[bytes]]:
        async def answer(payload: bytes, context: Any) -> bytes:
            self._guests.called(context)
            late = asyncio.get_running_loop().call_later(_CALL_S, self._shears.cut, context.peer())
            context.add_done_callback(lambda _: late.cancel())
            try:
                return await call(payload, _token(context), self._address(context))
            except UniqueCsError as error:
                _refuse(context, error)
            except Exception as error:  # noqa: BLE001  # a fault of ours ends this call only
                log.exception("a call could not be answered", error=repr(error))
                _refuse(context, UniqueCsError(Code.INTERNAL, "a fault of the server"))
            return b""

        return answer

    def _address(self, context: Any) -> str:
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        return self._proxies.client(peer_address(context.peer()), headers)


def _token(context: Any) -> str:
    """The token of the call (RFC 6750 2.1); empty if it has none."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""


def _not_admitted(status: int, seconds: int) -> UniqueCsError:
    code = Code.RATE_LIMITED if status == HTTP_STATUS[Code.RATE_LIMITED] else Code.OVERLOADED
    return UniqueCsError(code, "too many connections, come back later", retry_after_ms=seconds * 1000)


def _refuse(context: Any, error: UniqueCsError) -> None:
    trailing = [(CODE, error.code.value)]
    if error.retry_after_ms is not None:
        trailing.append((RETRY, str(error.retry_after_ms)))
    context.set_trailing_metadata(tuple(trailing))
    context.set_code(STATUSES[error.code])
    context.set_details(error.message)


def _options(limits: Limits, *, shared: bool) -> list[tuple[str, int]]:
    # A frame that is a little too large is refused by us, with `close`; more is not even taken in.
    return [
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_receive_message_length", 2 * limits.max_frame),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", _STREAMS),
        ("grpc.max_connection_idle_ms", _IDLE_MS),
        ("grpc.server_handshake_timeout_ms", limits.connect_timeout_ms),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_MS),
        ("grpc.keepalive_permit_without_calls", 1),
    ]

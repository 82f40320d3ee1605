"""The ports of a process: all are taken before any store is opened, and served once there is a gateway."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from unique_cs.api.deps import Deps
from unique_cs.config import PREFIX, Settings
from unique_cs.errors import SettingsError
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.limits import Limits
from unique_cs.gateway.origin import TrustedProxies
from unique_cs.gateway.server import listen
from unique_cs.gateway.transports.mqtt_endpoint import Endpoint
from unique_cs.telemetry import log

if TYPE_CHECKING:
    from unique_cs.gateway.transports.grpc_endpoint import GrpcEndpoint

T = TypeVar("T")

ON_THE_WAY_S: Final = 0.5
"""In which what was begun arrives, when ports are left that other processes have too."""


class Handed(NamedTuple):
    """Sockets that listen already, from the supervisor of several workers, who shares each with one of them.

    A connection that comes while no process serves its socket waits there. gRPC opens its own.
    """

    http: list[socket.socket]
    mqtt: list[socket.socket]

    def __str__(self) -> str:
        """The file descriptors, as `parse` reads them."""
        return ":".join(",".join(str(sock.fileno()) for sock in each) for each in self)

    @classmethod
    def parse(cls, text: str) -> "Handed":
        """The sockets of inherited file descriptors. Raises `SettingsError`."""
        try:
            http, mqtt = ([_adopt(int(fd)) for fd in each.split(",") if fd] for each in text.split(":"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"{text} names no sockets: {error}") from error
        return cls(http, mqtt)

    @property
    def all(self) -> list[socket.socket]:
        """Every socket."""
        return [*self.http, *self.mqtt]


def _adopt(fd: int) -> socket.socket:
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


class Listeners:
    """What was taken. `http` are sockets that listen; the others may be off."""

    def __init__(self, settings: Settings, limits: Limits, handed: Handed | None = None) -> None:
        """Raises `SettingsError` that names the port that can't be had.

        With `handed`, those are served, and the port of gRPC is shared with other processes.
        """
        self._tls = tls_context(settings)
        self._shared = handed is not None
        self.http = handed.http if handed else _listen(settings, "http_port")
        self._mqtt = handed.mqtt if handed else take_mqtt(settings)
        self._grpc = _optional(
            settings, "grpc_port", lambda: _open_grpc(settings, limits, shared=self._shared)
        )

    async def start(self, gateway: Gateway, mqtt: Endpoint, proxies: TrustedProxies, deps: Deps) -> None:
        """Serve all but HTTP."""
        await mqtt.start(self._mqtt, self._tls)
        if self._grpc is not None:
            from unique_cs.api.grpc_desk import Desk  # noqa: PLC0415  # see `_open_grpc`

            await self._grpc.start(gateway, proxies, Desk(deps).calls())

    async def let_in(self, seconds: float) -> None:
        """Where others have the ports too: serve for a moment those who were on their way to this process."""
        if self._shared:
            if self._grpc is not None:
                self._grpc.hold_off()
            await asyncio.sleep(min(ON_THE_WAY_S, seconds))

    def stop_accepting(self, seconds: float) -> None:
        """Let nobody in over gRPC any more; what runs there has so many seconds."""
        if self._grpc is not None:
            self._grpc.stop_accepting(seconds)

    async def close(self) -> None:
        """Return when gRPC is over."""
        if self._grpc is not None:
            await self._grpc.close()


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """What HTTP and MQTT are served with; None is no TLS. Raises `SettingsError`."""
    if not settings.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key or None)
    except OSError as error:
        raise SettingsError(f"{PREFIX}TLS_CERTIFICATE can't be used: {error}") from error
    return context


def hand(settings: Settings, count: int) -> list[Handed]:
    """Take the ports of `count` workers, among whom the kernel divides the connections.

    Raises `SettingsError` that names the port that can't be had.
    """
    # Whoever has a port already might share it: that would be another server, with half of our clients.
    alone = Handed(_listen(settings, "http_port"), take_mqtt(settings))
    ports = [each[0].getsockname()[1] if each else 0 for each in alone]
    for sock in alone.all:
        sock.close()
    return [hand_on(settings, *ports) for _ in range(count)]


def hand_on(settings: Settings, http: int, mqtt: int) -> Handed:
    """Sockets of one more worker on the same ports; `mqtt` 0 is none. Raises `SettingsError`."""
    try:
        return Handed(
            listen(settings.host, http, reuse_port=True),
            listen(settings.host, mqtt, reuse_port=True) if mqtt else [],
        )
    except OSError as error:
        raise SettingsError(f"the ports {http} and {mqtt} can't be shared: {error.strerror}") from error


def take_mqtt(settings: Settings) -> list[socket.socket]:
    """The sockets of MQTT over TCP; none where it is off."""
    return _optional(settings, "mqtt_port", lambda: _listen(settings, "mqtt_port")) or []


def _listen(settings: Settings, setting: str) -> list[socket.socket]:
    port = getattr(settings, setting)
    try:
        return listen(settings.host, port)
    except OSError as error:
        raise SettingsError(f"{PREFIX}{setting.upper()} {port} can't be had: {error.strerror}") from error


def _optional(settings: Settings, setting: str, take: Callable[[], T]) -> T | None:
    """Take a port that may be off. 0 turns it off, and so does whoever has the usual one already."""
    if not getattr(settings, setting):
        return None
    try:
        return take()
    except SettingsError as error:
        if getattr(settings, setting) != getattr(Settings(), setting):
            raise
        # Nobody asked for this very port, and another program on the machine may well have it.
        name = setting.partition("_")[0]
        log.warning(f"{_NAMES[name]} is off", reason=error.message)
        return None


_NAMES = {"mqtt": "MQTT over TCP", "grpc": "gRPC"}


def _open_grpc(settings: Settings, limits: Limits, *, shared: bool) -> "GrpcEndpoint":
    # Only here: it takes 20 MB, which a node without gRPC has no use for.
    from unique_cs.gateway.transports.grpc_endpoint import GrpcEndpoint, PortTaken  # noqa: PLC0415

    port = settings.grpc_port
    # gRPC says no more than that it could not, and takes a port of which it can have one address only.
    for sock in [] if shared else _listen(settings, "grpc_port"):
        sock.close()
    try:
        return GrpcEndpoint(settings.host, port, limits, _pem(settings), shared=shared)
    except PortTaken as error:
        raise SettingsError(f"{PREFIX}GRPC_PORT {port} can't be had: {error}") from error


def _pem(settings: Settings) -> tuple[bytes, bytes] | None:
    """Key and certificate chain, which may be in one file; the context was made of them already."""
    if not settings.tls_certificate:
        return None
    certificate = Path(settings.tls_certificate)
    return Path(settings.tls_key or certificate).read_bytes(), certificate.read_bytes()

"""The ports of a process: all are taken before any store is opened, and served once there is a gateway."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

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


class Listeners:
    """What was taken. `http` are sockets that listen; the others may be off."""

    def __init__(self, settings: Settings, limits: Limits) -> None:
        """Raises `SettingsError` that names the port that can't be had."""
        self._tls = tls_context(settings)
        self.http = _listen(settings, "http_port")
        self._mqtt = _optional(settings, "mqtt_port", lambda: _listen(settings, "mqtt_port")) or []
        self._grpc = _optional(settings, "grpc_port", lambda: _open_grpc(settings, limits))

    async def start(self, gateway: Gateway, mqtt: Endpoint, proxies: TrustedProxies, deps: Deps) -> None:
        """Serve all but HTTP."""
        await mqtt.start(self._mqtt, self._tls)
        if self._grpc is not None:
            from unique_cs.api.grpc_desk import Desk  # noqa: PLC0415  # see `_open_grpc`

            await self._grpc.start(gateway, proxies, Desk(deps).calls())

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


def _open_grpc(settings: Settings, limits: Limits) -> "GrpcEndpoint":
    # Only here: it takes 20 MB, which a node without gRPC has no use for.
    from unique_cs.gateway.transports.grpc_endpoint import GrpcEndpoint, PortTaken  # noqa: PLC0415

    port = settings.grpc_port
    # gRPC says no more than that it could not, and takes a port of which it can have one address only.
    for sock in _listen(settings, "grpc_port"):
        sock.close()
    try:
        return GrpcEndpoint(settings.host, port, limits, _pem(settings))
    except PortTaken as error:
        raise SettingsError(f"{PREFIX}GRPC_PORT {port} can't be had: {error}") from error


def _pem(settings: Settings) -> tuple[bytes, bytes] | None:
    """Key and certificate chain, which may be in one file; the context was made of them already."""
    if not settings.tls_certificate:
        return None
    certificate = Path(settings.tls_certificate)
    return Path(settings.tls_key or certificate).read_bytes(), certificate.read_bytes()

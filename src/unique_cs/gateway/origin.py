"""Who is at the other end: the client behind trusted proxies, and the page whose script opens a WebSocket."""

import ipaddress
from collections.abc import Collection
from functools import lru_cache

from unique_cs.domain.origins import AllowedOrigins
from unique_cs.protocol.handshake import Headers

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TrustedProxies:
    """The addresses whose `X-Forwarded-*` headers are believed: IPs, networks, or `*` for all."""

    def __init__(self, trusted: Collection[str] = ()) -> None:
        self._everyone = "*" in trusted
        self._networks = [ipaddress.ip_network(item, strict=False) for item in trusted if item != "*"]

    def trust(self, address: str) -> bool:
        """Whether headers from this peer are believed."""
        if self._everyone or not self._networks:
            return self._everyone
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client(self, peer: str, headers: Headers) -> str:
        """The client's address: the last one in `X-Forwarded-For` that no trusted proxy has."""
        if not self.trust(peer):
            return peer
        client = peer
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            if _parse(hop.strip()) is None:
                break
            client = hop.strip()
            if not self.trust(client):
                break
        return client


class OriginPolicy:
    """Which pages may open a WebSocket: those of our own host, and `allowed` ones.

    A request without `Origin` comes from no browser and is let in: the check protects users of browsers only
    (RFC 6455 10.2).
    """

    def __init__(self, allowed: AllowedOrigins, proxies: TrustedProxies) -> None:
        self._allowed = allowed
        self._proxies = proxies

    def admits(self, headers: Headers, peer: str, *, secure: bool) -> bool:
        """Judge the request that `peer` sent, over TLS if `secure`."""
        origin = headers.get("origin")
        if origin is None or self._allowed.admits(origin):
            return True
        host = headers.get("host", "")
        if self._proxies.trust(peer):
            host = _last(headers.get("x-forwarded-host", host))
            secure = secure or _last(headers.get("x-forwarded-proto", "")).lower() == "https"
        return _is_same_host(origin.lower(), host.lower(), secure=secure)


def _is_same_host(origin: str, host: str, *, secure: bool) -> bool:
    """A proxy may hide TLS from us, so `https` is welcome at a plain port; the reverse is not."""
    scheme, _, authority = origin.partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    if port is None or (secure and scheme != "https"):
        return False
    return authority.removesuffix(port) == host.removesuffix(port) != ""


def _last(value: str) -> str:
    """The value that the nearest proxy gave."""
    return value.rpartition(",")[2].strip()


@lru_cache(4_096)
def _parse(address: str) -> _Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed

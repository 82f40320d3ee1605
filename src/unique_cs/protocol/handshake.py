"""The server side of the WebSocket opening handshake (RFC 6455 4.2), without I/O.

A request head in bytes becomes an `UpgradeRequest` or a `Refusal`; either becomes a response in bytes.
"""

import base64
import binascii
import hashlib
import http
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

Headers = Mapping[str, str]
"""Names in lower case; the values of a repeated name are joined with commas (RFC 9110 5.3)."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_UPGRADE: Final = (("Upgrade", "websocket"), ("Connection", "Upgrade, close"))  # RFC 9110 15.5.22
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_REQUEST_LINE: Final = rb"(" + _TOKEN + rb") ([!-~]++) HTTP/(\d\.\d)\r\n"
_FIELDS: Final = rb"((?:" + _TOKEN + rb":[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+)\r\n"
_BEGINNING: Final = re.compile(_REQUEST_LINE)
_HEAD: Final = re.compile(_REQUEST_LINE + _FIELDS)


class UpgradeRequest(NamedTuple):
    """A lawful WebSocket handshake."""

    path: str  # as sent, percent-encoding kept
    query: str  # without the question mark
    key: bytes
    subprotocols: tuple[str, ...]  # offers, the client's favourite first
    headers: Headers

    @property
    def origin(self) -> str | None:
        """Who made the browser do this, `None` outside of browsers (10.2)."""
        return self.headers.get("origin")


class Refusal(NamedTuple):
    """An answer other than 101. `retry_after` is in seconds."""

    status: int
    detail: str = ""
    retry_after: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


class RequestHead(NamedTuple):
    """The start line and header fields of an HTTP/1 request."""

    method: str
    target: str
    version: str
    headers: Headers


def parse_head(head: bytes) -> RequestHead | Refusal:
    """Read a request head, which ends with its empty line. Line folding and other relics are refused."""
    found = _HEAD.fullmatch(head)
    if found is None:
        relic = "header field" if _BEGINNING.match(head) else "request line"
        return Refusal(400, f"A {relic} is malformed.")
    method, target, version, fields = (part.decode("latin-1") for part in found.groups())
    headers = join_headers(line.partition(":")[::2] for line in fields.split("\r\n")[:-1])
    if "," in headers.get("host", ""):
        return Refusal(400, "A header field is malformed.")
    return RequestHead(method, target, version, headers)


def join_headers(fields: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Collect (name, value) pairs by name."""
    headers: dict[str, str] = {}
    for written, padded in fields:
        name, value = written.lower(), padded.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def tokens(value: str) -> Iterator[str]:
    """The items of a comma-separated header, in lower case."""
    return (item.strip().lower() for item in value.split(","))


def wants_websocket(headers: Headers) -> bool:
    """Whether the request offers to upgrade to a WebSocket; other offers may be ignored (RFC 9110 7.8)."""
    return _has(headers.get("upgrade", ""), "websocket") and _has(headers.get("connection", ""), "upgrade")


def _has(value: str, token: str) -> bool:
    value = value.lower()
    return value == token or token in tokens(value)


def parse_upgrade(head: bytes) -> UpgradeRequest | Refusal:
    """Read the head of a WebSocket handshake request."""
    request = parse_head(head)
    return request if isinstance(request, Refusal) else check_upgrade(request)


def check_upgrade(request: RequestHead) -> UpgradeRequest | Refusal:
    """Check a request against 4.2.1."""
    headers = request.headers
    if request.method != "GET":
        return Refusal(405, "A WebSocket handshake is a GET.", headers=(("Allow", "GET"),))
    if request.version != "1.1" or not headers.get("host"):
        return Refusal(400, "A WebSocket handshake needs HTTP/1.1 and Host.")
    if not wants_websocket(headers):
        return Refusal(426, "This is a WebSocket.", headers=_UPGRADE)
    if headers.get("sec-websocket-version") != "13":
        return Refusal(
            426, "Only version 13 is spoken.", headers=(*_UPGRADE, ("Sec-WebSocket-Version", "13"))
        )
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        return Refusal(400, "A WebSocket handshake has no content.")
    key = headers.get("sec-websocket-key", "").encode()
    if not _is_key(key):
        return Refusal(400, "Sec-WebSocket-Key is not 16 bytes in base64.")
    path, query = _split_target(request.target)
    return UpgradeRequest(path, query, key, _offers(headers.get("sec-websocket-protocol", "")), headers)


def _is_key(key: bytes) -> bool:
    try:
        return len(key) == 24 and len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except binascii.Error:
        return False


def _split_target(target: str) -> tuple[str, str]:
    """Path and query, also from the absolute form that proxies use (RFC 9112 3.2.2)."""
    if not target.startswith("/"):
        authority = target.partition("://")[2]
        slash = authority.find("/")
        target = authority[slash:] if slash >= 0 else "/"
    path, _, query = target.partition("?")
    return path, query


def _offers(value: str) -> tuple[str, ...]:
    return tuple(offer for item in value.split(",") if (offer := item.strip()))


def accept_response(request: UpgradeRequest, subprotocol: str | None = None) -> bytes:
    """The 101 (4.2.2). `subprotocol` must be one of the offers, as the client fails otherwise."""
    accept = base64.b64encode(hashlib.sha1(request.key + _GUID, usedforsecurity=False).digest())
    chosen = b"" if subprotocol is None else b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (accept, chosen)
    )


def refuse_response(refusal: Refusal) -> bytes:
    """A complete response, after which the server closes the connection."""
    try:
        phrase = http.HTTPStatus(refusal.status).phrase
    except ValueError:
        phrase = ""
    body = (refusal.detail or phrase).encode() + b"\n"
    fields = [
        *refusal.headers,
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
    ]
    if refusal.retry_after is not None:
        fields.append(("Retry-After", str(refusal.retry_after)))
    if "Connection" not in dict(fields):
        fields.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {refusal.status} {phrase}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body

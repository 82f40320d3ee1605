"""Clients that break rules, on every road: what they say in bytes, and what they hear in words.

A new road is one `Road` in `ROADS`: how its first bytes open it, how it wraps a frame, how its answers read.
"""

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from tests.support import mqtt
from tests.support.client_frames import BINARY, CLOSE, TEXT, frame, read_frames, upgrade
from unique_cs.bench.load import dial
from unique_cs.bench.process import ServerProcess
from unique_cs.protocol import mqtt_packets

PATIENCE: Final = 20.0
V5: Final = mqtt_packets.V5
CLIENT: Final = "intruder"


class Road(NamedTuple):
    """A road.

    `open(token, client)` are the bytes before the first frame, `wrap(content, token, client)` those of a
    frame; each road takes what it needs, and the client id has a default.
    """

    name: str
    open: Callable[..., bytes]
    wrap: Callable[..., bytes]
    hear: Callable[[bytes], list[str]]
    over_mqtt: bool = False

    def port(self, server: ServerProcess) -> int:
        """Where the road begins."""
        return server.mqtt_port if self.over_mqtt else server.port


class Stranger(asyncio.Protocol):
    """A connection that keeps what it hears. `silent`: it never reads, so that the server can't write."""

    def __init__(self, *, silent: bool = False) -> None:
        self.heard = b""
        self.ended = asyncio.Event()
        self._silent = silent
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if self._silent:
            self._transport.pause_reading()
            # What the kernel holds for us is not the server's to bound.
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()

    def say(self, data: bytes) -> None:
        """Write, also to a server that has left."""
        self._transport.write(data)

    def leave(self) -> None:
        """Vanish."""
        self._transport.abort()


async def visit(server: ServerProcess, road: Road, said: bytes, patience: float = PATIENCE) -> list[str]:
    """Say these bytes and listen until the server hangs up; `TimeoutError` if it does not."""
    stranger = await dial(server, Stranger(), "127.0.0.9", port=road.port(server))
    stranger.say(said)
    try:
        async with asyncio.timeout(patience):
            await stranger.ended.wait()
    finally:
        stranger.leave()
    return road.hear(stranger.heard)


# What is said


def _post(query: str) -> Callable[..., bytes]:
    def post(content: bytes, token: str, client: str = "") -> bytes:
        lines = (
            f"POST /api/v1/stream{query} HTTP/1.1",
            "Host: x",
            "Connection: close",
            f"Authorization: Bearer {token}",
            f"Content-Length: {len(content)}",
        )
        return "\r\n".join((*lines, "", "")).encode() + content

    return post


def _mqtt_open(token: str, client: str = CLIENT) -> bytes:
    opened = mqtt.connect(V5, client, password=token.encode())
    return opened + mqtt.subscribe(V5, 1, f"ucs/v1/{client}/down", qos=0)


def _mqtt_wrap(content: bytes, token: str, client: str = CLIENT) -> bytes:
    return mqtt.publish(V5, f"ucs/v1/{client}/up", content)


# What is heard


def _frames(texts: list[str]) -> list[str]:
    """Errors and closes among frames in JSON."""
    told = [json.loads(text) for text in texts]
    return [f"{each['type']} {each['code']}" for each in told if each["type"] in {"error", "close"}]


def _head(data: bytes) -> tuple[str, bytes]:
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.split(b" ")[1].decode() if head else "", rest


def _hear_websocket(data: bytes) -> list[str]:
    status, rest = _head(data)
    if status != "101":
        return [f"HTTP {status}"] if status else []
    frames = read_frames(rest)
    closes = [str(int.from_bytes(payload[:2], "big")) for opcode, payload in frames if opcode == CLOSE]
    return _frames([payload.decode() for opcode, payload in frames if opcode == TEXT]) + closes


def _hear_http(data: bytes) -> list[str]:
    status, body = _head(data)
    if status != "200":
        return [f"HTTP {status}"] if status else []
    if body[:1] == b"[":
        return _frames([json.dumps(each) for each in json.loads(body)])
    lines = body.decode().splitlines()
    return _frames([line[6:] for line in lines if line.startswith("data: ")])


def _hear_mqtt(data: bytes) -> list[str]:
    heard: list[str] = []
    for first, body in mqtt.read_packets(data):
        match first >> 4:
            case 2 if body[1]:
                heard.append(f"CONNACK {body[1]:#x}")
            case mqtt_packets.PUBLISH:
                got = mqtt_packets.read_publish(first & 0x0F, mqtt_packets.Fields(body), V5)
                heard += _frames([got.payload.decode()])
            case mqtt_packets.DISCONNECT:
                heard.append(f"DISCONNECT {body[0]:#x}")
    return heard


def _hear_mqtt_websocket(data: bytes) -> list[str]:
    status, rest = _head(data)
    if status != "101":
        return [f"HTTP {status}"] if status else []
    payloads = [payload for opcode, payload in read_frames(rest) if opcode == BINARY]
    return _hear_mqtt(b"".join(payloads))


WEBSOCKET: Final = Road(
    "websocket", lambda *_: upgrade(origin=None), lambda content, *_: frame(TEXT, content), _hear_websocket
)
STREAM: Final = Road("stream", lambda *_: b"", _post(""), _hear_http)
POLL: Final = Road("poll", lambda *_: b"", _post("?poll=1"), _hear_http)
MQTT: Final = Road("mqtt", _mqtt_open, _mqtt_wrap, _hear_mqtt, over_mqtt=True)
MQTT_WEBSOCKET: Final = Road(
    "mqtt-websocket",
    lambda *who: (
        upgrade("/mqtt", origin=None, sec_websocket_protocol="mqtt") + frame(BINARY, _mqtt_open(*who))
    ),
    lambda *what: frame(BINARY, _mqtt_wrap(*what)),
    _hear_mqtt_websocket,
)
ROADS: Final = (WEBSOCKET, STREAM, POLL, MQTT, MQTT_WEBSOCKET)


async def hold(
    server: ServerProcess, road: Road, said: bytes, count: int, *, silent: bool = False
) -> list[Stranger]:
    """That many strangers who have said the same, from addresses of loopback, and stay."""
    strangers: list[Stranger] = []
    for number in range(count):
        source = f"127.0.1.{1 + number % 250}"
        with suppress(OSError):
            stranger = await dial(server, Stranger(silent=silent), source, port=road.port(server))
            stranger.say(said)
            strangers.append(stranger)
    return strangers

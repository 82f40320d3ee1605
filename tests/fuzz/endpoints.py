"""Fuzz targets of what reads from sockets: each input is one client of a node that goes on living."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from structlog.testing import capture_logs

from tests.fuzz.target import Target, as_records, pieces, records
from tests.support import mqtt as mqtt_bytes
from tests.support.client_frames import BINARY, TEXT, frame, upgrade
from tests.support.door import App
from tests.support.mqtt_client import Browser, Client
from tests.support.node import House, open_house, turns
from tests.support.pipe import Pipe
from tests.wire.golden import CLIENT
from unique_cs.domain.origins import AllowedOrigins
from unique_cs.gateway.door import Deadlines, Door, Entrance, Upgrades
from unique_cs.gateway.echo import admit_echo
from unique_cs.gateway.origin import OriginPolicy, TrustedProxies
from unique_cs.gateway.server import HttpServer
from unique_cs.gateway.transports.http_stream import PATH, HttpStream
from unique_cs.gateway.transports.mqtt_endpoint import Endpoint
from unique_cs.protocol import mqtt_packets

_RENEW: Final = 300  # inputs that one node serves: what they store adds up

Play = Callable[[House, bytes], Awaitable[None]]


class _Stage:
    """A node that outlives inputs; whatever its loop has to complain of fails the input."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stack = contextlib.AsyncExitStack()
        self._left = 0
        self._failed: list[dict[str, Any]] = []

    def __call__(self, data: bytes) -> None:
        if self._left == 0:
            self._renew()
        self._left -= 1
        assert self._loop is not None
        with capture_logs() as said:
            self._loop.run_until_complete(self._play(self._house, data))
        assert self._failed == []
        assert [entry for entry in said if entry["log_level"] in {"error", "critical"}] == []

    def _renew(self) -> None:
        self.close()
        self._loop, self._left = asyncio.new_event_loop(), _RENEW
        self._failed.clear()
        self._loop.set_exception_handler(lambda _, context: self._failed.append(context))
        self._stack = contextlib.AsyncExitStack()
        self._house = self._loop.run_until_complete(self._open())

    async def _open(self) -> House:
        house = await self._stack.enter_async_context(open_house())
        await house.contact("ann")
        return house

    def close(self) -> None:
        """End the node."""
        if self._loop is not None:
            self._loop.run_until_complete(self._stack.aclose())
            self._loop.close()
            self._loop = None


# MQTT

_FRAMES: Final = [b'{"type":"connect"}', b'{"type":"send","n":1,"body":{"kind":"text","text":"x"}}']


async def _mqtt(house: House, data: bytes) -> None:
    """Over TCP; bit 0 of the first byte opens the connection first, bit 1 is for MQTT 3.1.1."""
    await _mqtt_client(Client(house, Endpoint(house.gateway), version=_version(data)), data)


async def _mqtt_websocket(house: House, data: bytes) -> None:
    """Over WebSocket."""
    await _mqtt_client(Browser(house, Endpoint(house.gateway)), data)


def _version(data: bytes) -> int:
    return mqtt_packets.V311 if data[:1] and data[0] & 2 else mqtt_packets.V5


async def _mqtt_client(client: Client, data: bytes) -> None:
    if not data:
        return
    client.pipe.lenient = True
    if data[0] & 1:
        await client.open("ann", frames=({"type": "connect"},))
        assert client.pipe.ended or client.protocol.connection.session is not None
    stream = data[1:]
    if data[0] & 0x80:
        stream = b"".join(mqtt_packets.packet(first, field) for first, field in records(stream))
    for piece in pieces(stream, data[0] & 0x7C):
        if not client.pipe.paused:
            client.pipe.feed(piece)
    await client.house.settle()
    client.take()
    client.pipe.lose()
    await turns(5)


def _mqtt_seeds() -> list[bytes]:
    found = []
    for head, version in ((b"\x01", mqtt_packets.V5), (b"\x03", mqtt_packets.V311)):
        ups = [mqtt_bytes.publish(version, "ucs/v1/me/up", JSON_BYTES(each)) for each in CLIENT.values()]
        acked = mqtt_bytes.publish(version, "ucs/v1/me/up", _FRAMES[1], packet_id=3)
        found += [head + up for up in ups]
        found.append(head + acked + b"\x40\x02\x00\x01\xc0\x00")
        found.append(bytes((head[0] | 0x80,)) + as_records(mqtt_bytes.read_packets(acked + ups[0])))
        found.append(bytes((head[0] & 2,)) + mqtt_bytes.connect(version, "me", password=b"ann") + ups[0])
    return found


JSON_BYTES: Final = msgspec.json.Encoder().encode


def _mqtt_websocket_seeds() -> list[bytes]:
    talk = mqtt_bytes.connect(mqtt_packets.V5, "me", password=b"ann")
    up = mqtt_bytes.publish(mqtt_packets.V5, "ucs/v1/me/up", _FRAMES[0])
    return [
        b"\x00" + frame(BINARY, talk) + frame(BINARY, up),
        b"\x01" + frame(BINARY, up) + frame(TEXT, b"x"),
    ]


# The HTTP fallback


async def _http_stream(house: House, data: bytes) -> None:
    """The first byte chooses the way in; the rest is the body, or with bit 7 path, a blank and the body."""
    if not data:
        return
    path, body = PATH + ("/s_" + "0" * 32 if data[0] & 1 else ""), data[1:]
    if data[0] & 0x80:
        raw, _, body = body.partition(b" ")
        path = PATH + "/" + raw.decode("latin-1")
    elif data[0] & 1:
        path = PATH + "/" + await _session(house)
    query = (b"", b"poll=1&now=1", b"poll=1", b"x")[data[0] >> 1 & 3]
    status, answer = await _ask(house, path, query, body)
    assert status in {200, 400, 401, 403, 404, 409, 413, 422, 429, 503}
    if status != 200:
        assert msgspec.json.decode(answer)["status"] == status


async def _session(house: House) -> str:
    """A session of Ann's, whose poll is over."""
    _, answer = await _ask(house, PATH, b"poll=1&now=1", b'{"type":"connect"}')
    frames: list[dict[str, Any]] = msgspec.json.decode(answer)
    return str(frames[0]["session"])


async def _ask(house: House, path: str, query: bytes, body: bytes) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []
    asked = [{"type": "http.request", "body": body, "more_body": False}]
    leaves = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query,
        "headers": [(b"authorization", b"Bearer ann")],
        "client": ("10.0.0.1", 1),
    }
    app = HttpStream(house.gateway, house.gateway.authenticate)
    task = asyncio.ensure_future(app(scope, receive, send))
    await house.settle()
    leaves.set()
    await task
    if not sent:
        return 200, b"[]"
    return int(sent[0]["status"]), b"".join(message.get("body", b"") for message in sent[1:])


def _http_stream_seeds() -> list[bytes]:
    frames = [JSON_BYTES(each) for each in CLIENT.values()]
    array = b"[" + b",".join(frames) + b"]"
    found = [bytes((way,)) + each for each in frames for way in (0, 1, 2)]
    return [*found, b"\x01" + array, b"\x80s_" + b"0" * 32 + b" " + array, b"\x04" + _FRAMES[0]]


# The door


async def _door(house: House, data: bytes) -> None:
    """Behind it are an echo, and an application that repeats what it got."""
    if not data:
        return
    proxies = TrustedProxies(["10.0.0.1"])
    upgrades = Upgrades({"/ws": admit_echo}, OriginPolicy(AllowedOrigins([]), proxies), proxies)
    server = HttpServer(App(), [], upgrades, trusted_proxies=["10.0.0.1"])
    await server.start()
    heads = Deadlines(10)
    pipe = Pipe()
    pipe.lenient = True
    pipe.attach(Door(Entrance(upgrades, server._make_http, heads, 16_384)))
    for piece in pieces(data[1:], data[0]):
        if not pipe.ended:
            pipe.feed(piece)
    await turns(12)
    said = pipe.taken()
    assert not said or said.startswith(b"HTTP/1.1 ")
    assert not said.startswith(b"HTTP/1.1 500")
    pipe.lose()
    heads.expire_all()
    await server.close(0.01)


def _door_seeds() -> list[bytes]:
    post = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
    chunked = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    offer = post.replace(b"Content", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent")
    talk = upgrade() + frame(TEXT, b"hi") + frame(BINARY, b"\0")
    heads = [upgrade(), talk, post, chunked, offer, post + upgrade() + frame(TEXT, b"late")]
    heads.append(upgrade(x_forwarded_for="1.2.3.4", x_forwarded_host="h, chat.test", origin="https://h"))
    return [bytes((step,)) + head for head in heads for step in (0, 7)]


TARGETS: Final = {
    "mqtt-endpoint": Target(_Stage(_mqtt), _mqtt_seeds),
    "mqtt-websocket": Target(_Stage(_mqtt_websocket), _mqtt_websocket_seeds),
    "http-stream": Target(_Stage(_http_stream), _http_stream_seeds),
    "door": Target(_Stage(_door), _door_seeds),
}

"""The gateway behind a WebSocket: what the transport adds to a connection."""

import asyncio
import gc
from typing import Any

import msgspec
import pytest

from tests.support.client_frames import PING
from tests.support.client_frames import frame as client_frame
from tests.support.node import House, open_house, turns
from tests.support.pipe import Pipe
from unique_cs.gateway.connection import Connection
from unique_cs.gateway.transports.subprotocols import Subprotocols
from unique_cs.gateway.transports.websocket import WebSocketTransport
from unique_cs.protocol.codec import MSGPACK
from unique_cs.protocol.websocket import xor_mask

MASK = b"\x01\x02\x03\x04"


class Socket(asyncio.Transport):
    """A stream in memory: what was written, and whether it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def frames(self) -> list[tuple[int, bytes]]:
        """Opcode and payload of each WebSocket frame since the last call."""
        data, self.written = self.written, b""
        found = []
        while data:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            found.append((data[0] & 15, data[start : start + size]))
            data = data[start + size :]
        return found


class Visitor:
    """A client's end: masks what it sends."""

    def __init__(self, house: House, subprotocol: str | None = None) -> None:
        self.socket = Socket()
        self.transport = WebSocketTransport(house.gateway, subprotocol, "10.0.0.1")
        self.transport.connection_made(self.socket)

    def send(self, payload: bytes, opcode: int = 1) -> None:
        """Send one frame."""
        size = len(payload)
        length = bytes([128 | size]) if size < 126 else b"\xff" + size.to_bytes(8, "big")
        self.transport.data_received(bytes([128 | opcode]) + length + MASK + xor_mask(payload, MASK))


async def connected(house: House) -> Visitor:
    """A visitor that has its `connected`."""
    visitor = Visitor(house)
    visitor.send(msgspec.json.encode({"type": "connect", "token": await house.contact()}))
    await house.settle()
    ((opcode, payload),) = visitor.socket.frames()
    assert (opcode, msgspec.json.decode(payload)["type"]) == (1, "connected")
    return visitor


def goodbye(visitor: Visitor) -> int:
    """The code of the `close` frame, which is also the WebSocket's."""
    *_, (_, told), (opcode, payload) = visitor.socket.frames()
    code = int.from_bytes(payload[:2], "big")
    assert opcode == 8
    assert msgspec.json.decode(told)["code"] == code
    return code


@pytest.mark.parametrize("size", [65_536, 65_537])
async def test_frame_too_large(house: House, size: int) -> None:
    """A frame larger than `max_frame` is closed with 4413; one of that size is taken."""
    visitor = await connected(house)
    frame = b'{"type":"ping","x":"%b"}'
    visitor.send(frame % (b"x" * (size - len(frame) + 2)))
    await turns(5)
    if size == 65_536:
        ((_, pong),) = visitor.socket.frames()
        assert msgspec.json.decode(pong)["type"] == "pong"
    else:
        assert goodbye(visitor) == 4413


async def test_close_travels_both_ways(house: House) -> None:
    """The WebSocket closes with the code of the `close` frame, and ends when the client has answered."""
    visitor = await connected(house)
    visitor.send(b"{")
    assert goodbye(visitor) == 4400
    assert not visitor.socket.is_closing()
    visitor.send((4400).to_bytes(2, "big"), opcode=8)
    assert visitor.socket.is_closing()
    visitor.transport.connection_lost(None)


async def test_wrong_kind_of_message(house: House) -> None:
    """A binary message where JSON was agreed, or a text where msgpack was, is a bad frame."""
    visitor = await connected(house)
    visitor.send(b"{}", opcode=2)
    assert goodbye(visitor) == 4400
    visitor = Visitor(house, MSGPACK.name)
    visitor.send(b"{}", opcode=1)
    told, (_, payload) = visitor.socket.frames()
    assert msgspec.msgpack.decode(told[1])["code"] == int.from_bytes(payload[:2], "big") == 4400


async def test_ping_of_the_transport_is_a_heartbeat(house: House) -> None:
    """WebSocket pings and pongs count as a sign of life; without any it is 4504."""
    visitor = await connected(house)
    for opcode in (9, 10):
        await house.advance(40)
        visitor.send(b"", opcode=opcode)
    assert [opcode for opcode, _ in visitor.socket.frames()] == [10]
    await house.advance(53)
    assert goodbye(visitor) == 4504


async def test_lost(house: House) -> None:
    """A stream that ends is a connection that ends: agents see the contact go."""
    first, _ = await house.talk("one")
    agent = await house.staff()
    visitor = Visitor(house)
    visitor.send(b'{"type":"connect","token":"ann"}')
    await house.settle()
    first.hang_up()
    agent.take()
    visitor.transport.connection_lost(ConnectionResetError())
    await house.settle()
    assert [frame["data"] for frame in agent.take("signal")] == [{"online": False}]


def test_subprotocols() -> None:
    """The first offer that is known is chosen; without one it is JSON."""
    assert Subprotocols().choose(("x", MSGPACK.name, "unique-cs.v1")) == MSGPACK.name
    assert Subprotocols().choose(("unique-cs.v1", MSGPACK.name)) == "unique-cs.v1"
    assert Subprotocols().choose(("x",)) is None
    assert Subprotocols().choose(()) is None


async def test_a_lost_connection_needs_no_collector(house: House) -> None:
    """A connection goes with its socket at once: full collections are rare."""

    def living() -> int:
        return sum(isinstance(each, Connection) for each in gc.get_objects())

    visitor = await connected(house)
    gc.collect()
    gc.disable()
    try:
        before = living()
        visitor.transport.connection_lost(None)
        del visitor
        await house.settle()
        assert living() == before - 1
    finally:
        gc.enable()


async def test_who_pings_on_and_reads_nothing_is_too_slow() -> None:
    """Answers of the transport itself wait in the same queue as frames, and count."""
    async with open_house(max_queue=100_000) as house:
        pipe = Pipe()
        pipe.attach(WebSocketTransport(house.gateway, None, "10.0.0.1"))
        pipe.holds = True
        ping, sent = client_frame(PING, b"x" * 125), 0
        while b'"code":4508' not in pipe.written and sent < 2_000:
            pipe.feed(ping)
            sent += 1
        assert sent * 127 < 110_000

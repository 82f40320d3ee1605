"""The sealed road of the Python client, against a server that does not keep to the rules."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from unique_cs.client.roads import Wire
from unique_cs.client.sm import SmWire
from unique_cs.sm.handshake import SUBPROTOCOL, answer, fingerprint, make_credentials
from unique_cs.sm.sm2 import key_of

draw = random.Random(3).randbytes
IDENTITY = key_of(99)
CREDENTIALS = make_credentials(IDENTITY, draw)
Twist = Callable[[bytes], list[bytes | str]]


class Ends:
    """Keeps what a wire reports; says one frame when it is open."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def wire_opened(self, wire: Wire) -> None:
        self.told.append("opened")
        wire.write({"type": "connect", "token": "secret"})

    def wire_received(self, wire: Wire, frame: dict[str, Any]) -> None:
        self.told.append(frame)

    def wire_closed(self, wire: Wire, code: int | None, reason: str, after_ms: int = 0) -> None:
        self.told.append(reason)


@asynccontextmanager
async def server(twist: Twist, heard: list[bytes]) -> AsyncIterator[str]:
    """Answers a handshake, hears one record, and says what `twist` makes of its own first one."""

    async def talk(socket: ServerConnection) -> None:
        hello = await socket.recv(decode=False)
        message, channel = answer(CREDENTIALS, hello, draw)
        await socket.send(message)
        heard.append(channel.opener.open(await socket.recv(decode=False)))
        for said in twist(channel.sealer.seal(b'{"type":"pong","time":1}')):
            await socket.send(said)
        await socket.wait_closed()

    async with serve(talk, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}#{fingerprint(IDENTITY.public).upper()}"


async def test_a_record_is_a_frame() -> None:
    heard: list[bytes] = []
    ends = Ends()
    async with server(lambda record: [record], heard) as url, asyncio.timeout(10):
        wire = SmWire(ends, url)
        running = asyncio.create_task(wire.run())
        while len(ends.told) < 2:
            await asyncio.sleep(0.01)
        wire.close()
        await running
    assert ends.told[:2] == ["opened", {"type": "pong", "time": 1}]
    assert json.loads(heard[0])["token"] == "secret"


@pytest.mark.parametrize(
    "twist",
    [
        lambda record: [record[:-1] + bytes([record[-1] ^ 1])],
        lambda record: [record[:-1]],
        lambda record: [b""],
        lambda record: [record, record],
        lambda record: ['{"type":"pong","time":1}'],
    ],
    ids=["changed", "cut", "empty", "repeated", "in the clear"],
)
async def test_anything_else_ends_the_connection(twist: Twist) -> None:
    """And the frames that came before the fault are all that the session gets."""
    ends = Ends()
    async with server(twist, []) as url, asyncio.timeout(10):
        await SmWire(ends, url).run()
    opened, *frames, reason = ends.told
    assert opened == "opened"
    assert len(frames) == (1 if twist(b"xy") == [b"xy", b"xy"] else 0)
    assert "record" in reason or "changed" in reason

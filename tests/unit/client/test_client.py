"""The shell over real sockets, against a small scripted server."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from unique_cs.client import Client, Connected, Delivered, Halt, Halted, Output, Refused, Sent, Settings

ACTOR = {"kind": "contact", "id": "1", "name": "Ann"}
TEXT = {"kind": "text", "text": "hello"}


class Fake:
    """Answers `connect`, stores each send once, and answers it; one conversation, one session."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.took = asyncio.Event()
        self.connects: list[dict[str, Any]] = []
        self.answers = True
        self.goodbye: dict[str, Any] | None = None

    async def __call__(self, socket: ServerConnection) -> None:
        connect = json.loads(await socket.recv())
        self.connects.append(connect)
        await self._greet(socket, connect)
        async for message in socket:
            await self._take(socket, json.loads(message))

    async def _greet(self, socket: ServerConnection, connect: dict[str, Any]) -> None:
        shown = {"id": "7", "epoch": "e", "seq": len(self.stored), "read": 0, "delivered": 0}
        await reply(
            socket,
            "connected",
            session="s_1",
            resumed="session" in connect,
            c=connect.get("c", 1),
            n=len(self.stored),
            actor=ACTOR,
            heartbeat_ms=25000,
            conversations=[shown],
        )
        for seq in range(
            connect.get("since", {}).get("7", {"seq": len(self.stored)})["seq"], len(self.stored)
        ):
            await reply(socket, "event", conversation="7", seq=seq + 1, n=seq + 1, name="message.created")

    async def _take(self, socket: ServerConnection, frame: dict[str, Any]) -> None:
        if self.goodbye is not None:
            await reply(socket, "close", **self.goodbye)
            await socket.close(self.goodbye["code"])
        elif frame["type"] == "send":
            if frame["n"] > len(self.stored):
                self.stored.append(frame["body"]["text"])
                self.took.set()
            if self.answers and frame["body"]["text"] == "bad":
                await reply(socket, "error", code="invalid", message="no", n=frame["n"])
            elif self.answers:
                await reply(socket, "sent", n=frame["n"], id="9", conversation="7", seq=frame["n"], time=1)


async def reply(socket: ServerConnection, kind: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


@pytest.fixture
async def fake() -> Fake:
    return Fake()


@pytest.fixture
async def server(fake: Fake) -> AsyncIterator[Server]:
    async with serve(fake, "127.0.0.1", 0) as server:
        yield server


def url(server: Server) -> str:
    return f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def settings() -> Settings:
    return Settings(rng=random.Random(1), backoff_base=0.01)


class Heard(list[Output]):
    """What a client told, to be waited for."""

    async def until(self, found: Callable[[Output], bool]) -> Output:
        async with asyncio.timeout(5):
            while True:
                for item in self:
                    if found(item):
                        return item
                await asyncio.sleep(0.005)


async def test_sends_end_in_their_answers(server: Server, fake: Fake) -> None:
    async with Client(url(server), "token", settings=settings()) as client:
        first, second = client.send(TEXT), client.send({"kind": "text", "text": "bad"})
        assert isinstance(await first, Sent)
        assert isinstance(await second, Refused)
    assert fake.stored == ["hello", "bad"]


async def test_a_cut_connection_is_resumed_and_the_send_stored_once(server: Server, fake: Fake) -> None:
    heard = Heard()
    async with Client(url(server), "token", settings=settings(), listener=heard.append) as client:
        await heard.until(lambda item: isinstance(item, Connected))
        fake.answers = False
        answer = client.send(TEXT)
        await asyncio.wait_for(fake.took.wait(), 5)
        fake.answers = True
        client.cut()
        sent = await asyncio.wait_for(answer, 5)
    assert isinstance(sent, Sent)
    assert not sent.fresh
    assert isinstance(await heard.until(lambda item: isinstance(item, Delivered)), Delivered)
    assert fake.stored == ["hello"]
    assert [connect.get("c") for connect in fake.connects] == [None, 2]


async def test_it_keeps_trying_until_a_server_is_there(fake: Fake) -> None:
    async with serve(fake, "127.0.0.1", 0) as first:
        address = url(first)
    async with Client(address, "token", settings=settings()) as client:
        answer = client.send(TEXT)
        async with serve(fake, "127.0.0.1", int(address.rpartition(":")[2])):
            assert isinstance(await asyncio.wait_for(answer, 5), Sent)


async def test_a_close_that_halts_is_told(server: Server, fake: Fake) -> None:
    heard = Heard()
    fake.goodbye = {"code": 4403, "reason": "blocked", "reconnect": False}
    async with Client(url(server), "token", settings=settings(), listener=heard.append) as client:
        client.send(TEXT)
        halted = await heard.until(lambda item: isinstance(item, Halted))
    assert halted == Halted(Halt.WRONG, 4403, "blocked")


async def test_a_handshake_that_is_refused_for_load_is_tried_again_when_the_server_says(fake: Fake) -> None:
    """`Retry-After` counts, also on the way to a WebSocket (RFC 9110 10.2.3)."""
    knocks: list[float] = []

    def busy(connection: ServerConnection, request: Request) -> Response | None:
        knocks.append(asyncio.get_running_loop().time())
        if len(knocks) > 1:
            return None
        answer = connection.respond(503, "busy\n")
        answer.headers["Retry-After"] = "1"
        return answer

    heard = Heard()
    async with serve(fake, "127.0.0.1", 0, process_request=busy) as server:
        client = Client(url(server), "t", settings=settings(), listener=heard.append, roads=["websocket"])
        async with client:
            await heard.until(lambda item: isinstance(item, Connected))
    assert knocks[1] - knocks[0] >= 1

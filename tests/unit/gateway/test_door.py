"""One port: WebSockets reach their endpoint, all else the application, and nobody else either."""

import asyncio
import gc
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from tests.support.client_frames import CLOSE, KEY, PONG, TEXT, accept_of, close, frame, read_frames, upgrade
from tests.support.door import PATIENCE, Raw, serve
from unique_cs.gateway.door import Accept, Door
from unique_cs.gateway.echo import MAX_MESSAGE, Echo
from unique_cs.gateway.http import HttpProtocol
from unique_cs.gateway.server import HttpLimits, listen
from unique_cs.protocol.handshake import Refusal, UpgradeRequest
from unique_cs.protocol.websocket import frame_text

SHORT = HttpLimits(head_timeout=0.15)
SMALL = HttpLimits(max_head=1000)
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_serves_a_websocket_library(tls: Path | None) -> None:
    async with serve(certificate=tls) as served, connect(served.url("/ws"), ssl=served.trust) as client:
        await client.send("你好")
        assert await client.recv() == "你好"
        await client.send([b"a" * 70_000, b"b", b"c" * 70_000])
        assert await client.recv() == b"a" * 70_000 + b"b" + b"c" * 70_000
        await client.send(["one", "two"])
        assert await client.recv() == "onetwo"
        await asyncio.wait_for(await client.ping(b"are you there"), PATIENCE)
        await client.close(4321, "done")
        assert client.close_code == 4321


async def test_serves_the_application(tls: Path | None) -> None:
    async with serve(certificate=tls) as served, served.connect() as client:
        await client.send(GET)
        assert await client.response() == (200, b"GET /x ")
        await client.send(b"POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", b"hello")
        assert await client.response() == (200, b"POST /y hello")


async def test_firefox_gets_in_and_what_it_sends_early_is_not_lost(tls: Path | None) -> None:
    async with serve(certificate=tls) as served, served.connect() as client:
        await client.send(upgrade(host=served.host, origin=None) + frame(TEXT, b"early"))
        head = await client.head()
        assert head.startswith("HTTP/1.1 101 ")
        assert f"Sec-WebSocket-Accept: {accept_of(KEY)}\r\n" in head
        assert await client.exactly(7) == frame_text(b"early")


async def test_a_head_may_come_byte_by_byte() -> None:
    async with serve() as served, served.connect() as client:
        data = upgrade(host=served.host) + frame(TEXT, b"x")
        await client.send(*(data[index : index + 1] for index in range(len(data))))
        assert " 101 " in await client.head()
        assert await client.exactly(3) == frame_text(b"x")


async def test_the_endpoint_picks_the_subprotocol_and_sees_the_request() -> None:
    seen: list[tuple[UpgradeRequest, str]] = []

    def admit(request: UpgradeRequest, client: str) -> Accept:
        seen.append((request, client))
        return Accept(Echo(), request.subprotocols[1])

    async with (
        serve({"/ws": admit}, trusted=["127.0.0.1"]) as served,
        connect(
            served.url("/ws?inbox=7"),
            subprotocols=["a", "b"],  # type: ignore[list-item]  # the library's NewType of str
            additional_headers={"X-Forwarded-For": "203.0.113.9"},
        ) as client,
    ):
        assert client.subprotocol == "b"
        [(request, address)] = seen
        assert (request.path, request.query, address) == ("/ws", "inbox=7", "203.0.113.9")


async def test_a_forwarded_address_is_not_believed_from_strangers() -> None:
    seen: list[str] = []

    def admit(_request: UpgradeRequest, client: str) -> Accept:
        seen.append(client)
        return Accept(Echo())

    async with serve({"/ws": admit}) as served, served.connect() as client:
        await client.send(upgrade(host=served.host, x_forwarded_for="203.0.113.9"))
        await client.head()
        assert seen == ["127.0.0.1"]


# Refusals


async def test_an_endpoint_may_refuse_with_a_time_to_come_again(tls: Path | None) -> None:
    def admit(_request: UpgradeRequest, _client: str) -> Refusal:
        return Refusal(429, "Too many handshakes.", retry_after=3)

    async with serve({"/ws": admit}, certificate=tls) as served:
        with pytest.raises(InvalidStatus) as caught:
            async with connect(served.url("/ws"), ssl=served.trust):
                pass
        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "3"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"origin": "http://evil.test"}, 403),
        ({"sec_websocket_version": "8"}, 426),
        ({"sec_websocket_key": "short"}, 400),
    ],
)
async def test_refuses_and_closes(changes: dict[str, str], status: int) -> None:
    async with serve() as served, served.connect() as client:
        await client.send(upgrade(host=served.host, **changes) + frame(TEXT, b"x"))
        assert (await client.rest()).startswith(f"HTTP/1.1 {status} ".encode())


async def test_an_unknown_endpoint_is_not_found() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(upgrade("/elsewhere", host=served.host))
        assert (await client.rest()).startswith(b"HTTP/1.1 404 ")


async def test_a_page_of_ours_behind_a_trusted_proxy_gets_in() -> None:
    async with serve(trusted=["127.0.0.1"]) as served, served.connect() as client:
        await client.send(upgrade(origin="https://chat.test", x_forwarded_host="chat.test", host=served.host))
        assert " 101 " in await client.head()


async def test_an_allowed_page_gets_in() -> None:
    async with serve(origins=["https://shop.test"]) as served, served.connect() as client:
        await client.send(upgrade(origin="https://shop.test", host=served.host))
        assert " 101 " in await client.head()


# Slow and large heads


async def test_a_slow_head_is_not_waited_for(tls: Path | None) -> None:
    async with serve(certificate=tls, limits=SHORT) as served:
        for start in (b"GET /x HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\n"):
            async with served.connect() as client:
                await client.send(start)
                assert (await client.rest()).startswith(b"HTTP/1.1 408 ")


async def test_a_silent_connection_is_closed_without_a_word() -> None:
    async with serve(limits=SHORT) as served, served.connect() as first, served.connect() as second:
        assert await first.rest() == b""
        assert await second.rest() == b""


async def test_a_websocket_outlives_the_time_for_its_head() -> None:
    async with serve(limits=SHORT) as served, served.connect() as client, served.connect() as silent:
        await client.send(upgrade(host=served.host))
        assert " 101 " in await client.head()
        assert await silent.rest() == b""  # the deadline, which was this one's as well, has passed
        await client.send(frame(TEXT, b"x"))
        assert await client.exactly(3) == frame_text(b"x")


@pytest.mark.parametrize("ended", [False, True])
async def test_a_large_head_is_refused(ended: bool) -> None:
    async with serve(limits=SMALL) as served, served.connect() as client:
        await client.send(b"GET /x HTTP/1.1\r\nA: " + b"a" * 1000 + (b"\r\n\r\n" if ended else b""))
        assert (await client.rest()).startswith(b"HTTP/1.1 431 ")


async def test_a_client_that_leaves_within_its_head_is_forgotten() -> None:
    async with serve() as served:
        async with served.connect() as client:
            await client.send(b"GET /x HTT")
        await until_gone(Door)


# What remains


def alive(kind: type) -> int:
    return sum(type(item) is kind for item in gc.get_objects())


async def until_gone(kind: type) -> None:
    """Wait until no object of a type is left, without help from the collector."""
    async with asyncio.timeout(PATIENCE):
        while alive(kind):  # nothing tells when an object is freed
            await asyncio.sleep(0.01)


async def test_neither_door_nor_http_protocol_outlives_the_upgrade(tls: Path | None) -> None:
    async with serve(certificate=tls) as served, served.connect() as first, served.connect() as second:
        gc.collect()
        gc.disable()
        try:
            await first.send(upgrade(host=served.host, origin=None))
            assert " 101 " in await first.head()
            await second.send(GET)
            assert (await second.response())[0] == 200
            await second.send(upgrade(host=served.host, origin=None))
            assert " 101 " in await second.head()
            await until_gone(Door)
            await until_gone(HttpProtocol)
        finally:
            gc.enable()


# The echo endpoint


async def test_echo_answers_a_close_and_closes() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(upgrade(host=served.host) + frame(TEXT, b"x") + close(1001))
        await client.head()
        assert read_frames(await client.rest()) == [(TEXT, b"x"), (CLOSE, (1001).to_bytes(2, "big"))]


async def test_echo_tells_who_sends_too_much() -> None:
    async with serve() as served, connect(served.url("/ws"), max_size=None) as client:
        await client.send(b"x" * (MAX_MESSAGE + 1))
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


async def fill(client: Raw) -> int:
    """Send messages until no more go out; return how many were sent."""
    block = frame(TEXT, b"x" * 60_000)
    for sent in range(1, 2_000):
        client.writer.write(block)
        try:
            await asyncio.wait_for(client.writer.drain(), 0.3)
        except TimeoutError:
            return sent
    raise AssertionError("the server takes everything")


async def test_echo_stops_reading_from_who_does_not_read() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(upgrade(host=served.host))
        await client.head()
        sent = await fill(client)
        echoed = frame_text(b"x" * 60_000)
        for _ in range(sent):
            assert await client.exactly(len(echoed)) == echoed


async def test_bytes_behind_an_upgrade_are_frames_whatever_they_look_like() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(upgrade(host=served.host) + GET)
        assert " 101 " in await client.head()
        assert read_frames(await client.rest()) == [(CLOSE, (1002).to_bytes(2, "big"))]


async def test_a_ping_is_answered() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(upgrade(host=served.host) + frame(0x9, b"life"))
        await client.head()
        assert read_frames(await client.exactly(6)) == [(PONG, b"life")]


# Listening


def test_processes_share_a_port_if_told_to() -> None:
    [first] = listen("127.0.0.1", 0, reuse_port=True)
    port = first.getsockname()[1]
    [second] = listen("127.0.0.1", port, reuse_port=True)
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", port)
    first.close()
    second.close()


def test_all_addresses_get_the_same_free_port() -> None:
    sockets = listen("", 0)
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    assert {sock.family for sock in sockets} <= {socket.AF_INET, socket.AF_INET6}
    for sock in sockets:
        sock.close()


async def test_who_says_nothing_makes_room_for_who_comes(tls: Path | None) -> None:
    async with serve(certificate=tls, places=lambda: 2) as served, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(served.connect()) for _ in range(3)]
        assert await silent[0].rest() == b""
        client = await stack.enter_async_context(served.connect())
        await client.send(GET)
        assert await client.response() == (200, b"GET /x ")
        assert await silent[1].rest() == b""
        await silent[2].send(GET)
        assert await silent[2].response() == (200, b"GET /x ")

"""HTTP behind the door: upgrades on kept connections, offers of other protocols, bad heads, drain."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.client_frames import TEXT, frame, upgrade
from tests.support.door import PATIENCE, Raw, Served, serve
from unique_cs.domain.origins import AllowedOrigins
from unique_cs.gateway.door import Upgrades
from unique_cs.gateway.origin import OriginPolicy, TrustedProxies
from unique_cs.gateway.server import HttpLimits, HttpServer, listen
from unique_cs.protocol.websocket import frame_text

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
POST = b"POST /y HTTP/1.1\r\nHost: a\r\n" + OFFER + b"Content-Length: 5\r\n\r\n"
CHUNKED = b"POST /y HTTP/1.1\r\nHost: a\r\n" + OFFER + b"Transfer-Encoding: chunked\r\n\r\n"


async def test_a_kept_connection_may_upgrade(tls: Path | None) -> None:
    async with serve(certificate=tls) as served, served.connect() as client:
        for _ in range(2):
            await client.send(GET)
            assert await client.response() == (200, b"GET /x ")
        await client.send(upgrade(host=served.host, origin=None) + frame(TEXT, b"early"))
        assert " 101 " in await client.head()
        assert await client.exactly(7) == frame_text(b"early")
        await client.send(frame(TEXT, b"x"))
        assert await client.exactly(3) == frame_text(b"x")


async def test_a_kept_connection_may_upgrade_with_a_head_in_pieces() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(GET)
        await client.response()
        head = upgrade(host=served.host)
        await client.send(*(head[index : index + 7] for index in range(0, len(head), 7)))
        assert " 101 " in await client.head()


@pytest.mark.parametrize(("path", "origin", "status"), [("/ws", "http://evil.test", 403), ("/no", None, 404)])
async def test_a_kept_connection_is_refused_by_the_same_rules(
    path: str, origin: str | None, status: int
) -> None:
    async with serve() as served, served.connect() as client:
        await client.send(GET)
        await client.response()
        await client.send(upgrade(path, host=served.host, origin=origin))
        assert (await client.rest()).startswith(f"HTTP/1.1 {status} ".encode())


async def test_a_handshake_that_is_no_get_is_refused() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(upgrade(host=served.host).replace(b"GET", b"PUT", 1))
        assert (await client.rest()).startswith(b"HTTP/1.1 405 ")


async def test_an_upgrade_behind_a_running_request_has_to_come_again() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(SLOW + upgrade(host=served.host))
        await served.app.running.wait()
        served.app.release.set()
        assert await client.response() == (200, b"GET /slow ")
        assert await client.rest() == b""


# Other offers


@pytest.mark.parametrize("cut", [0, 40, len(POST) - 2, len(POST), len(POST) + 2])
async def test_an_offer_of_http2_is_ignored_and_the_content_read(cut: int) -> None:
    async with serve() as served, served.connect() as client:
        data = POST + b"hello"
        await client.send(*(piece for piece in (data[:cut], data[cut:]) if piece))
        assert await client.response() == (200, b"POST /y hello")
        await client.send(GET)
        assert await client.response() == (200, b"GET /x ")


async def test_an_offer_of_http2_is_ignored_on_chunked_content(tls: Path | None) -> None:
    async with serve(certificate=tls) as served, served.connect() as client:
        await client.send(CHUNKED + b"5\r\nhel", b"lo\r\n0\r\n\r\n" + GET)
        assert await client.response() == (200, b"POST /y hello")
        assert await client.response() == (200, b"GET /x ")


async def test_many_offers_in_one_read_are_all_ignored() -> None:
    async with serve() as served, served.connect() as client:
        await client.send((POST + b"hello") * 200)
        for _ in range(200):
            assert await client.response() == (200, b"POST /y hello")


async def test_an_offer_does_not_hide_that_the_client_closes() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(POST.replace(b"Connection: ", b"Connection: close, ") + b"hello")
        assert await client.response() == (200, b"POST /y hello")
        assert await client.rest() == b""


async def test_no_tunnels_are_made() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\nxyz")
        assert (await client.rest()).startswith(b"HTTP/1.1 501 ")


# Bad heads


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00", b"GET /x HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
async def test_what_is_no_http1_is_a_bad_request(noise: bytes) -> None:
    async with serve() as served, served.connect() as client:
        await client.send(noise)
        assert (await client.rest()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("ended", [False, True])
async def test_a_later_head_may_be_no_larger_than_the_first(ended: bool) -> None:
    async with serve(limits=HttpLimits(max_head=1000)) as served, served.connect() as client:
        start = b"GET /x HTTP/1.1\r\nA: "
        await client.send(GET + start)
        await client.response()
        await client.send(b"a" * 1001 + (b"\r\n\r\n" if ended else b""))
        assert (await client.rest()).startswith(b"HTTP/1.1 431 ")


async def test_large_content_is_no_large_head() -> None:
    async with serve(limits=HttpLimits(max_head=1000)) as served, served.connect() as client:
        post = b"POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
        await client.send(post[:200_000], post[200_000:] + GET[:9], GET[9:])
        assert await client.response() == (200, b"POST /y " + b"x" * 300_000)
        assert await client.response() == (200, b"GET /x ")


UNREAD = b"POST /early HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6400000\r\n\r\n"


async def test_a_client_that_closes_sends_all_of_what_is_answered_early(tls: Path | None) -> None:
    """To close while it still sends would reset the connection, and take the answer with it."""
    async with serve(certificate=tls) as served, served.connect() as client:
        await client.send(UNREAD + b"x" * 64_000)
        assert await client.response() == (200, b"POST /early ")
        for _ in range(99):
            await client.send(b"x" * 64_000)
        assert await client.rest() == b""


PIECES = UNREAD.replace(b"Content-Length: 6400000", b"Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (UNREAD.replace(b"6400000", b"5"), b"hello" + GET),
        (PIECES, b"no number\r\n"),
    ],
)
async def test_what_comes_behind_the_last_answer_is_neither_done_nor_answered(
    head: bytes, more: bytes
) -> None:
    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    async with serve() as served, served.connect() as client:
        await client.send(head)
        assert await client.response() == (200, b"POST /early ")
        assert await client.rest() == b""
        await client.send(more)
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(_drip(client), PATIENCE)
        assert (served.app.calls, errors) == (["/early"], [])


async def _drip(client: Raw) -> None:
    while True:
        await client.send(b"x")


async def test_what_was_answered_early_is_read_for_its_time_only() -> None:
    async with serve(limits=HttpLimits(body_timeout=0.2)) as served, served.connect() as client:
        await client.send(UNREAD)
        assert await client.response() == (200, b"POST /early ")
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(_drip(client), PATIENCE)


async def test_a_slow_later_head_is_not_waited_for() -> None:
    async with serve(limits=HttpLimits(head_timeout=0.15)) as served, served.connect() as client:
        await client.send(GET)
        await client.response()
        await client.send(GET[:9])
        assert (await client.rest()).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("length", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
async def test_a_slow_body_is_not_waited_for(length: bytes) -> None:
    """The deadline is that of the whole body: a byte now and then does not move it."""
    limits = HttpLimits(body_timeout=0.3)
    async with serve(limits=limits) as served, served.connect() as client:
        await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n\r\n", b"1")
        await asyncio.sleep(0.1)
        await client.send(b"\r\na")
        assert (await client.rest()).startswith(b"HTTP/1.1 408 ")


async def test_a_body_in_time_leaves_no_deadline() -> None:
    limits = HttpLimits(body_timeout=0.15)
    async with serve(limits=limits) as served, served.connect() as client:
        await client.send(SLOW)
        await asyncio.sleep(0.3)
        served.app.release.set()
        assert (await client.response())[0] == 200


async def test_a_request_may_take_longer_than_its_head() -> None:
    limits = HttpLimits(head_timeout=0.15)
    async with serve(limits=limits) as served, served.connect() as client, served.connect() as silent:
        await client.send(SLOW)
        assert await silent.rest() == b""
        served.app.release.set()
        assert await client.response() == (200, b"GET /slow ")


LARGE = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 8_000_000


async def hung_up(client: Raw) -> None:
    """Return when the server has ended the connection of a client that does not read."""
    async with asyncio.timeout(PATIENCE):
        while not client.writer.transport.is_closing():
            client.writer.write(b"G")
            await asyncio.sleep(0.01)


async def test_an_answer_that_nobody_reads_is_not_kept() -> None:
    """Else it would be for ever: to close in good order is to wait until it is read."""
    limits = HttpLimits(unread_timeout=0.3)
    async with serve(limits=limits) as served, served.connect() as client:
        await client.send(LARGE)
        await client.head()
        await hung_up(client)


async def test_who_does_not_read_makes_room_for_who_comes() -> None:
    async with serve(places=lambda: 2) as served, AsyncExitStack() as stack:
        deaf = [await stack.enter_async_context(served.connect()) for _ in range(2)]
        for each in deaf:
            await each.send(LARGE)
            await each.head()
        client = await stack.enter_async_context(served.connect())
        await client.send(GET)
        assert await client.response() == (200, b"GET /x ")
        await hung_up(deaf[0])


async def test_an_idle_connection_is_kept_for_its_time_only() -> None:
    async with serve(limits=HttpLimits(keep_alive=0)) as served, served.connect() as client:
        await client.send(GET)
        await client.response()
        assert await client.rest() == b""


async def test_responses_tell_the_date_and_nothing_of_the_server() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(GET)
        names = [line.split(":")[0].lower() for line in (await client.head()).split("\r\n")[1:-2]]
        assert sorted(names) == ["content-length", "date"]


# Start and drain


async def request(served: Served, data: bytes) -> tuple[int, bytes]:
    async with served.connect() as client:
        await client.send(data)
        return await client.response()


async def test_drain_finishes_requests_in_flight_and_leaves_websockets_alone(tls: Path | None) -> None:
    async with serve(certificate=tls) as served, served.connect() as socket, served.connect() as idle:
        await socket.send(upgrade(host=served.host, origin=None))
        await socket.head()
        await idle.send(GET)
        await idle.response()
        running = asyncio.create_task(request(served, SLOW))
        await served.app.running.wait()
        closing = asyncio.create_task(served.server.close())
        assert await idle.rest() == b""
        with pytest.raises(OSError, match=r"refused|Connect"):
            await request(served, GET)
        assert not closing.done()
        served.app.release.set()
        assert await running == (200, b"GET /slow ")
        await closing
        assert served.app.stopped
        await socket.send(frame(TEXT, b"x"))
        assert await socket.exactly(3) == frame_text(b"x")


async def test_drain_cuts_off_what_takes_too_long() -> None:
    async with serve() as served, served.connect() as client, served.connect() as half:
        await half.send(GET[:9])
        await client.send(SLOW)
        await served.app.running.wait()
        await served.server.close(timeout=0.05)
        assert served.app.stopped
        assert (await client.rest()).startswith(b"HTTP/1.1 500 ")
        assert (await half.rest()).startswith(b"HTTP/1.1 408 ")


async def test_after_stop_accepting_those_inside_are_still_served() -> None:
    async with serve() as served, served.connect() as client:
        await client.send(GET)
        await client.response()
        served.server.stop_accepting()
        await client.send(GET)
        assert await client.response() == (200, b"GET /x ")


async def test_an_application_that_does_not_start_is_an_error() -> None:
    async with serve() as served:
        served.app.starts = False
        sockets = listen("127.0.0.1", 0)
        proxies = TrustedProxies()
        policy = OriginPolicy(AllowedOrigins([]), proxies)
        server = HttpServer(served.app, sockets, Upgrades({}, policy, proxies))
        with pytest.raises(RuntimeError, match="did not start"):
            await server.start()
        served.app.starts = True
        sockets[0].close()

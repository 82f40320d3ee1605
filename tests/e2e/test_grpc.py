"""Real gRPC calls of Python's client against a real server: ends, limits, garbage, TLS."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc import StatusCode

from tests.support.door import make_certificate
from tests.support.grpc_line import DEADLINE, TEXT, Frame, Line, begin, channel
from tests.support.world import World, answered, inhabited, running, until
from unique_cs.bench.process import ServerProcess, free_port
from unique_cs.client.grpc import GrpcWire
from unique_cs.client.roads import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def port() -> int:
    """Where gRPC is."""
    return free_port()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, port: int) -> AsyncIterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("grpc")
    async with running(folder, rate_limits="off", grpc_port=str(port), max_queue="262144") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def road(port: int) -> AsyncIterator[grpc.aio.Channel]:
    async with channel(port) as made:
        yield made


async def test_a_contact_talks_with_an_agent_and_resumes(road: grpc.aio.Channel, town: World) -> None:
    owner, rest = await town.owner(), await town.contact("mia")
    mia = Line(road)
    connected = await mia.connect(rest.token, c=1)
    await mia.send(type="send", n=1, body=TEXT)
    sent = await mia.until("sent")
    assert (sent["n"], sent["seq"]) == (1, 2)
    await until(lambda: "hello" in owner.texts(sent["conversation"]))
    await answered([owner.say("welcome", sent["conversation"])])
    assert (await mia.until("event"))["data"]["body"] == {"kind": "text", "text": "welcome"}
    await mia.send(type="ping")
    await mia.until("pong")
    mia.call.cancel()
    await answered([owner.say("still there?", sent["conversation"])])
    epoch = (await rest.events(sent["conversation"]))["epoch"]
    again = Line(road)
    since = {sent["conversation"]: {"epoch": epoch, "seq": 3}}
    assert (await again.connect(rest.token, session=connected["session"], c=2, since=since))["resumed"]
    assert (await again.until("event"))["data"]["body"]["text"] == "still there?"
    await again.send(type="send", n=1, body=TEXT)
    assert (await again.until("sent"))["seq"] == sent["seq"]


async def test_a_half_closed_call_gets_every_answer(road: grpc.aio.Channel, town: World) -> None:
    line = Line(road)
    await line.connect((await town.contact("brief")).token)
    for n in range(1, 201):
        await line.send(type="send", n=n, body=TEXT)
    await line.call.done_writing()
    frames, status, _ = await line.rest()
    assert [frame["n"] for frame in frames if frame["type"] == "sent"] == list(range(1, 201))
    assert (frames[-1]["type"], frames[-1]["code"], status) == ("close", 1000, StatusCode.OK)


@pytest.mark.parametrize("how", ["deadline", "cancel", "network"])
async def test_a_call_that_is_lost_leaves_nothing_behind(
    server: ServerProcess, port: int, town: World, how: str
) -> None:
    rest = await town.contact("away")
    async with channel(port) as road:
        line = Line(road, timeout=2 if how == "deadline" else None)
        await line.connect(rest.token)
        await open_calls(server, 1)
        if how == "deadline":
            assert (await line.rest())[1] is StatusCode.DEADLINE_EXCEEDED
        elif how == "cancel":
            line.call.cancel()
        else:
            await road.close()
        await open_calls(server, 0)


async def open_calls(server: ServerProcess, wanted: int) -> None:
    """Wait until so many are connected; the metric is renewed once a second."""
    async with asyncio.timeout(DEADLINE):
        while (await server.metrics())["unique_cs_connections"] != wanted:
            await asyncio.sleep(0.05)


async def test_a_reader_that_stalls_is_ended(server: ServerProcess, port: int, town: World) -> None:
    """HTTP/2's flow control stops the server, whose queue is bounded; others are not held up."""
    owner, rest = await town.owner(), await town.contact("stalled")
    slow = 'unique_cs_closed_total{code="4508"}'
    before, memory = (await server.metrics()).get(slow, 0), server.resident()
    # A client's window grows by what it measures; this one stays at 64 KiB.
    async with channel(port, http2__bdp_probe=0) as road:
        stalled, sent = await begin(road, rest.token)
        for _ in range(20):
            await answered([owner.say("x" * 8_000, sent["conversation"]) for _ in range(10)])
        assert (await server.metrics())[slow] == before + 1
        assert await asyncio.wait_for(stalled.call.code(), DEADLINE) is StatusCode.UNAVAILABLE
    assert server.resident() - memory < 32 << 20


async def test_refusals_come_with_a_close_frame(road: grpc.aio.Channel, town: World) -> None:
    rest = await town.contact("wrong")
    wrong = Line(road)
    assert (await wrong.connect("nobody"))["code"] == "unauthorized"
    [goodbye], status, details = await wrong.rest()
    assert (goodbye["code"], status, details) == (4401, StatusCode.UNAUTHENTICATED, "4401 unauthorized")
    for payload, code, said in (
        (b"garbage", 4400, StatusCode.INVALID_ARGUMENT),
        (bytes(70_000), 4413, StatusCode.RESOURCE_EXHAUSTED),
    ):
        line, _ = await begin(road, rest.token)
        await line.call.write(payload)
        frames, status, _ = await line.rest()
        assert (frames[-1]["code"], status) == (code, said)
    line, _ = await begin(road, rest.token)
    await line.call.write(bytes(1_000_000))
    assert (await line.rest())[1] is StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "garbage",
    [
        bytes(range(256)) * 40,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x10\x01\x04\x00\x00\x00\x01" + b"\xff" * 16,
    ],
)
async def test_garbage_on_the_port_ends_its_connection_only(
    server: ServerProcess, port: int, road: grpc.aio.Channel, town: World, garbage: bytes
) -> None:
    line, _ = await begin(road, (await town.contact("calm")).token)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(garbage)
    with suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), DEADLINE)
    writer.close()
    await line.send(type="send", n=2, body=TEXT)
    assert (await line.until("sent"))["n"] == 2


async def test_a_client_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    """With a window of 0 not even a status comes through; the connection ends soon after the call."""
    port = free_port()
    async with running(tmp_path, grpc_port=str(port), connect_timeout_ms="500") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        window = b"\x00\x04" + bytes(4)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2(4, 0, 0, window) + h2(1, 4, 1, _HEAD))
        async with asyncio.timeout(DEADLINE):
            with suppress(ConnectionError):
                await reader.read(-1)
        writer.close()
        await open_calls(server, 0)
        assert (await server.metrics())['unique_cs_closed_total{code="4408"}'] == 1


async def test_too_many_connections_of_one_address_are_refused(tmp_path: Path) -> None:
    """With the code and the time to wait in the trailing metadata; a trusted proxy names the client."""
    port = free_port()
    async with running(tmp_path, grpc_port=str(port), handshakes_per_ip="1"), channel(port) as road:
        # Far more than one a second lets in, however slow the machine is.
        lines = [Line(road) for _ in range(20)]
        found = await asyncio.gather(*map(_is_refused, lines))
        assert not all(found)
        refused = [line for line, is_refused in zip(lines, found, strict=True) if is_refused]
        assert refused
        trailing = dict(await refused[0].call.trailing_metadata())
        assert trailing["unique-cs-code"] == "rate_limited"
        assert int(trailing["retry-after-ms"]) > 0
        elsewhere = Line(road, metadata=(("x-forwarded-for", "192.0.2.7"),))
        assert not await _is_refused(elsewhere)


async def _is_refused(line: Line) -> bool:
    """Whether a call ends before its first frame is read."""
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        await line.connect("nobody")
    return (await line.rest())[1] is StatusCode.RESOURCE_EXHAUSTED


def h2(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame (RFC 9113 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


_HEAD = b"".join(
    b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value
    for name, value in (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/unique_cs.v1.Messaging/Connect"),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
)
"""A request to connect: literal fields (RFC 7541 6.2.2)."""


# The port


class Asker:
    """A session in a wire's place: it connects with a token that nobody has."""

    def __init__(self) -> None:
        self.codes: list[Any] = []

    def wire_opened(self, wire: Wire) -> None:
        wire.write({"type": "connect", "token": "wrong"})

    def wire_received(self, wire: Wire, frame: Frame) -> None:
        self.codes.append(frame["code"])

    def wire_closed(self, wire: Wire, code: int | None, reason: str, after_ms: int = 0) -> None:
        self.codes.append(code)


async def test_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a certificate the port speaks TLS only; our client trusts whom the machine trusts."""
    certificate, port = make_certificate(tmp_path / "server.pem"), free_port()
    environ = {"UNIQUE_CS_GRPC_PORT": str(port), "UNIQUE_CS_TLS_CERTIFICATE": str(certificate)}
    server = ServerProcess(tmp_path / "data", environ=environ)
    starting = asyncio.ensure_future(server.start())
    try:
        async with channel(port, certificate.read_bytes()) as road:
            await asyncio.wait_for(_ready(road), DEADLINE)
            wrong = Line(road)
            assert (await wrong.connect("wrong"))["code"] == "unauthorized"
            assert (await wrong.rest())[1] is StatusCode.UNAUTHENTICATED
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            asker = Asker()
            await asyncio.wait_for(GrpcWire(asker, f"grpcs://127.0.0.1:{port}").run(), DEADLINE)
            assert asker.codes == ["unauthorized", 4401, 4401]
            async with channel(port) as plain:
                assert (await Line(plain).rest())[1] is StatusCode.UNAVAILABLE
    finally:
        starting.cancel()
        assert await server.stop() == 0


async def _ready(road: grpc.aio.Channel) -> None:
    """Wait until the port answers."""
    state = road.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        await road.wait_for_state_change(state)
        state = road.get_state(try_to_connect=True)


async def test_a_draining_server_says_so(tmp_path: Path) -> None:
    port = free_port()
    async with channel(port) as road:
        async with running(tmp_path, grpc_port=str(port)) as server, inhabited(server) as town:
            line, _ = await begin(road, (await town.contact("last")).token)
        frames, status, _ = await line.rest()
        assert (frames[-1]["type"], frames[-1]["code"], status) == ("close", 4503, StatusCode.OK)


async def test_the_usual_port_may_be_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # taken already: just as well
            other.bind(("127.0.0.1", 8081))
            other.listen()
        async with running(tmp_path, grpc_port="8081") as server:
            assert "gRPC is off" in server.tail()


async def test_a_port_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = ServerProcess(tmp_path / "data", environ={"UNIQUE_CS_GRPC_PORT": str(port)})
        with pytest.raises(Exception, match=f"UNIQUE_CS_GRPC_PORT {port} can't be had"):
            await server.start()

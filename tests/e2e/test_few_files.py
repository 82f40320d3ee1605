"""A server that the system allows few open files."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.grpc_line import begin, channel
from tests.support.raw import RawSocket
from tests.support.world import inhabited, until
from unique_cs.bench.process import ServerProcess, free_port

FILES = 320
SILENT = 600


_ONE_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
_HALF_A_BODY = b"POST /api/v1/contacts/session HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"


@pytest.mark.parametrize("said", [b"", _ONE_REQUEST, _HALF_A_BODY], ids=["nothing", "once", "half"])
async def test_silent_strangers_take_nobodys_place(tmp_path: Path, said: bytes) -> None:
    """More of them than files: the stores keep theirs, and who talks is served."""
    prefix = ("prlimit", f"--nofile=64:{FILES}")
    server = ServerProcess(tmp_path / "data", prefix=prefix, environ={"UNIQUE_CS_RATE_LIMITS": "off"})
    await server.start()
    try:
        async with inhabited(server) as town, AsyncExitStack() as stack:
            guest = await town.contact("guest")
            strangers = [await _stranger(server, said, stack) for _ in range(SILENT)]
            await until(lambda: sum(each.done() for each in strangers) >= SILENT - FILES * 7 // 8)
            socket = await stack.enter_async_context(RawSocket(server.url))
            await socket.connect(guest.token)
            for n in range(1, 20):
                await socket.send({"type": "send", "n": n, "body": {"kind": "text", "text": "here"}})
                await socket.until("sent", n=n)
    finally:
        assert await server.stop() == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert [line["connections"] for line in lines if "open files" in line["event"]] == [FILES * 3 // 4]
    assert not [line for line in lines if line["level"] == "error"]


async def test_idle_connections_of_grpc_take_nobodys_place(tmp_path: Path) -> None:
    """The library accepts any number of them; one that carries a session stays."""
    port = free_port()
    prefix = ("prlimit", f"--nofile=64:{FILES}")
    environ = {"UNIQUE_CS_RATE_LIMITS": "off"}
    server = ServerProcess(tmp_path / "data", prefix=prefix, environ=environ, grpc_port=port)
    await server.start()
    try:
        async with inhabited(server) as town, AsyncExitStack() as stack:
            road = await stack.enter_async_context(channel(port))
            line, _ = await begin(road, (await town.contact("bot")).token)
            guest = await town.contact("guest")
            strangers = [await _idle_caller(port, stack) for _ in range(SILENT)]
            await until(lambda: sum(each.done() for each in strangers) >= SILENT - FILES * 7 // 8, 30)
            socket = await stack.enter_async_context(RawSocket(server.url))
            await socket.connect(guest.token)
            await socket.send({"type": "send", "n": 1, "body": {"kind": "text", "text": "here"}})
            await socket.until("sent", n=1)
            await line.send(type="ping")
            await line.until("pong")
    finally:
        assert await server.stop() == 0


async def _idle_caller(port: int, stack: AsyncExitStack) -> asyncio.Task[bytes]:
    """An HTTP/2 connection without a call; what it hears until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
    heard = asyncio.create_task(reader.read())
    stack.callback(heard.cancel)
    return heard


async def _stranger(server: ServerProcess, said: bytes, stack: AsyncExitStack) -> asyncio.Task[bytes]:
    """What it hears until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    stack.callback(writer.close)
    writer.write(said)
    heard = asyncio.create_task(reader.read())
    stack.callback(heard.cancel)
    return heard

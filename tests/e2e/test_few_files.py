"""A server that the system allows few open files."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.raw import RawSocket
from tests.support.world import inhabited, until
from unique_cs.bench.process import ServerProcess

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


async def _stranger(server: ServerProcess, said: bytes, stack: AsyncExitStack) -> asyncio.Task[bytes]:
    """What it hears until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    stack.callback(writer.close)
    writer.write(said)
    heard = asyncio.create_task(reader.read())
    stack.callback(heard.cancel)
    return heard

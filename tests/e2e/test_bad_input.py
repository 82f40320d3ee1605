"""Whatever a client does wrong, it gets the documented outcome, and nobody else notices."""

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.raw import RawSocket
from tests.support.world import World, answered, inhabited, running, until
from unique_cs.bench.process import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = {"kind": "text", "text": "hello"}
# What one may say of a frame that cannot be read: an error on the open connection, or 4400.
UNREADABLE = ["error bad_frame", "open"], ["close 4400", "4400"], ["error bad_frame", "close 4400", "4400"]


# A send without a number of its own can get no final answer.
UNNUMBERED = (*UNREADABLE, ["error invalid", "open"])
TOKEN_REFUSED = ["error unauthorized", "close 4401", "4401"], ["close 4401", "4401"]


def send(n: Any = 1, **fields: Any) -> str:
    return json.dumps({"type": "send", "n": n, "body": TEXT} | fields)


def refused(code: str) -> tuple[list[str]]:
    return (["error " + code, "open"],)


BEFORE_CONNECT = {
    "ping": ('{"type":"ping"}', UNREADABLE[1:]),
    "send": (send(), UNREADABLE[1:]),
    "no JSON": ("hello", UNREADABLE[1:]),
    "no token": ('{"type":"connect"}', (*UNREADABLE[1:], *TOKEN_REFUSED)),
    "a wrong token": ('{"type":"connect","token":"x"}', TOKEN_REFUSED),
    "a token of another type": ('{"type":"connect","token":7}', (*UNREADABLE[1:], *TOKEN_REFUSED)),
}

AFTER_CONNECT: dict[str, tuple[str | bytes, tuple[list[str], ...]]] = {
    "no JSON": ("hello", UNREADABLE),
    "half JSON": ('{"type":"send",', UNREADABLE),
    "nothing": ("", UNREADABLE),
    "a list": ("[]", UNREADABLE),
    "a number": ("1", UNREADABLE),
    "null": ("null", UNREADABLE),
    "deep nesting": ("[" * 30_000, UNREADABLE),
    "deep nesting in a field": ('{"type":"ping","x":' + "[" * 30_000, UNREADABLE),
    "no type": ("{}", (*UNREADABLE, *refused("unknown_type"))),
    "a type that is no string": ('{"type":1}', (*UNREADABLE, *refused("unknown_type"))),
    "an unknown type": ('{"type":"knit"}', refused("unknown_type")),
    "bytes where text is spoken": (b'{"type":"ping"}', (*UNREADABLE, ["1003"], ["open"])),
    "a second connect": ('{"type":"connect","token":"x"}', (*UNREADABLE, *refused("invalid"))),
    "n missing": (json.dumps({"type": "send", "body": TEXT}), UNNUMBERED),
    "n a string": (send("1"), UNNUMBERED),
    "n a fraction": (send(1.5), UNNUMBERED),
    "n null": (send(None), UNNUMBERED),
    "n zero": (send(0), (*UNREADABLE, *refused("out_of_order"), *refused("invalid"), *refused("conflict"))),
    "n negative": (
        send(-1),
        (*UNREADABLE, *refused("out_of_order"), *refused("invalid"), *refused("conflict")),
    ),
    "n enormous": (send(2**70), (*UNNUMBERED, *refused("out_of_order"))),
    "n ahead": (send(3), refused("out_of_order")),
    "body missing": (json.dumps({"type": "send", "n": 1}), (*UNREADABLE, *refused("invalid"))),
    "body no object": (send(body="hello"), (*UNREADABLE, *refused("invalid"))),
    "kind missing": (send(body={}), (*UNREADABLE, *refused("invalid"))),
    "kind unknown": (send(body={"kind": "poem"}), refused("invalid")),
    "text missing": (send(body={"kind": "text"}), refused("invalid")),
    "text empty": (send(body={"kind": "text", "text": ""}), refused("invalid")),
    "text no string": (send(body={"kind": "text", "text": 5}), refused("invalid")),
    "text too long": (
        send(body={"kind": "text", "text": "x" * 20_000}),
        (*refused("too_large"), *refused("invalid")),
    ),
    "a rating of 6": (send(body={"kind": "rating", "score": 6}), refused("invalid")),
    "a script as URL": (
        send(body={"kind": "card", "title": "t", "url": "javascript:alert(1)"}),
        refused("invalid"),
    ),
    "an attachment of nobody": (
        send(body={"kind": "file", "attachment": "1"}),
        (*refused("not_found"), *refused("invalid")),
    ),
    "a conversation of nobody": (send(conversation="123456"), refused("not_found")),
    "a conversation id that is none": (
        send(conversation="../etc"),
        (*refused("not_found"), *refused("invalid"), *UNREADABLE),
    ),
    "an enormous conversation id": (
        send(conversation="9" * 40),
        (*refused("not_found"), *refused("invalid"), *UNREADABLE),
    ),
    "a read cursor of nobody's conversation": (
        '{"type":"read","conversation":"123456","seq":1}',
        (["open"], *refused("not_found")),
    ),
    "typing into nobody's conversation": (
        '{"type":"typing","conversation":"123456","on":true}',
        (["open"], *refused("not_found")),
    ),
    "a frame above max_frame": ("x" * 70_000, (["close 4413", "4413"], ["4413"])),
    "a lone surrogate": (
        '{"type":"send","n":1,"body":{"kind":"text","text":"\\ud800"}}',
        (*UNREADABLE, *refused("invalid")),
    ),
}


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def bystander(town: World) -> AsyncIterator[None]:
    """Somebody else, connected all the while: afterwards the two ways still work."""
    owner, visitor = await town.owner(), await town.visitor("bystander")
    await answered([visitor.say("before")])
    yield
    (sent,) = await answered([visitor.say("after")])
    await until(lambda: "after" in owner.texts(sent.conversation))
    assert await town.verdict() == []


@pytest.mark.parametrize("name", BEFORE_CONNECT)
async def test_before_connect(town: World, name: str) -> None:
    message, allowed = BEFORE_CONNECT[name]
    socket = await town.raw()
    await socket.write(message)
    assert await socket.outcome() in allowed


@pytest.mark.parametrize("name", AFTER_CONNECT)
async def test_after_connect(town: World, name: str) -> None:
    message, allowed = AFTER_CONNECT[name]
    socket = await town.raw(await town.contact("clumsy"))
    await socket.write(message)
    assert await socket.outcome() in allowed


async def test_an_error_names_its_number_and_the_next_send_works(town: World) -> None:
    socket = await town.raw(await town.contact("clumsy"))
    await socket.write(send(1, body={"kind": "poem"}))
    error = await socket.receive("error", n=1, code="invalid")
    assert "retry_after_ms" not in error
    await socket.write(send(2))
    await socket.until("sent", n=2)


async def test_silence_before_connect_and_after_it(tmp_path: Any) -> None:
    async with (
        running(tmp_path, connect_timeout_ms="300", heartbeat_ms="1000") as server,
        inhabited(server) as town,
    ):
        silent = await town.raw()
        assert await silent.closed() == 4408
        mute = await town.raw(await town.contact("mute"))
        assert mute.connected["heartbeat_ms"] == 1000
        assert await mute.closed() == 4504
        talking = await town.visitor("talking")
        await answered([talking.say("still here")])


async def test_too_many_sends_wait_and_lose_nothing(tmp_path: Any) -> None:
    async with (
        running(tmp_path, sends_per_second="50", sends_per_ip="1000") as server,
        inhabited(server) as town,
    ):
        socket = await town.raw(await town.contact("hasty"))
        for n in range(1, 301):
            await socket.write(send(n))
        refusal = await socket.until("error", code="rate_limited")
        assert refusal["retry_after_ms"] > 0
        assert refusal["expected"] == refusal["n"]
        visitor = await town.visitor("patient")
        await answered([visitor.say(f"wait-{n}") for n in range(200)], 30)
        assert await town.verdict() == []


async def test_a_reader_that_never_reads_is_cut_and_harms_nobody(tmp_path: Any) -> None:
    async with running(tmp_path, rate_limits="off", max_queue="65536") as server, inhabited(server) as town:
        stuck = await town.raw(await town.agent(), receive_buffer=4_096)
        stuck.socket.transport.pause_reading()
        visitor = await town.visitor("ann")
        for turn in range(5):
            await answered([visitor.say(f"{turn}-{n}-" + "x" * 7_500) for n in range(250)])
        await until(lambda: stuck.socket.transport.is_closing() or server_closed(server, 4508))
        stuck.socket.transport.resume_reading()
        assert await stuck.closed() in {4508, 1006}
        assert await town.verdict() == []


def server_closed(server: ServerProcess, code: int) -> bool:
    """Whether the server's counter of such closes is above 0."""
    with urllib.request.urlopen(f"{server.url}/metrics") as answer:
        return f'unique_cs_closed_total{{code="{code}"}}' in answer.read().decode()


GARBAGE: dict[str, bytes] = {
    "no HTTP": b"\x00\x01\x02 hello\r\n\r\n",
    "a header without end": b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000,
    "an upgrade without a key": (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    ),
    "a body that never comes": (
        b"POST /api/v1/contacts/session HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n{"
    ),
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_on_the_port(town: World, name: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", town.server.port)
    answer = b""
    # Whoever sends on while the server closes gets a reset.
    with contextlib.suppress(OSError):
        writer.write(GARBAGE[name])
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 15)
    writer.close()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


WIRE: dict[str, tuple[bytes, int]] = {
    "an unmasked frame": (b"\x81\x02{}", 1002),
    "a reserved bit": (b"\xc1\x80\x00\x00\x00\x00", 1002),
    "an unknown opcode": (b"\x83\x80\x00\x00\x00\x00", 1002),
    "text that is no UTF-8": (b"\x81\x82\x00\x00\x00\x00\xc3\x28", 1007),
    "a ping too large": (b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + b"x" * 126, 1002),
    "a continuation of nothing": (b"\x80\x80\x00\x00\x00\x00", 1002),
}


@pytest.mark.parametrize("name", WIRE)
async def test_broken_websocket_frames(town: World, name: str) -> None:
    raw, code = WIRE[name]
    socket = await town.raw(await town.contact("clumsy"))
    socket.socket.transport.write(raw)
    assert await socket.closed() == code


async def test_sockets_that_vanish_leave_nothing_behind(town: World) -> None:
    rest = await town.contact("ghost")
    for _ in range(30):
        socket = await RawSocket(town.server.url).__aenter__()
        await socket.write(json.dumps({"type": "connect", "token": rest.token}))
        socket.socket.transport.abort()
    again = await town.raw(rest)
    assert await again.outcome() == ["open"]

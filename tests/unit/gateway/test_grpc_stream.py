"""gRPC's stream as a connection's transport: ends, limits, and a client that does not read."""

import asyncio
from typing import Any

import pytest
from grpc import StatusCode

from tests.support.grpc_call import GrpcCall
from tests.support.node import House, open_house
from unique_cs.gateway.connection import LOW_WATER, MAX_HELD
from unique_cs.gateway.transports import grpc_peers
from unique_cs.gateway.transports.grpc_peers import peer_address, split_peer
from unique_cs.gateway.transports.grpc_stream import GOODBYE, STATUSES
from unique_cs.protocol import close

Frame = dict[str, Any]


def say(n: int, text: str = "hello") -> Frame:
    return {"type": "send", "n": n, "body": {"kind": "text", "text": text}}


async def connect(house: House, token: str) -> GrpcCall:
    """A call that is connected."""
    call = GrpcCall(house)
    [connected, *_] = await call.ask({"type": "connect", "token": token})
    assert connected["type"] == "connected"
    return call


def closed(frames: list[Frame]) -> list[int]:
    """The codes of `close`, which is the last frame of all."""
    codes = [frame["code"] for frame in frames if frame["type"] == "close"]
    assert not codes or frames[-1]["type"] == "close"
    return codes


async def test_a_half_closed_call_gets_its_answers_and_ends(house: House) -> None:
    call = await connect(house, await house.contact())
    house.disk.hold()
    for n in range(1, 4):
        call.send(say(n))
    call.half_close()
    await house.until(lambda: call.reads == 5)
    assert not call.over
    house.disk.release()
    frames = await call.next()
    assert [frame["n"] for frame in frames if frame["type"] == "sent"] == [1, 2, 3]
    assert closed(frames) == [GOODBYE.code]
    assert (call.status, call.over) == (StatusCode.OK, True)
    assert not house.gateway.hub.open


async def test_a_call_that_is_half_closed_before_it_connects_ends(house: House) -> None:
    call = GrpcCall(house)
    call.half_close()
    assert closed(await call.next()) == [GOODBYE.code]
    assert call.status is StatusCode.OK


async def test_a_cancelled_call_is_a_lost_connection(house: House) -> None:
    call = await connect(house, await house.contact())
    call.cancel()
    assert await call.next() == []
    assert not house.gateway.hub.open
    assert not house.gateway.hub.connections


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"\xff\xff", close.BAD_FRAME), (b"\x12\x80", close.BAD_FRAME), (bytes(65_537), close.TOO_LARGE)],
)
async def test_what_is_no_frame_ends_the_call(house: House, payload: bytes, code: close.CloseCode) -> None:
    call = await connect(house, await house.contact())
    assert closed(await call.ask(payload)) == [code.code]
    assert call.over
    assert (call.status, call.details) == (STATUSES[code.code], f"{code.code} {code.reason}")


async def test_an_unknown_frame_is_refused_and_the_call_goes_on(house: House) -> None:
    """Field 99 of a later version."""
    call = await connect(house, await house.contact())
    [error] = await call.ask(b"\x9a\x06\x00")
    assert (error["type"], error["code"]) == ("error", "unknown_type")
    assert [frame["type"] for frame in await call.ask({"type": "ping"})] == ["pong"]


async def test_a_wrong_token_is_told_and_ends_the_call(house: House) -> None:
    call = GrpcCall(house)
    [error, goodbye] = await call.ask({"type": "connect", "token": "nobody"})
    assert (error["code"], goodbye["code"]) == ("unauthorized", close.UNAUTHORIZED.code)
    assert call.status is StatusCode.UNAUTHENTICATED


async def test_a_call_without_connect_ends_in_time(house: House) -> None:
    call = GrpcCall(house)
    await house.advance(house.limits.connect_timeout_ms / 1000 + 1)
    assert closed(await call.next()) == [close.CONNECT_TIMEOUT.code]
    assert call.status is StatusCode.DEADLINE_EXCEEDED


async def test_a_silent_call_ends_and_a_ping_keeps_it(house: House) -> None:
    call = await connect(house, await house.contact())
    heartbeat = house.limits.heartbeat_ms / 1000
    for _ in range(4):
        await house.advance(heartbeat)
        assert await call.ask({"type": "ping"})
    await house.advance(2 * heartbeat + 1)
    assert closed(await call.next()) == [close.HEARTBEAT_MISSED.code]
    assert call.status is StatusCode.UNAVAILABLE


async def test_draining_ends_calls_in_good_order(house: House) -> None:
    call = await connect(house, await house.contact())
    draining = asyncio.ensure_future(house.gateway.drain(5))
    assert closed(await call.next()) == [close.DRAINING.code]
    assert call.status is StatusCode.OK
    await draining


async def test_a_reader_that_stalls_is_closed_and_cut_off() -> None:
    """It holds no more than the queue, and none of it once it is cut off."""
    async with open_house(max_queue=2 * LOW_WATER) as house:
        ann, conversation = await house.talk()
        ann.hang_up()
        call = await connect(house, "ann")
        agent = await house.staff()
        call.holds = True
        for n in range(1, 101):
            agent.say(n, "x" * 2_000, conversation)
            await house.settle()
        connection = call._stream._connection
        assert connection.closed
        assert 2 * LOW_WATER < call._stream.buffered() < 3 * LOW_WATER
        await house.advance(3)
        assert call.was_cut
        assert call.over
        assert not call._stream._frames
        assert house.gateway.hub.open == 1


async def test_a_reader_that_was_slow_gets_everything_in_order() -> None:
    async with open_house(max_queue=4 * LOW_WATER) as house:
        ann, conversation = await house.talk()
        ann.hang_up()
        call = await connect(house, "ann")
        agent = await house.staff()
        call.holds = True
        for n in range(1, 81):
            agent.say(n, f"{n}" + "x" * 2_000, conversation)
            await house.settle()
        assert call._stream._connection.drained is not None
        call.holds = False
        await house.until(lambda: not call._stream._frames)
        frames = await call.next()
        places = [frame["seq"] for frame in frames if frame["type"] == "event"]
        assert places == list(range(3, 83))
        assert call._stream._connection.drained is None


async def test_frames_that_wait_stop_the_reading(house: House) -> None:
    """While one frame takes time others are held, and beyond a bound gRPC's flow control holds the client."""
    call = GrpcCall(house)
    gate = asyncio.Event()

    async def slow(token: str) -> Any:
        await gate.wait()
        return house.principals[token]

    house.gateway.authenticate = slow
    call.send({"type": "connect", "token": await house.contact()})
    for _ in range(MAX_HELD + 100):
        call.send({"type": "ping"})
    await house.until(lambda: call.reads > MAX_HELD)
    await house.settle()
    assert call.reads == MAX_HELD + 1
    gate.set()
    await house.until(lambda: call.reads == MAX_HELD + 102)
    frames = await call.next()
    assert len([frame for frame in frames if frame["type"] == "pong"]) == MAX_HELD + 100


def test_every_close_code_has_a_status() -> None:
    assert set(STATUSES) == {code.code for code in (*close.ALL, GOODBYE)}


def test_the_address_of_a_peer() -> None:
    assert split_peer("ipv4:10.0.0.1:50052") == ("10.0.0.1", 50052)
    assert split_peer("ipv6:%5B2001:db8::1%5D:50052") == ("2001:db8::1", 50052)
    assert split_peer("unix:/run/cs.sock") == ("", 0)
    assert peer_address("ipv6:%5B::1%5D:1") == "::1"


async def test_a_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is short of files ends idle connections, whatever went wrong before."""
    looked = asyncio.Event()

    def end(*_: Any) -> None:
        monkeypatch.setattr(grpc_peers, "end_idle", lambda *_: loop.call_soon_threadsafe(looked.set))
        raise OSError("no more")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(grpc_peers, "LOOK_S", 0.0)
    monkeypatch.setattr(grpc_peers, "_files_used", lambda files: files)
    monkeypatch.setattr(grpc_peers, "end_idle", end)
    watching = asyncio.create_task(grpc_peers.Guests(1).watch())
    async with asyncio.timeout(10):
        await looked.wait()
    watching.cancel()

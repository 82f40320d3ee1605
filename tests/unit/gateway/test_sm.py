"""`unique-cs.v1+sm` on a node: refusals, limits, and what a handshake may cost."""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.mqtt_client import masked
from tests.support.node import House, turns
from tests.support.sm import InlineSm, SmClient, draw
from unique_cs.errors import SettingsError
from unique_cs.gateway.plugin import Setup
from unique_cs.gateway.sm import MAX_WAITING, SmCodec, SmCoding
from unique_cs.gateway.transports.coded import CodedTransport
from unique_cs.protocol.websocket import frame_text
from unique_cs.sm.handshake import begin

PING = b'{"type":"ping"}'


class HeldSm(InlineSm):
    """Handshakes wait until the test lets them go on."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def _run(self, work: Callable[[], Any]) -> Any:
        await self.gate.wait()
        return work()


async def connected(house: House) -> SmClient:
    client = await SmClient(house).shake()
    client.say(client.seal(msgspec.json.encode({"type": "connect", "token": await house.contact()})))
    await house.settle()
    (frame,) = client.take()
    assert msgspec.json.decode(frame)["type"] == "connected"
    return client


async def code_after(house: House, client: SmClient, *messages: bytes) -> int:
    """The code with which the server closed."""
    for message in messages:
        client.say(message)
    await house.settle()
    client.messages()
    return client.code


async def test_replay_order_and_tampering_end_with_4400(house: House) -> None:
    client = await connected(house)
    record = client.seal(PING)
    assert await code_after(house, client, record, record) == 4400
    client = await SmClient(house).shake()
    _skipped, later = client.seal(PING), client.seal(PING)
    assert await code_after(house, client, later) == 4400
    client = await SmClient(house).shake()
    record = client.seal(PING)
    assert await code_after(house, client, record[:-1] + bytes([record[-1] ^ 1])) == 4400


async def test_the_reason_is_told_in_a_record(house: House) -> None:
    client = await connected(house)
    client.say(b"x" * 40)
    await house.settle()
    assert [msgspec.json.decode(frame)["type"] for frame in client.take()] == ["error", "close"]


@pytest.mark.parametrize("hello", [b"", b"\x01" * 131, b'{"type":"connect","token":"ann"}'])
async def test_a_hello_that_is_none_ends_with_4400(house: House, hello: bytes) -> None:
    """Nothing is said in the clear before the close."""
    client = SmClient(house)
    client.say(hello)
    await house.settle()
    assert client.messages() == []
    assert client.code == 4400


async def test_text_is_refused(house: House) -> None:
    client = SmClient(house)
    client.pipe.feed(masked(frame_text(PING)))
    await house.settle()
    client.messages()
    assert client.code == 4400


async def test_a_frame_has_the_same_bound_as_everywhere(house: House) -> None:
    client = await connected(house)
    text = b'{"type":"ping","x":"%b"}'
    most = house.gateway.limits.max_frame
    client.say(client.seal(text % (b"x" * (most - len(text) + 2))))
    await house.settle()
    (pong,) = client.take()
    assert msgspec.json.decode(pong)["type"] == "pong"
    assert await code_after(house, client, client.seal(b"x" * (most + 1))) == 4413


async def test_what_follows_a_hello_waits_for_its_end(house: House) -> None:
    served = HeldSm()
    client = SmClient(house, served)
    client.say(begin(draw).message)
    client.say(b"no record of these keys")
    await turns(5)
    assert client.pipe.paused
    assert not client.messages()
    served.gate.set()
    await house.settle()
    _answer, _error, _close = client.messages()
    assert client.code == 4400


async def test_too_many_handshakes_are_overloaded(house: House) -> None:
    served = HeldSm()
    clients = [SmClient(house, served) for _ in range(MAX_WAITING + 1)]
    for client in clients:
        client.say(begin(draw).message)
    await turns(5)
    clients[-1].messages()
    assert clients[-1].code == 4529
    assert not any(client.messages() for client in clients[:-1])
    for client in clients[:100]:
        client.pipe.lose()
    await turns(5)
    assert served._waiting == MAX_WAITING - 100
    served.gate.set()
    await house.settle()
    assert all(client.messages() for client in clients[100:-1])


async def test_a_handshake_has_a_deadline(house: House) -> None:
    client = SmClient(house)
    await house.advance(10.5)
    assert client.messages() == []
    assert client.code == 4408


async def test_a_fault_of_a_codec_ends_its_connection_only(house: House) -> None:
    class Broken(InlineSm):
        async def _run(self, work: Callable[[], Any]) -> Any:
            raise RuntimeError

    client = SmClient(house, Broken())
    client.say(begin(draw).message)
    await house.settle()
    client.messages()
    assert client.code == 4500
    await connected(house)


async def test_a_codec_that_cannot_send_ends_its_connection_only(house: House) -> None:
    """Others whose frames leave in the same tick get theirs."""

    class Mute(InlineSm):
        def open(self, write: Callable[[bytes], None]) -> Any:
            coding = super().open(write)

            class MuteCoding:
                receive = staticmethod(coding.receive)

                def send(self, frame: bytes) -> bytes:
                    raise RuntimeError

            return MuteCoding()

    mute, other = await SmClient(house, Mute()).shake(), await SmClient(house).shake()
    for client in (mute, other):
        client.say(client.seal(PING))
    await house.settle()
    assert mute.pipe.ended
    assert [msgspec.json.decode(frame)["type"] for frame in other.take()] == ["error", "close"]


async def test_a_lost_connection_needs_no_collector(house: House) -> None:
    """Codec and transport hold each other until then."""

    def living() -> int:
        return sum(isinstance(each, SmCoding | CodedTransport) for each in gc.get_objects())

    client = await connected(house)
    gc.collect()
    gc.disable()
    try:
        before = living()
        client.pipe.lose()
        client.pipe._protocol = None
        await house.settle()
        assert living() == before - 2
    finally:
        gc.enable()


async def test_the_real_codec_works_in_its_thread(house: House, tmp_path: Path) -> None:
    served = SmCodec(Setup({"key": ""}, tmp_path, None))
    client = SmClient(house, served)
    client.say(begin(draw).message)
    await house.until(lambda: client.pipe.written)
    served.close()
    assert len(client.messages()) == 1


def test_a_key_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"sm\.key names no file"):
        SmCodec(Setup({"key": str(tmp_path / "none")}, tmp_path, None))
    (tmp_path / "identity.key").write_text("nonsense")
    with pytest.raises(SettingsError, match="can't be used"):
        SmCodec(Setup({"key": ""}, tmp_path, None))

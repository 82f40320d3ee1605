"""MQTT over a node: sessions, subscriptions, takeover, and every end."""

import gc
from typing import Any

import pytest

from tests.support import mqtt
from tests.support.mqtt_client import Browser, Client, masked
from tests.support.node import House, open_house
from unique_cs.gateway.connection import Connection
from unique_cs.gateway.transports.mqtt_endpoint import Endpoint
from unique_cs.protocol import mqtt_packets as packets
from unique_cs.protocol.close import DRAINING
from unique_cs.protocol.websocket import frame_text

V311, V5 = packets.V311, packets.V5
Frame = dict[str, Any]
both = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def endpoint(house: House) -> Endpoint:
    return Endpoint(house.gateway)


def say(n: int, text: str = "hello", **fields: Any) -> Frame:
    return {"type": "send", "n": n, "body": {"kind": "text", "text": text}, **fields}


async def conversation_of(house: House) -> str:
    """Ann's only conversation."""
    [found] = await house.node.timeline.conversations_of(int(house.id_of("ann")), 10)
    return found.wire_id


CONNECT: Frame = {"type": "connect"}


@both
async def test_a_pipelined_talk_loses_nothing(house: House, endpoint: Endpoint, version: int) -> None:
    """CONNECT, SUBSCRIBE, `connect` and two sends in one write are all answered, in order."""
    token = await house.contact()
    client = Client(house, endpoint, version=version)
    await client.open(token, frames=(CONNECT, say(1), say(2)))
    assert [first for first, _ in client.others] == [0x20, 0x90]
    assert client.protocol.connection.session is not None
    assert client.protocol.connection.session.n == 2


@both
async def test_connect_send_and_events(house: House, endpoint: Endpoint, version: int) -> None:
    token = await house.contact()
    client = await Client(house, endpoint, version=version).open(token)
    [connected] = await client.ask(CONNECT)
    assert (connected["type"], connected["c"]) == ("connected", 1)
    assert connected["actor"]["id"] == house.id_of("ann")
    client.others.clear()
    frames = await client.send(client.up(say(1), packet_id=5))
    assert client.others[0] == (0x40, b"\0\x05")
    [sent] = [frame for frame in frames if frame["type"] == "sent"]
    agent = await house.staff()
    agent.say(1, "hi", sent["conversation"])
    assert [frame["data"]["body"]["text"] for frame in await client.next() if frame["type"] == "event"] == [
        "hi"
    ]


async def test_before_connect_all_is_acknowledged_and_dropped(house: House, endpoint: Endpoint) -> None:
    client = await Client(house, endpoint).open(await house.contact())
    client.others.clear()
    for packet_id, frame in enumerate((say(1), {"type": "ping"}, b"garbage", b""), start=1):
        assert await client.send(client.up(frame, packet_id)) == []
    assert [body for _, body in client.others] == [bytes((0, number)) for number in range(1, 5)]
    [connected] = await client.ask(CONNECT)
    assert connected["n"] == 0


async def test_frames_wait_for_the_subscription(house: House, endpoint: Endpoint) -> None:
    token = await house.contact()
    client = Client(house, endpoint)
    await client.send(mqtt.connect(V5, "me", password=token.encode()))
    assert await client.ask(CONNECT) == []
    frames = await client.send(mqtt.subscribe(V5, 1, "ucs/v1/me/down", qos=0))
    assert [frame["type"] for frame in frames] == ["connected"]


async def test_the_token_of_connect_is_of_the_same_actor(house: House, endpoint: Endpoint) -> None:
    ann, eve = await house.contact(), await house.contact("eve")
    client = await Client(house, endpoint).open(ann)
    [connected] = await client.ask({**CONNECT, "token": ann})
    assert connected["type"] == "connected"
    other = await Client(house, endpoint, client_id="other").open(ann)
    error, closing = await other.ask({**CONNECT, "token": eve})
    assert (error["code"], closing["code"]) == ("unauthorized", 4401)
    assert other.others[-1] == (0xE0, b"\x87")
    assert other.pipe.ended


@both
@pytest.mark.parametrize("token", ["wrong", "", None])
async def test_a_wrong_password(house: House, endpoint: Endpoint, version: int, token: str | None) -> None:
    user = "any" if version == V311 and token is not None else None
    client = await Client(house, endpoint, version=version).open(token, user=user or "any")
    assert client.others == [(0x20, b"\0\x87\0" if version == V5 else b"\0\x05")]
    assert client.pipe.ended
    await house.advance(5)
    assert client.pipe.aborted
    assert not house.gateway.hub.connections


@both
async def test_takeover_is_for_the_same_actor(house: House, endpoint: Endpoint, version: int) -> None:
    ann, eve = await house.contact(), await house.contact("eve")
    first = await Client(house, endpoint, version=version).open(ann, frames=(CONNECT,))
    stranger = await Client(house, endpoint, version=version).open(eve)
    assert stranger.others == [(0x20, b"\0\x87\0" if version == V5 else b"\0\x05")]
    assert not first.pipe.ended
    second = await Client(house, endpoint, version=version).open(ann, clean=False)
    assert second.others[0][1][:2] == b"\0\0"
    assert [frame["code"] for frame in await first.next() if frame["type"] == "close"] == [4409]
    assert (first.others[-1] == (0xE0, b"\x8e")) is (version == V5)
    first.pipe.lose()
    assert [frame["type"] for frame in await second.ask(CONNECT)] == ["connected"]
    third = await Client(house, endpoint, version=version).open(ann)
    assert second.pipe.ended
    third.pipe.lose()
    await Client(house, endpoint, version=version).open(eve)
    assert endpoint.clients.holders["me"].connection.owner == house.principals["eve"]


async def test_a_second_connect_replaces_the_first_unless_older(house: House, endpoint: Endpoint) -> None:
    client = await Client(house, endpoint).open(await house.contact())
    [first] = await client.ask({**CONNECT, "c": 3})
    session = first["session"]
    await client.ask(say(1))
    [second] = await client.ask({**CONNECT, "session": session, "c": 4})
    assert (second["session"], second["c"], second["n"], second["resumed"]) == (session, 4, 1, True)
    for stale in ({"c": 3}, {"session": session, "c": 3}):
        assert await client.ask({**CONNECT, **stale}) == []
    assert [frame["type"] for frame in await client.ask(say(2))] == ["sent"]
    [again] = await client.ask({**CONNECT, "session": session})
    assert again["c"] == 5
    assert len(house.gateway.hub.connections) == 1
    frames = await client.ask({**CONNECT, "session": session, "c": 5})
    assert [frame["code"] for frame in frames if frame["type"] == "close"] == [4409]


async def test_resume_on_another_connection_catches_up(house: House, endpoint: Endpoint) -> None:
    token = await house.contact()
    client = await Client(house, endpoint).open(token)
    [connected] = await client.ask(CONNECT)
    frames = await client.ask(say(1))
    conversation = frames[-1]["conversation"]
    client.pipe.lose()
    agent = await house.staff()
    agent.say(1, "while away", conversation)
    await house.settle()
    again = await Client(house, endpoint).open(token)
    since = {conversation: {"epoch": house.node.timeline.epoch, "seq": 2}}
    frames = await again.ask({**CONNECT, "session": connected["session"], "since": since})
    assert [(frame["type"], frame.get("seq")) for frame in frames] == [("connected", None), ("event", 3)]
    assert frames[0]["resumed"]
    repeat = await again.ask(say(1))
    assert [(frame["type"], frame["seq"]) for frame in repeat] == [("sent", 2)]


async def test_a_session_that_moves_to_another_road(house: House, endpoint: Endpoint) -> None:
    client = await Client(house, endpoint).open(await house.contact())
    [connected] = await client.ask(CONNECT)
    await house.peer().connect("ann", session=connected["session"])
    assert [frame["code"] for frame in client.take()] == [4409]
    assert client.others[-1] == (0xE0, b"\x8e")


async def test_an_empty_client_id_gets_one(house: House, endpoint: Endpoint) -> None:
    client = Client(house, endpoint, client_id="")
    await client.send(mqtt.connect(V5, "", password=(await house.contact()).encode()))
    [(_, body)] = client.others
    [assigned] = endpoint.clients.holders
    assert b"\x12" + mqtt.text(assigned) in body
    client.client_id = assigned
    await client.send(mqtt.subscribe(V5, 1, f"ucs/v1/{assigned}/down"))
    assert [frame["type"] for frame in await client.ask(CONNECT)] == ["connected"]
    client.pipe.lose()
    assert not endpoint.clients.holders


@pytest.mark.parametrize(
    ("raw", "code", "reason"),
    [
        (mqtt.publish(V5, "elsewhere", b"{}"), 4403, 0x87),
        (mqtt.publish(V5, "ucs/v1/me/up", b"{}", retain=True), 4400, 0x9A),
        (mqtt.publish(V5, "ucs/v1/me/up", b"x" * 65_537), 4413, 0x95),
        (mqtt.publish(V5, "ucs/v1/me/up", b"garbage"), 4400, 0x99),
        (mqtt.connect(V5, "me"), 4400, 0x82),
    ],
)
async def test_a_fault_is_told_twice(
    house: House, endpoint: Endpoint, raw: bytes, code: int, reason: int
) -> None:
    """A `close` frame comes down first, then DISCONNECT with a reason, then the end of the stream."""
    client = await Client(house, endpoint).open(await house.contact(), frames=(CONNECT,))
    assert (await client.send(raw))[-1]["code"] == code
    assert client.others[-1] == (0xE0, bytes((reason,)))
    assert client.pipe.ended
    assert not house.gateway.hub.connections


async def test_draining_says_so(house: House, endpoint: Endpoint) -> None:
    client = await Client(house, endpoint).open(await house.contact(), frames=(CONNECT,))
    house.gateway.hub.close_all(DRAINING)
    assert (await client.next())[-1]["code"] == 4503
    assert client.others[-1] == (0xE0, b"\x8b")


async def test_who_says_disconnect_is_gone(house: House, endpoint: Endpoint) -> None:
    client = await Client(house, endpoint).open(await house.contact(), frames=(CONNECT,))
    assert await client.send(b"\xe0\0") == []
    assert client.pipe.aborted
    assert not house.gateway.hub.connections


async def test_silence_without_connect_and_without_a_frame(house: House, endpoint: Endpoint) -> None:
    mute = Client(house, endpoint)
    waiting = await Client(house, endpoint, client_id="other").open(await house.contact())
    await house.advance(15)
    assert mute.pipe.ended
    assert mute.pipe.written == b""
    assert [frame["code"] for frame in await waiting.next()] == [4408]
    assert waiting.others[-1] == (0xE0, b"\xa0")


async def test_keep_alive_and_pings(house: House, endpoint: Endpoint) -> None:
    """A PINGREQ in time keeps MQTT's connection and the session; 1.5 times the keep-alive ends both."""
    client = await Client(house, endpoint).open(await house.contact(), frames=(CONNECT,), keep_alive=8)
    for _ in range(10):
        await house.advance(9)
        await client.send(b"\xc0\0")
        assert client.others[-1] == (0xD0, b"")
    await house.advance(17)
    assert [frame["code"] for frame in await client.next()] == [4504]
    assert client.others[-1] == (0xE0, b"\x8d")


@pytest.mark.parametrize(
    ("version", "asked", "expected"), [(V5, 0, 25), (V5, 60, 25), (V5, 10, 0), (V311, 60, 0)]
)
async def test_the_server_shortens_the_keep_alive_in_mqtt_5(
    house: House, endpoint: Endpoint, version: int, asked: int, expected: int
) -> None:
    client = await Client(house, endpoint, version=version).open(await house.contact(), keep_alive=asked)
    told = b"\x13" + expected.to_bytes(2, "big") in client.others[0][1]
    assert told is bool(expected)


async def test_a_session_falls_silent_without_keep_alive(house: House, endpoint: Endpoint) -> None:
    client = Client(house, endpoint, version=V311)
    await client.open(await house.contact(), frames=(CONNECT,), keep_alive=0)
    await house.advance(45)
    assert not client.pipe.ended
    await house.advance(10)
    assert (await client.next())[-1]["code"] == 4504


async def test_who_acknowledges_nothing_is_too_slow() -> None:
    """QoS 1 without PUBACK: what waits counts, and the connection ends with 4508; the rest goes on."""
    async with open_house(max_queue=100_000) as house:
        endpoint = Endpoint(house.gateway)
        client = Client(house, endpoint)
        client.acks = False
        await client.open(await house.contact(), frames=(CONNECT, say(1)), properties=b"\x21\0\x01")
        conversation = await conversation_of(house)
        agent = await house.staff()
        for n in range(1, 41):
            agent.say(n, "x" * 4_000, conversation)
            await house.settle()
        assert client.pipe.ended
        assert client.take()[-1]["code"] == 4508
        assert client.others[-1] == (0xE0, b"\x97")
        assert len(agent.take("sent")) == 40


async def test_strangers_make_way_for_each_other() -> None:
    """A crowd that shows no token takes no more than its part of the connections; who does, gets in."""
    async with open_house(max_connections=16) as house:
        endpoint = Endpoint(house.gateway)
        guest = await Client(house, endpoint, client_id="guest").open(
            await house.contact(), frames=(CONNECT,)
        )
        silent = []
        for number in range(40):
            silent.append(Client(house, endpoint, client_id=f"silent-{number}"))
            await house.settle()
        assert [each.pipe.ended for each in silent] == [True] * 38 + [False] * 2
        late = await Client(house, endpoint, client_id="late").open(
            await house.contact("ben"), frames=(CONNECT,)
        )
        assert not guest.pipe.ended
        assert not late.pipe.ended


async def test_who_pings_on_and_reads_nothing_is_too_slow() -> None:
    """MQTT's own answers wait in the same queue as frames, and count."""
    async with open_house(max_queue=100_000) as house:
        client = Client(house, Endpoint(house.gateway))
        await client.open(await house.contact(), frames=(CONNECT,))
        client.pipe.holds = True
        pings = 0
        while not client.pipe.ended and pings < 200_000:
            client.pipe.feed(b"\xc0\0" * 1_000)
            pings += 1_000
        assert pings * 2 < 110_000
        assert client.take()[-1]["code"] == 4508


async def test_a_replay_waits_for_the_reader(house: House, endpoint: Endpoint) -> None:
    """A long replay over QoS 1 with a window of one comes whole and in order."""
    peer, conversation = await house.talk(*["x" * 4_000] * 60)
    peer.hang_up()
    client = Client(house, endpoint)
    since = {conversation: {"epoch": house.node.timeline.epoch, "seq": 0}}
    await client.open("ann", frames=({**CONNECT, "since": since},), properties=b"\x21\0\x01")
    frames: list[Frame] = []
    for _ in range(200):
        frames += await client.next()
        if frames and frames[-1].get("seq") == 61:
            break
    assert [frame["seq"] for frame in frames if frame["type"] == "event"] == list(range(1, 62))


async def test_a_reader_that_stalls_is_cut() -> None:
    async with open_house(max_queue=200_000) as small:
        client = await Client(small, Endpoint(small.gateway)).open(
            await small.contact(), frames=(CONNECT, say(1))
        )
        client.pipe.holds = True
        conversation = await conversation_of(small)
        agent = await small.staff()
        for n in range(1, 101):
            agent.say(n, "x" * 4_000, conversation)
            await small.settle()
        assert client.pipe.ended


async def test_too_many_come_at_once() -> None:
    async with open_house(rates=True, handshakes_per_ip=1) as house:
        endpoint, token = Endpoint(house.gateway), await house.contact()
        codes = []
        for number in range(4):
            client = await Client(house, endpoint, client_id=f"c{number}").open(token)
            codes.append(client.others[0][1][1])
        assert codes[0] == 0
        assert codes[-1] == 0x9F


async def test_mqtt_over_websocket(house: House, endpoint: Endpoint) -> None:
    client = Browser(house, endpoint)
    await client.open(await house.contact())
    assert [frame["type"] for frame in await client.ask(CONNECT)] == ["connected"]
    assert client.protocol.connection.address == "10.0.0.2"
    house.gateway.hub.close_all(DRAINING)
    assert [frame["code"] for frame in await client.next()] == [4503]
    assert (0xE0, b"\x8b") in client.others
    assert (0x88, (4503).to_bytes(2, "big") + b"draining") in client.others


async def test_a_text_message_is_no_mqtt(house: House, endpoint: Endpoint) -> None:
    client = Browser(house, endpoint)
    await client.open(await house.contact(), frames=(CONNECT,))
    client.pipe.feed(masked(frame_text(b"hello")))
    assert [frame["code"] for frame in await client.next()][-1] == 4400
    assert (0xE0, b"\x82") in client.others


@pytest.mark.parametrize("over_websocket", [False, True])
async def test_a_lost_connection_needs_no_collector(
    house: House, endpoint: Endpoint, over_websocket: bool
) -> None:
    """It goes with its socket at once, also where a further `connect` made it."""

    def living() -> int:
        return sum(isinstance(each, Connection) for each in gc.get_objects())

    token = await house.contact()
    gc.collect()
    gc.disable()
    try:
        client = Browser(house, endpoint) if over_websocket else Client(house, endpoint)
        before = living()
        await client.open(token, frames=(CONNECT,))
        await client.ask(CONNECT)
        assert living() == before
        client.pipe.lose()
        await house.settle()
        assert living() == before - 1
    finally:
        gc.enable()

"""How connections end, and how frames wait for each other."""

import msgspec
import pytest

from tests.support.node import House, Peer, open_house, turns
from unique_cs.gateway.peers import heard
from unique_cs.protocol import close
from unique_cs.protocol.codec import MSGPACK
from unique_cs.protocol.notices import Missed


def ended(peer: Peer) -> tuple[int | None, dict[str, object]]:
    """The transport's close code, and the `close` frame."""
    frames = peer.take()
    assert frames[-1]["type"] == "close"
    return peer.code, frames[-1]


def reads(peer: Peer) -> bool:
    """Whether the server reads what the client says."""
    return not peer.paused


async def test_unknown_type(house: House) -> None:
    """An unknown type gets `unknown_type`, whatever else is in the frame; the connection stays open."""
    peer = await house.visitor()
    for fields in ({}, {"n": "x"}, {"n": [1]}, {"conversation": 5}):
        (error,) = await peer.ask("hello", **fields)
        assert (error["type"], error["code"]) == ("error", "unknown_type")
    assert [frame["type"] for frame in await peer.ask("ping")] == ["pong"]


async def test_unknown_fields(house: House) -> None:
    """Unknown fields are ignored."""
    peer = await house.visitor()
    assert [frame["type"] for frame in await peer.ask("ping", colour="blue", n=[1])] == ["pong"]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"1", b'"x"', b"null", b"{}", b'{"type":1}', b"\xff\xfe", b'{"type":"ping"'],
)
async def test_no_frame_at_all(house: House, payload: bytes) -> None:
    """Bytes that are no frame get `bad_frame` and 4400, which says not to come back as you are."""
    peer = await house.visitor()
    peer.receive(payload)
    await house.settle()
    error, goodbye = peer.take()
    assert (error["code"], goodbye["code"], goodbye["reconnect"]) == ("bad_frame", 4400, False)
    assert peer.code == 4400


async def test_bad_field(house: House) -> None:
    """A frame with an unusable field gets `invalid`; the connection stays open."""
    peer = await house.visitor()
    for frame in (
        {"type": "typing"},
        {"type": "typing", "conversation": 5},
        {"type": "read", "conversation": "1", "seq": -1},
        {"type": "read", "conversation": "1", "seq": 2**53},
        {"type": "subscribe", "conversation": "x" * 65},
        {"type": "subscribe", "conversation": "1", "since": {"epoch": "x"}},
        {"type": "page", "url": "x" * 2_049},
    ):
        (error,) = await peer.ask(**frame)
        assert error["code"] == "invalid", frame
    assert peer.code is None


async def test_bad_connect(house: House) -> None:
    """A `connect` that can't be read ends with 4400, one with more than 500 positions too."""
    position = {"epoch": "e", "seq": 0}
    for fields in (
        {},
        {"token": 5},
        {"token": "x", "c": 0},
        {"token": "x", "acked": -1},
        {"token": "x", "since": {str(number): position for number in range(501)}},
    ):
        peer = house.peer()
        await peer.ask("connect", **fields)
        assert peer.code == 4400, fields


async def test_what_connect_may_leave_out_may_be_null(house: House) -> None:
    """Clients of typed languages write `null` where they have nothing to say."""
    nothing = dict.fromkeys(("session", "c", "acked", "since", "client"))
    peer = await house.visitor("ann", **nothing)
    assert (peer.connected["c"], peer.connected["n"], peer.connected["resumed"]) == (1, 0, False)


async def test_ping(house: House) -> None:
    """`ping` is answered with `pong` and the server's time."""
    peer = await house.visitor()
    await house.advance(3)
    assert await peer.ask("ping") == [{"type": "pong", "time": house.clock.now_ms()}]


async def test_heartbeat_missed(house: House) -> None:
    """Silence for twice `heartbeat_ms` is 4504; anything that is sent puts it off."""
    peer = await house.visitor()
    await house.advance(49)
    peer.send("ping")
    await house.advance(49)
    assert peer.code is None
    await house.advance(4)
    code, goodbye = ended(peer)
    assert (code, goodbye["code"], goodbye["reconnect"]) == (4504, 4504, True)
    assert goodbye["after_ms"]


async def test_transports_sign_of_life(house: House) -> None:
    """A ping or pong of the transport's own counts as heartbeat."""
    peer = await house.visitor()
    for _ in range(3):
        await house.advance(40)
        peer.connection.alive()
    assert peer.code is None


async def test_silent_client_is_asked(house: House) -> None:
    """A client that missed a heartbeat is asked for a sign of life once before it is closed."""
    peer = await house.visitor()
    await house.advance(24)
    assert peer.pings == 0
    await house.advance(4)
    assert peer.pings == 1
    peer.connection.alive()
    await house.advance(45)
    assert (peer.pings, peer.code) == (2, None)


async def test_heartbeat_beside_a_short_connect_timeout() -> None:
    """The silence that is allowed does not depend on other deadlines."""
    async with open_house(connect_timeout_ms=100) as house:
        peer = await house.visitor()
        await house.advance(49)
        assert peer.code is None
        await house.advance(2)
        assert peer.code == 4504


async def test_connect_timeout(house: House) -> None:
    """Without `connect` within 10 s, whatever else it sends, a connection is closed with 4408."""
    silent, chatty = house.peer(), house.peer()
    for _ in range(9):
        await house.advance(1)
        chatty.send("hello")
    assert silent.code is None
    await house.advance(3)
    for peer in (silent, chatty):
        code, goodbye = ended(peer)
        assert (code, goodbye["code"], goodbye["reconnect"]) == (4408, 4408, True)


async def test_goodbye_is_not_waited_for_for_ever(house: House) -> None:
    """After the close the client has a moment to say goodbye; then the transport is ended."""
    peer = await house.visitor()
    peer.receive(b"")
    assert not peer.aborted
    await house.advance(4)
    assert peer.aborted


async def test_nothing_is_read_after_the_close(house: House) -> None:
    """After its `close` frame the server neither reads nor writes."""
    peer, conversation = await house.talk()
    peer.receive(b"")
    peer.take()
    peer.say(2)
    peer.send("ping")
    agent = await house.staff()
    agent.say(1, conversation=conversation)
    await house.settle()
    assert peer.take() == []
    assert (await house.conversation(conversation)).seq == 3


async def test_too_slow() -> None:
    """A reader whose queue is over its bound is closed with 4508; the others are not held up."""
    async with open_house(max_queue=200_000) as house:
        peer, conversation = await house.talk()
        slow, quick = await house.staff("bob"), await house.staff("cyd")
        slow.holds = True
        for n in range(2, 62):
            peer.say(n, "x" * 4_000, conversation)
            await house.settle()
        assert [frame["seq"] for frame in quick.take("event")] == list(range(3, 63))
        code, goodbye = ended(slow)
        assert (code, goodbye["code"], goodbye["reconnect"]) == (4508, 4508, True)
        assert slow.buffered() < 300_000
        assert peer.code is None


async def test_slow_reader_that_catches_up() -> None:
    """A reader that is paused and catches up in time stays."""
    async with open_house(max_queue=200_000) as house:
        peer, conversation = await house.talk()
        agent = await house.staff()
        agent.holds = True
        for n in range(2, 200):
            peer.say(n, "x" * 4_000, conversation)
            if n % 30 == 0:
                await house.settle()
                agent.catch_up()
        await house.settle()
        assert [frame["seq"] for frame in agent.take("event")] == list(range(3, 201))


async def test_frames_wait_for_each_other(house: House) -> None:
    """While one frame is worked on the later ones wait; beyond 1,024 the transport is not read."""
    peer = await house.visitor()
    house.disk.hold()
    peer.say(1)
    await turns(10)
    peer.say(1)
    for _ in range(1_100):
        peer.send("ping")
    await turns(10)
    assert peer.paused
    assert peer.take() == []
    house.disk.release()
    await house.settle()
    frames = [frame["type"] for frame in peer.take()]
    assert frames[:4] == ["subscribed", "event", "sent", "sent"]
    assert frames[4:] == ["pong"] * 1_100
    assert not peer.paused


async def test_close_discards_what_waits(house: House) -> None:
    """Frames that wait when the connection ends are not worked on."""
    peer, conversation = await house.talk()
    house.disk.hold()
    peer.say(2)
    peer.say(2)
    peer.say(3)
    peer.hang_up()
    house.disk.release()
    await house.settle()
    assert (await house.conversation(conversation)).seq == 3


async def test_blocked_and_signed_out(house: House) -> None:
    """An actor that is blocked is closed with 4403, a login that is ended with 4401; others stay."""
    _, _ = await house.talk()
    blocked, other = await house.peer().connect("ann"), await house.visitor("ben")
    house.gateway.hub.close_principal("contact", int(house.id_of("ann")))
    assert ended(blocked)[0] == 4403
    bob, cyd = await house.staff("bob"), await house.staff("cyd")
    house.gateway.hub.close_logins([int(house.id_of("bob"))])
    assert ended(bob)[0] == 4401
    assert (other.code, cyd.code) == (None, None)


async def test_who_may_have_been_signed_out_unheard_is_asked_again(house: House) -> None:
    """After notices were missed all agents come in anew, also those who are just coming in."""
    _, _ = await house.talk()
    ann, bob, cyd = house.peer(), await house.staff("bob"), house.peer()
    token = house.agent("cyd")
    await ann.connect("ann")
    house.disk.hold()
    cyd.send("connect", token=token)
    await turns(10)
    heard(house.gateway, Missed())
    house.disk.release()
    await house.settle()
    assert (ann.code, bob.code, cyd.code) == (None, 4500, 4500)


async def test_blocked_or_signed_out_while_connecting(house: House) -> None:
    """Who is sent away between the check of the token and `connected` does not get in."""
    who = {name: await house.contact(name) for name in ("ann", "ben")} | {"bob": house.agent("bob")}
    house.disk.hold()
    coming = {name: house.peer() for name in who}
    for name, peer in coming.items():
        peer.send("connect", token=who[name])
    await turns(10)
    house.gateway.hub.close_principal("contact", int(house.id_of("ann")))
    house.gateway.hub.close_logins([int(house.id_of("bob"))])
    house.disk.release()
    await house.settle()
    assert (coming["ann"].code, coming["ben"].code, coming["bob"].code) == (4403, None, 4401)
    assert [frame["type"] for frame in coming["ann"].take()] == ["close"]


async def test_drain(house: House) -> None:
    """Draining lets nobody in, sends everybody away with 4503 and a jittered `after_ms`, and ends in time."""
    peers = [await house.visitor(f"c{number}") for number in range(20)]
    await house.gateway.drain(0.0)
    waits = set()
    for peer in peers:
        code, goodbye = ended(peer)
        assert (code, goodbye["code"], goodbye["reason"]) == (4503, 4503, "draining")
        assert goodbye["reconnect"] is True
        waits.add(goodbye["after_ms"])
    assert len(waits) > 5
    assert house.gateway.admit("10.0.0.9") is not None
    for peer in peers:
        peer.hang_up()
    await house.gateway.drain(3_600.0)


async def test_handshakes_are_limited() -> None:
    """Too many handshakes from one address, or of all, get 429; a full node says 503."""
    async with open_house(
        rates=True, handshakes_per_ip=1, handshakes_per_second=5, max_connections=3
    ) as house:
        gateway = house.gateway
        assert [gateway.admit("10.0.0.1") for _ in range(2)] == [None, None]
        refused = gateway.admit("10.0.0.1")
        assert refused is not None
        assert refused[0] == 429
        assert refused[1] >= 1
        assert [gateway.admit(f"10.0.1.{number}") for number in range(3)] == [None] * 3
        assert (gateway.admit("10.0.2.1") or (0, 0))[0] == 429
        await house.advance(2)
        assert gateway.admit("10.0.0.1") is None
        for _ in range(3):
            house.peer()
        assert (gateway.admit("10.0.0.5") or (0, 0))[0] == 503


async def test_msgpack(house: House) -> None:
    """The same frames travel as msgpack; what one codec sent the other shows."""
    _, conversation = await house.talk()
    peer = await house.peer(MSGPACK).connect("ann", since={conversation: {"epoch": "x", "seq": 1}})
    assert [frame["type"] for frame in peer.take()] == ["resync"]
    agent = await house.staff()
    peer.say(1, "你好")
    agent.say(1, "hello", conversation)
    agent.say(2, "note", conversation, private=True)
    await house.settle()
    assert [(f["type"], f["seq"]) for f in peer.take()] == [("sent", 3), ("event", 4), ("advance", 5)]
    assert agent.take()[0]["data"]["body"] == {"kind": "text", "text": "你好"}
    peer.receive(msgspec.msgpack.encode({"type": "ping"})[:-1])
    assert ended(peer)[0] == 4400


async def test_an_error_of_ours_harms_one_connection(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that fails for a reason nobody foresaw closes its connection with 4500; the others go on."""
    peer, conversation = await house.talk()
    other = await house.staff()

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(house.node.contacts, "cursors", broken)
        await peer.ask("read", conversation=conversation, seq=1)
    assert peer.code == close.INTERNAL.code
    other.say(1, conversation=conversation)
    await house.settle()
    assert [frame["n"] for frame in other.take("sent")] == [1]


async def test_a_client_that_says_much_while_its_replay_waits_is_read_no_further() -> None:
    """What is held back is bounded in bytes, too: a thousand frames may be 64 MB."""
    async with open_house(max_queue=200_000) as house:
        _, conversation = await house.talk(*(f"{n}-" + "x" * 4_000 for n in range(60)))
        peer = await house.staff()
        peer.holds = True
        peer.send(
            "subscribe", conversation=conversation, since={"epoch": house.node.timeline.epoch, "seq": 0}
        )
        await house.settle()
        frames = 0
        while reads(peer):
            peer.send("page", url="https://shop.example/" + "x" * 2_000)
            frames += 1
        assert 90 < frames < 110
        peer.holds = False
        peer.catch_up()
        await house.settle()
        assert reads(peer)
        assert [frame["type"] for frame in (await peer.ask("ping"))[-1:]] == ["pong"]

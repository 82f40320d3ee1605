"""The clients behind a broker: who gets a connection, who takes it over, and every end."""

import gc
from typing import Any

import pytest

from tests.support.mqtt_lines import Broker
from tests.support.node import House, open_house
from unique_cs.gateway.connection import Connection
from unique_cs.gateway.transports import mqtt_lines
from unique_cs.protocol.close import DRAINING, INTERNAL
from unique_cs.telemetry import metrics

Frame = dict[str, Any]


@pytest.fixture
def broker(house: House) -> Broker:
    return Broker(house)


def connect(token: str, **fields: Any) -> Frame:
    return {"type": "connect", "token": token, **fields}


def say(n: int, text: str = "hello") -> Frame:
    return {"type": "send", "n": n, "body": {"kind": "text", "text": text}}


def codes(frames: list[Frame]) -> list[int]:
    """The codes of the `close` frames."""
    return [frame["code"] for frame in frames if frame["type"] == "close"]


async def test_connect_send_and_events(house: House, broker: Broker) -> None:
    """Frames behind `connect` wait for it; events of others come down."""
    broker.publish("till", connect(await house.contact()))
    frames = await broker.ask("till", say(1))
    assert [frame["type"] for frame in frames] == ["connected", "subscribed", "event", "sent"]
    agent = await house.staff()
    agent.say(1, "hi", frames[-1]["conversation"])
    assert [frame["type"] for frame in await broker.down("till")][-1] == "event"


async def test_two_clients_hear_only_their_own(house: House, broker: Broker) -> None:
    await broker.ask("one", connect(await house.contact("ann")))
    await broker.ask("two", connect(await house.contact("eve")))
    assert [frame["type"] for frame in await broker.ask("one", {"type": "ping"})] == ["pong"]
    assert await broker.down("two") == []


@pytest.mark.parametrize(
    "payload", [b"", b"garbage", b"\xff", b"[1]", b'{"type":1}', b'{"type":"close"}', b"{"]
)
async def test_garbage_of_nobody_is_dropped(house: House, broker: Broker, payload: bytes) -> None:
    before = metrics.bridge.ignored._value.get()
    assert await broker.ask("x", payload) == []
    assert metrics.bridge.ignored._value.get() == before + 1
    assert not house.gateway.hub.open


async def test_what_is_too_long_is_dropped(house: House, broker: Broker) -> None:
    token = await house.contact()
    assert await broker.ask("x" * 300, connect(token)) == []
    assert await broker.ask("x", connect(token, padding="p" * 70_000)) == []
    await broker.ask("x", connect(token))
    assert codes(await broker.ask("x", b" " * 70_000)) == [4413]
    assert not house.gateway.hub.open


async def test_a_client_that_the_server_does_not_know_hears_it_once_a_second(
    house: House, broker: Broker
) -> None:
    """Its first frame after a restart of the server brings it back; a flood gets no more answers."""
    [goodbye] = await broker.ask("old", {"type": "ping"})
    assert (goodbye["code"], goodbye["reconnect"]) == (4500, True)
    for _ in range(20):
        assert await broker.ask("old", {"type": "ping"}) == []
    await house.advance(1.1)
    assert codes(await broker.ask("old", say(7))) == [4500]


async def test_answers_to_the_unknown_are_bounded(house: House, broker: Broker) -> None:
    for number in range(2 * mqtt_lines.TURNED_AWAY):
        broker.publish(f"c{number}", {"type": "ping"})
    heard = [await broker.down(f"c{number}") for number in range(2 * mqtt_lines.TURNED_AWAY)]
    assert sum(map(len, heard)) == mqtt_lines.TURNED_AWAY


async def test_a_wrong_token_gets_4401(house: House, broker: Broker) -> None:
    frames = await broker.ask("x", connect("nobody"))
    assert [frame["type"] for frame in frames] == ["error", "close"]
    assert codes(frames) == [4401]
    assert not house.gateway.hub.open


@pytest.mark.parametrize("token", ["eve", "nobody", None])
async def test_another_actor_cannot_take_a_client_over(
    house: House, broker: Broker, token: str | None
) -> None:
    """Its owner, who hears the same `down`, notices nothing, and loses no frame."""
    await house.contact("eve")
    await broker.ask("till", connect(await house.contact("ann")))
    broker.publish("till", connect(token) if token else {"type": "connect"})
    frames = await broker.ask("till", say(1))
    assert [frame["type"] for frame in frames] == ["subscribed", "event", "sent"]
    assert house.gateway.hub.open == 1


async def test_the_same_actor_takes_over_without_a_goodbye(house: House, broker: Broker) -> None:
    """The newer `connect` on the topic replaces the older, whose `close` it would hear itself."""
    token = await house.contact()
    [connected] = await broker.ask("till", connect(token))
    await broker.ask("till", say(1))
    broker.publish("till", connect(token, session=connected["session"], c=2))
    frames = await broker.ask("till", say(2))
    assert [frame["type"] for frame in frames] == ["connected", "sent"]
    assert frames[0]["c"] == 2
    assert house.gateway.hub.open == 1


@pytest.mark.parametrize("c", [4, 5])
async def test_a_late_copy_of_connect_is_dropped(house: House, broker: Broker, c: int) -> None:
    """Brokers deliver with QoS 1 at least once."""
    token = await house.contact()
    [first] = await broker.ask("till", connect(token))
    [connected] = await broker.ask("till", connect(token, session=first["session"], c=5))
    assert connected["c"] == 5
    assert await broker.ask("till", connect(token, session=first["session"], c=c)) == []
    assert [frame["type"] for frame in await broker.ask("till", {"type": "ping"})] == ["pong"]


async def test_a_repeated_send_is_stored_once(house: House, broker: Broker) -> None:
    await broker.ask("till", connect(await house.contact()))
    broker.publish("till", say(1))
    frames = await broker.ask("till", say(1))
    assert len({frame["seq"] for frame in frames if frame["type"] == "sent"}) == 1
    assert [frame["n"] for frame in frames if frame["type"] == "sent"] == [1, 1]


async def test_the_session_moves_to_another_road(house: House, broker: Broker) -> None:
    [connected] = await broker.ask("till", connect(await house.contact()))
    peer = await house.peer().connect("ann", session=connected["session"], c=2)
    assert codes(await broker.down("till")) == [4409]
    assert peer.connected["resumed"]
    assert house.gateway.hub.open == 1


@pytest.mark.parametrize("fields", [{}, {"c": 1}])
async def test_a_client_says_goodbye(house: House, broker: Broker, fields: Frame) -> None:
    """Also as its will; one that belongs to an older connection is no goodbye."""
    await broker.ask("till", connect(await house.contact()))
    assert await broker.ask("till", {"type": "close", "c": 7}) == []
    assert house.gateway.hub.open == 1
    assert await broker.ask("till", {"type": "close", **fields}) == []
    assert not house.gateway.hub.open


async def test_silence_ends_a_connection(house: House, broker: Broker) -> None:
    await broker.ask("till", connect(await house.contact()))
    await house.advance(49)
    assert await broker.down("till") == []
    await house.advance(2)
    assert codes(await broker.down("till")) == [4504]
    assert not house.gateway.hub.open


async def test_the_broker_is_lost_and_found(house: House, broker: Broker) -> None:
    """Its clients end without a word, and hear of it when the broker is back; then they connect as ever."""
    token = await house.contact()
    [connected] = await broker.ask("till", connect(token))
    broker.publish("till", {"type": "ping"})
    broker.lines.lose()
    assert not house.gateway.hub.open
    assert broker.lines.outgoing.empty.is_set()
    broker.lines.find_again()
    assert codes(await broker.down("till")) == [INTERNAL.code]
    broker.lines.lose()
    broker.lines.find_again()
    assert await broker.down("till") == []
    [again] = await broker.ask("till", connect(token, session=connected["session"], c=2))
    assert again["resumed"]


async def test_draining_says_goodbye_and_lets_nobody_in(house: House, broker: Broker) -> None:
    token = await house.contact()
    await broker.ask("till", connect(token))
    await house.gateway.drain(0)
    assert codes(await broker.down("till")) == [DRAINING.code]
    assert codes(await broker.ask("door", connect(token))) == [DRAINING.code]


async def test_a_full_server_says_so() -> None:
    async with open_house(max_connections=1) as house:
        broker = Broker(house)
        await broker.ask("one", connect(await house.contact()))
        assert codes(await broker.ask("two", connect("ann"))) == [4529]


async def test_a_slow_broker_costs_the_client_its_connection() -> None:
    """What waits for one client is bounded; the others go on."""
    async with open_house(max_queue=200_000) as house:
        broker = Broker(house)
        await broker.ask("one", connect(await house.contact()))
        [sent] = [each for each in await broker.ask("one", say(1)) if each["type"] == "sent"]
        await broker.ask("two", connect(await house.contact("eve")))
        agent, broker.stalled = await house.staff(), True
        for n in range(1, 60):
            agent.say(n, "x" * 7_000, sent["conversation"])
            await house.settle()
        assert broker.lines.outgoing.size < 300_000
        broker.stalled = False
        assert codes(await broker.down("one")) == [4508]
        assert [frame["type"] for frame in await broker.ask("two", {"type": "ping"})] == ["pong"]


async def test_all_together_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_lines, "BACKLOG", 150_000)
    broker = Broker(house)
    await broker.ask("one", connect(await house.contact()))
    [sent] = [each for each in await broker.ask("one", say(1)) if each["type"] == "sent"]
    agent, broker.stalled = await house.staff(), True
    for n in range(1, 60):
        agent.say(n, "x" * 7_000, sent["conversation"])
        await house.settle()
    assert broker.lines.outgoing.size < 200_000
    broker.stalled = False
    assert codes(await broker.down("one")) == [4508]


async def test_a_flood_before_connected_is_overloaded(house: House, broker: Broker) -> None:
    """One client cannot be held back alone, so it is sent away."""
    broker.publish("till", connect(await house.contact()))
    for n in range(1, 1_100):
        broker.publish("till", say(n))
    assert 4529 in codes(await broker.down("till"))


async def test_a_lost_line_needs_no_collector(house: House, broker: Broker) -> None:
    def living() -> int:
        return sum(isinstance(each, Connection) for each in gc.get_objects())

    await broker.ask("till", connect(await house.contact()))
    gc.collect()
    gc.disable()
    try:
        before = living()
        await broker.ask("till", {"type": "close"})
        assert living() == before - 1
    finally:
        gc.enable()

"""The road over MQTT against a broker that does as it is told."""

import asyncio
import json
from typing import Any, ClassVar, Self

import aiomqtt
import pytest
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from unique_cs.client import Frame
from unique_cs.client import mqtt as road
from unique_cs.client.mqtt import MqttWire, read_address
from unique_cs.client.roads import Wire

CONNECT: Frame = {"type": "connect", "token": "t", "session": "s_1", "c": 5}
BROKER = "mqtt://till:pass%40word@broker:1884"
OURS = "mqtt://server:1884"


class Broker:
    """Stands in for aiomqtt's client: keeps what is published; `down` is what comes."""

    made: ClassVar[list["Broker"]] = []

    def __init__(self, host: str, port: int, **options: Any) -> None:
        self.where, self.options = (host, port), options
        self.published: list[Frame] = []
        self.down: asyncio.Queue[Any] = asyncio.Queue()
        self.left = 0
        Broker.made.append(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left += 1

    async def subscribe(self, topic: str, qos: int) -> list[int]:
        self.topic = topic
        return [qos]

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        assert (topic, qos) == (self.topic.replace("down", "up"), 1)
        self.published.append(json.loads(payload))

    @property
    def messages(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        item = await self.down.get()
        if isinstance(item, Exception):
            raise item
        payload = item if isinstance(item, bytes) else json.dumps(item).encode()
        return aiomqtt.Message(self.topic, payload, 1, False, 1, None)


class Ends:
    """A session's end: sends `connect` when asked, and keeps what it is told."""

    def __init__(self, connect: Frame = CONNECT) -> None:
        self.connect = connect
        self.frames: list[Frame] = []
        self.over: list[tuple[int | None, str]] = []

    def wire_opened(self, wire: Wire) -> None:
        wire.write(self.connect)

    def wire_received(self, wire: Wire, frame: Frame) -> None:
        self.frames.append(frame)

    def wire_closed(self, wire: Wire, code: int | None, reason: str, after_ms: int = 0) -> None:
        self.over.append((code, reason))


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    Broker.made = []
    monkeypatch.setattr(road, "Client", Broker)


class Talk:
    """A wire that runs, its broker and its end."""

    def __init__(self, url: str, ends: Ends | None = None) -> None:
        self.ends = ends or Ends()
        self.wire = MqttWire(self.ends, url)
        self.run = asyncio.ensure_future(self.wire.run())

    @property
    def broker(self) -> Broker:
        return Broker.made[0]

    async def hear(self, *items: Any) -> list[Frame]:
        """Let these come down, and return the frames that reached the session."""
        await _turns()
        for item in items:
            self.broker.down.put_nowait(item)
        await _turns()
        return self.ends.frames


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def connected(c: int = 5) -> Frame:
    return {"type": "connected", "session": "s_1", "c": c}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:8080", ("h", 8080, False, True)),
        ("https://h", ("h", 443, True, True)),
        ("mqtt://h", ("h", 1883, False, False)),
        ("mqtts://h", ("h", 8883, True, False)),
        ("mqtt://u@h:9/till", ("h", 9, False, False)),
    ],
)
def test_addresses(url: str, expected: tuple[object, ...]) -> None:
    assert read_address(url)[:4] == expected


def test_the_client_on_a_broker_is_the_user_or_named() -> None:
    assert read_address(BROKER)[4:] == ("till", "till", "pass@word")
    assert read_address("mqtt://u:p@h/till-7").client == "till-7"
    assert read_address(OURS).client != read_address(OURS).client


async def test_our_endpoint_gets_the_token_as_password() -> None:
    talk = Talk(OURS)
    assert await talk.hear(connected()) == [connected()]
    options = talk.broker.options
    assert (options["password"], options["will"]) == ("t", None)
    assert options["identifier"] in talk.broker.topic
    assert options["keepalive"] <= 25
    talk.wire.write({"type": "ping"})
    await _turns()
    assert talk.broker.published == [CONNECT, {"type": "ping"}]
    talk.wire.close()
    await talk.run
    assert talk.broker.left == 1


async def test_a_broker_gets_its_own_password_and_a_goodbye() -> None:
    """As the will, and in order behind what was sent when the client leaves."""
    talk = Talk(BROKER)
    await talk.hear(connected())
    options = talk.broker.options
    assert (options["username"], options["password"], options["identifier"]) == ("till", "pass@word", "till")
    assert options["will"].topic == "ucs/v1/till/up"
    assert json.loads(options["will"].payload) == {"type": "close", "c": 5}
    talk.wire.write({"type": "ping"})
    talk.wire.close()
    await talk.run
    assert talk.broker.published == [CONNECT, {"type": "ping"}, {"type": "close", "c": 5}]
    assert talk.broker.left == 1


async def test_frames_of_older_connections_are_dropped() -> None:
    """Before `connected` with the own `c`, only what can't be theirs, or does no harm, counts."""
    talk = Talk(BROKER)
    stale = (
        connected(4),
        {"type": "event", "conversation": "1", "seq": 7},
        {"type": "sent", "n": 3},
        {"type": "error", "code": "invalid", "n": 4},
        {"type": "close", "code": 4409},
    )
    assert await talk.hear(*stale) == []
    assert await talk.hear(connected(), {"type": "pong"}) == [connected(), {"type": "pong"}]
    talk.wire.abort()
    await talk.run


@pytest.mark.parametrize(
    "frame", [{"type": "close", "code": 4500}, {"type": "error", "code": "unauthorized"}]
)
async def test_a_refusal_counts_before_connected(frame: Frame) -> None:
    talk = Talk(BROKER)
    assert await talk.hear(frame) == [frame]
    talk.wire.abort()
    await talk.run


@pytest.mark.parametrize("item", [connected(), b"garbage", aiomqtt.MqttError("gone")])
async def test_what_ends_the_connection(item: Any) -> None:
    """Another `connected`, what is no frame, the network: the session hears that it is over."""
    talk = Talk(BROKER)
    await talk.hear(connected(), item)
    await asyncio.wait_for(talk.run, 5)
    assert talk.ends.frames == [connected()]
    assert [code for code, _ in talk.ends.over] == [None]


@pytest.mark.parametrize(("url", "code"), [(OURS, 4401), (BROKER, None)])
async def test_only_our_endpoint_judges_the_token(
    url: str, code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: Broker) -> Broker:
        raise MqttConnectError(ReasonCode(PacketTypes.CONNACK, identifier=0x87))

    monkeypatch.setattr(Broker, "__aenter__", refuse)
    talk = Talk(url)
    await talk.run
    assert [each for each, _ in talk.ends.over] == [code]


async def test_a_subscription_that_is_refused_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: Broker, topic: str, qos: int) -> list[int]:
        return [0x87]

    monkeypatch.setattr(Broker, "subscribe", refuse)
    talk = Talk(BROKER)
    await talk.run
    assert talk.ends.over == [(None, "the subscription was refused")]


async def test_a_send_without_an_answer_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker may drop it; whoever gets answers stays."""
    monkeypatch.setattr(road, "ANSWER_S", 0.2)
    talk = Talk(BROKER)
    await talk.hear(connected())
    talk.wire.write({"type": "send", "n": 1})
    talk.wire.write({"type": "send", "n": 2})
    await talk.hear({"type": "sent", "n": 1}, {"type": "sent", "n": 2})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(talk.run), 0.5)
    talk.wire.write({"type": "send", "n": 3})
    await asyncio.wait_for(talk.run, 5)
    assert talk.ends.over == [(None, "no answer to a send")]


async def test_a_wire_that_is_closed_before_it_runs_opens_nothing() -> None:
    ends = Ends()
    wire = MqttWire(ends, OURS)
    wire.close()
    await wire.run()
    assert Broker.made == []
    assert ends.over == [(None, "the connection ended")]

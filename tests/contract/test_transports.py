"""Every road carries the same protocol: one suite over WebSocket, HTTP, gRPC, MQTT, a broker and plug-ins."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from unique_cs_tcp import Line

from tests.support import mqtt
from tests.support.grpc_call import GrpcCall
from tests.support.mqtt_client import Client, masked
from tests.support.mqtt_lines import Broker
from tests.support.node import House, open_house
from tests.support.pipe import Pipe
from tests.support.sm import SmClient
from unique_cs.gateway.plugin import Handle
from unique_cs.gateway.transports.http_stream import PATH, HttpStream
from unique_cs.gateway.transports.mqtt_endpoint import Endpoint
from unique_cs.gateway.transports.websocket import WebSocketTransport
from unique_cs.protocol.websocket import frame_text

Frame = dict[str, Any]


class Road:
    """One client's way to the node; `take` gives the frames that came since, wherever they came."""

    def __init__(self, house: House, token: str) -> None:
        self.house = house
        self.token = token
        self.session = ""

    async def connect(self, **fields: Any) -> list[Frame]:
        """Connect, and return `connected` and what follows it at once."""
        await self.open({"type": "connect", "token": self.token, **fields})
        frames = await self.take()
        if frames and frames[0]["type"] == "connected":
            self.session = frames[0]["session"]
        return frames

    async def open(self, frame: Frame) -> None:
        """Send the first frame."""
        raise NotImplementedError

    async def send(self, frame: Any) -> list[Frame]:
        """Send a frame, and return what came."""
        raise NotImplementedError

    async def take(self) -> list[Frame]:
        """The frames since the last call."""
        raise NotImplementedError

    def vanish(self) -> None:
        """The network is gone."""


class OverWebSocket(Road):
    async def open(self, frame: Frame) -> None:
        self._pipe = Pipe()
        self._pipe.attach(WebSocketTransport(self.house.gateway, None, "10.0.0.1"))
        self._write(msgspec.json.encode(frame))

    async def send(self, frame: Any) -> list[Frame]:
        self._write(frame if isinstance(frame, bytes) else msgspec.json.encode(frame))
        return await self.take()

    async def take(self) -> list[Frame]:
        await self.house.settle()
        raw, found = self._pipe.taken(), []
        while raw:
            extra = {126: 2, 127: 8}.get(raw[1], 0)
            size = int.from_bytes(raw[2 : 2 + extra], "big") if extra else raw[1]
            if raw[0] == 0x81:
                found.append(msgspec.json.decode(raw[2 + extra : 2 + extra + size]))
            raw = raw[2 + extra + size :]
        return found

    def vanish(self) -> None:
        self._pipe.lose()

    def _write(self, payload: bytes) -> None:
        self._pipe.feed(masked(frame_text(payload)))


class OverSm(Road):
    """The shipped private codec, a plug-in."""

    async def open(self, frame: Frame) -> None:
        self._client = await SmClient(self.house).shake()
        self._client.say(self._client.seal(msgspec.json.encode(frame)))

    async def send(self, frame: Any) -> list[Frame]:
        payload = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
        self._client.say(self._client.seal(payload))
        return await self.take()

    async def take(self) -> list[Frame]:
        await self.house.settle()
        return [msgspec.json.decode(frame) for frame in self._client.take()]

    def vanish(self) -> None:
        self._client.pipe.lose()


class OverTcp(Road):
    """The transport of examples/tcp-transport, a plug-in."""

    async def open(self, frame: Frame) -> None:
        self._pipe = Pipe()
        self._pipe.attach(Line(Handle(self.house.gateway)))
        self._write(msgspec.json.encode(frame))

    async def send(self, frame: Any) -> list[Frame]:
        self._write(frame if isinstance(frame, bytes) else msgspec.json.encode(frame))
        return await self.take()

    async def take(self) -> list[Frame]:
        await self.house.settle()
        raw, found = self._pipe.taken(), []
        while raw:
            size = 4 + int.from_bytes(raw[:4], "big")
            found.append(msgspec.json.decode(raw[4:size]))
            raw = raw[size:]
        return found

    def vanish(self) -> None:
        self._pipe.lose()

    def _write(self, payload: bytes) -> None:
        data = len(payload).to_bytes(4, "big") + payload
        self._pipe.feed(data[:3])
        self._pipe.feed(data[3:])


class OverGrpc(Road):
    async def open(self, frame: Frame) -> None:
        self._call = GrpcCall(self.house)
        self._call.send(frame)

    async def send(self, frame: Any) -> list[Frame]:
        return await self._call.ask(frame)

    async def take(self) -> list[Frame]:
        return await self._call.next()

    def vanish(self) -> None:
        self._call.cancel()


class OverMqtt(Road):
    async def open(self, frame: Frame) -> None:
        self._client = Client(self.house, Endpoint(self.house.gateway))
        self._early = await self._open(frame)

    async def _open(self, frame: Frame) -> list[Frame]:
        down = mqtt.subscribe(self._client.version, 1, f"ucs/v1/{self._client.client_id}/down")
        password = str(frame.pop("token")).encode()
        opening = mqtt.connect(self._client.version, self._client.client_id, password=password)
        return await self._client.send(opening + down + self._client.up(frame))

    async def send(self, frame: Any) -> list[Frame]:
        return await self._client.send(self._client.up(frame, packet_id=7))

    async def take(self) -> list[Frame]:
        early, self._early = self._early, []
        return early + await self._client.next()

    def vanish(self) -> None:
        self._client.pipe.lose()


class OverBroker(Road):
    """A client whose frames a broker carries."""

    async def open(self, frame: Frame) -> None:
        self._broker = Broker(self.house)
        self._broker.publish("me", frame)

    async def send(self, frame: Any) -> list[Frame]:
        return await self._broker.ask("me", frame)

    async def take(self) -> list[Frame]:
        return await self._broker.down("me")

    def vanish(self) -> None:
        self._broker.lines.lose()


class Call:
    """One request to the HTTP fallback."""

    def __init__(self, road: Road, path: str, body: bytes, query: bytes = b"") -> None:
        self.sent: list[dict[str, Any]] = []
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.inbox.put_nowait({"type": "http.request", "body": body, "more_body": False})
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": query,
            "headers": [(b"authorization", b"Bearer " + road.token.encode())],
            "client": ("10.0.0.1", 1),
        }
        gateway = road.house.gateway
        app = HttpStream(gateway, gateway.authenticate)
        self.task = asyncio.ensure_future(app(scope, self.inbox.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def body(self) -> bytes:
        """What came since the last call."""
        taken = b"".join(message.get("body", b"") for message in self.sent)
        self.sent.clear()
        return taken


class OverStream(Road):
    async def open(self, frame: Frame) -> None:
        self._down = Call(self, PATH, msgspec.json.encode(frame))

    async def send(self, frame: Any) -> list[Frame]:
        payload = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
        call = Call(self, f"{PATH}/{self.session}", payload)
        await self.house.settle()
        return _answers(call.body()) + await self.take()

    async def take(self) -> list[Frame]:
        await self.house.settle()
        body = self._down.body()
        return [msgspec.json.decode(line[6:]) for line in body.split(b"\n\n") if line.startswith(b"data: ")]

    def vanish(self) -> None:
        self._down.inbox.put_nowait({"type": "http.disconnect"})


class OverPolls(OverStream):
    """Each poll is a new `connect` at the places that the ones before reached; one always waits."""

    def __init__(self, house: House, token: str) -> None:
        super().__init__(house, token)
        self._since: dict[str, Any] = {}

    async def open(self, frame: Frame) -> None:
        self._since.update(frame.get("since", {}))
        self._poll(frame)

    def _poll(self, frame: Frame) -> None:
        self._down = Call(self, PATH, msgspec.json.encode(frame), b"poll=1")

    async def take(self) -> list[Frame]:
        found: list[Frame] = []
        await self.house.settle()
        while self._down.task.done():
            frames = _answers(self._down.body())
            self._learn(frames)
            found += frames if not self.session else [each for each in frames if each["type"] != "connected"]
            if not frames or frames[0]["type"] != "connected" or frames[-1]["type"] == "close":
                break
            self.session = frames[0]["session"]
            self._poll({"type": "connect", "session": self.session, "since": self._since})
            await self.house.settle()
        return found

    def _learn(self, frames: list[Frame]) -> None:
        for frame in frames:
            for each in frame.get("conversations", ()):
                self._since.setdefault(each["id"], {"epoch": each["epoch"], "seq": each["seq"]})
            if frame["type"] == "subscribed":
                self._since[frame["conversation"]] = {"epoch": frame["epoch"], "seq": frame["seq"]}
            elif frame["type"] in {"event", "advance"}:
                self._since[frame["conversation"]]["seq"] = frame["seq"]


def _answers(body: bytes) -> list[Frame]:
    found = msgspec.json.decode(body) if body else []
    return found if isinstance(found, list) else [{"type": "problem", **found}]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as opened:
        yield opened


Make = Callable[[House, str], Road]
roads = pytest.mark.parametrize(
    "make", [OverWebSocket, OverStream, OverPolls, OverGrpc, OverMqtt, OverBroker, OverSm, OverTcp]
)


def say(n: int, text: str = "hello", **fields: Any) -> Frame:
    return {"type": "send", "n": n, "body": {"kind": "text", "text": text}, **fields}


def of(frames: list[Frame], *kinds: str) -> list[Frame]:
    """The frames of these types."""
    return [frame for frame in frames if frame["type"] in kinds]


def texts(frames: list[Frame]) -> list[str]:
    """The messages that came."""
    return [each["data"]["body"]["text"] for each in of(frames, "event") if each["name"] == "message.created"]


@roads
async def test_connect_send_and_repeat(house: House, make: Make) -> None:
    """`connected` comes first; a send gets one final answer, and a repeat the same."""
    road = make(house, await house.contact())
    connected, *rest = await road.connect()
    assert (connected["type"], connected["resumed"], connected["n"]) == ("connected", False, 0)
    assert connected["actor"]["id"] == house.id_of("ann")
    assert rest == []
    [sent] = of(await road.send(say(1)), "sent")
    assert (sent["n"], sent["seq"]) == (1, 2)
    assert of(await road.send(say(1)), "sent") == [sent]
    [error] = of(await road.send(say(3)), "error")
    assert (error["code"], error["expected"]) == ("out_of_order", 2)
    [error] = of(await road.send({"type": "send", "n": 2, "body": {"kind": "poem"}}), "error")
    assert (error["code"], error["n"]) == ("invalid", 2)
    [sent] = of(await road.send(say(3)), "sent")
    assert sent["seq"] == 3
    assert of(await road.send({"type": "ping"}), "pong")


@roads
async def test_events_come_in_order(house: House, make: Make) -> None:
    road = make(house, await house.contact())
    await road.connect()
    [sent] = of(await road.send(say(1)), "sent")
    agent = await house.staff()
    for n in range(1, 31):
        agent.say(n, f"answer {n}", sent["conversation"])
    frames = await road.take()
    assert texts(frames) == [f"answer {n}" for n in range(1, 31)]
    places = [frame["seq"] for frame in of(frames, "event")]
    assert places == list(range(places[0], places[0] + len(places)))


@roads
async def test_resume_brings_what_was_missed(house: House, make: Make) -> None:
    """After the network was gone: every event above `since`, once; a send of before is a repeat."""
    road = make(house, await house.contact())
    await road.connect()
    [sent] = of(await road.send(say(1)), "sent")
    road.vanish()
    await house.settle()
    agent = await house.staff()
    agent.say(1, "while away", sent["conversation"])
    await house.settle()
    again = make(house, "ann")
    since = {sent["conversation"]: {"epoch": house.node.timeline.epoch, "seq": 2}}
    connected, *missed = await again.connect(session=road.session, since=since)
    assert (connected["resumed"], connected["n"], connected["session"]) == (True, 1, road.session)
    assert texts(missed) == ["while away"]
    assert of(await again.send(say(1)), "sent") == [sent]


@roads
@pytest.mark.parametrize(
    "other", [OverWebSocket, OverStream, OverGrpc, OverMqtt, OverBroker, OverSm, OverTcp]
)
async def test_a_later_connection_replaces_on_any_road(house: House, make: Make, other: Make) -> None:
    """The session moves to whoever has the higher `c`; the one before hears 4409, as does a lower one."""
    road, later = make(house, await house.contact()), other(house, "ann")
    await road.connect()
    assert (await later.connect(session=road.session, c=90))[0]["c"] == 90
    assert [frame["code"] for frame in of(await road.take(), "close")] == [4409]
    late = make(house, "ann")
    assert [frame["code"] for frame in of(await late.connect(session=later.session, c=5), "close")] == [4409]
    assert of(await later.send(say(1)), "sent")


@roads
@pytest.mark.parametrize("payload", [b"garbage", b"[1,2", b'{"type":1}', b"null"])
async def test_garbage_is_refused(house: House, make: Make, payload: bytes) -> None:
    road, other = make(house, await house.contact()), await house.visitor("eve")
    await road.connect()
    told = {frame.get("code") for frame in await road.send(payload)}
    assert told & {"bad_frame", 4400}
    other.say(1)
    await house.settle()
    assert other.take("sent")


@roads
async def test_a_wrong_token_gets_no_session(house: House, make: Make) -> None:
    road = make(house, "nobody")
    assert not of(await road.connect(), "connected")
    assert not house.gateway.hub.connections

"""On every road, whoever breaks a rule gets the documented refusal, and a bystander notices nothing."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import mqtt
from tests.support.client_frames import BINARY, frame
from tests.support.intruder import MQTT, MQTT_WEBSOCKET, POLL, ROADS, STREAM, V5, WEBSOCKET, Road, visit
from tests.support.world import Person, World, answered, inhabited
from unique_cs.bench.process import ServerProcess, free_port
from unique_cs.client import Connected

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONNECT = b'{"type":"connect"}'
SEND = b'{"type":"send","n":1,"body":{"kind":"text","text":"early"}}'
LARGE = b'{"type":"ping","x":"' + b"x" * 70_000 + b'"}'
MQTT_ROADS = (MQTT, MQTT_WEBSOCKET)
HTTP_ROADS = (STREAM, POLL)

# In the order of the protocol's page: what is heard before the server hangs up.
LATE = ["close 4408", "DISCONNECT 0xa0"]
WRONG_TOKEN = {
    WEBSOCKET: ["error unauthorized", "close 4401", "4401"],
    STREAM: ["error unauthorized", "close 4401"],
    POLL: ["error unauthorized", "close 4401"],
    MQTT: ["CONNACK 0x87"],
    MQTT_WEBSOCKET: ["CONNACK 0x87"],
}
NO_FRAME = {
    WEBSOCKET: ["error bad_frame", "close 4400", "4400"],
    STREAM: ["HTTP 400"],
    POLL: ["HTTP 400"],
    MQTT: LATE,
    MQTT_WEBSOCKET: LATE,
}
TOO_LARGE = {
    WEBSOCKET: ["close 4413", "4413"],
    STREAM: ["HTTP 413"],
    POLL: ["HTTP 413"],
    MQTT: ["close 4413", "DISCONNECT 0x95"],
    MQTT_WEBSOCKET: ["close 4413", "DISCONNECT 0x95"],
}
by_road = pytest.mark.parametrize("road", ROADS, ids=lambda road: road.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """Whoever does not connect within a second is sent away."""
    environ = {"UNIQUE_CS_RATE_LIMITS": "off", "UNIQUE_CS_CONNECT_TIMEOUT_MS": "1000"}
    made = ServerProcess(tmp_path_factory.mktemp("server") / "data", environ=environ, mqtt_port=free_port())
    await made.start()
    yield made
    assert await made.stop() == 0
    assert "Traceback" not in made.log.read_text(errors="replace")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(server: ServerProcess) -> AsyncIterator[World]:
    async with inhabited(server) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bystander(town: World) -> Person:
    return await town.visitor("bystander")


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def nobody_else_notices(bystander: Person) -> AsyncIterator[None]:
    await answered([bystander.say("before")])
    yield
    await answered([bystander.say("after")])
    assert [isinstance(item, Connected) for item in bystander.recorder.told].count(True) == 1


@by_road
async def test_a_wrong_token(server: ServerProcess, road: Road) -> None:
    said = road.open("wrong") + road.wrap(CONNECT.replace(b"}", b',"token":"wrong"}'), "wrong")
    assert await visit(server, road, said) == WRONG_TOKEN[road]


@pytest.mark.parametrize("content", [b"hello", b"", b"\xff\xfe", b"[1,2", SEND, b"[" * 30_000], ids=range(6))
@by_road
async def test_something_else_than_connect(
    server: ServerProcess, town: World, road: Road, content: bytes
) -> None:
    token = (await town.contact("hasty")).token or ""
    heard = await visit(server, road, road.open(token) + road.wrap(content, token))
    # Text that is no UTF-8 breaks a rule of WebSocket itself (RFC 6455 8.1).
    assert heard == (["1007"] if road is WEBSOCKET and content == b"\xff\xfe" else NO_FRAME[road])


@by_road
async def test_a_frame_too_large(server: ServerProcess, town: World, road: Road) -> None:
    token = (await town.contact("large")).token or ""
    assert await visit(server, road, road.open(token) + road.wrap(LARGE, token)) == TOO_LARGE[road]


@pytest.mark.parametrize(
    ("road", "cut"),
    [(WEBSOCKET, 0.5), (MQTT, 0.3), (MQTT, 0.9), (MQTT_WEBSOCKET, 0.9)],
    ids=lambda each: getattr(each, "name", str(each)),
)
async def test_half_of_what_opens_a_road(server: ServerProcess, town: World, road: Road, cut: float) -> None:
    """It ends when its time is over: an HTTP head with 408, MQTT without a word (3.1.4)."""
    opened = road.open((await town.contact("half")).token or "")
    heard = await visit(server, road, opened[: int(len(opened) * cut)])
    assert heard in ([], ["HTTP 408"], LATE[1:], LATE)


@pytest.mark.parametrize("road", [WEBSOCKET, *MQTT_ROADS], ids=lambda road: road.name)
async def test_silence_on_an_open_road(server: ServerProcess, town: World, road: Road) -> None:
    heard = await visit(server, road, road.open((await town.contact("mute")).token or ""))
    assert heard == (["close 4408", "4408"] if road is WEBSOCKET else LATE)


@pytest.mark.parametrize("road", [WEBSOCKET, *MQTT_ROADS], ids=lambda road: road.name)
async def test_half_a_frame_after_connect(server: ServerProcess, town: World, road: Road) -> None:
    """The server waits for the rest as for any sign of life; who vanishes leaves nothing behind."""
    rest = await town.contact("torn")
    token = rest.token or ""
    connect = road.wrap(b'{"type":"connect","token":"%b"}' % token.encode(), token)
    half = road.wrap(SEND, token)[:-9]
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await visit(server, road, road.open(token) + connect + half, patience=0.3)
    raw = await town.raw(rest)
    assert await raw.outcome() == ["open"]


BAD_MQTT: dict[str, tuple[bytes, list[str]]] = {
    "no MQTT": (b"hello, is this the door?", []),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", []),
    "a frame before CONNECT": (MQTT.wrap(CONNECT, ""), []),
    "a length without end": (b"\x10\xff\xff\xff\xff\xff", []),
    "a packet of 256 MB": (b"\x10\xff\xff\xff\x7f", []),
    "an unknown version": (b"\x10\x0e\0\x04MQTT\x09\xc2\0\0\0\2me", ["CONNACK 0x1"]),
}


@pytest.mark.parametrize("name", BAD_MQTT)
async def test_bytes_that_are_no_mqtt(server: ServerProcess, name: str) -> None:
    said, expected = BAD_MQTT[name]
    assert await visit(server, MQTT, said) == expected


BAD_AFTER_CONNACK = {
    "a second CONNECT": (MQTT.open("x"), "0x82"),
    "QoS 2": (mqtt.publish(V5, "ucs/v1/intruder/up", b"", packet_id=1, qos=2), "0x9b"),
    "reserved flags": (b"\xc1\0", "0x81"),
    "no packet of ours": (b"\xf0\0", "0x82"),
    "a topic of somebody else": (b"\x30\x0b\0\x08ucs/v1/x\0", "0x87"),
}


@pytest.mark.parametrize("name", BAD_AFTER_CONNACK)
@pytest.mark.parametrize("road", MQTT_ROADS, ids=lambda road: road.name)
async def test_rules_of_mqtt(server: ServerProcess, town: World, road: Road, name: str) -> None:
    said, reason = BAD_AFTER_CONNACK[name]
    token = (await town.contact("lawless")).token or ""
    bytes_said = frame(BINARY, said) if road is MQTT_WEBSOCKET else said
    heard = await visit(server, road, road.open(token) + bytes_said)
    assert heard[-1] == f"DISCONNECT {reason}"


@pytest.mark.parametrize("road", HTTP_ROADS, ids=lambda road: road.name)
async def test_frames_for_sessions_of_others(server: ServerProcess, town: World, road: Road) -> None:
    owner = await town.raw(await town.contact("robbed"))
    session = owner.connected["session"]
    token = (await town.contact("thief")).token or ""
    said = road.wrap(SEND, token).replace(b"/api/v1/stream", b"/api/v1/stream/" + str(session).encode())
    assert await visit(server, road, said) == ["HTTP 404"]
    assert await visit(server, road, said.replace(token.encode(), b"wrong")) == ["HTTP 401"]

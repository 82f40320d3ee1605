"""Crowds of hostile clients: the server's memory stays bounded, and who behaves gets every answer."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle, islice

import pytest
import pytest_asyncio

from tests.support.intruder import MQTT, MQTT_WEBSOCKET, ROADS, STREAM, WEBSOCKET, Road, Stranger, hold
from tests.support.world import World, answered, until
from unique_cs.bench.attack import HALF_HEAD, TO_HTTP, TO_MQTT, intrude
from unique_cs.bench.load import dial
from unique_cs.bench.process import ServerProcess, free_port

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

MB = 1 << 20
CONNECTS = 10_000
AT_ONCE = 200
QUEUE = 65_536
SEND = b'{"type":"send","n":1,"body":{"kind":"text","text":"early"}}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    environ = {
        "UNIQUE_CS_RATE_LIMITS": "off",
        "UNIQUE_CS_CONNECT_TIMEOUT_MS": "2000",
        "UNIQUE_CS_MAX_QUEUE": str(QUEUE),
    }
    made = ServerProcess(tmp_path_factory.mktemp("server") / "data", environ=environ, mqtt_port=free_port())
    await made.start()
    yield made
    assert await made.stop() == 0
    assert "Traceback" not in made.log.read_text(errors="replace")


@asynccontextmanager
async def others_talk(town: World, bound: int) -> AsyncIterator[None]:
    """Meanwhile a contact and an agent talk, and the server grows by less than `bound` bytes."""
    visitor, owner = await town.visitor("patient"), await town.owner()
    answers = list(await answered([visitor.say("first")]))
    assert isinstance(town.server, ServerProcess)
    before, said, over = town.server.resident(), 0, asyncio.Event()

    async def talk() -> None:
        nonlocal said
        while not over.is_set():
            answers.extend(await answered([visitor.say(f"word-{said}")], 20))
            said += 1
            await asyncio.sleep(0.02)

    talking = asyncio.create_task(talk())
    yield
    # A cancel may get lost in a wait that just ended.
    over.set()
    await talking
    (last,) = await answered([visitor.say("last")])
    await until(lambda: "last" in owner.texts(last.conversation))
    assert said > 0
    assert await town.verdict() == []
    grown = town.server.resident() - before
    sys.stdout.write(f"{said} messages beside it, grown by {grown / MB:.1f} MB\n")
    assert grown < bound


async def test_ten_thousand_wrong_connects(server: ServerProcess, town: World) -> None:
    """Each is refused; 200 at once, from 250 addresses, over HTTP's port and MQTT's."""
    words = cycle([*((each, False) for each in TO_HTTP), *((each, True) for each in TO_MQTT)])
    turns = enumerate(islice(words, CONNECTS))
    refused = 0

    async def work() -> None:
        nonlocal refused
        for number, (said, over_mqtt) in turns:
            source = f"127.0.1.{1 + number % 250}"
            left = await intrude(server, said, source, over_mqtt=over_mqtt, stay=30)
            refused += left

    async with others_talk(town, 48 * MB), asyncio.timeout(120):
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    assert refused == CONNECTS


async def test_a_thousand_who_never_finish_their_first_word(server: ServerProcess, town: World) -> None:
    """Half a head waits for 10 s, half of an MQTT packet as long as `connect` may take; then they are out."""
    async with others_talk(town, 40 * MB):
        crowd = await hold(server, WEBSOCKET, HALF_HEAD, 700)
        crowd += await hold(server, MQTT, MQTT.open("x")[:20], 300)
        for stranger in crowd[::10]:
            stranger.say(b"x")
        await until(lambda: all(stranger.ended.is_set() for stranger in crowd), 30)
    assert len(crowd) == 1_000


@pytest.mark.parametrize("road", [WEBSOCKET, STREAM, MQTT, MQTT_WEBSOCKET], ids=lambda road: road.name)
async def test_those_who_never_read_are_cut(server: ServerProcess, town: World, road: Road) -> None:
    """Agents who stop reading cost what their queues may hold, and are closed with 4508.

    All of them would have to be sent 200 MB.
    """
    token = (await town.agent()).token or ""
    connect = b'{"type":"connect","token":"%b"}' % token.encode()
    closed = await _closed(server)
    async with others_talk(town, 128 * MB):
        deaf = [await dial(server, Stranger(silent=True), port=road.port(server)) for _ in range(30)]
        for number, stranger in enumerate(deaf):
            # A client id belongs to one connection at a time.
            stranger.say(road.open(token, f"deaf-{number}") + road.wrap(connect, token, f"deaf-{number}"))
        await asyncio.sleep(0.5)
        loud = await town.visitor("loud")
        for turn in range(5):
            await answered([loud.say(f"{turn}-{n}-" + "x" * 7_000) for n in range(200)], 30)
        async with asyncio.timeout(20):
            while await _closed(server) < closed + len(deaf):
                await asyncio.sleep(0.1)
    for stranger in deaf:
        stranger.leave()


async def _closed(server: ServerProcess) -> float:
    return (await server.metrics()).get('unique_cs_closed_total{code="4508"}', 0.0)


@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.name)
async def test_noise_on_open_roads(server: ServerProcess, town: World, road: Road) -> None:
    """300 connections whose bytes were damaged on their way."""
    rng, token = random.Random(5), (await town.contact("noisy")).token or ""
    connect = road.wrap(b'{"type":"connect","token":"%b"}' % token.encode(), token)
    lawful = road.open(token) + connect + road.wrap(SEND, token)
    async with others_talk(town, 40 * MB):
        for _ in range(10):
            crowd = await hold(server, road, b"", 30)
            for stranger in crowd:
                stranger.say(_damaged(lawful, rng))
            await asyncio.sleep(0.05)
            for stranger in crowd:
                stranger.leave()


def _damaged(said: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(said)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(damaged))
        damaged[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
    return bytes(damaged[: rng.randrange(1, len(damaged) + 1)])

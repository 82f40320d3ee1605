"""One session over every road: it hops between them, the server is killed, and nothing is lost or doubled."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import pytest

from tests.support.mosquitto import mosquitto
from tests.support.sm import sealed_at
from tests.support.world import Person, answered, inhabited, running, until
from unique_cs.bench.process import ServerProcess, free_port
from unique_cs.client import Connected, Phase, Road, Sent
from unique_cs.client.roads import Choice

KILLS = 3
SETTINGS = {"rate_limits": "off", "plugins": "sm"}
ALL: tuple[Road, ...] = get_args(Road)
Addresses = Mapping[Road, str]


@asynccontextmanager
async def served(folder: Path, mqtt: str) -> AsyncIterator[tuple[ServerProcess, dict[str, Addresses]]]:
    """A server, and where ann and the owner find its roads; `mqtt` is its `port`, or a `broker`."""
    port, grpc = free_port(), free_port()
    rpc: Addresses = {"grpc": f"grpc://127.0.0.1:{grpc}"}
    if mqtt == "port":
        # The owner has no address: it goes over MQTT in a WebSocket.
        async with running(folder, **SETTINGS, mqtt_port=str(port), grpc_port=str(grpc)) as server:
            rpc = {**rpc, "sm": sealed_at(server)}
            yield server, {"ann": {"mqtt": f"mqtt://127.0.0.1:{port}", **rpc}, "owner": rpc}
        return
    async with (
        mosquitto(folder / "broker", "ann", "owner") as broker,
        running(folder, **SETTINGS, mqtt_bridge_url=broker.bridge_url, grpc_port=str(grpc)) as server,
    ):
        rpc = {**rpc, "sm": sealed_at(server)}
        yield server, {name: {"mqtt": broker.url(name), **rpc} for name in ("ann", "owner")}


class Dice(Choice):
    """Throws for each attempt, and counts the attempts that were answered."""

    def __init__(self, seed: int) -> None:
        super().__init__(ALL)
        self._rng = random.Random(seed)
        self._taken: Road = ALL[0]
        self.worked: Counter[Road] = Counter()

    def take(self, now: float) -> Road:
        self._taken = self._rng.choice(ALL)
        return self._taken

    def connected(self) -> None:
        self.worked[self._taken] += 1


def heard(person: Person, speaker: str) -> list[str]:
    """What the other side said; over HTTP one's own messages come as events, too."""
    return [text for text in person.texts() if text.startswith(speaker) and text != "v0"]


@pytest.mark.parametrize("road", ["http", "poll", "mqtt", "grpc", "sm"])
async def test_both_hear_each_other_in_order(tmp_path: Path, road: Road) -> None:
    """A talk of a contact and an agent over one road, with sends in flight on both sides."""
    port = free_port()
    async with running(tmp_path, **SETTINGS, grpc_port=str(port)) as server, inhabited(server) as town:
        at: Addresses = {"grpc": f"grpc://127.0.0.1:{port}", "sm": sealed_at(server)}
        visitor = await town.client("ann", await town.contact("ann"), roads=(road,), addresses=at)
        owner = await town.client("owner", await town.agent(), contact=False, roads=(road,), addresses=at)
        (first,) = await answered([visitor.say("v0")])
        await until(lambda: first.conversation in owner.recorder.positions())
        answers = [visitor.say(f"v{i}") for i in range(1, 20)]
        answers += [owner.say(f"o{i}", first.conversation) for i in range(20)]
        assert all(isinstance(answer, Sent) for answer in await answered(answers))
        await until(lambda: heard(visitor, "o") == [f"o{i}" for i in range(20)])
        await until(lambda: heard(owner, "v") == [f"v{i}" for i in range(1, 20)])
        assert len([item for item in visitor.recorder.told if isinstance(item, Connected)]) == 1
        assert await town.verdict() == []


@pytest.mark.parametrize("mqtt", ["port", "broker"])
async def test_a_session_hops_between_the_roads_while_the_server_is_killed(tmp_path: Path, mqtt: str) -> None:
    async with served(tmp_path, mqtt) as (server, at), inhabited(server) as town:
        dice = Dice(1), Dice(2)
        visitor = await town.client("ann", await town.contact("ann"), roads=dice[0], addresses=at["ann"])
        owner = await town.client(
            "owner", await town.agent(), contact=False, roads=dice[1], addresses=at["owner"]
        )
        (first,) = await answered([visitor.say("v")])
        await until(lambda: first.conversation in owner.recorder.positions())
        sends: list[asyncio.Future[object]] = []

        async def talk() -> None:
            for i in range(10_000):
                sends.append(visitor.say(f"v{i}"))
                sends.append(owner.say(f"o{i}", first.conversation))
                await asyncio.sleep(0.01)

        talking = asyncio.create_task(talk())
        await _hop(server, (visitor, owner), dice)
        talking.cancel()
        answers = await answered(sends, 30)
        assert all(isinstance(answer, Sent) for answer in answers)
        assert visitor.session.state.session is not None
        resumes = [item.resumed for item in visitor.recorder.told if isinstance(item, Connected)]
        assert resumes == [False] + [True] * (len(resumes) - 1)
        sys.stdout.write(f"{len(answers)} messages, {KILLS} kills, {dice[0].worked}, {dice[1].worked}\n")
        assert await town.verdict() == []


async def _hop(server: ServerProcess, people: tuple[Person, ...], dice: tuple[Dice, ...]) -> None:
    rng = random.Random(3)
    for _ in range(KILLS):
        for _ in range(6):
            await asyncio.sleep(rng.uniform(0.1, 0.4))
            rng.choice(people).cut()
        await server.kill()
        await server.start()
    while any(each.worked[road] < 2 for each in dice for road in ALL):
        await until(lambda: all(person.session.phase is Phase.LIVE for person in people), 20)
        for person in people:
            person.cut()
        await asyncio.sleep(0.1)

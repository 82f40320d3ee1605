"""A webhook's receiver hears of everything, though the server or the receiver was gone in between."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.farm import farming
from tests.support.mariadb import MariaDb
from tests.support.raw import RawSocket
from tests.support.receiver import SECRET, Receiver, receiving
from tests.support.world import World, answered, inhabited, running, until
from unique_cs.bench.process import free_port

ATTEMPTS = 'unique_cs_webhook_attempts_total{outcome="delivered"}'


def settings(port: int, **more: str) -> dict[str, str]:
    return {
        "webhook_url": f"http://127.0.0.1:{port}/hook",
        "webhook_secret": SECRET,
        "webhook_events": "conversation.opened,message.created,conversation.assigned",
        "webhook_allow_private": "on",
        **more,
    }


def texts(receiver: Receiver) -> list[str]:
    """The messages, each once, in the order of their first attempts."""
    told: dict[str, Any] = {each.told["id"]: each.told for each in receiver.received}
    return [
        each["data"]["data"]["body"]["text"] for each in told.values() if each["type"] == "message.created"
    ]


async def say(town: World, *keys: str) -> None:
    visitor = await town.visitor(keys[0])
    await answered([visitor.say(key) for key in keys])


async def test_what_was_acknowledged_is_told_after_a_kill(tmp_path: Path) -> None:
    """Nobody receives until the server was killed: at once, and when its outbox was written."""
    port = free_port()
    async with running(tmp_path, **settings(port)) as server, inhabited(server) as town:
        await say(town, "one", "two")
        await server.kill()
        await server.start()
        await until(lambda: "the webhook fails" in server.log.read_text())
        await say(town, "three")
        await server.kill()
        async with receiving(port=port) as receiver:
            await server.start()
            await until(lambda: len(texts(receiver)) == 3)
            assert texts(receiver) == ["one", "two", "three"]
            opened = [each.told for each in receiver.received if each.told["type"] == "conversation.opened"]
            assert len({each["id"] for each in opened}) == 2


async def test_a_receiver_that_fails_gets_everything_in_order(tmp_path: Path) -> None:
    async with receiving() as receiver:
        async with running(tmp_path, **settings(receiver.port)) as server, inhabited(server) as town:
            receiver.answers = [200, 500, 302]
            await say(town, *(f"m{number}" for number in range(5)))
            await until(lambda: len(texts(receiver)) == 5)
        assert texts(receiver) == [f"m{number}" for number in range(5)]
        ids = receiver.ids()
        assert ids[1] == ids[2] == ids[3]
        assert len(ids) == len(set(ids)) + 2


@pytest.mark.slow
async def test_a_backlog_is_told_to_agents_and_to_the_webhook(tmp_path: Path) -> None:
    """Once, though the server is started anew meanwhile; and again when it is over."""
    alarms = {"webhook_events": "", "alarm_waiting": "2", "alarm_calm_seconds": "1", "heartbeat_ms": "200000"}
    async with (
        receiving() as receiver,
        running(tmp_path, **settings(receiver.port, **alarms)) as server,
        inhabited(server) as town,
    ):
        for name in ("ann", "ben"):
            await say(town, name)
        await until(lambda: receiver.received, 40)
        assert receiver.received[0].told["data"] | {"since": 0} == {
            "alarm": "waiting", "raised": True, "value": 2, "threshold": 2, "since": 0,
        }  # fmt: skip
        assert (await server.metrics())['unique_cs_alarm{name="waiting"}'] == 1
        agent = await town.raw(await town.agent())
        told = await agent.until("signal", name="backlog")
        assert told["data"] == receiver.received[0].told["data"]
        await server.kill()
        await server.start()
        rest = await town.agent()
        for row in (await rest.call("GET", "/conversations?status=open"))["conversations"]:
            await rest.call("POST", f"/conversations/{row['id']}/status", {"status": "resolved"})
        agent = await town.raw(rest)
        await until(lambda: len(receiver.received) > 1, 60)
        seen = [(await agent.until("signal", name="backlog"))["data"]["raised"] for _ in range(2)]
        assert seen == [True, False]
        assert [each.told["type"] for each in receiver.received] == ["alarm.raised", "alarm.over"]


@pytest.mark.slow
async def test_another_node_delivers_when_the_one_that_did_is_killed(
    tmp_path: Path, mariadb: MariaDb
) -> None:
    """In a cluster one node has the lease; what it had not delivered, the next one does."""
    async with receiving() as receiver:
        more = {f"UNIQUE_CS_{name.upper()}": value for name, value in settings(receiver.port).items()}
        async with farming(tmp_path, mariadb, 2, environ=more) as farm, inhabited(farm) as town:
            await say(town, "one")
            await until(lambda: texts(receiver) == ["one"], 30)
            async with asyncio.timeout(10):
                while sorted(tried := [(await node.metrics())[ATTEMPTS] for node in farm.nodes]) != [0, 2]:
                    await asyncio.sleep(0.1)
            receiver.answers = [503] * 3
            await say(town, "two", "three")
            await farm.nodes[tried.index(max(tried))].kill()
            await until(lambda: len(texts(receiver)) == 3, 60)
            assert texts(receiver) == ["one", "two", "three"]


@pytest.mark.slow
async def test_a_database_that_is_away_is_told_while_it_is_away(tmp_path: Path, own_mariadb: MariaDb) -> None:
    """Chat goes on, the archive does not, and the outbox can't be written to."""
    async with receiving() as receiver:
        more = settings(receiver.port, webhook_events="", alarm_relay_seconds="3")
        url = own_mariadb.new_database()
        async with running(tmp_path, database_url=url, **more) as server, inhabited(server) as town:
            visitor = await town.visitor("ann")
            own_mariadb.kill()
            await answered([visitor.say("one")])
            await until(lambda: receiver.received, 60)
            told = receiver.received[0].told
            assert (told["type"], told["data"]["alarm"]) == ("alarm.raised", "relay_lag")
            own_mariadb.start()
            async with asyncio.timeout(30):
                while (await server.metrics())["unique_cs_relay_lag_groups"]:
                    await asyncio.sleep(0.1)
            assert len(receiver.received) == 1


@pytest.mark.slow
async def test_agents_of_every_node_hear_of_a_backlog(tmp_path: Path, mariadb: MariaDb) -> None:
    environ = {"UNIQUE_CS_ALARM_WAITING": "1"}
    async with farming(tmp_path, mariadb, 2, environ=environ) as farm, inhabited(farm) as town:
        rest = await town.agent()
        async with AsyncExitStack() as stack:
            agents = [await stack.enter_async_context(RawSocket(node.url)) for node in farm.nodes]
            for agent in agents:
                await agent.connect(rest.token)
            await say(town, "one")
            async with asyncio.timeout(30):
                heard = await asyncio.gather(*(told(agent) for agent in agents))
        assert [each["alarm"] for each in heard] == ["waiting", "waiting"]
        values = [(await node.metrics())['unique_cs_alarm{name="waiting"}'] for node in farm.nodes]
        assert sorted(values) == [0, 1]


async def told(agent: RawSocket) -> Any:
    """The data of the next backlog signal, whenever it comes."""
    while True:
        frame = json.loads(await agent.socket.recv())
        if frame["type"] == "signal" and frame["name"] == "backlog":
            return frame["data"]

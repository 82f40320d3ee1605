"""A broker and two nodes: one of them is the bridge, and the other one when it is killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.support.mariadb import MariaDb
from tests.support.mosquitto import mosquitto
from tests.support.redis import RedisServer
from tests.support.world import answered, inhabited, running, until
from unique_cs.bench.process import ServerProcess
from unique_cs.client import Phase, Sent

CONNECTED = "unique_cs_mqtt_bridge_connected"
DEADLINE = 60.0


@asynccontextmanager
async def nodes(folder: Path, **settings: str) -> AsyncIterator[list[ServerProcess]]:
    """Two nodes of one installation."""
    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(running(folder / name, rate_limits="off", **settings))
            for name in ("one", "two")
        ]
        yield made


async def bridge_of(servers: list[ServerProcess]) -> ServerProcess:
    """The one that is at the broker, once there is one."""
    async with asyncio.timeout(DEADLINE):
        while True:
            found = [each for each in servers if each.running and (await each.metrics())[CONNECTED] == 1]
            if len(found) == 1:
                return found[0]
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_another_node_takes_the_bridge_over(
    tmp_path: Path, own_redis: RedisServer, mariadb: MariaDb
) -> None:
    """A device on the broker goes on with its session when the node that served it is gone."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    stores = {"redis_url": own_redis.url, "database_url": mariadb.new_database()}
    async with (
        mosquitto(tmp_path / "broker", "ann") as broker,
        nodes(tmp_path, mqtt_bridge_url=broker.bridge_url, **stores) as servers,
    ):
        first = await bridge_of(servers)
        [other] = [each for each in servers if each is not first]
        async with inhabited(other) as town:
            owner = await town.owner()
            ann = await town.client(
                "ann", await town.contact("ann"), roads=("mqtt",), addresses={"mqtt": broker.url("ann")}
            )
            (sent,) = await answered([ann.say("a0")])
            await until(lambda: sent.conversation in owner.recorder.positions())
            await first.kill()
            sends = [ann.say(f"a{n}") for n in range(1, 20)]
            sends += [owner.say(f"o{n}", sent.conversation) for n in range(20)]
            assert await bridge_of(servers) is other
            assert all(isinstance(answer, Sent) for answer in await answered(sends, DEADLINE))
            await until(lambda: ann.session.phase is Phase.LIVE)
            assert await town.verdict() == []

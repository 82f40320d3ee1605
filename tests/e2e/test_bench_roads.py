"""What the benchmark drives: a session on each road sends and is answered, and intruders are refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from unique_cs.bench.attack import TO_HTTP, TO_MQTT, intrude
from unique_cs.bench.people import contact_tokens
from unique_cs.bench.process import ServerProcess, free_port
from unique_cs.bench.report import Progress
from unique_cs.bench.road_rows import offer, press
from unique_cs.bench.roads import ROADS, Road, enter

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUIET = Progress(quiet=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("roads")
    off = {"UNIQUE_CS_RATE_LIMITS": "off"}
    made = ServerProcess(folder / "data", environ=off, mqtt_port=free_port(), grpc_port=free_port())
    await made.start()
    yield made
    assert await made.stop() == 0


@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.name)
async def test_a_road_carries_sends(server: ServerProcess, road: Road) -> None:
    tokens = await contact_tokens(server, 3, QUIET)
    lines = [await enter(road, server, token) for token in tokens]
    assert await press(lines, 0.3, QUIET) > 0
    found = await offer(lines, 100, 0.5, QUIET)
    assert found.count == 50
    assert all(line.answered == line.n and line.failure is None for line in lines)
    for line in lines:
        line.close()


async def test_intruders_are_sent_away(server: ServerProcess) -> None:
    """Every first word of the attack ends its connection."""
    words = [*((each, False) for each in TO_HTTP), *((each, True) for each in TO_MQTT)]
    for said, over_mqtt in words:
        assert await intrude(server, said, "127.0.1.1", over_mqtt=over_mqtt, stay=10), said[:40]

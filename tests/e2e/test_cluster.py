"""Several nodes behind a balancer, with real Redis and MariaDB: what each promises, all promise together."""

import asyncio
from pathlib import Path

import pytest

from tests.support.crowd import talking
from tests.support.farm import farming
from tests.support.mariadb import MariaDb
from tests.support.world import inhabited

RATE = 400


@pytest.mark.slow
async def test_people_on_different_nodes_talk(tmp_path: Path, mariadb: MariaDb) -> None:
    async with farming(tmp_path, mariadb, 3) as farm, inhabited(farm) as town:
        async with talking(town, visitors=12, rate=RATE) as talkers:
            await asyncio.sleep(3)
        assert await talkers.finish(30) == len(talkers.sends)
        assert await town.verdict() == []

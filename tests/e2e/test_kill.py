"""The server is killed, drained, starved of disk under load; what it acknowledged stays, once, in order."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from tests.support.crowd import talking
from tests.support.disk import SmallDisk, small_disk
from tests.support.world import answered, inhabited, running, until
from unique_cs.bench.process import ServerProcess
from unique_cs.client import Connected, Disconnected

RATE = 2_000
KILLS = 10


def report(line: str) -> None:
    """Shown by pytest where output is not captured, and on failure."""
    sys.stdout.write(line + "\n")


@pytest.mark.slow
async def test_ten_kills_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    rng = random.Random(2)
    async with running(tmp_path, rate_limits="off") as server, inhabited(server) as town:
        async with talking(town, visitors=40, rate=RATE) as talkers:
            for _ in range(KILLS):
                await asyncio.sleep(rng.uniform(1.0, 2.5))
                await server.kill()
                await server.start()
        sent = await talkers.finish(60)
        assert sent == len(talkers.sends)
        resumes = [
            sum(isinstance(item, Connected) and item.resumed for item in person.recorder.told)
            for person in (talkers.owner, *talkers.visitors)
        ]
        assert min(resumes) >= 1
        assert sum(resumes) >= KILLS * len(resumes) * 0.8
        report(f"{sent} messages over {KILLS} kills, {sum(resumes)} resumes")
        assert await town.verdict() == []


async def test_sigterm_under_load_drains_and_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, rate_limits="off") as server, inhabited(server) as town:
        async with talking(town, visitors=20, rate=RATE) as talkers:
            for _ in range(2):
                await asyncio.sleep(1)
                assert await server.stop() == 0
                await server.start()
        await talkers.finish(30)
        people = (talkers.owner, *talkers.visitors)
        for person in people:
            gone = [item for item in person.recorder.told if isinstance(item, Disconnected)]
            assert 4503 in {item.code for item in gone}
        closes = [close for person in people for close in person.recorder.closes if close["code"] == 4503]
        assert all(close["reconnect"] and close["after_ms"] >= 0 for close in closes)
        assert len({close["after_ms"] for close in closes}) > 5
        assert await town.verdict() == []


@pytest.mark.parametrize("reserve", ["16", "1"], ids=["stopped at the reserve", "stopped by the disk"])
@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed while full"])
async def test_a_full_disk_refuses_keeps_and_recovers(tmp_path: Path, killed: bool, reserve: str) -> None:
    async with small_disk(tmp_path / "disk", 192) as disk:
        server = ServerProcess(
            tmp_path / "disk" / "data",
            environ={"UNIQUE_CS_RATE_LIMITS": "off", "UNIQUE_CS_DISK_RESERVE_MB": reserve},
            prefix=disk.prefix,
        )
        server.log = tmp_path / "server.log"
        await server.start()
        try:
            await _through_a_full_disk(server, disk, killed)
        finally:
            await server.stop()


async def _through_a_full_disk(server: ServerProcess, disk: SmallDisk, killed: bool) -> None:
    async with inhabited(server) as town:
        async with talking(town, visitors=10, rate=300) as talkers:
            await until(lambda: sum(send.done() for send in talkers.sends) > 300)
            disk.fill()
            people = (talkers.owner, *talkers.visitors)
            await until(lambda: any(person.recorder.refusals["overloaded"] for person in people))
            done = sum(send.done() for send in talkers.sends)
            await asyncio.sleep(1)
            assert sum(send.done() for send in talkers.sends) <= done + 256
            if killed:
                await server.kill()
            disk.empty()
            if killed:
                await server.start()
        await talkers.finish(60)
        assert not any(person.recorder.refusals["internal"] for person in people)
        (late,) = await answered([talkers.visitors[0].say("after all")])
        assert late
        assert await town.verdict() == []

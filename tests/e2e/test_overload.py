"""Ten times what a node can take, and crowds that go and come together: it serves, keeps and recovers.

How fast it is then is measured by `unique-cs bench`; here is judged what must hold on any machine.
"""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from tests.support.world import World, answered, until
from unique_cs.bench.flood import ENVIRON, TIMES, Flood
from unique_cs.bench.people import contact_tokens
from unique_cs.bench.process import ServerProcess
from unique_cs.bench.report import Progress
from unique_cs.bench.returning import Returning

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

MB = 1 << 20
QUIET = Progress(quiet=True)
VISITORS = 500
CROWD = 5_000
SECONDS = 10.0
SETTLE_S = 20.0
RETURN_S = 60.0


@pytest.fixture(scope="module", autouse=True)
def files() -> Iterator[None]:
    """A descriptor for each connection; the server inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * CROWD:
        pytest.skip(f"{2 * CROWD} open files are needed, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    made = ServerProcess(tmp_path_factory.mktemp("server") / "data", environ=ENVIRON)
    await made.start()
    yield made
    assert await made.stop() == 0
    assert "Traceback" not in made.log.read_text(errors="replace")


@asynccontextmanager
async def people_talk(town: World) -> AsyncIterator[None]:
    """Meanwhile two contacts write and an agent replies; every answer comes, and nothing is amiss after."""
    ann, ben, owner = await town.visitor("ann"), await town.visitor("ben"), await town.owner()
    first = [*await answered([ann.say("a"), ben.say("b")])]
    for sent in first:
        # Its own list is full of visitors who wait longer.
        owner.subscribe(sent.conversation)
    said, over = 0, asyncio.Event()

    async def talk() -> None:
        nonlocal said
        while not over.is_set():
            replies = [owner.say(f"reply-{said} to {each.id}", each.conversation) for each in first]
            await answered([ann.say(f"ann-{said}"), ben.say(f"ben-{said}"), *replies], 60)
            said += 1
            await asyncio.sleep(0.02)

    talking = asyncio.create_task(talk())
    yield
    over.set()
    await talking
    await answered([ann.say("ann's last"), ben.say("ben's last")], 30)
    await until(lambda: {"ann's last", "ben's last"} <= set(owner.texts()))
    sys.stdout.write(f"{said} rounds of talk beside it\n")
    assert said > 0
    assert await town.verdict() == []


async def _calm(server: ServerProcess) -> None:
    async with asyncio.timeout(SETTLE_S):
        while (await server.metrics())["unique_cs_pressure_level"]:
            await asyncio.sleep(0.1)


async def test_ten_times_the_load_then_everybody_leaves(server: ServerProcess, town: World) -> None:
    """What is acknowledged is stored, once and in order; memory stays; afterwards all is as before."""
    flood = await Flood.gather(server, await contact_tokens(server, VISITORS, QUIET))
    async with people_talk(town):
        # The store fills its buffers once.
        rate = TIMES * await flood.sustained(QUIET, SECONDS / 2)
        found = await flood.pour(rate, SECONDS, QUIET)
        flood.check()
        assert await flood.stored()
        flood.leave()
        async with asyncio.timeout(SETTLE_S):
            while (await server.metrics())["unique_cs_sessions"] > VISITORS / 10:
                await asyncio.sleep(0.1)
    await _calm(server)
    newcomer = await town.visitor("newcomer")
    await answered([newcomer.say("is anybody there?")])
    sys.stdout.write(
        f"{found.offered} offered, {found.accepted} accepted, {found.refused} told to wait, "
        f"p99 {found.latency.summary()['p99']:.0f} ms, settled in {found.settle:.1f} s, "
        f"grown by {found.grown / MB:.1f} MB\n"
    )
    assert found.refused > 0
    assert found.accepted > 0
    assert found.settle < SETTLE_S
    assert found.grown < 64 * MB
    assert (await server.metrics())['unique_cs_shed_total{kind="contacts"}'] > 0


async def test_five_thousand_come_back_at_once(server: ServerProcess, town: World) -> None:
    crowd = Returning(server, await contact_tokens(server, CROWD, QUIET))
    await crowd.arrive()
    assert crowd.here == CROWD
    async with people_talk(town):
        crowd.leave()
        async with asyncio.timeout(RETURN_S):
            seconds = await crowd.come_back()
        assert crowd.here == CROWD
        sys.stdout.write(f"all were back in {seconds:.1f} s, {crowd.refused} were told to wait\n")
        crowd.leave()


async def test_a_restart_sends_five_thousand_away_and_gets_them_back_spread(server: ServerProcess) -> None:
    crowd = Returning(server, await contact_tokens(server, CROWD, QUIET))
    await crowd.arrive()
    assert await server.stop() == 0
    async with asyncio.timeout(SETTLE_S):
        while crowd.here:
            await asyncio.sleep(0.05)
    told = sorted(crowd.told)
    await server.start()
    async with asyncio.timeout(RETURN_S):
        seconds = await crowd.come_back()
    assert crowd.here == CROWD
    crowd.leave()
    sys.stdout.write(f"told {told[0]:.1f} to {told[-1]:.1f} s, back in {seconds:.1f} s\n")
    assert len(told) == CROWD
    assert told[0] < 0.5
    assert told[-1] > 3
    assert max(sum(at <= wait < at + 1 for wait in told) for at in range(5)) < CROWD / 2

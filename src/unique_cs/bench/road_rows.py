"""One row for each road: connects and messages a second, memory of an idle session, latency."""

import asyncio
import time

from unique_cs.bench.histogram import Histogram
from unique_cs.bench.lines import Line
from unique_cs.bench.peers import PeerError
from unique_cs.bench.process import ServerProcess
from unique_cs.bench.report import Progress, Row
from unique_cs.bench.roads import ROADS, Road, enter
from unique_cs.bench.rows import Plan, archived

SECONDS = 3.0
_TALKERS = 16
_WINDOW = 32
_WARM = 200
_AT_ONCE = 128
_PER_ADDRESS = 5_000
_PATIENCE = 120.0
_TICK = 0.001
_SHARE = 0.25


async def roads(server: ServerProcess, tokens: list[str], plan: Plan) -> list[Row]:
    """Every road after the other, with the same contacts, who have a conversation each."""
    return [await _road(road, server, tokens[: road.sessions], plan) for road in ROADS]


async def _road(road: Road, server: ServerProcess, tokens: list[str], plan: Plan) -> Row:
    # Memory that an earlier road gave back would be used again, and not be seen.
    await server.stop()
    await server.start()
    for line in await _enter_all(road, server, tokens[:_WARM], plan.progress):
        line.close()
    await asyncio.sleep(1)
    before, began = server.resident(), time.perf_counter()
    lines = await _enter_all(road, server, tokens, plan.progress)
    connects = len(lines) / (time.perf_counter() - began)
    await asyncio.sleep(2)
    each = (server.resident() - before) / len(lines) / 1024
    for line in lines[_TALKERS:]:
        line.close()
    talkers = lines[:_TALKERS]
    seconds = min(SECONDS, plan.seconds)
    rate = await press(talkers, seconds, plan.progress)
    await archived(server, plan.progress)
    latency = await offer(talkers, rate * _SHARE, seconds, plan.progress)
    for line in talkers:
        line.close()
    await archived(server, plan.progress)
    return _row(road, connects, each, rate, latency)


def _row(road: Road, connects: float, each: float, rate: float, latency: Histogram) -> Row:
    summary = latency.summary()
    value = (
        f"{connects:,.0f} connects/s, {rate:,.0f} messages/s, {each:.2f} KB, "
        f"p50 {summary['p50']:.2f}, p99 {summary['p99']:.2f} ms at {rate * _SHARE:,.0f}/s"
    )
    details = {"connects_per_second": connects, "messages_per_second": rate, "kilobytes_each": each} | summary
    bound = f"<= {road.kilobytes:.0f} KB" if road.kilobytes else ""
    return Row(road.name, bound, value, each <= road.kilobytes if road.kilobytes else None, details)


async def _enter_all(road: Road, server: ServerProcess, tokens: list[str], progress: Progress) -> list[Line]:
    lines: list[Line] = []
    turns = iter(enumerate(tokens))

    async def work() -> None:
        for number, token in turns:
            lines.append(await enter(road, server, token, f"127.0.0.{2 + number // _PER_ADDRESS}"))

    with progress.stage(f"{road.name}: connects", lambda: f"{len(lines):,}"):
        async with asyncio.timeout(_PATIENCE):
            await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return lines


async def press(lines: list[Line], seconds: float, progress: Progress) -> float:
    """Closed loop: each keeps its window full. Returns the answers a second."""
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(line.prepare() for line in lines))
    began, answered = loop.time(), _answered(lines)
    with progress.stage("full speed", lambda: f"{_answered(lines) - answered:,} sent"):
        for line in lines:
            line.due, line.window = 1 << 40, _WINDOW
            line.pump()
        await asyncio.sleep(seconds)
        rate = (_answered(lines) - answered) / (loop.time() - began)
        for line in lines:
            line.due = line.n
        await settled(lines)
    return rate


async def offer(lines: list[Line], rate: float, seconds: float, progress: Progress) -> Histogram:
    """Open loop: message k is meant to start at k / rate, and is timed from then."""
    loop, total, done = asyncio.get_running_loop(), int(rate * seconds), 0
    await asyncio.gather(*(line.prepare() for line in lines if not line.n))
    for line in lines:
        line.latency, line.window = Histogram(), 256
    start = loop.time()
    with progress.stage(f"{rate:,.0f}/s", lambda: f"{done:,} sent"):
        while done < total:
            for k in range(done, upto := min(total, int((loop.time() - start) * rate))):
                line = lines[k % len(lines)]
                line.starts.append(start + k / rate)
                line.due += 1
                line.pump()
            done = upto
            await asyncio.sleep(_TICK)
        await settled(lines)
    found = Histogram()
    for line in lines:
        found.merge(line.latency)
    return found


def _answered(lines: list[Line]) -> int:
    return sum(line.answered for line in lines)


async def settled(lines: list[Line]) -> None:
    """Wait until every send has its answer."""
    async with asyncio.timeout(_PATIENCE):
        while any(line.answered < line.due for line in lines):
            for line in lines:
                if line.failure is not None:
                    raise PeerError(f"{type(line).__name__}: {line.failure}")
            await asyncio.sleep(_TICK)

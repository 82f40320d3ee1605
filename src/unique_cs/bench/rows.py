"""One function for each bound that a node can show on its own."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from unique_cs.bench.capacity import capacity
from unique_cs.bench.cold import trim
from unique_cs.bench.histogram import Histogram
from unique_cs.bench.http import HttpConnection
from unique_cs.bench.load import Crowd, Load, attach
from unique_cs.bench.peers import PING, Peer, Sender
from unique_cs.bench.people import agent_token
from unique_cs.bench.process import ServerProcess, Target
from unique_cs.bench.report import Progress, Row
from unique_cs.bench.wire import SendTable

RATE_BOUND = 50_000
LONG_RATE = 15_000
_LONG_SECONDS = 600.0
_BACKLOG_SECONDS = 60.0
_HEARTBEATS_SECONDS = 50.0
_PER_ADDRESS = 5_000  # far below the number of ephemeral ports of an address
_AT_ONCE = 256
_PATIENCE = 300.0


@dataclass(slots=True)
class Plan:
    """How large a run is."""

    sessions: int = 10_000
    senders: int = 64
    in_flight: int = 32
    seconds: float = 10.0
    messages: int = 1_000_000
    pages: int = 2_000
    long: bool = False
    progress: Progress = field(default_factory=Progress)


async def start(server: ServerProcess, what: str) -> Row:
    """Start of the process to ready."""
    seconds = await server.start()
    return Row(f"start to ready, {what}", "<= 2 s", f"{seconds:.2f} s", seconds <= 2, {"seconds": seconds})


# Connections


async def open_conversations(server: Target, tokens: list[str], progress: Progress) -> None:
    """Give each contact a conversation with one message, and leave."""
    table = SendTable("Hello")
    loop = asyncio.get_running_loop()
    done = 0

    async def visit(token: str) -> None:
        nonlocal done
        sender = await attach(server, Sender(token, loop, table))
        await sender.opened
        sender.close()
        done += 1

    with progress.stage("conversations", lambda: f"{done:,}"):
        async with asyncio.timeout(_PATIENCE):
            for at in range(0, len(tokens), _AT_ONCE):
                await asyncio.gather(*(visit(token) for token in tokens[at : at + _AT_ONCE]))


async def connect_all(server: Target, tokens: list[str], progress: Progress) -> tuple[list[Peer], Row]:
    """Connects with a token a second: TCP, upgrade, `connect`, `connected`."""
    loop = asyncio.get_running_loop()
    peers: list[Peer] = []
    turns = iter(enumerate(tokens))

    async def work() -> None:
        for number, token in turns:
            source = f"127.0.0.{2 + number // _PER_ADDRESS}"
            peers.append(await attach(server, Peer(token, loop), source))

    cpu, began = server.cpu(), time.perf_counter()
    with progress.stage("connects", lambda: f"{len(peers):,}"):
        async with asyncio.timeout(_PATIENCE):
            await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    seconds = time.perf_counter() - began
    rate = len(peers) / seconds
    details = {"connects": len(peers), "seconds": seconds, "server_cpu": (server.cpu() - cpu) / seconds}
    bound = ">= 5,000/s"
    return peers, Row("connects with token", bound, f"{rate:,.0f}/s", rate >= 5_000, details)


async def idle(server: ServerProcess, tokens: list[str], plan: Plan) -> list[Row]:
    """Connect everybody; memory for each and processor time for their heartbeats."""
    warm = [await attach(server, Peer(token, asyncio.get_running_loop())) for token in tokens[:200]]
    for peer in warm:
        peer.close()
    await asyncio.sleep(1)
    before, quiet = server.resident(), await _cpu_share(server, 5)
    peers, connects = await connect_all(server, tokens, plan.progress)
    await asyncio.sleep(2)
    each = (server.resident() - before) / len(peers)
    beats = await _heartbeats(server, peers, quiet, plan.progress)
    for peer in peers:
        peer.close()
    await asyncio.sleep(2)
    left = (server.resident() - before) / len(peers)
    details = {"sessions": len(peers), "bytes_each": each, "bytes_each_after_leaving": left}
    memory = Row("memory of an idle session", "<= 3 KB", f"{each / 1024:.2f} KB", each <= 3 * 1024, details)
    return [connects, memory, beats, capacity(memory, beats, before)]


async def _cpu_share(server: Target, seconds: float) -> float:
    cpu = server.cpu()
    await asyncio.sleep(seconds)
    return (server.cpu() - cpu) / seconds


async def _heartbeats(server: Target, peers: list[Peer], quiet: float, progress: Progress) -> Row:
    """Each connection pings every 25 s, spread evenly."""
    loop, period, spans = asyncio.get_running_loop(), 25.0, int(_HEARTBEATS_SECONDS / 25)
    began, cpu, sent = loop.time(), server.cpu(), 0
    with progress.stage("heartbeats", lambda: f"{sent:,}"):
        while sent < spans * len(peers):
            due = min(spans * len(peers), int((loop.time() - began) / period * len(peers)))
            for k in range(sent, due):
                peers[k % len(peers)].write(PING)
            sent = due
            await asyncio.sleep(0.02)
    share = (server.cpu() - cpu) / (loop.time() - began) - quiet
    lost = sum(peer.failure is not None for peer in peers)
    each = share / len(peers) * 1e6
    details = {"microseconds_each": each, "idle_server_cpu": quiet, "connections_lost": lost}
    kept = each <= 2 and not lost
    return Row("idle CPU of a connection", "<= 2 µs/s", f"{each:.2f} µs/s", kept, details)


# Messages


async def messages(server: Target, crowd: Crowd, plan: Plan) -> list[Row]:
    """Durable messages a second with full windows, then latency at half of that or of the bound."""
    await crowd.press(2, plan.progress)
    load = await crowd.press(plan.seconds, plan.progress)
    backlog = await archived(server, plan.progress)
    details = load.details() | {"backlog_seconds": backlog, "senders": plan.senders}
    kept = load.rate >= RATE_BOUND
    full = Row(
        f"durable messages, {plan.seconds:.0f} s",
        f">= {RATE_BOUND:,}/s",
        f"{load.rate:,.0f}/s",
        kept,
        details,
    )
    half = int(min(RATE_BOUND, load.rate) / 2)
    return [full, _backlog_row(backlog), *await latency(server, crowd, half, plan)]


def _backlog_row(seconds: float) -> Row:
    kept = seconds <= _BACKLOG_SECONDS
    return Row("backlog of the relay gone after", "<= 60 s", f"{seconds:.1f} s", kept)


async def archived(server: Target, progress: Progress) -> float:
    """Wait for the relay to have moved everything. Returns the seconds that it took."""
    began = time.perf_counter()
    groups = 1.0
    with progress.stage("relay", lambda: f"{groups:,.0f} groups left"):
        while groups > 0 and time.perf_counter() - began < 5 * _BACKLOG_SECONDS:
            groups = (await server.metrics())["unique_cs_relay_lag_groups"]
            await asyncio.sleep(0.2)
    return time.perf_counter() - began


async def latency(server: Target, crowd: Crowd, rate: int, plan: Plan) -> list[Row]:
    """Send to sent, and delivery, at a rate in an open loop."""
    before = await server.metrics()
    load = await crowd.offer(rate, plan.seconds, plan.progress)
    fsync = fsync_p99(before, await server.metrics())
    return [
        _latency_row("send to sent", load, load.acknowledged, 5.0, rate, fsync),
        _latency_row("delivery", load, load.delivered, 10.0, rate, fsync),
    ]


def _latency_row(
    name: str, load: Load, found: Histogram, bound: float, rate: int, fsync: float | None
) -> Row:
    allowed = bound if fsync is None else max(bound, 2 * fsync + 2)
    summary = found.summary()
    details = load.details() | summary | {"fsync_p99_ms": fsync, "offered": rate}
    value = f"p50 {summary['p50']:.2f}, p99 {summary['p99']:.2f} ms"
    kept = summary["p99"] <= allowed
    return Row(f"{name} at {rate:,}/s", f"p99 <= {allowed:.1f} ms", value, kept, details)


def fsync_p99(before: dict[str, float], after: dict[str, float]) -> float | None:
    """The p99 (ms) of the flushes between two readings, linear within its bucket; None without any."""
    name = 'unique_cs_fsync_seconds_bucket{le="'
    edges = sorted(
        (float(sample.removeprefix(name).removesuffix('"}')), count - before.get(sample, 0.0))
        for sample, count in after.items()
        if sample.startswith(name)
    )
    if not edges or not edges[-1][1]:
        return None
    wanted, low, seen = 0.99 * edges[-1][1], 0.0, 0.0
    for edge, count in edges:
        if count >= wanted and count > seen:
            high = edge if edge != float("inf") else low
            return (low + (high - low) * (wanted - seen) / (count - seen)) * 1000
        low, seen = edge, count
    return low * 1000


async def long_run(server: Target, crowd: Crowd, plan: Plan) -> list[Row]:
    """Ten minutes with the relay keeping up."""
    load = await crowd.offer(LONG_RATE, _LONG_SECONDS, plan.progress)
    backlog = await archived(server, plan.progress)
    kept = load.rate >= LONG_RATE * 0.999 and backlog < _BACKLOG_SECONDS / 6
    details = load.details() | load.acknowledged.summary() | {"backlog_seconds": backlog}
    return [Row("durable messages, 10 min", f">= {LONG_RATE:,}/s", f"{load.rate:,.0f}/s", kept, details)]


async def fill(crowd: Crowd, plan: Plan) -> None:
    """Store as many messages as the plan wants in all."""
    while (missing := plan.messages - crowd.answered) > 0:
        await crowd.press(min(5.0, max(0.2, missing / RATE_BOUND)), plan.progress)


# Pages


async def newest_page(server: Target, conversations: list[str], stored: int, plan: Plan) -> Row:
    """The newest page of conversations drawn at random."""
    found = await _pages(server, conversations, plan.pages, "")
    return _page_row(f"newest page, {stored:,} stored", found, 3.0)


async def cold_page(server: ServerProcess, conversations: list[str], plan: Plan) -> Row:
    """An old page when the hot tier has nothing of it: all that is archived was trimmed as if a day old."""
    await server.stop()
    groups = 0
    with plan.progress.stage("trim", lambda: f"{groups:,} groups"):
        groups = await trim(server.data)
    await server.start()
    return await old_page(server, conversations, plan)


async def old_page(server: Target, conversations: list[str], plan: Plan) -> Row:
    """A page that only the cold tier has any more."""
    found = await _pages(server, conversations, plan.pages, "&before=120")
    return _page_row("old page, cold tier", found, 20.0)


async def _pages(server: Target, conversations: list[str], count: int, more: str) -> Histogram:
    http = await HttpConnection.open(server)
    http.token = await agent_token(server)
    rng, found = random.Random(1), Histogram()  # noqa: S311 - chance for a load, not for secrets
    for _ in range(count):
        name = rng.choice(conversations)
        began = time.perf_counter()
        status, body = await http.raw("GET", f"/api/v1/conversations/{name}/events?limit=50{more}")
        found.record(int((time.perf_counter() - began) * 1e6))
        assert status == 200, body
    http.close()
    return found


def _page_row(name: str, found: Histogram, bound: float) -> Row:
    summary = found.summary()
    value = f"p50 {summary['p50']:.2f}, p99 {summary['p99']:.2f} ms"
    return Row(name, f"p99 <= {bound:.0f} ms", value, summary["p99"] <= bound, dict(summary))

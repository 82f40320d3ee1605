"""`make bench-50k`: tens of thousands of connections over several workers, Redis and MariaDB.

The generators are processes of their own on the same machine: `bench/README.md` says what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.stack import Stack, report, running
from unique_cs.bench.histogram import Histogram
from unique_cs.bench.process import cpu_seconds
from unique_cs.bench.report import Row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

QUIET_S = 5.0
BEATS_S = 25.0
PATIENCE_S = 900.0
MEMORY, IDLE, DELIVERY = 3 * 1024, 2.0, 20.0


class Generators:
    """The processes that hold the connections."""

    def __init__(self, processes: list[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._processes)

    def cpu(self) -> float:
        """Processor seconds of all."""
        return sum(cpu_seconds(each.pid) for each in self._processes)

    async def all(self, *command: Any) -> list[Any]:
        """Let all do the same; return what each answers."""
        async with asyncio.timeout(PATIENCE_S):
            return list(await asyncio.gather(*(_ask(each, command) for each in self._processes)))


async def _ask(process: asyncio.subprocess.Process, command: Sequence[Any]) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(command).encode() + b"\n")
    line = await process.stdout.readline()
    if not line:
        raise OSError(f"a generator ended while it was to {command[0]}")
    return json.loads(line)


@asynccontextmanager
async def generators(stack: Stack, count: int) -> AsyncIterator[Generators]:
    """So many generators; they end with the block, and their connections with them."""
    command = (sys.executable, "-m", "bench.crowd", stack.host, str(stack.port))
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            *command, str(number + 1), stdin=pipe, stdout=pipe, limit=1 << 24
        )
        for number in range(count)
    ]
    try:
        yield Generators(processes)
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


class Meter:
    """Processor time of each part over a span, in cores; `idle` is the whole machine's, of all its cores."""

    def __init__(self, stack: Stack, load: Generators) -> None:
        self._stack = stack
        self._load = load
        self._began = time.monotonic()
        self._cpus = self._read()
        self._machine = _machine_ticks()

    def _read(self) -> dict[str, float]:
        return {**self._stack.cpus(), "generators": self._load.cpu()}

    def read(self) -> dict[str, float]:
        """Since it was made."""
        seconds, now = time.monotonic() - self._began, self._read()
        shares = {name: round((now[name] - self._cpus[name]) / seconds, 3) for name in now}
        total, idle = (after - before for after, before in zip(_machine_ticks(), self._machine, strict=True))
        return {**shares, "machine_idle": round(idle / max(1, total), 3)}


def _machine_ticks() -> tuple[int, int]:
    """All ticks of all processors, and those in which they had nothing to do."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


async def run(args: argparse.Namespace) -> list[Row]:
    """Measure everything."""
    async with running(args.workers) as stack, generators(stack, args.generators) as load:
        return await _measure(stack, load, args)


async def _measure(stack: Stack, load: Generators, args: argparse.Namespace) -> list[Row]:
    say = _Sayer(args.quiet)
    each = args.connections // args.generators
    await load.all("contacts", each)
    say("contacts with a conversation each", each * args.generators)
    await stack.stop()
    started = await stack.start()
    await load.all("warm", 100)
    await asyncio.sleep(2)
    before, store = stack.residents(), _redis_memory(stack)
    quiet = await _span(stack, load, QUIET_S)
    meter, began = Meter(stack, load), time.monotonic()
    await load.all("connect", args.talking // args.generators)
    seconds = time.monotonic() - began
    connects = meter.read()
    say("connected", each * args.generators)
    await asyncio.sleep(2)
    after = stack.residents()
    count = each * args.generators
    memory = {"before": before, "after": after, "redis_before": store, "redis_after": _redis_memory(stack)}
    await load.all("agents", args.agents // args.generators)
    beats = await _span(stack, load, args.idle_seconds)
    say("heartbeats")
    talked = await _talk(stack, load, args.rate, args.seconds)
    rate = f"{count / seconds:,.0f}/s, {seconds:.0f} s"
    return [
        Row(f"start of {args.workers} workers", "", f"{started:.1f} s", None),
        Row(f"{count:,} connects with token", "", rate, None, connects),
        _memory_row(count, memory),
        _idle_row(count, quiet, beats),
        *talked,
        await _lost_row(load),
    ]


class _Sayer:
    """A line on standard error for each step."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._began = time.monotonic()

    def __call__(self, what: str, count: int | None = None) -> None:
        if not self._quiet:
            number = f": {count:,}" if count is not None else ""
            seconds = time.monotonic() - self._began
            print(f"  {what}{number} after {seconds:.0f} s", file=sys.stderr, flush=True)


async def _span(stack: Stack, load: Generators, seconds: float) -> dict[str, float]:
    meter = Meter(stack, load)
    await asyncio.sleep(seconds)
    return meter.read()


def _redis_memory(stack: Stack) -> int:
    return int(stack.redis.call("INFO", "memory")["used_memory"])


def _memory_row(count: int, memory: dict[str, Any]) -> Row:
    grown = sum(memory["after"]) - sum(memory["before"])
    each = grown / count
    megabytes = ", ".join(f"{size >> 20}" for size in memory["after"])
    memory["redis_each"] = (memory["redis_after"] - memory["redis_before"]) / count
    value = f"{each / 1024:.2f} KB; workers {megabytes} MB; Redis {memory['redis_after'] >> 20} MB"
    return Row("memory of an idle session", "<= 3 KB", value, each <= MEMORY, memory)


def _idle_row(count: int, quiet: dict[str, float], beats: dict[str, float]) -> Row:
    each = (beats["workers"] - quiet["workers"]) / count * 1e6
    details = {"without_connections": quiet, "with_heartbeats": beats}
    return Row("idle CPU of a connection", "<= 2 µs/s", f"{each:.2f} µs/s", each <= IDLE, details)


async def _talk(stack: Stack, load: Generators, rate: int, seconds: float) -> list[Row]:
    each = rate // load.count
    await load.all("talk", each, 3)
    meter = Meter(stack, load)
    answers = await load.all("talk", each, seconds)
    shares = meter.read()
    name = f"at {rate:,}/s both ways"
    rows = [Row(f"processors {name}", "", _shares(shares), None, shares)]
    for what, bound in (("acknowledged", None), ("delivered", DELIVERY)):
        found = _histogram(answer[what] for answer in answers)
        summary = found.summary()
        value = f"p50 {summary['p50']:.2f}, p99 {summary['p99']:.2f} ms"
        kept = summary["p99"] <= bound if bound else None
        title = "send to sent" if bound is None else "delivery"
        allowed = f"p99 <= {bound:.0f} ms" if bound else ""
        rows.append(Row(f"{title} {name}", allowed, value, kept, dict(summary)))
    return rows


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.2f}" for name, share in shares.items())


def _histogram(parts: Any) -> Histogram:
    found = Histogram()
    for counts in parts:
        part = Histogram()
        part.counts = {int(bucket): times for bucket, times in counts.items()}
        part.count, part.max = sum(part.counts.values()), 1 << 62
        found.merge(part)
    return found


async def _lost_row(load: Generators) -> Row:
    lost = [failure for part in await load.all("lost") for failure in part]
    return Row("connections lost", "0", str(len(lost)), not lost, {"failures": lost[:10]})


def main() -> int:
    """Print the table. Returns 0, 1 where a bound was missed, 2 where it could not be measured."""
    parser = argparse.ArgumentParser("bench-50k", description="Measure a cluster on this machine.")
    parser.add_argument("--connections", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--generators", type=int, default=4, help="processes, of at most 19,000 connections")
    parser.add_argument("--talking", type=int, default=1_000, help="contacts that talk with an agent")
    parser.add_argument("--agents", type=int, default=40, help="agents' connections that answer them")
    parser.add_argument("--rate", type=int, default=2_000, help="messages a second, half of them each way")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the talk")
    parser.add_argument("--idle-seconds", type=float, default=BEATS_S, help="length of the heartbeats")
    return report(run, parser)


if __name__ == "__main__":
    sys.exit(main())

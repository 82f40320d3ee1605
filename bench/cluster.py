"""`make bench-cluster`: messages a second, pages and overload of nodes that share Redis and MariaDB."""

from __future__ import annotations

import argparse
import sys

from bench.stack import Stack, report, running
from unique_cs.bench import flood, rows
from unique_cs.bench.load import Crowd, crowd
from unique_cs.bench.report import Progress, Row

STEADY_RATE = 2_000
KEPT_EVENTS = 60
"""What Redis keeps of a conversation before old pages are read: less than lies after them."""


async def run(args: argparse.Namespace, workers: int) -> list[Row]:
    """Measure one size of a cluster; with more than one worker, without pages."""
    plan = rows.Plan(0, args.senders, args.in_flight, args.seconds, args.messages)
    plan.progress = Progress(args.quiet)
    async with running(workers) as stack, crowd(stack, plan.senders, plan.in_flight, plan.progress) as people:
        found = await _messages(stack, people, plan)
        if workers == 1 and plan.messages:
            found += await _pages(stack, people, plan)
    for row in found:
        # The bounds on messages are those of a node with stores of its own.
        if not row.name.endswith((" stored", "cold tier")):
            row.bound, row.kept = "", None
    return found


async def overload(args: argparse.Namespace, workers: int) -> list[Row]:
    """Offer one size of a cluster ten times what it takes."""
    async with running(workers, flood.ENVIRON) as stack:
        return await flood.overload(stack, flood.RUNS * args.seconds, Progress(args.quiet))


async def _messages(stack: Stack, people: Crowd, plan: rows.Plan) -> list[Row]:
    before, answered = stack.cpus(), people.answered
    found = await rows.messages(stack, people, plan)
    sent = people.answered - answered
    each = {name: (share - before[name]) / sent * 1e6 for name, share in stack.cpus().items()}
    value = ", ".join(f"{name} {share:.0f}" for name, share in each.items())
    found.append(Row("processor time of a message, µs", "", value, None, dict(each)))
    return [*found, *await rows.latency(stack, people, STEADY_RATE, plan)]


async def _pages(stack: Stack, people: Crowd, plan: rows.Plan) -> list[Row]:
    await rows.fill(people, plan)
    await rows.archived(stack, plan.progress)
    newest = await rows.newest_page(stack, people.conversations, people.answered, plan)
    for key in stack.redis.call("KEYS", "*:e:*"):
        stack.redis.call("XTRIM", key, "MAXLEN", KEPT_EVENTS)
    return [newest, await rows.old_page(stack, people.conversations, plan)]


async def _all(args: argparse.Namespace) -> list[Row]:
    found: list[Row] = []
    parts = [{"messages": run, "overload": overload}[name] for name in args.only.split(",")]
    for workers in map(int, args.workers.split(",")):
        for part in parts:
            for row in await part(args, workers):
                row.name = f"{workers} × {row.name}"
                found.append(row)
    return found


def main() -> int:
    """Print the table. Returns 0, 1 where a bound was missed, 2 where it could not be measured."""
    parser = argparse.ArgumentParser("bench-cluster", description="Measure a cluster on this machine.")
    parser.add_argument("--workers", default="1,2", help="sizes of the cluster")
    parser.add_argument("--only", default="messages,overload", help="parts to measure")
    parser.add_argument("--senders", type=int, default=64, help="contacts that send")
    parser.add_argument("--in-flight", type=int, default=32, help="sends of each without an answer")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each run of load")
    parser.add_argument(
        "--messages", type=int, default=1_000_000, help="stored before pages are read; 0: none"
    )
    return report(_all, parser)


if __name__ == "__main__":
    sys.exit(main())

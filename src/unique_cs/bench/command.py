"""`unique-cs bench`: what runs, on which cores, and what it prints."""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from unique_cs.bench import attack, flood, road_rows, rows
from unique_cs.bench.http import HttpError
from unique_cs.bench.load import crowd
from unique_cs.bench.peers import PeerError
from unique_cs.bench.people import contact_tokens
from unique_cs.bench.process import (
    INBOX_KEY,
    OWNER_EMAIL,
    OWNER_PASSWORD,
    ServerError,
    ServerProcess,
    Target,
    free_port,
)
from unique_cs.bench.report import Progress, Row, as_json, table
from unique_cs.bench.returning import returning
from unique_cs.machine import allow_files

PARTS = ("idle", "roads", "attack", "messages", "pages", "overload")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns 0, 1 where a bound was missed, 2 where it could not be measured."""
    args = _parser().parse_args(argv)
    allow_files()
    try:
        found = uvloop.run(_run(args))
    except (ServerError, PeerError, HttpError, OSError, TimeoutError) as error:
        print(f"bench: {error!r}", file=sys.stderr)
        return 2
    print(table(found))
    if args.json:
        Path(args.json).write_text(as_json(found, machine()) + "\n")
    return int(any(row.kept is False for row in found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "unique-cs bench", description="Measure what one node of this machine holds."
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, of {', '.join(PARTS)}")
    parser.add_argument("--sessions", type=int, default=10_000, help="idle connections")
    parser.add_argument("--senders", type=int, default=64, help="contacts that send")
    parser.add_argument(
        "--in-flight", type=int, default=32, help="sends of each without an answer, at full speed"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.0,
        help="length of each run of load; that of the overload is six times as long",
    )
    parser.add_argument(
        "--messages", type=int, default=1_000_000, help="messages stored before pages are read"
    )
    parser.add_argument("--long", action="store_true", help="add ten minutes at 15,000 messages a second")
    parser.add_argument("--json", metavar="FILE", help="write the result with all details")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--url", help="a server on this machine, already running: only messages are measured")
    parser.add_argument("--inbox", default=INBOX_KEY, help="its inbox key")
    parser.add_argument("--email", default=OWNER_EMAIL, help="an agent of it")
    parser.add_argument("--password", default=OWNER_PASSWORD, help="the agent's password")
    return parser


def machine() -> dict[str, Any]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "name" in line
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


async def _run(args: argparse.Namespace) -> list[Row]:
    plan = rows.Plan(args.sessions, args.senders, args.in_flight, args.seconds, args.messages, long=args.long)
    plan.progress = Progress(args.quiet)
    parts = set(args.only.split(","))
    if unknown := parts - set(PARTS):
        raise ServerError(f"there is no part {', '.join(unknown)}")
    if args.url:
        where = urlsplit(args.url)
        target = Target(
            where.hostname or "127.0.0.1", where.port or 80, args.inbox, args.email, args.password
        )
        return await _messages(target, plan)
    return await _own_server(parts, plan)


async def _own_server(parts: set[str], plan: rows.Plan) -> list[Row]:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    found: list[Row] = []
    runs = [(_all, {"UNIQUE_CS_RATE_LIMITS": "off"})]
    if "overload" in parts:
        runs.append((_overload, flood.ENVIRON))
    for run, environ in runs:
        with tempfile.TemporaryDirectory(prefix="unique-cs-bench-") as folder:
            data, ports = Path(folder) / "data", (free_port(), free_port())
            server = ServerProcess(
                data, environ=environ, core=cores[0], mqtt_port=ports[0], grpc_port=ports[1]
            )
            try:
                found += await run(server, parts, plan)
            except (ServerError, PeerError, HttpError, OSError, TimeoutError):
                print(server.tail(), file=sys.stderr)
                raise
            finally:
                await server.stop()
    return found


async def _overload(server: ServerProcess, parts: set[str], plan: rows.Plan) -> list[Row]:
    """By itself: only here the server is allowed to refuse."""
    await server.start()
    found = await flood.overload(server, flood.RUNS * plan.seconds, plan.progress)
    return [*found, await returning(server, plan.progress)]


async def _all(server: ServerProcess, parts: set[str], plan: rows.Plan) -> list[Row]:
    found = [await rows.start(server, "empty")]
    if parts & {"idle", "roads", "attack"}:
        tokens = await contact_tokens(server, plan.sessions, plan.progress)
        await rows.open_conversations(server, tokens, plan.progress)
        await server.stop()
        found.append(await rows.start(server, f"{plan.sessions:,} conversations"))
        found += await rows.idle(server, tokens, plan) if "idle" in parts else []
        found += await road_rows.roads(server, tokens, plan) if "roads" in parts else []
        found += [await attack.under_attack(server, tokens, plan)] if "attack" in parts else []
    if parts & {"messages", "pages"}:
        found += await _messages(server, plan, pages="pages" in parts)
    return found


async def _messages(server: Target, plan: rows.Plan, *, pages: bool = False) -> list[Row]:
    async with crowd(server, plan.senders, plan.in_flight, plan.progress) as people:
        found = await rows.messages(server, people, plan)
        if plan.long:
            found += await rows.long_run(server, people, plan)
        if pages:
            await rows.fill(people, plan)
        conversations, stored = people.conversations, people.answered
    if pages and isinstance(server, ServerProcess):
        found += await _pages(server, conversations, stored, plan)
    return found


async def _pages(server: ServerProcess, conversations: list[str], stored: int, plan: rows.Plan) -> list[Row]:
    await rows.archived(server, plan.progress)
    newest = await rows.newest_page(server, conversations, stored, plan)
    await server.stop()
    started = await rows.start(server, f"{stored:,} messages")
    return [newest, started, await rows.cold_page(server, conversations, plan)]

"""A process that makes ids until it is killed, and writes each one down. Many are forked from one server."""

import asyncio
import contextlib
import os
import random
import struct
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

from tests.support.clocks import OwnClock
from unique_cs.cluster.node_numbers import NumberedIds
from unique_cs.cluster.shard import Failure, Shard
from unique_cs.errors import StorageUnavailable

_RECORD = struct.Struct("<dqi")
_BURST = 5
_PAUSE_S = 0.02
_HOUR_MS = 3_600_000


class Made(NamedTuple):
    """An id, the monotonic time just before it was asked for, and how many numbers its maker had had."""

    before: float
    id: int
    times_taken: int


def read(path: Path) -> list[Made]:
    """What a maker wrote down."""
    data = path.read_bytes() if path.exists() else b""
    whole = len(data) - len(data) % _RECORD.size
    return [Made(*fields) for fields in _RECORD.iter_unpack(data[:whole])]


def forks() -> ForkServerContext:
    """Where makers are forked from: it imports once what they need."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.support.id_maker"])
    return context


def run(url: str, place: str, ttl_ms: int, path: Path) -> None:
    """Make ids at `place` for ever."""
    asyncio.run(_make(url, place, ttl_ms, path))


async def _make(url: str, place: str, ttl_ms: int, path: Path) -> None:
    shard, clock = Shard(url), OwnClock()
    # Nothing is asked of wall clocks: some are an hour off, and they jump.
    clock.wall_ms = random.choice((0, -_HOUR_MS, _HOUR_MS))
    ids = NumberedIds(shard, clock, place, ttl_ms=ttl_ms)
    with contextlib.suppress(*Failure):
        await shard.open()
    keeper = asyncio.ensure_future(ids.keep())
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while not keeper.done():
        os.write(file, _burst(ids, clock))
        if random.random() < 0.01:
            clock.wall_ms = random.choice((0, -_HOUR_MS, _HOUR_MS))
        await asyncio.sleep(_PAUSE_S)
    await keeper


def _burst(ids: NumberedIds, clock: OwnClock) -> bytes:
    records = []
    with contextlib.suppress(StorageUnavailable):
        for _ in range(_BURST):
            before = clock.monotonic()
            records.append(_RECORD.pack(before, ids.next(clock.now_ms()), ids.times_taken))
    return b"".join(records)

"""A cluster that is broken in every way it promises to survive: see docs/operations/failures.md."""

import os
import random
import time
from pathlib import Path

import pytest

from tests.nemesis.field import field
from tests.nemesis.run import Report, part, say
from tests.support.mariadb import MariaDb

SEED = 28
PART_S = 100.0


async def _run(tmp_path: Path, mariadb: MariaDb, seed: int, seconds: float, parts: int | None = None) -> None:
    total, number, began = Report(), 0, time.monotonic()
    async with field(tmp_path, mariadb) as cluster:
        while number < parts if parts else time.monotonic() - began < seconds:
            total.add(await part(cluster, seed, number, PART_S if not parts else seconds))
            number += 1
            if total.problems:
                say(cluster.tails())
                break
    say(f"seed {seed}: {(time.monotonic() - began) / 60:.1f} minutes, {total}")
    assert total.problems == []


@pytest.mark.slow
async def test_a_short_mix_of_faults(tmp_path: Path, own_mariadb: MariaDb) -> None:
    await _run(tmp_path, own_mariadb, SEED, 60, parts=1)


@pytest.mark.skipif("NEMESIS_MINUTES" not in os.environ, reason="make nemesis MINUTES=60 SEED=1 runs it")
async def test_a_long_mix_of_faults(tmp_path: Path, own_mariadb: MariaDb) -> None:
    seed = int(os.environ.get("NEMESIS_SEED") or random.SystemRandom().randrange(10**6))
    await _run(tmp_path, own_mariadb, seed, float(os.environ["NEMESIS_MINUTES"]) * 60)

"""Seeds of a breaking world: every client converges, and the checker finds nothing.

A failing seed is printed; `python -m tests.sim --seed N --trace` replays it.
"""

import multiprocessing
import os
import sys
import time

import pytest

from tests.sim.many import run_many
from tests.sim.scenario import Outcome, run

SEEDS = int(os.environ.get("SIM_SEEDS", "1000"))


@pytest.mark.slow
def test_every_seed_ends_well() -> None:
    first = int(os.environ.get("SIM_FIRST_SEED", "0"))
    began = time.monotonic()
    outcomes = run_many(first, SEEDS)
    bad = [outcome for outcome in outcomes if outcome.problems]
    faults = sum(sum(outcome.faults.values()) for outcome in outcomes)
    messages = sum(outcome.messages for outcome in outcomes)
    sys.stdout.write(
        f"{SEEDS} seeds, {messages} messages, {faults} faults in {time.monotonic() - began:.0f} s\n"
    )
    assert not bad, "\n".join(f"seed {each.seed}: {each.problems[0]}" for each in bad)
    assert len(outcomes) == SEEDS
    assert faults > 5 * SEEDS


def test_a_seed_is_replayed_to_the_letter() -> None:
    # In a process of its own: a run puts the seed in the place of the modules' chance.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for one, two in pool.map(run_twice, range(4)):
            assert one.digest == two.digest
            assert one.messages > 0


def run_twice(seed: int) -> tuple[Outcome, Outcome]:
    return run(seed), run(seed)

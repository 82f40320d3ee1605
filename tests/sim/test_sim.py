"""Seeds of a breaking world: every client converges, and the checker finds nothing.

A failing seed is printed; `python -m tests.sim --seed N --trace` replays it.
"""

import os
import sys
import time

import pytest

from tests.sim.many import run_many
from tests.sim.scenario import run

SEEDS = 2_000


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
    for seed in range(4):
        one, two = run(seed), run(seed)
        assert one.digest == two.digest
        assert one.messages > 0

"""Many seeds, on every core."""

import multiprocessing
import os

from tests.sim.scenario import Outcome, run


def run_many(first: int, count: int) -> list[Outcome]:
    """The outcomes of `count` seeds from `first` on, in no special order."""
    with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool:
        return list(pool.imap_unordered(run, range(first, first + count), chunksize=10))

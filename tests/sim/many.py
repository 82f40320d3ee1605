"""Many seeds, on every core."""

import gc
import multiprocessing
import os

from tests.sim.scenario import Outcome, run


def run_many(first: int, count: int) -> list[Outcome]:
    """The outcomes of `count` seeds from `first` on, in no special order."""
    workers = len(os.sched_getaffinity(0))
    # What the imports made stays; collecting it again and again would take half the time.
    with multiprocessing.get_context("spawn").Pool(workers, gc.freeze) as pool:
        return list(pool.imap_unordered(run, range(first, first + count), chunksize=10))

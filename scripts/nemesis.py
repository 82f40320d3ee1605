"""Break a cluster for a while: `python -m scripts.nemesis MINUTES [SEED]`, see docs/operations."""

from __future__ import annotations

import os
import sys

from scripts.shared import PYTHON, call


def main(arguments: list[str]) -> int:
    """Return 0 if every promise was kept."""
    minutes, *seed = arguments
    wanted = {"NEMESIS_MINUTES": minutes} | ({"NEMESIS_SEED": seed[0]} if seed else {})
    run = (PYTHON, "-m", "pytest", "-q", "-s", "tests/nemesis", "-k", "long")
    # Where a test takes long all stacks are shown, which may crash the interpreter; here it is meant to.
    return call(*run, "-o", "faulthandler_timeout=0", env={**os.environ, **wanted})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

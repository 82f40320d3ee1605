"""`python -m tests.sim --seed N` replays one seed; without it, many are run on all cores."""

import argparse
import sys

from tests.sim.many import run_many
from tests.sim.scenario import run


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.sim")
    parser.add_argument("--seed", type=int, help="replay this one and show what went wrong")
    parser.add_argument("--trace", action="store_true", help="with every frame")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=2_000)
    args = parser.parse_args()
    if args.seed is not None:
        outcome = run(args.seed, say if args.trace else None)
        say(f"seed {args.seed}: {outcome.messages} messages, {outcome.faults}, {outcome.digest}")
        for problem in outcome.problems:
            say(f"  {problem}")
        return int(bool(outcome.problems))
    outcomes = run_many(args.first, args.count)
    bad = [outcome for outcome in outcomes if outcome.problems]
    for outcome in bad:
        say(f"seed {outcome.seed}: {outcome.problems[0]}")
    say(f"{len(outcomes)} seeds, {sum(each.messages for each in outcomes)} messages, {len(bad)} bad")
    return int(bool(bad))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())

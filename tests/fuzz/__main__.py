"""`python -m tests.fuzz TARGET --seconds N` looks for inputs that break a decoder; no target lists them.

What was learnt stays in `.cache/fuzz`. An input that broke something is written there too, and
`python -m tests.fuzz TARGET --replay FILE` shows what it does.
"""

import argparse
import sys
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import atheris
except ImportError:
    atheris = None

if TYPE_CHECKING:
    from tests.fuzz.target import Target

CACHE = Path(__file__).parents[2] / ".cache" / "fuzz"


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.fuzz")
    parser.add_argument("target", nargs="?")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=CACHE, help="where inputs are kept")
    parser.add_argument("--replay", type=Path, help="run this input only")
    args = parser.parse_args()
    targets = _instrumented()
    if args.target not in targets:
        sys.stdout.write("targets: " + ", ".join(targets) + "\n")
        return int(args.target is not None)
    if args.replay is not None:
        targets[args.target].run(args.replay.read_bytes())
        return 0
    if atheris is None:
        sys.stderr.write("atheris is not installed: it has no wheel for this Python or machine\n")
        return 2
    _fuzz(args.target, targets[args.target], args.folder / args.target, args.seconds)
    return 0


def _instrumented() -> "dict[str, Target]":
    """The targets; the fuzzer sees the branches of what is imported here for the first time."""
    if atheris is None:
        return _targets()
    with atheris.instrument_imports(include=["unique_cs"]):
        return _targets()


def _targets() -> "dict[str, Target]":
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - after the hook is in place

    return TARGETS


def _fuzz(name: str, target: "Target", folder: Path, seconds: int) -> None:
    """Run until an input breaks something, or the time is over. Does not return."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", "-rss_limit_mb=2048"]
    options += ["-timeout=20", "-max_len=4096", "-print_final_stats=1"]
    atheris.Setup([name, *options, str(corpus)], _runner(target.run))
    atheris.Fuzz()


def _runner(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def one(data: bytes) -> None:
        run(data)

    return one


if __name__ == "__main__":
    sys.exit(main())

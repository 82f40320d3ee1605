"""Every decoder holds for its seeds, damaged ones, what once broke it, and what atheris makes up."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

FOUND = Path(__file__).with_name("found")
SECONDS = 2
by_name = pytest.mark.parametrize("name", TARGETS)


@by_name
def test_seeds(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds():
        target.run(seed)


@pytest.mark.parametrize(
    "path", sorted(FOUND.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_what_was_found_once(path: Path) -> None:
    """A file in `found/TARGET/` is an input that broke a promise before it was mended."""
    TARGETS[path.parent.name].run(path.read_bytes())


@by_name
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_seeds(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    damaged = bytearray(data.draw(st.sampled_from(target.seeds())))
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(damaged)))
        end = data.draw(st.integers(start, min(len(damaged), start + 4)))
        damaged[start:end] = data.draw(st.binary(max_size=4))
    target.run(bytes(damaged))


@by_name
def test_a_few_seconds_of_atheris(name: str, tmp_path: Path) -> None:
    """Coverage leads it; longer runs are `python -m tests.fuzz TARGET --seconds N`."""
    if find_spec("atheris") is None:
        pytest.skip("atheris has no wheel for this Python or machine")
    command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(SECONDS), "--folder", str(tmp_path)]
    ended = subprocess.run(
        command,
        capture_output=True,
        cwd=FOUND.parents[2],
        timeout=120,
        text=True,
        errors="replace",
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2_000:] + ended.stderr[-4_000:]
    assert "Done " in ended.stderr

"""Run every test: the web part's, then all of pytest.

`python -m scripts.test [arguments for pytest]`. All parts run, also where an earlier one fails. Without
arguments the simulation runs beside the others, which mostly wait: it has what they leave of the processors.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import Final

from scripts.shared import PYTHON, ROOT, apt_install, call, say

# Set iteration and hashing must not differ between two runs of one seed.
ENVIRON: Final = {**os.environ, "PYTHONHASHSEED": "0"}
PYTEST: Final = (str(PYTHON), "-m", "pytest")
SIM: Final = "tests/sim"


def main(arguments: list[str]) -> int:
    """Return 0 if everything passed."""
    if shutil.which("chromium") is None:
        apt_install("chromium", "testing in a browser")
    web = (PYTHON, "-m", "scripts.web")
    codes = [call(*web, verb) for verb in ("build", "test", "e2e")]
    if any(codes):
        say("tests of the web part FAILED, see above")
    codes.append(_pytest(*arguments) if arguments else _all_of_pytest())
    return int(any(codes))


def _pytest(*arguments: str) -> int:
    return call(*PYTEST, *arguments, env=ENVIRON)


def _all_of_pytest() -> int:
    beside = ("nice", "-n", "19", *PYTEST, "-q", "-s", SIM)
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(beside, cwd=ROOT, env=ENVIRON, stdout=output, stderr=output) as sim:
            code = _pytest(f"--ignore={SIM}", "--durations=15", "--durations-min=10")
        output.seek(0)
        say(f"the simulation, which ran beside it:\n{output.read()}")
    return code or sim.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

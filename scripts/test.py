"""Run every test: the web part's, then all of pytest, whose summary closes the output.

`python -m scripts.test [arguments for pytest]`. All parts run, also where an earlier one fails.
"""

from __future__ import annotations

import os
import shutil
import sys

from scripts.shared import PYTHON, apt_install, call, say


def main(arguments: list[str]) -> int:
    """Return 0 if everything passed."""
    if shutil.which("chromium") is None:
        apt_install("chromium", "testing in a browser")
    web = (PYTHON, "-m", "scripts.web")
    codes = [call(*web, verb) for verb in ("build", "test", "e2e")]
    if any(codes):
        say("tests of the web part FAILED, see above")
    # Set iteration and hashing must not differ between two runs of one seed.
    codes.append(call(PYTHON, "-m", "pytest", *arguments, env={**os.environ, "PYTHONHASHSEED": "0"}))
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Run every check that needs no running server: `python -m scripts.check`. All run, also after a failure."""

from __future__ import annotations

import subprocess
import sys
import time

from scripts.shared import PYTHON, ROOT, VENV

BIN = VENV / "bin"
CHECKS: dict[str, tuple[object, ...]] = {
    "ruff": (BIN / "ruff", "check", "."),
    "format": (BIN / "ruff", "format", "--check", "."),
    "types": (BIN / "mypy",),
    "imports": (BIN / "lint-imports",),
    "shape": (PYTHON, "-m", "scripts.check_shape"),
    "words": (PYTHON, "-m", "scripts.check_words"),
    "docs": (PYTHON, "-m", "pytest", "-q", "tests/unit/test_docs.py"),
    "web": (PYTHON, "-m", "scripts.web", "check"),
    "assets": (PYTHON, "-m", "scripts.web", "build"),
    "sizes": (PYTHON, "-m", "scripts.web", "size"),
}


def main() -> int:
    """Return 0 if all passed; print the output of those that did not."""
    failed = [name for name, command in CHECKS.items() if check(name, command)]
    return int(bool(failed))


def check(name: str, command: tuple[object, ...]) -> bool:
    """Run one check; return whether it failed."""
    began = time.monotonic()
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    verdict = "FAILED" if done.returncode else "ok"
    print(f"{name:8} {verdict:6} {time.monotonic() - began:5.1f} s", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr, flush=True)
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main())

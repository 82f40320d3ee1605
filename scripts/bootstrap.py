"""Make `.venv` and install what is pinned: `python3 -m scripts.bootstrap run|dev`.

Any Python 3.11 or newer will do. A second call finds its stamps and is soon done.
"""

from __future__ import annotations

import importlib.util
import sys

from scripts.shared import (
    PYTHON,
    ROOT,
    VENV,
    apt_install,
    call,
    digest,
    is_fresh,
    python_version,
    run,
    say,
    stop,
)

LOCKS = {"run": "requirements.txt", "dev": "requirements-dev.txt"}


def main(kind: str) -> None:
    """Bring `.venv` to the state that the lock of `kind` describes."""
    if sys.version_info < (3, 11):
        stop(f"Python 3.11 or newer is needed, this is {python_version()}; name another with PYTHON=…")
    make_venv()
    # The lock for development holds all of the other, at the same versions.
    wanted = {name: digest([ROOT / lock, ROOT / "pyproject.toml"]) for name, lock in LOCKS.items()}
    if not any(is_fresh(VENV / f".installed-{name}", wanted[name]) for name in {kind, "dev"}):
        install(LOCKS[kind])
        (VENV / f".installed-{kind}").write_text(wanted[kind])
    # The editable install does this too, but is not repeated where only a definition has changed.
    run(PYTHON, "-m", "scripts.proto")


def make_venv() -> None:
    """Make `.venv` unless it works already. Debian keeps what this needs in a package of its own."""
    if PYTHON.is_file() and call(PYTHON, "-c", "import pip") == 0:
        return
    if importlib.util.find_spec("ensurepip") is None:
        apt_install(f"python{python_version()}-venv", "making .venv")
    say("making .venv")
    run(sys.executable, "-m", "venv", "--clear", VENV)


def install(lock: str) -> None:
    """Install the locked packages, each checked against its hash, and this project in place."""
    say(f"installing {lock} into .venv")
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-input")
    run(*pip, "--require-hashes", "-r", lock)
    run(*pip, "--no-deps", "--no-build-isolation", "-e", ".")


if __name__ == "__main__":
    main(sys.argv[1])

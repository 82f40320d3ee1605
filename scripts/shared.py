"""What the scripts share. Standard library only: `bootstrap` runs before anything is installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def say(text: str) -> None:
    """Tell the person at the terminal what happens next; in order with the output of the programs run."""
    print(f"» {text}", flush=True)


def stop(text: str) -> NoReturn:
    """End the script with one line that says what is missing."""
    raise SystemExit(f"unique-cs: {text}")


def run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
    """Run a program; where it fails, end the script with its exit code."""
    code = call(*command, cwd=cwd, env=env)
    if code:
        raise SystemExit(code)


def call(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> int:
    """Run a program and return its exit code."""
    return subprocess.run([str(part) for part in command], cwd=cwd, env=env, check=False).returncode


def digest(files: Iterable[Path]) -> str:
    """Name the contents of files, in their order, so that any change of text, name or set shows."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(ROOT)}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def is_fresh(stamp: Path, value: str) -> bool:
    """Whether the work that `stamp` stands for was done for `value`."""
    return stamp.is_file() and stamp.read_text() == value


def apt_install(package: str, needed_for: str) -> None:
    """Install a Debian package as root; otherwise end with one line that names it."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        stop(f"{needed_for} needs {package}, which is missing; as root: apt-get install {package}")
    say(f"installing {package} for {needed_for}")
    # In runlevel 1 Debian's packages start no service: what runs is the caller's own.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for words in (("update",), ("install", "-y", "--no-install-recommends", package)):
        subprocess.run(["apt-get", "-qq", *words], env=env, stdout=subprocess.DEVNULL, check=True)


def python_version() -> str:
    """Name the running interpreter as Debian's packages do."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"

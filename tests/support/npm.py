"""Packages of npm for the tests of clients that others wrote."""

import shutil
import subprocess
from pathlib import Path

from scripts.web import node_environment

_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def node() -> str:
    """Node's path: the machine's where that is new enough, else one that is installed for this project."""
    return _program("node")


def install(home: Path, *packages: str) -> Path:
    """The folder `node_modules` below `home`, with these packages; they are fetched once."""
    stamp = home / ".installed"
    if not stamp.is_file() or stamp.read_text() != " ".join(packages):
        command = [_program("npm"), "install", "--prefix", str(home), *_QUIET, *packages]
        subprocess.run(command, check=True, timeout=120, env=node_environment())
        stamp.write_text(" ".join(packages))
    return home / "node_modules"


def _program(name: str) -> str:
    found = shutil.which(name, path=node_environment()["PATH"])
    assert found is not None
    return found

"""Tools that read charts and compose files, in a venv of their own: they are large."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".cache" / "deploy" / "tools"
LOCK = ROOT / "requirements-deploy.txt"


def tool(name: str) -> Path:
    """A program of the venv. Makes it at first; skips the test where the packages can't be had."""
    stamp = VENV / ".installed"
    if not stamp.is_file() or stamp.read_text() != LOCK.read_text():
        _install()
        stamp.write_text(LOCK.read_text())
    return VENV / "bin" / name


def ask(script: str, question: Any) -> Any:
    """Run a script with the venv's Python, a question as JSON on standard input; return its answer."""
    done = subprocess.run(
        [tool("python"), "-c", script],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def _install() -> None:
    uv = Path(sys.executable).with_name("uv")
    shutil.rmtree(VENV, ignore_errors=True)
    for words in (
        ("venv", "--quiet", "--python", sys.executable, str(VENV)),
        (
            "pip",
            "install",
            "--quiet",
            "--python",
            str(VENV / "bin" / "python"),
            "--require-hashes",
            "-r",
            str(LOCK),
        ),
    ):
        done = subprocess.run([uv, *words], capture_output=True, text=True, check=False, timeout=900)
        if done.returncode:
            pytest.skip(f"the tools of requirements-deploy.txt can't be installed: {done.stderr[-500:]}")

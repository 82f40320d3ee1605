"""Programs of Debian's packages for the tests that need them."""

import os
import shutil
import subprocess

import pytest

from scripts.shared import apt_install

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def program(name: str, package: str) -> str:
    """The path of a program. Installs its package as root; skips the test where it can't be had."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        try:
            apt_install(package, f"testing with {name}")
        except (SystemExit, subprocess.CalledProcessError) as error:
            pytest.skip(f"{name} is not installed (Debian: apt-get install {package}): {error}")
        found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.skip(f"{package} is installed and has no {name}")
    return found

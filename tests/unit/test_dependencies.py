"""What is imported is declared, and what is declared is used."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"unique_cs", "unique_cs_tcp", "tests", "scripts"}
BY_NAME = {"asyncmy"}
"""SQLAlchemy loads the driver that an address names."""
DISTRIBUTIONS = packages_distributions()


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~ ]", requirement)[0].lower() for requirement in requirements}


def imported(folder: str) -> set[str]:
    """Name the distributions that the modules of a folder import."""
    modules = {
        name.split(".")[0]
        for path in ROOT.glob(f"{folder}/**/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in names(node)
    }
    outside = modules - OURS - set(sys.stdlib_module_names)
    # What has no wheel for this machine is not installed; its name is that of its module.
    return {DISTRIBUTIONS.get(name, [name])[0].lower().replace("_", "-") for name in outside}


def names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


def test_the_program_needs_what_it_declares_and_nothing_else() -> None:
    assert imported("src") | BY_NAME == declared(PROJECT["dependencies"])


@pytest.mark.parametrize("folder", ["tests", "scripts"])
def test_what_tests_and_scripts_import_is_declared(folder: str) -> None:
    development = declared(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
    assert imported(folder) - {"hatchling"} <= development

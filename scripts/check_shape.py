"""Keep the code in small pieces: `python -m scripts.check_shape`.

Bounds: 60 lines a function, 400 lines a module (Python and TypeScript), and a median of 8 lines, without
docstrings, over the functions of `src`. There is no list of exceptions.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

from scripts.shared import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE, FUNCTION, MEDIAN = 400, 60, 8
Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    """Print what is too long; return 1 if anything is."""
    faults: list[str] = []
    lengths: list[int] = []
    for name in tracked("*.py", "*.ts", "*.tsx"):
        text = (ROOT / name).read_text()
        faults += long_module(name, text)
        if name.endswith(".py"):
            faults += long_functions(name, text)
        if name.startswith("src/"):
            lengths += [body_lines(function) for function in functions(text)]
    median = statistics.median(lengths or [0])
    if median > MEDIAN:
        faults.append(f"src: the median function has {median:g} lines, {MEDIAN} are the bound")
    print("\n".join(faults) or f"{len(lengths)} functions, median {median:g} lines")
    return int(bool(faults))


def tracked(*patterns: str) -> list[str]:
    """List the files that are, or are about to be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [name for name in listed if (ROOT / name).is_file()]


def functions(text: str) -> Iterator[Function]:
    """Find every function of a module, also nested ones."""
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, Function))


def long_module(name: str, text: str) -> list[str]:
    """Report a module over the bound."""
    lines = text.count("\n")
    return [f"{name}: {lines} lines, {MODULE} are the bound"] if lines > MODULE else []


def long_functions(name: str, text: str) -> list[str]:
    """Report the functions over the bound; all their lines count."""
    spans = [(node, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions(text)]
    return [
        f"{name}:{node.lineno}: {node.name} has {span} lines, {FUNCTION} are the bound"
        for node, span in spans
        if span > FUNCTION
    ]


def body_lines(function: Function) -> int:
    """Count a function's lines without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


if __name__ == "__main__":
    sys.exit(main())

"""What a run says: a line while it works, a table and JSON at the end."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Row:
    """One measured bound. `kept` is None where the row only informs."""

    name: str
    bound: str
    value: str
    kept: bool | None
    details: dict[str, Any] = field(default_factory=dict)


class Progress:
    """Tells on standard error what goes on; on a terminal in one line, else once in ten seconds."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()

    @contextmanager
    def stage(self, name: str, state: Callable[[], str] = str) -> Iterator[None]:
        """Show `state()` every so often while the block runs."""
        began, over = time.monotonic(), threading.Event()
        watcher = threading.Thread(target=self._watch, args=(name, state, began, over), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            self._say(f"{name}: {state()} in {time.monotonic() - began:.1f} s", last=True)

    def _watch(self, name: str, state: Callable[[], str], began: float, over: threading.Event) -> None:
        while not over.wait(0.5 if self._live else 10.0):
            self._say(f"{name}: {state()} after {time.monotonic() - began:.0f} s", last=False)

    def _say(self, line: str, *, last: bool) -> None:
        if self._quiet:
            return
        start, end = ("\r\x1b[K", "\n" if last else "") if self._live else ("", "\n")
        print(f"{start}  {line}", end=end, file=sys.stderr, flush=True)


def table(rows: list[Row]) -> str:
    """The rows for people."""
    marks = {True: "kept", False: "MISSED", None: ""}
    cells = [("what", "bound", "measured", "")]
    cells += [(row.name, row.bound, row.value, marks[row.kept]) for row in rows]
    widths = [max(len(cell[i]) for cell in cells) for i in range(4)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(cell, widths, strict=True)) for cell in cells]
    return "\n".join(line.rstrip() for line in (lines[0], "-" * len(lines[0]), *lines[1:]))


def as_json(rows: list[Row], machine: dict[str, Any]) -> str:
    """The same for programs, with every detail."""
    return json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2)

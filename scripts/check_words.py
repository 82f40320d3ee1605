"""One word a concept: `python -m scripts.check_words` finds banned synonyms in the names that `src` defines.

The words are those of docs/reference/glossary.md. Names of libraries and of standards are not definitions and
are not looked at.
"""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING

from scripts.check_shape import tracked
from scripts.shared import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTEAD = {
    "tenant": "account",
    "workspace": "account",
    "org": "account",
    "customer": "contact",
    "operator": "agent",
    "staff": "agent",
    "ticket": "conversation",
    "chatroom": "conversation",
    "room": "conversation",
    "macro": "canned response",
    "tag": "label",
    "packet": "frame",
}
# MQTT calls its unit a packet, so does MySQL; Redis Cluster has hash tags.
ALLOWED = {
    ("src/unique_cs/cluster/shard.py", "tag"),
    ("src/unique_cs/storage/mysql.py", "packet"),
    ("src/unique_cs/protocol/mqtt.py", "packet"),
    ("src/unique_cs/protocol/mqtt_packets.py", "packet"),
}


def main() -> int:
    """Print each name with a banned word; return 1 if there is one."""
    faults = [
        f"{file}:{line}: {name}: say {INSTEAD[word]!r}, not {word!r}"
        for file in tracked("src/*.py")
        for line, name, word in banned((ROOT / file).read_text())
        if (file, word) not in ALLOWED
    ]
    print("\n".join(faults) or "one word a concept")
    return int(bool(faults))


def banned(text: str) -> Iterator[tuple[int, str, str]]:
    """Give line, name and word for every banned word in a name that the text defines."""
    for node in ast.walk(ast.parse(text)):
        name = defined(node)
        for word in words(name):
            singular = word.removesuffix("s")
            if singular in INSTEAD:
                yield getattr(node, "lineno", 0), name, singular


def defined(node: ast.AST) -> str:
    """Name what a node defines: a class, a function, an argument, a variable; else the empty string."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    if isinstance(node, ast.arg):
        return node.arg
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else ""


def words(name: str) -> list[str]:
    """Split a name of either style: `find_ticket`, `TicketFinder`."""
    return [part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


if __name__ == "__main__":
    sys.exit(main())

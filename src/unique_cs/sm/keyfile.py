"""The file of an identity key: 64 hexadecimal digits, readable by its owner only."""

import os
from pathlib import Path

from unique_cs.sm.sm2 import Draw, Key, key_of, make_key


def read_key(path: Path) -> Key:
    """The key in a file. Raises `OSError`, and `ValueError` if it holds none."""
    text = path.read_text("ascii").strip()
    if len(text) != 64:
        raise ValueError("a key is 64 hexadecimal digits")
    return key_of(int(text, 16))


def read_or_make_key(path: Path, draw: Draw) -> Key:
    """The key in a file, which is made with mode 0600 and flushed if it is not there."""
    try:
        return read_key(path)
    except FileNotFoundError:
        key = make_key(draw)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{key.private:064x}\n")
        file.flush()
        os.fsync(file.fileno())
    # Two that start at once end with the same key: the first link counts.
    try:
        os.link(fresh, path)
    except FileExistsError:
        key = read_key(path)
    fresh.unlink()
    return key

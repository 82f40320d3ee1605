"""What a fuzz target is, and how it cuts its input."""

from collections.abc import Callable, Iterator
from typing import NamedTuple


class Target(NamedTuple):
    """One decoder: `run` raises where a promise is broken; `seeds` are inputs that it knows."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def pieces(data: bytes, size: int) -> list[bytes]:
    """The reads that the bytes come in: of `size` bytes each, or one where it is 0."""
    if not size:
        return [data]
    return [data[at : at + size] for at in range(0, len(data), size)]


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The bytes as pairs of one byte and a short field, so that a mutation seldom breaks all that follows."""
    at = 0
    while at + 2 <= len(data):
        size = data[at + 1]
        yield data[at], data[at + 2 : at + 2 + size]
        at += 2 + size


def as_records(items: list[tuple[int, bytes]]) -> bytes:
    """What `records` reads, for seeds; fields over 255 bytes are cut."""
    return b"".join(bytes((first, min(255, len(field)))) + field[:255] for first, field in items)

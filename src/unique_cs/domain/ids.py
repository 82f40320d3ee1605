"""Snowflake ids: 41 bits of milliseconds, 10 bits of node number, 12 bits of sequence."""

EPOCH_MS = 1_704_067_200_000
"""2024-01-01T00:00:00Z; 41 bits of milliseconds last until 2093."""

MAX_NODE = 1023
_SEQUENCE_BITS = 12
_NODE_BITS = 10
_TIME_SHIFT = _SEQUENCE_BITS + _NODE_BITS
_MAX_SEQUENCE = (1 << _SEQUENCE_BITS) - 1


class CeilingReached(Exception):
    """The node may not make ids of that time yet: its ceiling must be raised durably first."""


class Snowflake:
    """Strictly increasing 64-bit ids of one node.

    A clock that is set back does not repeat ids: the generator goes on from the last millisecond
    it used and, when the 4,096 ids of a millisecond are used up, borrows the next one. It never
    issues at or above `ceiling_ms`, which the holder of the node number keeps stored ahead of the
    clock; a later holder starts at the stored ceiling, so no id can repeat after a restart.
    """

    __slots__ = ("_last_ms", "_node", "_sequence", "ceiling_ms")

    def __init__(self, node: int, *, floor_ms: int = 0, ceiling_ms: int = 1 << 62) -> None:
        """Issue ids later than `floor_ms` (Unix milliseconds) as node `node` (0 to 1023)."""
        if not 0 <= node <= MAX_NODE:
            raise ValueError(f"node must be 0 to {MAX_NODE}, not {node}")
        self._node = node << _SEQUENCE_BITS
        self._last_ms = floor_ms
        self._sequence = _MAX_SEQUENCE if floor_ms else -1
        self.ceiling_ms = ceiling_ms

    def next(self, now_ms: int) -> int:
        """Return the next id. Raises `CeilingReached` when `ceiling_ms` forbids it."""
        millisecond, sequence = self._last_ms, self._sequence + 1
        if now_ms > millisecond:
            millisecond, sequence = now_ms, 0
        elif sequence > _MAX_SEQUENCE:
            millisecond, sequence = millisecond + 1, 0
        if millisecond >= self.ceiling_ms:
            # Nothing is kept of a time that was refused: the clock may have jumped, and may jump back.
            raise CeilingReached
        self._last_ms, self._sequence = millisecond, sequence
        return (millisecond - EPOCH_MS) << _TIME_SHIFT | self._node | sequence


def time_ms(snowflake: int) -> int:
    """Return the Unix milliseconds in an id."""
    return (snowflake >> _TIME_SHIFT) + EPOCH_MS


def parse(text: str) -> int:
    """Return the id that `text` names, or 0 (never issued) if it is not 1 to 19 digits, the first not 0."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 and text[0] != "0" else 0

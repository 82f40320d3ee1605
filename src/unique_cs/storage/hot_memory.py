"""The hot tier in memory, with the crash that a test asks for."""

from bisect import bisect_left, insort
from collections.abc import Sequence

from unique_cs.errors import StorageUnavailable


class MemoryHot:
    """`Hot` in memory. `crash` loses what was not flushed, as a power failure would.

    `fail` set to an exception makes `write`, `flush` and `reopen` raise it; `free` is what `space` says.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._undo: list[tuple[bytes, bytes | None]] = []
        self.fail: Exception | None = None
        self.free = 1 << 40
        self._away = False

    def write(self, puts: Sequence[tuple[bytes, bytes]], deletes: Sequence[bytes] = ()) -> None:
        """Apply the batch, or raise `fail` and apply nothing."""
        if self.fail is not None:
            raise self.fail
        for key, value in puts:
            self._undo.append((key, self._rows.get(key)))
            self._set(key, value)
        for key in deletes:
            self._undo.append((key, self._rows.get(key)))
            self._set(key, None)

    def _set(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self._rows.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
            return
        if key not in self._rows:
            insort(self._keys, key)
        self._rows[key] = value

    def flush(self) -> None:
        """Make everything written so far survive `crash`."""
        if self.fail is not None:
            raise self.fail
        self._undo.clear()

    def _check_open(self) -> None:
        if self._away:
            raise StorageUnavailable("the store is being opened again")

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        self._check_open()
        return self._rows.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values in the order of `keys`."""
        self._check_open()
        return [self._rows.get(key) for key in keys]

    def scan(
        self, start: bytes, end: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` rows with start <= key < end; from the end downwards if `reverse`."""
        self._check_open()
        low, high = bisect_left(self._keys, start), bisect_left(self._keys, end)
        keys = (
            self._keys[max(low, high - limit) : high][::-1]
            if reverse
            else self._keys[low : min(high, low + limit)]
        )
        return [(key, self._rows[key]) for key in keys]

    def space(self) -> tuple[int, int]:
        """What `free` says, of twice as much."""
        return self.free, 2 * self.free

    def crash(self) -> None:
        """Lose what was not flushed."""
        for key, value in reversed(self._undo):
            self._set(key, value)
        self._undo.clear()

    def reopen(self) -> None:
        """Lose what was not flushed, as a process that read back from disk would see it."""
        self._away = self.fail is not None
        if self.fail is not None:
            raise self.fail
        self.crash()

    def close(self) -> None:
        """Flush; whoever reads afterwards is the next process."""
        self._undo.clear()
        self._away = False

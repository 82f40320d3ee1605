"""How far somebody has read is told at once, then at most once a second: more are merged."""

import asyncio
from collections.abc import Callable
from typing import Final

PACE_S: Final = 1.0

Key = tuple[int, str, str, str]
"""The conversation, the actor's kind and id, and the signal's name."""


class Receipts:
    """Keeps a key for a second after it was told, and what has to be told at the end of it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._later: dict[Key, Callable[[], None] | None] = {}

    def tell(self, key: Key, say: Callable[[], None]) -> None:
        """Say it now, or at the end of the second that the last one began; of several the newest counts."""
        if key in self._later:
            self._later[key] = say
            return
        say()
        self._later[key] = None
        self._loop.call_later(PACE_S, self._end, key)

    def _end(self, key: Key) -> None:
        say = self._later.pop(key)
        if say is not None:
            self.tell(key, say)

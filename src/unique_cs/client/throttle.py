"""Signals that the protocol allows only so often: the newest of each kind waits its turn. Pure."""

from collections.abc import Iterator

from unique_cs.client.state import Frame

# Seconds between two signals of one kind in one conversation.
_INTERVAL = {"typing": 2.0, "read": 1.0, "delivered": 1.0}
_Key = tuple[str, str]


class Throttle:
    """Holds back what comes too early and merges it: of cursors the highest, of typing the newest."""

    def __init__(self) -> None:
        self._last: dict[_Key, float] = {}
        self._waiting: dict[_Key, Frame] = {}

    def offer(self, frame: Frame) -> None:
        key = (frame["type"], frame["conversation"])
        waiting = self._waiting.get(key)
        if waiting is None or waiting.get("seq", 0) <= frame.get("seq", 0):
            self._waiting[key] = frame

    def due(self, now: float) -> Iterator[Frame]:
        for key in [key for key in self._waiting if self._ready_at(key) <= now]:
            self._last[key] = now
            yield self._waiting.pop(key)

    def deadline(self) -> float | None:
        return min((self._ready_at(key) for key in self._waiting), default=None)

    def disconnected(self) -> None:
        """Typing is lost with the connection; cursors go out over the next one."""
        self._waiting = {key: frame for key, frame in self._waiting.items() if key[0] != "typing"}

    def _ready_at(self, key: _Key) -> float:
        last = self._last.get(key)
        return float("-inf") if last is None else last + _INTERVAL[key[0]]

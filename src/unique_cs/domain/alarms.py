"""When a measured value becomes an incident, and when that is over. Pure: times come in as arguments."""

from typing import Any, Final

from msgspec import Struct

CLEAR: Final = 0.8
"""An incident is over when the value was below this part of the threshold for long enough.

So a value that swings around its threshold is one incident.
"""

NAMES: Final = ("waiting", "oldest_wait", "undelivered", "relay_lag", "redis_memory")


class Alarm(Struct, frozen=True):
    """An incident: `value` reached `threshold` at `since` (ms). `until` (ms) is set where it is over."""

    name: str
    raised: bool
    value: float
    threshold: float
    since: int
    until: int = 0

    def data(self) -> dict[str, Any]:
        """What agents and receivers are told."""
        told: dict[str, Any] = {
            "alarm": self.name,
            "raised": self.raised,
            "value": self.value,
            "threshold": self.threshold,
            "since": self.since,
        }
        return told if self.raised else told | {"until": self.until}


class Gauge:
    """One thing that is watched: tells each incident twice, when it begins and when it is over."""

    def __init__(self, name: str, threshold: float, calm_ms: int, begun: Alarm | None = None) -> None:
        """A `threshold` of 0 never raises; an incident is over when all was well for `calm_ms`.

        `begun` is the incident that somebody else has told of.
        """
        self.name = name
        self._threshold = threshold
        self._calm_ms = calm_ms
        self._begun = begun
        self._calm_since: int | None = None

    def look(self, value: float, now_ms: int) -> Alarm | None:
        """Take a value; return what has to be told now."""
        if self._begun is None:
            return self._begin(value, now_ms) if 0 < self._threshold <= value else None
        if self._threshold and value >= CLEAR * self._threshold:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now_ms
        # A clock that was set back must not keep an incident open for that long.
        elif not 0 <= now_ms - self._calm_since < self._calm_ms:
            return self._end(self._begun, value, now_ms)
        return None

    def _begin(self, value: float, now_ms: int) -> Alarm:
        self._begun = Alarm(self.name, True, value, self._threshold, now_ms)
        return self._begun

    def _end(self, begun: Alarm, value: float, now_ms: int) -> Alarm:
        self._begun = self._calm_since = None
        return Alarm(self.name, False, value, begun.threshold, begun.since, now_ms)

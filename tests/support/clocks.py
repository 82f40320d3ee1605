"""Clocks of nodes on one machine that do not agree."""

import time


class OwnClock:
    """The machine's clocks, off by what the test says: `wall_ms`, and `seconds` of monotonic time."""

    def __init__(self) -> None:
        self.wall_ms = 0
        self.seconds = 0.0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.wall_ms

    def monotonic(self) -> float:
        return time.monotonic() + self.seconds

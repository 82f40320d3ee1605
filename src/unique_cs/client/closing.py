"""What to do after a connection ended: the table of close codes, and the back-off."""

import random
from dataclasses import dataclass
from enum import Enum

from unique_cs.client.outputs import Halt


class Return(Enum):
    """When to come back after a close."""

    BACK_OFF = "back-off"
    ONCE = "once"


_TABLE: dict[int, Return | Halt] = {
    4400: Halt.WRONG,
    4401: Halt.TOKEN,
    4403: Halt.WRONG,
    4408: Return.BACK_OFF,
    4409: Return.ONCE,
    4413: Halt.WRONG,
}


def after_close(code: int | None) -> Return | Halt:
    """Codes that are unknown or missing count as 4500: come back."""
    return _TABLE.get(code or 4500, Return.BACK_OFF)


@dataclass(slots=True)
class Backoff:
    """Full jitter: a delay drawn evenly from 0 to a bound that doubles with each failure (seconds)."""

    rng: random.Random
    base: float = 0.5
    cap: float = 30.0
    _failures: int = 0

    def delay(self, after_ms: int = 0) -> float:
        """The next wait: what the server asked for, and a drawn delay on top."""
        bound = min(self.cap, self.base * 2.0**self._failures)
        self._failures = min(self._failures + 1, 30)
        return after_ms / 1000 + self.rng.uniform(0, bound)

    def reset(self) -> None:
        self._failures = 0

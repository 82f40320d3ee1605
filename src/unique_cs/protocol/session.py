"""The session: the logical client, which outlives connections. Pure; the store loads and keeps it."""

from enum import Enum
from typing import Final

from unique_cs.domain.permission import Principal

MAX_IN_FLIGHT: Final = 256
"""Sends without an answer, and stored answers that a repeat can still get."""


class Verdict(Enum):
    """What to do with a send, by its number alone."""

    TAKE = 1
    REPEAT = 2
    FORGOTTEN = 3
    OUT_OF_ORDER = 4
    FULL = 5


class Session:
    """Numbers of one session.

    `n` is the highest number taken and `settled` the highest with a durable answer: answers become
    durable in the order of `n`, so everything between the two is in flight. `c` is the highest
    count of connections; `resumed` says whether the session was stored before. `connection` is whoever
    holds the session now.
    """

    __slots__ = ("__weakref__", "c", "connection", "key", "n", "principal", "resumed", "settled")

    def __init__(self, key: bytes, principal: Principal, *, c: int = 0, n: int = 0) -> None:
        self.key = key
        self.principal = principal
        self.c = c
        self.n = n
        self.settled = n
        self.resumed = False
        self.connection: object = None

    @property
    def id(self) -> str:
        """The id that the client knows."""
        return "s_" + self.key.hex()

    @property
    def expected(self) -> int:
        """The only number that can be taken now."""
        return self.n + 1

    def check(self, n: int) -> Verdict:
        """Judge a send by its number."""
        if n == self.n + 1:
            return Verdict.TAKE if n - self.settled <= MAX_IN_FLIGHT else Verdict.FULL
        if n > self.n:
            return Verdict.OUT_OF_ORDER
        return Verdict.REPEAT if n > self.n - MAX_IN_FLIGHT else Verdict.FORGOTTEN

    def accept_acked(self, acked: int) -> None:
        """The client has final answers up to `acked`: raise the own count to it."""
        self.n = max(self.n, acked)
        self.settled = max(self.settled, min(acked, self.n))

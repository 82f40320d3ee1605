"""Facts of an installation that are made once, and its ids: epoch, secret, and the Snowflake's ceiling."""

from collections.abc import Callable
from secrets import token_bytes, token_hex
from time import gmtime

from unique_cs.domain.ids import EPOCH_MS, CeilingReached, Snowflake
from unique_cs.errors import Code, StorageUnavailable, UniqueCsError
from unique_cs.ports import Clock
from unique_cs.storage import keys
from unique_cs.storage.group import GroupCommit
from unique_cs.storage.hot import Hot

AHEAD_MS = 30_000
"""How far the stored ceiling is ahead of the clock when it is raised."""


def fact(hot: Hot, name: str, make: Callable[[], bytes]) -> bytes:
    """Return the fact `name`; it is made and stored durably if the installation has none yet."""
    found = hot.get(keys.fact(name))
    if found is None:
        found = make()
        hot.write([(keys.fact(name), found)])
        hot.flush()
    return found


def epoch_of(hot: Hot) -> str:
    """The name of this store's numbering; a store that is made anew has another."""
    return fact(hot, "epoch", lambda: token_hex(6).encode()).decode()


def renew_epoch(hot: Hot) -> str:
    """Name the numbering anew, as after a restored backup: places that were given since are given again."""
    epoch = token_hex(6)
    hot.write([(keys.fact("epoch"), epoch.encode())])
    hot.flush()
    return epoch


def secret_of(hot: Hot) -> bytes:
    """The installation's secret, 32 random bytes; it signs contact tokens."""
    return fact(hot, "secret", lambda: token_bytes(32))


class IdSource:
    """Ids of this node. The ceiling is stored ahead of use, so a restart or a set-back clock repeats none."""

    def __init__(self, hot: Hot, clock: Clock, node: int = 0) -> None:
        """Raises the stored ceiling durably before it returns; `internal` where the clock is not set."""
        if clock.now_ms() < EPOCH_MS:
            year = gmtime(clock.now_ms() // 1000).tm_year
            raise UniqueCsError(Code.INTERNAL, f"the clock of this machine says {year}; set it, then start")
        stored = hot.get(keys.fact("ceiling"))
        floor = int.from_bytes(stored, "big") if stored else 0
        self._clock = clock
        self._ceiling = max(clock.now_ms(), floor) + AHEAD_MS
        hot.write([(keys.fact("ceiling"), self._ceiling.to_bytes(8, "big"))])
        hot.flush()
        self._snowflake = Snowflake(node, floor_ms=floor, ceiling_ms=self._ceiling)

    def next(self, now_ms: int) -> int:
        """Return the next id; raises `StorageUnavailable` while the ceiling is being raised."""
        try:
            return self._snowflake.next(now_ms)
        except CeilingReached:
            raise StorageUnavailable("the clock jumped; ids are being secured", 200) from None

    def raise_ceiling(self, group: GroupCommit) -> None:
        """Raise the ceiling; it is used once it is durable. Call at least each 10 s."""
        ceiling = self._clock.now_ms() + AHEAD_MS
        if ceiling <= self._ceiling:
            return
        group.put(keys.fact("ceiling"), ceiling.to_bytes(8, "big"))
        group.then(lambda: self._raised(ceiling))

    def _raised(self, ceiling: int) -> None:
        self._ceiling = max(self._ceiling, ceiling)
        self._snowflake.ceiling_ms = self._ceiling

"""This node's second copy of what Redis placed for it, until the cold tier has it and a day has passed."""

from collections.abc import Iterator
from typing import Final

from unique_cs.cluster import log
from unique_cs.cluster.commit import JOURNAL
from unique_cs.cluster.log import Record
from unique_cs.storage import keys
from unique_cs.storage.group import GroupCommit
from unique_cs.storage.hot import Hot
from unique_cs.storage.installation import fact

_SETTLED: Final = "settled"

PAGE: Final = 200
"""Rows that are read at once."""

TRIMMED: Final = 20_000
"""Rows that are deleted at once."""


class Journal:
    """Rows by their place in the log. `id` names the journal, over restarts of the process."""

    def __init__(self, hot: Hot, group: GroupCommit, new_id: bytes) -> None:
        self._hot = hot
        self._group = group
        self.id = fact(hot, "journal", lambda: new_id).decode()
        self.settled = int.from_bytes(hot.get(keys.fact(_SETTLED)) or b"", "big")

    def settle(self, place: int) -> None:
        """Everything up to a place is in the cold tier."""
        if place > self.settled:
            self.settled = place
            self._group.put(keys.fact(_SETTLED), place.to_bytes(8, "big"))

    def unsettled(self, archived: int) -> Iterator[list[Record]]:
        """The records that the cold tier may not have, in order, page by page.

        What it has, it has up to `archived`: one that was restored from a backup has less than was settled.
        """
        return self._records(_key(min(self.settled, archived) + 1), keys.after(JOURNAL))

    def between(self, after: int, upto: int) -> Iterator[list[Record]]:
        """The records above a place, up to another, in order, page by page."""
        return self._records(_key(after + 1), _key(upto + 1))

    def _records(self, start: bytes, end: bytes) -> Iterator[list[Record]]:
        while found := self._hot.scan(start, end, PAGE):
            yield [record for _, row in found for record in log.decode(row)]
            start = found[-1][0] + b"\0"

    def last(self) -> int:
        """The place of the newest row; 0 if there is none."""
        found = self._hot.scan(JOURNAL, keys.after(JOURNAL), 1, reverse=True)
        return keys.number_at(found[0][0]) if found else 0

    async def trim(self, archived: int, old: int) -> int:
        """Delete rows up to a place that are archived and old; return how many went."""
        found = self._hot.scan(JOURNAL, _key(min(old, archived, self.settled) + 1), TRIMMED)
        for key, _ in found:
            self._group.delete(key)
        if found:
            await self._group.durable()
        return len(found)


def _key(place: int) -> bytes:
    return JOURNAL + place.to_bytes(8, "big")

"""Makes a stopped server's events old, so that pages come from the cold tier."""

import time
from pathlib import Path

from unique_cs.node import Node
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.embedded import Embedded
from unique_cs.storage.hot import RocksHot
from unique_cs.storage.sqlite import SqliteDatabase
from unique_cs.storage.trim import HOUR_MS, Trimmer


class _Tomorrow:
    """The clock of a day later."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + 24 * HOUR_MS

    def monotonic(self) -> float:
        return time.monotonic()


async def trim(data: Path) -> int:
    """Trim everything that is archived from the hot tier of a server that is not running.

    Only the newest event of each conversation stays. Returns how many groups went.
    """
    database = await SqliteDatabase.open(data / "archive.sqlite")
    node = Node(Embedded(RocksHot(data / "hot"), SqlArchive(database), _Tomorrow()), _Tomorrow())
    trimmer = Trimmer(node.hot, node.group, SqlArchive(database), _Tomorrow(), 0, 3_650)
    groups, _ = await trimmer.run_once()
    await node.close()
    await database.close()
    return groups

"""Which hot and which cold tier belong together."""

from pathlib import Path

import pytest

from unique_cs.domain.people import Agent, Inbox
from unique_cs.errors import SettingsError
from unique_cs.storage import keys, stores
from unique_cs.storage.hot_memory import MemoryHot
from unique_cs.storage.records import SqlRecords
from unique_cs.storage.sqlite import SqliteDatabase


async def test_a_pair_that_met_stays_a_pair(tmp_path: Path) -> None:
    database = await SqliteDatabase.open(tmp_path / "a")
    hot = MemoryHot()
    for _ in range(2):
        await stores.bind(hot, database)
    assert stores.bound_to(hot) == await stores.fact_of(database, stores.ID) != ""
    await database.close()


async def test_other_pairs_are_refused(tmp_path: Path) -> None:
    first, second = [await SqliteDatabase.open(tmp_path / name) for name in "ab"]
    hot = MemoryHot()
    await stores.bind(hot, first)
    with pytest.raises(SettingsError, match="belongs to another database"):
        await stores.bind(hot, second)
    with pytest.raises(SettingsError, match="belongs to another data folder"):
        await stores.bind(MemoryHot(), first)
    await stores.bind(MemoryHot(), second)
    for each in (first, second):
        await each.close()


async def test_a_used_folder_is_not_bound_to_an_empty_database(tmp_path: Path) -> None:
    """As one that is older than bindings, and whose operator names a new database."""
    database = await SqliteDatabase.open(tmp_path / "a")
    hot = MemoryHot()
    hot.write([(keys.group(1), b"")])
    with pytest.raises(SettingsError, match="unique-cs move"):
        await stores.bind(hot, database)
    records = await SqlRecords.open(database)
    await records.first_start(Agent(1, "a@example.com", "A", "owner"), Inbox(2, "W", "k"))
    await stores.bind(hot, database)
    await database.close()


class Crash(Exception):
    pass


class DyingHot(MemoryHot):
    """Dies at one of its flushes, and keeps what was written before."""

    left = 0

    def flush(self) -> None:
        super().flush()
        self.left -= 1
        if self.left == 0:
            raise Crash


@pytest.mark.parametrize("flushes", [1, 2])
async def test_a_crash_while_they_are_bound_does_no_harm(tmp_path: Path, flushes: int) -> None:
    database = await SqliteDatabase.open(tmp_path / "a")
    hot = DyingHot()
    hot.left = flushes
    with pytest.raises(Crash):
        await stores.bind(hot, database)
    await stores.bind(hot, database)
    assert stores.bound_to(hot) == await stores.fact_of(database, stores.ID) != ""
    await database.close()


async def test_a_database_that_is_half_moved_is_refused(tmp_path: Path) -> None:
    database = await SqliteDatabase.open(tmp_path / "a")
    await database.write(lambda connection: stores.put_fact(connection, stores.MOVING, "s"))
    with pytest.raises(SettingsError, match="half filled"):
        await stores.bind(MemoryHot(), database)
    await database.close()

"""Facts of an installation, and ids that no restart and no clock repeats."""

import pytest

from tests.support.node import FakeClock, TestDisk
from unique_cs.domain.ids import EPOCH_MS, time_ms
from unique_cs.errors import StorageUnavailable, UniqueCsError
from unique_cs.ports import Entry
from unique_cs.storage.group import GroupCommit
from unique_cs.storage.hot_memory import MemoryHot
from unique_cs.storage.installation import AHEAD_MS, IdSource, epoch_of, secret_of


def settle(entries: list[Entry]) -> None:
    """Tell everybody who waits, as a timeline does."""
    for entry in entries:
        if entry.settle is not None:
            entry.settle(entry)


def test_facts() -> None:
    """Epoch and secret are made once and survive a power failure; another store has others."""
    disk = MemoryHot()
    epoch, secret = epoch_of(disk), secret_of(disk)
    disk.crash()
    assert (epoch_of(disk), secret_of(disk)) == (epoch, secret)
    assert len(secret) == 32
    other = MemoryHot()
    assert epoch_of(other) != epoch
    assert secret_of(other) != secret


def test_restart_repeats_nothing() -> None:
    """After crashes in quick succession, also with a clock that was set back, ids go on upwards."""
    disk, clock = TestDisk(), FakeClock()
    last = 0
    for step in (0, 0, -5_000, -86_400_000, 1_000):
        clock.wall_ms += step
        source = IdSource(disk, clock)
        for _ in range(9_000):
            made = source.next(clock.now_ms())
            assert made > last
            last = made
        disk = disk.after_power_failure()


def test_a_clock_that_is_not_set_is_refused() -> None:
    """Ids begin in 2024: before that a start says what is wrong."""
    disk, clock = TestDisk(), FakeClock()
    clock.wall_ms = -clock.now_ms()
    with pytest.raises(UniqueCsError, match="1970"):
        IdSource(disk, clock)
    clock.wall_ms += EPOCH_MS + 1_000
    assert IdSource(disk, clock).next(clock.now_ms()) > 0


async def test_ceiling() -> None:
    """Ids stop at the stored ceiling, and go on once a higher one is durable."""
    disk, clock = TestDisk(), FakeClock()
    source = IdSource(disk, clock)
    group = GroupCommit(disk, clock, settle)
    clock.wall_ms += AHEAD_MS
    with pytest.raises(StorageUnavailable) as raised:
        source.next(clock.now_ms())
    assert raised.value.retry_after_ms
    disk.hold()
    source.raise_ceiling(group)
    with pytest.raises(StorageUnavailable):
        source.next(clock.now_ms())
    disk.release()
    await group.drain()
    assert time_ms(source.next(clock.now_ms())) == clock.now_ms()
    group.close()


async def test_ceiling_is_never_lowered() -> None:
    """A clock that was set back lowers no ceiling: the next process begins above."""
    disk, clock = TestDisk(), FakeClock()
    source = IdSource(disk, clock)
    group = GroupCommit(disk, clock, settle)
    last = source.next(clock.now_ms())
    clock.wall_ms -= 3_600_000
    source.raise_ceiling(group)
    await group.drain()
    assert IdSource(disk, clock).next(clock.now_ms()) > last
    group.close()

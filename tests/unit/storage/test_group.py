"""Group commit: one batch and one flush for what a tick asked for, in order."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.node import DEADLINE_S, FakeClock, TestDisk, turns
from tests.support.tiers import Tiers
from unique_cs.errors import OutcomeUnknown, StorageUnavailable
from unique_cs.ports import Entry
from unique_cs.storage.group import GroupCommit


class Counting(TestDisk):
    """Counts batches and flushes."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def write(self, puts: Sequence[tuple[bytes, bytes]], deletes: Sequence[bytes] = ()) -> None:
        self.batches.append(len(puts))
        super().write(puts, deletes)


@pytest.fixture
def disk() -> Counting:
    return Counting()


def settle(entries: list[Entry]) -> None:
    """Tell everybody who waits, as a timeline does."""
    for entry in entries:
        if entry.settle is not None:
            entry.settle(entry)


def collect(group: GroupCommit, key: bytes) -> None:
    """Ask for one row."""
    group.put(key, b"")


async def test_a_tick_is_a_group(disk: Counting) -> None:
    """Everything asked for in one tick is one batch; what comes while it is flushed is the next."""
    told: list[str] = []

    def tell(entries: list[Entry]) -> None:
        told.append(f"{len(entries)} entries")
        settle(entries)

    group = GroupCommit(disk, FakeClock(), tell)
    disk.hold()
    for number in range(5):
        collect(group, b"%d" % number)
    group.then(lambda: told.append("first"))
    await turns(3)
    assert disk.batches == [5]
    for number in range(7):
        collect(group, b"x%d" % number)
    group.then(lambda: told.append("second"))
    await turns(3)
    assert disk.batches == [5]
    assert told == []
    disk.release()
    await group.drain()
    assert disk.batches == [5, 7]
    assert told == ["0 entries", "first", "1 entries", "second"]
    group.close()


async def test_durable(disk: Counting) -> None:
    """`durable` returns when the flush has, and `drain` when nothing is left."""
    group = GroupCommit(disk, FakeClock(), settle)
    disk.hold()
    collect(group, b"a")
    waiting = group.durable()
    await turns(5)
    assert not waiting.done()
    disk.release()
    await waiting
    disk.crash()
    assert disk.get(b"a") == b""
    await group.drain()
    group.close()


async def test_a_deaf_subscriber(disk: Counting) -> None:
    """A subscriber that fails does not stop the groups that follow."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))

    def broken(entries: list[Entry]) -> None:
        if any(entry.payload for entry in entries):
            raise ZeroDivisionError
        settle(entries)

    group = GroupCommit(disk, FakeClock(), broken)
    disk.hold()
    group.record(Entry(None, None, b"x", 0), b"e" + bytes(16), b"")
    await turns(3)
    collect(group, b"after")
    waiting = group.durable()
    disk.release()
    await waiting
    assert [type(each) for each in failures] == [ZeroDivisionError]
    group.close()


async def test_refusals(disk: Counting) -> None:
    """A reason to refuse is told; a failure outweighs it, and it comes back after the recovery."""
    group = GroupCommit(disk, FakeClock(), settle)
    group.block("nearly full")
    with pytest.raises(StorageUnavailable, match="nearly full"):
        group.admit()
    disk.fail = OSError("no")
    with pytest.raises(OutcomeUnknown):
        await group.durable()
    with pytest.raises(StorageUnavailable, match="opened again"):
        group.admit()
    disk.fail = None
    group.recovered()
    with pytest.raises(StorageUnavailable, match="nearly full"):
        group.admit()
    group.block("")
    group.admit()
    group.close()


async def test_a_panic_of_the_store_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a library in Rust raises is no `Exception`: nobody waits for ever, and the next flush works."""

    class Panic(BaseException):
        pass

    def flush() -> None:
        raise Panic

    disk = Counting()
    group = GroupCommit(disk, FakeClock(), settle)
    with monkeypatch.context() as broken:
        broken.setattr(disk, "flush", flush)
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(OutcomeUnknown):
                await group.durable()
    group.recovered()
    await group.durable()
    group.close()


async def test_what_was_asked_for_meanwhile_is_forgotten(disk: Counting) -> None:
    """Rows that were asked for between a failure and the recovery are not written after it."""
    group = GroupCommit(disk, FakeClock(), settle)
    disk.fail = OSError("no")
    with pytest.raises(OutcomeUnknown):
        await group.durable()
    collect(group, b"stale")
    group.delete(b"head")
    await group.drain()
    disk.fail = None
    group.recovered()
    collect(group, b"fresh")
    await group.drain()
    assert disk.get_many([b"stale", b"fresh"]) == [None, b""]
    group.close()


async def test_group_numbers_go_on(tiers: Tiers) -> None:
    """The next process numbers its groups after the last one's."""
    await tiers.talk(2)
    last = tiers.group.durable_number
    again = await tiers.again()
    assert again.group.number == last
    await again.ann()
    assert again.group.durable_number == last + 1
    await again.close()

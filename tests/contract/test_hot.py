"""The hot tier's promises, on every implementation."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unique_cs.errors import StorageUnavailable
from unique_cs.storage.hot import Hot, RocksHot
from unique_cs.storage.hot_memory import MemoryHot


def fill(hot: Hot, *keys: bytes) -> None:
    """Put these keys, each with itself as value."""
    hot.write([(key, key) for key in keys])


def found(hot: Hot, start: bytes, end: bytes, limit: int = 99, *, reverse: bool = False) -> list[bytes]:
    """The keys that a scan gives."""
    return [key for key, _ in hot.scan(start, end, limit, reverse=reverse)]


def test_get(hot: Hot) -> None:
    """A key gives its newest value; one that was never put, or was deleted, gives None."""
    hot.write([(b"a", b"1"), (b"b", b""), (b"a", b"2")])
    assert hot.get(b"a") == b"2"
    assert hot.get(b"b") == b""
    assert hot.get(b"c") is None
    hot.write([], [b"a", b"c"])
    assert hot.get(b"a") is None


def test_get_many(hot: Hot) -> None:
    """Values come in the order of the keys, None where there is none; no keys give nothing."""
    fill(hot, b"a", b"b")
    assert hot.get_many([b"b", b"x", b"a", b"b"]) == [b"b", None, b"a", b"b"]
    assert hot.get_many([]) == []


def test_batch(hot: Hot) -> None:
    """A batch applies its puts, then its deletes."""
    hot.write([(b"a", b"1"), (b"b", b"1")], [b"a"])
    assert hot.get_many([b"a", b"b"]) == [None, b"1"]
    hot.write([], [])


def test_scan(hot: Hot) -> None:
    """A scan gives start <= key < end in byte order, at most `limit`."""
    fill(hot, b"b", b"a", b"d", b"c", b"c\0", b"\xff")
    assert found(hot, b"a", b"d") == [b"a", b"b", b"c", b"c\0"]
    assert found(hot, b"aa", b"c") == [b"b"]
    assert found(hot, b"a", b"d", 2) == [b"a", b"b"]
    assert found(hot, b"a", b"a") == []
    assert found(hot, b"d", b"a") == []
    assert found(hot, b"a", b"d", 0) == []
    assert hot.scan(b"d", b"e", 9) == [(b"d", b"d")]


def test_scan_backwards(hot: Hot) -> None:
    """A reverse scan begins below `end` and goes down to `start`."""
    fill(hot, b"a", b"b", b"c", b"d", b"\xff")
    assert found(hot, b"b", b"d", reverse=True) == [b"c", b"b"]
    assert found(hot, b"a", b"d", 1, reverse=True) == [b"c"]
    assert found(hot, b"a", b"\xff\xff", 2, reverse=True) == [b"\xff", b"d"]
    assert found(hot, b"x", b"z", reverse=True) == []
    assert found(hot, b"a", b"d", 0, reverse=True) == []


def test_scan_after_a_write(hot: Hot) -> None:
    """A scan sees every write before it, whichever way it goes, and also after the store was opened again."""
    for number in range(1, 4):
        fill(hot, bytes([number]))
        assert found(hot, b"", b"\xff", reverse=True) == [bytes([each]) for each in range(number, 0, -1)]
    hot.write([], [b"\x03"])
    assert found(hot, b"", b"\x03", reverse=True) == [b"\x02", b"\x01"]
    assert found(hot, b"", b"\x04", reverse=True) == [b"\x02", b"\x01"]
    hot.flush()
    hot.reopen()
    assert found(hot, b"", b"\xff", 1, reverse=True) == [b"\x02"]


def test_scan_sees_no_deleted_rows(hot: Hot) -> None:
    """Deleted rows are in no scan."""
    fill(hot, b"a", b"b", b"c")
    hot.write([], [b"b"])
    assert found(hot, b"a", b"z") == [b"a", b"c"]
    assert found(hot, b"a", b"z", reverse=True) == [b"c", b"a"]


def test_reopen(hot: Hot) -> None:
    """After `reopen` everything that was flushed is there."""
    fill(hot, b"a")
    hot.flush()
    fill(hot, b"b")
    hot.reopen()
    assert hot.get(b"a") == b"a"
    assert hot.get(b"b") in {None, b"b"}
    fill(hot, b"c")
    hot.flush()
    assert hot.get(b"c") == b"c"


def test_space(hot: Hot) -> None:
    """`space` says how much is free, of how much."""
    free, total = hot.space()
    assert 0 < free <= total


KEYS = st.binary(min_size=1, max_size=3)


@settings(max_examples=15, deadline=None)
@given(
    batches=st.lists(
        st.tuples(st.dictionaries(KEYS, st.binary(max_size=2)), st.lists(KEYS, max_size=3)), max_size=4
    ),
    bounds=st.tuples(KEYS, KEYS),
    limit=st.integers(0, 5),
)
def test_twins(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[tuple[dict[bytes, bytes], list[bytes]]],
    bounds: tuple[bytes, bytes],
    limit: int,
) -> None:
    """Memory and RocksDB give the same after the same batches."""
    twins: list[Hot] = [MemoryHot(), RocksHot(tmp_path_factory.mktemp("hot"))]
    for twin in twins:
        for puts, deletes in batches:
            twin.write(list(puts.items()), deletes)
    for reverse in (False, True):
        one, two = (twin.scan(*bounds, limit, reverse=reverse) for twin in twins)
        assert one == two
    twins[1].close()


def test_process_ends_and_comes_back(tmp_path: Path) -> None:
    """What was closed in order is there for the next process."""
    first = RocksHot(tmp_path / "hot")
    fill(first, *(b"%05d" % number for number in range(1_000)))
    first.close()
    second = RocksHot(tmp_path / "hot")
    keys = found(second, b"0", b"9", 2_000)
    second.close()
    assert len(keys) == 1_000
    assert all(one < two for one, two in pairwise(keys))


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A folder that is in use can't be opened a second time."""
    first = RocksHot(tmp_path / "hot")
    with pytest.raises(Exception, match=r"(?i)lock"):
        RocksHot(tmp_path / "hot")
    first.close()


def refuses_to_be_read(hot: Hot) -> None:
    """A store that is away says so in words that a client may hear."""
    for read in (lambda: hot.get(b"a"), lambda: hot.get_many([b"a"]), lambda: hot.scan(b"a", b"z", 9)):
        with pytest.raises(StorageUnavailable) as raised:
            read()
        assert raised.value.retry_after_ms


def test_a_store_that_stays_away_can_be_closed(tmp_path: Path) -> None:
    """`close` after a `reopen` that failed does nothing."""
    folder = tmp_path / "hot"
    hot = RocksHot(folder)
    folder.rename(tmp_path / "away")
    folder.write_bytes(b"no folder")
    with pytest.raises(Exception, match=r"."):
        hot.reopen()
    hot.close()


def test_memory_is_away_too() -> None:
    """The memory twin refuses to be read after a `reopen` that failed, until one succeeds."""
    hot = MemoryHot()
    fill(hot, b"a")
    hot.flush()
    hot.fail = OSError("no")
    with pytest.raises(OSError, match="no"):
        hot.reopen()
    refuses_to_be_read(hot)
    hot.fail = None
    hot.reopen()
    assert hot.get(b"a") == b"a"


def test_reopen_is_tried_again(tmp_path: Path) -> None:
    """A `reopen` that failed, because the disk was away, succeeds once it is back."""
    folder = tmp_path / "hot"
    hot = RocksHot(folder)
    fill(hot, b"a")
    hot.flush()
    away = folder.rename(tmp_path / "away")
    folder.write_bytes(b"no folder")
    for _ in range(2):
        with pytest.raises(Exception, match=r"."):
            hot.reopen()
        refuses_to_be_read(hot)
    folder.unlink()
    away.rename(folder)
    hot.reopen()
    assert hot.get(b"a") == b"a"
    hot.close()


def test_memory_crash() -> None:
    """A crash of the memory twin loses exactly what was not flushed."""
    hot = MemoryHot()
    fill(hot, b"a", b"b")
    hot.flush()
    hot.write([(b"a", b"2"), (b"c", b"3")], [b"b"])
    hot.crash()
    assert hot.scan(b"a", b"z", 9) == [(b"a", b"a"), (b"b", b"b")]

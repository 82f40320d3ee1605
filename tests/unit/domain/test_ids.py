"""Snowflake ids: strictly increasing, whatever the clock does."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unique_cs.domain.ids import EPOCH_MS, MAX_NODE, CeilingReached, Snowflake, parse, time_ms

NOW = EPOCH_MS + 1_000_000


def test_ten_million_ids_without_repeat() -> None:
    """10,000,000 ids strictly increase while the clock runs, stands still and is set back: none repeats."""
    snowflake = Snowflake(7)
    make = snowflake.next
    last = 0
    for step in range(1_000):
        # 10,000 ids in 1 ms are more than fit; every tenth step the clock is set back a second.
        now = NOW + step * 3 - (1_000 if step % 10 == 0 else 0)
        for _ in range(10_000):
            made = make(now)
            if made <= last:
                pytest.fail(f"{made} after {last}")
            last = made
    assert last < 2**63


def test_parts() -> None:
    """An id holds 41 bits of milliseconds, 10 bits of node number and 12 bits of sequence."""
    snowflake = Snowflake(MAX_NODE)
    first, second = snowflake.next(NOW), snowflake.next(NOW)
    assert time_ms(first) == NOW
    assert first >> 12 & 1023 == MAX_NODE
    assert (first & 4095, second & 4095) == (0, 1)


def test_nodes_never_meet() -> None:
    """Two nodes make different ids at the same time."""
    one, two = Snowflake(1), Snowflake(2)
    assert not {one.next(NOW) for _ in range(5_000)} & {two.next(NOW) for _ in range(5_000)}


@pytest.mark.parametrize("node", [-1, MAX_NODE + 1])
def test_node_number(node: int) -> None:
    """A node number has 10 bits."""
    with pytest.raises(ValueError, match="node"):
        Snowflake(node)


@given(clock=st.lists(st.integers(0, 100), min_size=1, max_size=200))
def test_any_clock(clock: list[int]) -> None:
    """Ids strictly increase for any course of the clock."""
    snowflake = Snowflake(0)
    ids = [snowflake.next(NOW + now) for now in clock]
    assert ids == sorted(set(ids))


def test_floor() -> None:
    """A holder that begins at a floor makes ids beyond every id below it, also when its clock is behind."""
    old = Snowflake(0, ceiling_ms=NOW + 10)
    last = [old.next(NOW) for _ in range(10 * 4_096)][-1]
    with pytest.raises(CeilingReached):
        old.next(NOW)
    new = Snowflake(0, floor_ms=NOW + 10)
    assert new.next(NOW - 60_000) > last


def test_ceiling() -> None:
    """No id is made at or above the ceiling; with a higher one it goes on, without a repeat."""
    snowflake = Snowflake(0, ceiling_ms=NOW + 1)
    made = [snowflake.next(NOW) for _ in range(4_096)]
    for now in (NOW, NOW + 1, NOW + 500):
        with pytest.raises(CeilingReached):
            snowflake.next(now)
    snowflake.ceiling_ms = NOW + 1_000
    more = [snowflake.next(NOW) for _ in range(100)]
    assert made + more == sorted({*made, *more})
    assert time_ms(more[-1]) < NOW + 1_000


def test_clock_that_jumps_ahead_and_back() -> None:
    """A jump that the ceiling stopped leaves no trace once the clock is right again."""
    snowflake = Snowflake(0, ceiling_ms=NOW + 30_000)
    first = snowflake.next(NOW)
    with pytest.raises(CeilingReached):
        snowflake.next(NOW + 86_400_000)
    ids = list(islice(iter(lambda: snowflake.next(NOW), None), 10_000))
    assert [first, *ids] == sorted({first, *ids})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("402371330965504001", 402371330965504001),
        ("", 0),
        ("0", 0),
        ("-1", 0),
        ("+1", 0),
        ("1.0", 0),
        (" 1", 0),
        ("1_0", 0),
        ("٣", 0),
        ("x", 0),
        ("007", 0),
        ("1" * 20, 0),
    ],
)
def test_parse(text: str, number: int) -> None:
    """An id has one spelling: decimal digits without a leading zero; anything else names nothing."""
    assert parse(text) == number

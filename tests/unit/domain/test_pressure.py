"""Strain, levels with hysteresis, the window of sends, and crowds that are sent away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unique_cs.domain.pressure import (
    CALM_S,
    ENTER,
    LEAVE,
    Bounds,
    Crowd,
    Kind,
    Levels,
    Measured,
    Window,
    strain,
)

BOUNDS = Bounds(lag=0.2, queued=1_000, resident=10_000)


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (Measured(), 0.0),
        (Measured(lag=0.1), 0.5),
        (Measured(lag=0.1, queued=850), 0.85),
        (Measured(lag=0.5, queued=850), 2.5),
        (Measured(resident=8_000), 0.0),
        (Measured(resident=9_000), 0.5),
        (Measured(resident=10_000), 1.0),
    ],
)
def test_strain_is_that_of_the_measure_nearest_to_its_bound(measured: Measured, expected: float) -> None:
    assert strain(measured, BOUNDS) == pytest.approx(expected)


def test_what_has_no_bound_does_not_strain() -> None:
    assert strain(Measured(10.0, 1 << 40, 1 << 40), Bounds()) == 0


@pytest.mark.parametrize("kind", Kind)
def test_a_level_begins_at_once_and_sheds_what_comes_before_it_too(kind: Kind) -> None:
    levels = Levels()
    assert levels.update(ENTER[kind] - 0.01, 1.0) == kind - 1
    assert levels.update(ENTER[kind], 1.0) == kind


def test_levels_end_one_after_the_other_and_each_after_a_calm() -> None:
    levels = Levels()
    levels.update(3.0, 10.0)
    found = [levels.update(0.0, 10.0 + step * CALM_S) for step in range(8)]
    assert found == [5, 4, 3, 2, 1, 0, 0, 0]


def test_a_level_does_not_come_and_go_around_its_bound() -> None:
    """It lasts until the strain stays below a part of the bound for a while."""
    levels, bound = Levels(), ENTER[Kind.CONTACTS]
    levels.update(bound, 0.0)
    for step in range(1, 100):
        assert levels.update(bound * (LEAVE + 0.01), step * CALM_S) == Kind.CONTACTS
    calm, late = bound * (LEAVE - 0.01), 100 * CALM_S
    for step in range(20):
        assert levels.update(calm, late) == Kind.CONTACTS
        assert levels.update(calm, late + 0.9 * CALM_S) == Kind.CONTACTS
        assert levels.update(bound, late + 0.95 * CALM_S) == Kind.CONTACTS
        late += (step + 1) * CALM_S


def test_a_window_finds_what_can_be_answered_in_time() -> None:
    """A store that takes 0.1 ms for each message answers 200 of them in 20 ms, wherever the window began."""
    for start in (50.0, 5_000.0):
        window = Window(target_ms=20, floor=10, ceiling=10_000)
        window.size = start
        for _ in range(300):
            window.used = int(window.size)
            window.answered(0.1 * window.used)
        assert 150 <= window.size <= 210


@given(waits=st.lists(st.floats(0, 10_000), max_size=200), used=st.integers(0, 20_000))
def test_a_window_stays_within_its_bounds(waits: list[float], used: int) -> None:
    window = Window(target_ms=20, floor=100, ceiling=2_000)
    for wait in waits:
        window.used = used
        window.answered(wait)
        assert 100 <= window.size <= 2_000


@pytest.mark.parametrize("waited_ms", [1.0, 90.0])
def test_a_window_that_few_use_stays_as_it_is(waited_ms: float) -> None:
    """A slow store alone is no load: there is still room for a burst."""
    window = Window(target_ms=20, floor=100, ceiling=10_000)
    before = window.size
    for _ in range(100):
        window.used = 10
        window.answered(waited_ms)
    assert window.size == before


def test_after_the_load_a_window_is_ready_for_a_burst() -> None:
    window = Window(target_ms=20, floor=100, ceiling=10_000)
    for _ in range(20):
        window.used = int(window.size)
        window.answered(500.0)
    assert window.size == 100
    window.rest()
    assert window.size < 200, "a load that comes again at once is answered in time"
    for _ in range(200):
        window.rest()
    assert window.size == Window.START


def test_a_crowd_is_as_large_as_when_it_began_to_leave() -> None:
    """The last one of it is told as wide a spread as the first; one who leaves later is alone."""
    crowd = Crowd()
    assert {crowd.size(left, 7.0 + (100 - left) * 0.01) for left in range(100, 0, -1)} == {100}
    assert crowd.size(3, 7.0 + Crowd.TOGETHER_S + 2.0) == 3

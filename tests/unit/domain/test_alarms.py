"""When an incident begins, and when it is over."""

from unique_cs.domain.alarms import Alarm, Gauge

CALM_MS = 60_000


def told(gauge: Gauge, *values: float, start: int = 0, step: int = 15_000) -> list[tuple[int, bool]]:
    """Give values at equal steps; what was told, by the time of it."""
    times = [start + number * step for number in range(len(values))]
    found = [(time, gauge.look(value, time)) for time, value in zip(times, values, strict=True)]
    return [(time, alarm.raised) for time, alarm in found if alarm is not None]


def test_an_incident_is_told_when_it_begins_and_when_it_is_over() -> None:
    gauge = Gauge("waiting", 50, CALM_MS)
    assert told(gauge, 0, 49, 50, 60, 70, 39, 39, 39, 39, 39) == [(30_000, True), (135_000, False)]


def test_a_value_that_swings_around_its_threshold_is_one_incident() -> None:
    gauge = Gauge("waiting", 50, CALM_MS)
    assert told(gauge, *[55, 45] * 40) == [(0, True)]
    assert told(gauge, *[39, 39, 39, 39, 41] * 10, start=10**6) == []


def test_a_second_incident_is_told_again() -> None:
    gauge = Gauge("waiting", 50, CALM_MS)
    assert [raised for _, raised in told(gauge, 50, *[0] * 5, 50, *[0] * 5)] == [True, False, True, False]


def test_what_is_told_names_the_values_that_counted() -> None:
    gauge = Gauge("relay_lag", 60, CALM_MS)
    begun = gauge.look(75.5, 1_000)
    assert begun is not None
    assert begun.data() == {
        "alarm": "relay_lag", "raised": True, "value": 75.5, "threshold": 60, "since": 1_000,
    }  # fmt: skip
    assert gauge.look(2, 2_000) is None
    over = gauge.look(1, 2_000 + CALM_MS)
    assert over is not None
    assert over.data() == {
        "alarm": "relay_lag", "raised": False, "value": 1, "threshold": 60, "since": 1_000,
        "until": 2_000 + CALM_MS,
    }  # fmt: skip


def test_a_threshold_of_nothing_never_raises_and_ends_what_was_begun() -> None:
    assert told(Gauge("waiting", 0, CALM_MS), 0, 10**9) == []
    begun = Alarm("waiting", True, 57, 50, 1_000)
    assert told(Gauge("waiting", 0, CALM_MS, begun), *[10**9] * 6) == [(60_000, False)]


def test_an_incident_that_another_node_told_of_is_not_told_again() -> None:
    begun = Alarm("waiting", True, 57, 50, 1_000)
    gauge = Gauge("waiting", 50, CALM_MS, begun)
    assert told(gauge, 60, 60, 0, 0, 0, 0, 0) == [(90_000, False)]


def test_a_clock_that_is_set_back_does_not_keep_an_incident_open() -> None:
    gauge = Gauge("waiting", 50, CALM_MS)
    gauge.look(50, 10**9)
    gauge.look(0, 10**9)
    over = gauge.look(0, 1_000)
    assert over is not None
    assert not over.raised

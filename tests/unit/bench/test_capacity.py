"""The row that says how many sessions a process may hold."""

import pytest

from unique_cs.bench import capacity
from unique_cs.bench.report import Row

MEMORY = Row("memory", "", "", True, {"bytes_each": 2_000.0})
BEATS = Row("beats", "", "", True, {"microseconds_each": 2.0})


@pytest.mark.parametrize(
    ("files", "memory", "least", "first"),
    [
        (750, 1 << 40, 750, "open files"),
        (1 << 30, 200 * 10**6, 40_000, "memory"),
        (1 << 30, 1 << 40, 100_000, "UNIQUE_CS_MAX_CONNECTIONS"),
    ],
)
def test_the_least_bound_is_named_first(
    files: int, memory: int, least: int, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "most_connections", lambda: files)
    monkeypatch.setattr(capacity, "memory_bytes", lambda: memory)
    row = capacity.capacity(MEMORY, BEATS, 100 * 10**6)
    assert row.details["sessions"] == least
    assert row.value.startswith(f"{least:,} by {first}; ")
    assert row.kept is None

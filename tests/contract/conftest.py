"""Both hot tiers, and what stands on them: one suite runs on each."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.tiers import Tiers
from unique_cs.storage.hot import Hot, RocksHot
from unique_cs.storage.hot_memory import MemoryHot


@pytest.fixture(params=["memory", "rocksdb"])
def new_hot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Hot]]:
    """Makes empty hot tiers, which are closed with the test."""
    made: list[Hot] = []

    def make() -> Hot:
        hot: Hot = MemoryHot() if request.param == "memory" else RocksHot(tmp_path / f"hot{len(made)}")
        made.append(hot)
        return hot

    yield make
    for hot in made:
        hot.close()


@pytest.fixture
def hot(new_hot: Callable[[], Hot]) -> Hot:
    """An empty hot tier."""
    return new_hot()


@pytest.fixture
async def tiers(hot: Hot) -> AsyncIterator[Tiers]:
    """A timeline and contacts over an empty hot tier and an empty archive in memory."""
    opened = Tiers(hot)
    yield opened
    await opened.close()

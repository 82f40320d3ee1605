"""Storage over a hot tier in memory."""

from collections.abc import AsyncIterator

import pytest

from tests.support.tiers import Tiers
from unique_cs.storage.hot_memory import MemoryHot


@pytest.fixture
async def tiers() -> AsyncIterator[Tiers]:
    """A timeline and contacts over memory."""
    opened = Tiers(MemoryHot())
    await opened.ann()
    yield opened
    await opened.close()

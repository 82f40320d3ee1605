"""Whole nodes over memory."""

from collections.abc import AsyncIterator

import pytest

from tests.support.node import House, open_house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A node over memory, with a clock that stands still."""
    async with open_house() as opened:
        yield opened

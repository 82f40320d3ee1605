from collections.abc import AsyncIterator

import pytest

from tests.unit.api.harness import Harness, opened


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with opened() as made:
        yield made

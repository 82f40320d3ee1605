"""Fixtures of the end-to-end tests: one server for all quiet tests of a module, on one loop."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.world import World, inhabited, running
from unique_cs.bench.process import ServerProcess


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """Started once; no token buckets, so that tests may hurry."""
    async with running(tmp_path_factory.mktemp("server"), rate_limits="off") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def town(server: ServerProcess) -> AsyncIterator[World]:
    """People of one test."""
    async with inhabited(server) as made:
        yield made

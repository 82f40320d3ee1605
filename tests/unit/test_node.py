"""A node lacks nothing while it runs: where a part of it fails, it says so."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.node import House, open_house, turns
from unique_cs.storage.embedded import RETRY_S


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as opened:
        yield opened


async def _fail() -> None:
    raise RuntimeError("a defect")


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_node_whose_background_task_fails_is_broken(house: House) -> None:
    house.node.start(_for_ever())
    await turns(3)
    assert not house.node.broken.is_set()
    house.node.start(_fail())
    await turns(3)
    assert house.node.broken.is_set()


async def test_a_background_task_that_nobody_ended_may_not_be_cancelled(house: House) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    house.node.start(cancelled())
    await turns(3)
    assert house.node.broken.is_set()


async def test_an_attempt_may_fail(house: House) -> None:
    """Another node says what has changed, and the database can't be asked."""
    house.node.attempt(_fail())
    await turns(3)
    assert not house.node.broken.is_set()


async def test_tasks_that_end_with_the_node_break_nothing(house: House) -> None:
    house.node.start(_for_ever())
    await turns(3)
    await house.close()
    assert not house.node.broken.is_set()


async def test_a_job_that_fails_is_run_again(house: House) -> None:
    """A job is not a part that the node needs."""
    runs: list[int] = []

    async def job() -> None:
        runs.append(1)
        await _fail()

    house.node.start(house.node.tiers.alone("job", job))
    await turns(3)
    assert (len(runs), house.node.broken.is_set()) == (1, False)
    await house.advance(RETRY_S * 1.5)
    assert (len(runs), house.node.broken.is_set()) == (2, False)

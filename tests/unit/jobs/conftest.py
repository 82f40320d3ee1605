"""A receiver, and the stores of what is told to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.receiver import Receiver, receiving
from unique_cs.storage.outbox import SqlOutbox
from unique_cs.storage.sqlite import SqliteDatabase


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """It listens on loopback."""
    async with receiving() as made:
        yield made


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[SqlOutbox]:
    """An empty outbox."""
    database = await SqliteDatabase.open(tmp_path / "archive.sqlite")
    yield SqlOutbox(database)
    await database.close()

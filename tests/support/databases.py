"""The databases that suites run on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.mariadb import MariaDb
from unique_cs.storage.sql import Database
from unique_cs.storage.stores import open_cold


@asynccontextmanager
async def database_of(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A new database of the kind that the parameter of the fixture names."""
    url = ""
    if request.param == "mariadb":
        server: MariaDb = request.getfixturevalue("mariadb")
        url = server.new_database()
    database = await open_cold(tmp_path, url)
    try:
        yield database
    finally:
        await database.close()

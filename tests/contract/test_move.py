"""Moving the SQL of an installation: complete, again, after a failure, and never over something else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import text

from tests.support.mariadb import MariaDb
from unique_cs.domain.alarms import Alarm
from unique_cs.domain.outbox import delivery
from unique_cs.domain.people import Agent, Contact, Inbox, Login
from unique_cs.domain.stored import ArchivedEvent, ConversationQuery, ConversationRow, Stored
from unique_cs.errors import SettingsError, StorageUnavailable, UniqueCsError
from unique_cs.storage import move as moving
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.hot_memory import MemoryHot
from unique_cs.storage.move import move
from unique_cs.storage.mysql import MySqlDatabase
from unique_cs.storage.outbox import SqlOutbox
from unique_cs.storage.records import SqlRecords
from unique_cs.storage.sql import Database
from unique_cs.storage.sqlite import SqliteDatabase
from unique_cs.storage.stores import ID, bind, bound_to, fact_of

OWNER = Agent(1, "owner@example.com", "Owner 🐝", "owner", "$argon2id$x")
INBOX = Inbox(2, "Website", "key-1", "secret", "HS256", ["https://shop.example"])
LOGIN = Login(10, 1, "ab" * 32, 1_000, 2_000, "curl", "192.0.2.1")
ANN = Contact(11, 2, "Ann", "ann@example.com", "u-1", {"plan": "gold"}, {"page": "/"}, True, 5)
ROW = ConversationRow(10**17, 2, 11, "Ann", "open", 0, 500, 100, 1_000, 250, "我要退款")


class Town(NamedTuple):
    """An installation to move, and where to."""

    hot: MemoryHot
    source: SqliteDatabase
    target: MySqlDatabase

    async def move(self) -> list[str]:
        lines: list[str] = []
        await move(self.source, self.target, self.hot, lines.append)
        return lines


def events(first: int, last: int) -> list[ArchivedEvent]:
    """Events of two conversations in turn."""
    return [
        ArchivedEvent(
            10**17 + each % 2, 10**6 + each, each, "message.created", Stored(each, 1, b"s", each, b"{}")
        )
        for each in range(first, last)
    ]


@pytest.fixture
async def town(tmp_path: Path, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    """With 500 events, read fifty at a time."""
    monkeypatch.setattr(moving, "PAGE", 50)
    made = Town(
        MemoryHot(),
        await SqliteDatabase.open(tmp_path / "archive.sqlite"),
        await MySqlDatabase.open(mariadb.new_database()),
    )
    await bind(made.hot, made.source)
    records = await SqlRecords.open(made.source)
    await records.first_start(OWNER, INBOX)
    await records.add_login(LOGIN)
    await SqlArchive(made.source).store(7, events(1, 501), [ROW], [ANN])
    await SqlOutbox(made.source).tell(
        Alarm("waiting", True, 9, 5, 1), delivery(7, 1, "a", "alarm.raised", 9, b"{}")
    )
    yield made
    await made.source.close()
    await made.target.close()


async def contents(database: Database) -> list[object]:
    """All that can be seen of a database."""
    records, archive = await SqlRecords.open(database), SqlArchive(database)
    pages = await asyncio.gather(
        *[archive.events(10**17 + each, 0, 10**9, 10**6, False) for each in range(2)]
    )
    found = await archive.find(ConversationQuery(text="ANN@"))
    return [
        records.agents(),
        records.inboxes(),
        await records.logins(1),
        pages,
        found,
        await archive.cursor(),
        await SqlOutbox(database).due(10),
        await SqlOutbox(database).alarms(),
    ]


async def test_everything_arrives_and_the_hot_tier_belongs_to_the_target(town: Town) -> None:
    lines = await town.move()
    assert any("events: 500 compared, the same" in line for line in lines)
    assert await contents(town.target) == await contents(town.source)
    assert bound_to(town.hot) == await fact_of(town.target, ID) != await fact_of(town.source, ID)
    await bind(town.hot, town.target)
    with pytest.raises(SettingsError, match="another database"):
        await bind(town.hot, town.source)


async def test_again_it_changes_nothing(town: Town) -> None:
    await town.move()
    await SqlArchive(town.target).store(8, events(501, 510), [], [])
    before = await contents(town.target)
    assert await town.move() == ["this installation was moved already"]
    assert await contents(town.target) == before


@pytest.mark.parametrize("writes", range(1, 20))
async def test_after_a_failure_it_goes_on(town: Town, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Whatever write failed, the source stays the installation's until all is done."""
    left = writes
    real = town.target.write

    async def write(transaction: object) -> object:
        nonlocal left
        left -= 1
        if left == 0:
            raise StorageUnavailable("the database is away")
        return await real(transaction)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(town.target, "write", write)
        with pytest.raises(StorageUnavailable):
            await town.move()
    with pytest.raises(SettingsError, match=r"half filled|another database"):
        await bind(town.hot, town.target)
    if bound_to(town.hot) == await fact_of(town.source, ID):
        await SqlArchive(town.source).store(8, events(501, 510), [], [])
        await (await SqlRecords.open(town.source)).delete_login(LOGIN.id)
    await town.move()
    assert await contents(town.target) == await contents(town.source)
    await bind(town.hot, town.target)


async def test_a_database_with_something_in_it_is_refused(town: Town) -> None:
    await SqlArchive(town.target).store(1, events(1, 2), [], [])
    with pytest.raises(SettingsError, match="not empty"):
        await town.move()
    assert bound_to(town.hot) == await fact_of(town.source, ID)


async def test_a_difference_is_found_and_mended_or_refused(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that went missing is written next time; another one in its place ends the move."""
    real = moving._take_place
    with monkeypatch.context() as patch:
        patch.setattr(moving, "_take_place", None)
        with pytest.raises(TypeError):
            await town.move()
    assert moving._take_place is real
    await town.target.write(lambda connection: connection.execute(text("DELETE FROM events WHERE seq = 77")))
    with pytest.raises(UniqueCsError, match="events differ: 500 rows here, 499 there"):
        await town.move()
    await town.target.write(
        lambda connection: connection.execute(text("UPDATE events SET id = 1 WHERE seq = 78"))
    )
    with pytest.raises(UniqueCsError, match="another event than"):
        await town.move()
    await town.target.write(
        lambda connection: connection.execute(text("UPDATE events SET id = 1000078 WHERE seq = 78"))
    )
    await town.move()
    assert await contents(town.target) == await contents(town.source)

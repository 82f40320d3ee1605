"""The contract of `Archive`, run on every adapter."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.databases import database_of
from unique_cs.domain.people import Contact
from unique_cs.domain.stored import ArchivedEvent, ConversationQuery, ConversationRow, Stored
from unique_cs.errors import Code, UniqueCsError
from unique_cs.ports import Archive
from unique_cs.storage.archive import CHUNK, SqlArchive
from unique_cs.storage.archive_memory import MemoryArchive
from unique_cs.storage.sqlite import SqliteDatabase

TALK = 10**17
SESSION = bytes(range(16))


@pytest.fixture(params=["memory", "sqlite", "mariadb"])
async def archive(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Archive]:
    if request.param == "memory":
        yield MemoryArchive()
        return
    async with database_of(request, tmp_path) as database:
        yield SqlArchive(database)


def event(seq: int, conversation: int = TALK, event_id: int | None = None) -> ArchivedEvent:
    number = event_id if event_id is not None else conversation + seq
    frame = b'{"seq":%d,"text":"\xe4\xbd\xa0"}' % seq
    return ArchivedEvent(
        conversation, number, 1_000 + seq, "message.created", Stored(seq, seq % 3, SESSION, seq, frame)
    )


ROW = ConversationRow(TALK, 7, 11, "Ann", "open", 0, 500, 100, 1_000, 5, "where is my order?")


def row(number: int, **changes: Any) -> ConversationRow:
    return replace(ROW, id=number, updated_at=1_000 + number, **changes)


async def found(archive: Archive, **query: Any) -> list[int]:
    return [each.id for each in await archive.find(ConversationQuery(**query))]


async def test_a_new_archive_is_empty(archive: Archive) -> None:
    assert await archive.cursor() == 0
    assert await archive.events(TALK, 0, 100, 10, True) == []
    assert await archive.find(ConversationQuery()) == []


async def test_what_is_stored_comes_back_as_it_was(archive: Archive) -> None:
    await archive.store(42, [event(1), event(2)], [ROW], [Contact(11, 7, "Ann")])
    assert await archive.cursor() == 42
    assert await archive.events(TALK, 0, 100, 10, False) == [event(1).stored, event(2).stored]
    assert await archive.find(ConversationQuery()) == [ROW]


async def test_more_events_than_one_statement_takes(archive: Archive) -> None:
    many = [event(seq) for seq in range(1, 2 * CHUNK + 38)]
    await archive.store(1, many, [], [])
    assert await archive.events(TALK, 0, 10_000, 10_000, False) == [each.stored for each in many]


async def test_frames_of_any_size_and_any_bytes(archive: Archive) -> None:
    """A batch may be larger than what a database takes as one statement."""
    frames = [bytes(range(256)) * 3_000, b"\xff\x00'\"\\%s" * 70_000, b""]
    kept = [Stored(seq, 0, SESSION, seq, frames[seq % 3]) for seq in range(1, 10)]
    events = [ArchivedEvent(TALK, TALK + each.seq, 1, "message.created", each) for each in kept]
    await archive.store(1, events, [], [])
    assert await archive.events(TALK, 0, 100, 10, False) == kept


@pytest.mark.parametrize(
    ("after", "before", "limit", "newest", "seqs"),
    [
        (0, 100, 3, False, [1, 2, 3]),
        (0, 100, 3, True, [7, 8, 9]),
        (3, 100, 2, False, [4, 5]),
        (0, 5, 2, True, [3, 4]),
        (3, 5, 10, True, [4]),
        (4, 5, 10, False, []),
        (9, 100, 10, False, []),
    ],
)
async def test_events_between_two_places(
    archive: Archive, after: int, before: int, limit: int, newest: bool, seqs: list[int]
) -> None:
    await archive.store(1, [event(seq) for seq in range(1, 10)], [], [])
    await archive.store(2, [event(seq, TALK + 1) for seq in range(1, 10)], [], [])
    assert [each.seq for each in await archive.events(TALK, after, before, limit, newest)] == seqs


async def test_repeating_changes_nothing(archive: Archive) -> None:
    batch = ([event(1), event(2)], [ROW], [Contact(11, 7, "Ann")])
    await archive.store(42, *batch)
    await archive.store(42, *batch)
    assert await archive.cursor() == 42
    assert [each.seq for each in await archive.events(TALK, 0, 100, 10, False)] == [1, 2]
    assert await archive.find(ConversationQuery()) == [ROW]


async def test_a_batch_that_is_half_there_is_completed(archive: Archive) -> None:
    many = [event(seq) for seq in range(1, CHUNK + 20)]
    await archive.store(1, many[::2], [], [])
    await archive.store(2, many, [], [])
    assert await archive.events(TALK, 0, 10_000, 10_000, False) == [each.stored for each in many]


async def test_another_event_at_a_place_is_a_conflict_and_nothing_is_written(archive: Archive) -> None:
    await archive.store(1, [event(2)], [ROW], [])
    batch = [event(1), event(2, event_id=999), event(3)]
    with pytest.raises(UniqueCsError) as raised:
        await archive.store(2, batch, [row(TALK, seq=9, status="resolved")], [Contact(12, 7)])
    assert raised.value.code is Code.CONFLICT
    assert await archive.cursor() == 1
    assert await archive.events(TALK, 0, 100, 10, False) == [event(2).stored]
    assert await archive.find(ConversationQuery()) == [ROW]


async def test_two_events_for_one_place_are_a_conflict(archive: Archive) -> None:
    with pytest.raises(UniqueCsError):
        await archive.store(1, [event(1), event(1, event_id=999)], [], [])
    assert await archive.events(TALK, 0, 100, 10, False) == []


async def test_an_older_state_does_not_replace_a_newer_one(archive: Archive) -> None:
    await archive.store(1, [], [replace(ROW, seq=9, status="resolved")], [])
    await archive.store(2, [], [replace(ROW, seq=8, status="open")], [])
    assert [each.status for each in await archive.find(ConversationQuery())] == ["resolved"]
    await archive.store(3, [], [replace(ROW, seq=9, status="pending")], [])
    assert [each.status for each in await archive.find(ConversationQuery())] == ["pending"]


async def test_newest_activity_first_page_by_page(archive: Archive) -> None:
    rows = [replace(row(number), updated_at=1_000 + number // 2) for number in range(1, 8)]
    await archive.store(1, [], rows, [])
    seen: list[int] = []
    before: tuple[int, int] | None = None
    while page := await archive.find(ConversationQuery(before=before, limit=3)):
        seen += [each.id for each in page]
        before = (page[-1].updated_at, page[-1].id)
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_filters_and_their_combination(archive: Archive) -> None:
    rows = [
        row(1, contact=11, inbox=7),
        row(2, contact=12, inbox=8, status="resolved"),
        row(3, contact=11, inbox=8, assignee=5),
        row(4, contact=12, inbox=7, assignee=5, status="pending"),
    ]
    await archive.store(1, [], rows, [])
    assert await found(archive, contact=11) == [3, 1]
    assert await found(archive, status="open") == [3, 1]
    assert await found(archive, assignee=0) == [2, 1]
    assert await found(archive, assignee=5, status="pending") == [4]
    assert await found(archive, inbox=8, contact=11) == [3]
    assert await found(archive, inbox=99) == []


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("ann", [1]),
        ("SHOP.example", [2]),
        ("u-77", [3]),
        ("退款", [2]),
        ("40", [40]),
        ("4", []),
        ("99999999999999999999", []),
        ("9999999999999999999", []),
        ("100%", [1]),
        ("0_0", []),
        ("%", [1]),
        ("\\", []),
        ("nobody", []),
        ("zoË", [41]),
        ("ZOË", [41]),
        ("zoë", []),
        ("\U0001f41d", [41]),
    ],
)
async def test_text_is_found_in_what_people_see(archive: Archive, text: str, ids: list[int]) -> None:
    rows = [
        row(1, contact=11, contact_name="Ann", last_text="100% sure"),
        row(2, contact=12, contact_name="Bo", last_text="我要退款"),
        row(3, contact=13, contact_name="", last_text=""),
        row(40, contact=14, contact_name="", last_text=""),
        row(41, contact=14, contact_name="ZoË", last_text="\U0001f41d bee"),
    ]
    people = [Contact(12, 7, "Bo", email="bo@shop.example"), Contact(13, 7, identifier="u-77")]
    await archive.store(1, [], rows, people)
    assert await found(archive, text=text) == ids


async def test_a_contact_finds_nothing_by_the_last_text(archive: Archive) -> None:
    """It may be a note, and a search would tell what is in it."""
    rows = [row(1, contact=11, contact_name="Ann", last_text="a difficult customer")]
    await archive.store(1, [], rows, [Contact(11, 7, "Ann", email="ann@example.com")])
    assert await found(archive, text="difficult") == [1]
    assert await found(archive, contact=11, text="difficult") == []
    assert await found(archive, contact=11, text="ann@") == [1]


async def test_contacts_are_replaced(archive: Archive) -> None:
    old, new = Contact(11, 7, "Ann", email="old@example.com"), Contact(11, 7, "Ann", email="new@example.com")
    await archive.store(1, [], [ROW], [old])
    await archive.store(2, [], [], [new])
    assert await found(archive, text="new@") == [TALK]
    assert await found(archive, text="old@") == []


async def test_sqlite_keeps_all_of_it_across_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "archive.sqlite"
    database = await SqliteDatabase.open(path)
    await SqlArchive(database).store(5, [event(1)], [ROW], [])
    await database.close()
    database = await SqliteDatabase.open(path)
    archive = SqlArchive(database)
    assert await archive.cursor() == 5
    assert await archive.events(TALK, 0, 9, 9, True) == [event(1).stored]
    await database.close()

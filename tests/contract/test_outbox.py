"""The outbox, on every database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from tests.contract.test_archive import ROW, TALK, event, row
from tests.support.databases import database_of
from unique_cs.domain.alarms import Alarm
from unique_cs.domain.outbox import ALARM_RAISED, OLDEST_MS, PARKED_MS, Delivery, delivery
from unique_cs.errors import UniqueCsError
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.outbox import PAGE, SqlOutbox
from unique_cs.storage.sql import Database

NOW = 1_800_000_000_000
RAISED = Alarm("waiting", True, 57, 50, NOW)
NAMES = {"message.created"}


@pytest.fixture(params=["sqlite", "mariadb"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database_of(request, tmp_path) as opened:
        yield opened


@pytest.fixture
def outbox(database: Database) -> SqlOutbox:
    return SqlOutbox(database)


async def store(database: Database, place: int, *seqs: int) -> None:
    """Archive messages as the relay does."""
    told = SqlOutbox(database).of_events(NAMES)
    made = [event(seq) for seq in seqs]
    await SqlArchive(database).store(place, made, [], [], told(place, made))


def alarm(number: int) -> Delivery:
    return delivery(0, number, f"alarm-{number}", ALARM_RAISED, NOW, {"x": number})


async def test_events_are_written_with_the_archive_in_its_order(
    database: Database, outbox: SqlOutbox
) -> None:
    await store(database, 7, 3, 1)
    await store(database, 8, 2)
    found = await outbox.due(10)
    assert [(each.place, each.n, each.id) for each in found] == [
        (7, 0, str(TALK + 3)), (7, 1, str(TALK + 1)), (8, 0, str(TALK + 2)),
    ]  # fmt: skip
    assert found[0].body == (
        b'{"id":"%d","type":"message.created","time":1003,"data":%s}' % (TALK + 3, event(3).stored.frame)
    )
    assert [each.n for each in await outbox.due(2)] == [0, 1]


async def test_an_archive_that_fails_leaves_nothing_in_the_outbox(
    database: Database, outbox: SqlOutbox
) -> None:
    await store(database, 7, 1)
    other = [event(1, event_id=99)]
    with pytest.raises(UniqueCsError):
        await SqlArchive(database).store(8, other, [], [], outbox.of_events(NAMES)(8, other))
    assert len(await outbox.due(10)) == 1


async def test_what_nobody_asked_for_is_not_written(outbox: SqlOutbox) -> None:
    assert outbox.of_events({"conversation.opened"})(7, [event(1)]) is None
    renamed = replace(event(2), name="conversation.opened")
    assert outbox.of_events({"conversation.opened"})(7, [event(1), renamed]) is not None


async def test_a_batch_that_is_stored_again_is_told_once(database: Database, outbox: SqlOutbox) -> None:
    await store(database, 7, 1)
    await store(database, 7, 1)
    assert len(await outbox.due(10)) == 1


async def test_alarms_go_first_and_what_was_delivered_is_gone(database: Database, outbox: SqlOutbox) -> None:
    await store(database, 7, 1)
    await outbox.tell(RAISED, alarm(1))
    found = await outbox.due(10)
    assert [each.name for each in found] == [ALARM_RAISED, "message.created"]
    await outbox.remove(found[:1])
    assert await outbox.due(10) == found[1:]


async def test_a_failure_is_counted_and_what_is_parked_does_not_wait(outbox: SqlOutbox) -> None:
    await outbox.tell(RAISED, alarm(1))
    await outbox.tell(RAISED, alarm(2))
    first, second = await outbox.due(10)
    await outbox.failed(first, NOW, park=False)
    assert [each.attempts for each in await outbox.due(10)] == [1, 0]
    assert await outbox.counts() == (2, NOW, 0)
    await outbox.failed(first, NOW, park=True)
    assert await outbox.due(10) == [second]
    assert await outbox.counts() == (1, NOW, 1)


async def test_what_waited_for_days_is_given_up_and_at_last_forgotten(outbox: SqlOutbox) -> None:
    for number in (1, 2, 3):
        await outbox.tell(RAISED, alarm(number))
    first = (await outbox.due(1))[0]
    await outbox.failed(first, NOW + OLDEST_MS, park=False)
    assert await outbox.counts() == (3, NOW, 0)
    later = NOW + OLDEST_MS + 1
    await outbox.failed(first, later, park=False)
    assert await outbox.counts() == (0, 0, 3)
    await outbox.failed(first, later + PARKED_MS + 1, park=True)
    assert await outbox.counts() == (0, 0, 1)


async def test_the_statement_of_the_guide_lets_what_was_given_up_be_tried_again(
    database: Database, outbox: SqlOutbox
) -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/webhooks.md").read_text()
    statement = guide.partition("```sql\n")[2].partition("```")[0]
    await outbox.tell(RAISED, alarm(1))
    await outbox.failed((await outbox.due(1))[0], NOW, park=True)
    await database.write(lambda connection: connection.execute(text(statement)))
    assert await outbox.due(10) == [alarm(1)]


async def test_incidents_are_remembered_until_they_are_over(outbox: SqlOutbox) -> None:
    await outbox.tell(RAISED, None)
    await outbox.tell(replace(RAISED, name="relay_lag"), None)
    assert await outbox.alarms() == {"waiting": RAISED, "relay_lag": replace(RAISED, name="relay_lag")}
    await outbox.tell(replace(RAISED, raised=False, until=NOW + 1), alarm(1))
    assert list(await outbox.alarms()) == ["relay_lag"]
    assert await outbox.due(10) == [alarm(1)]


async def test_quiet_conversations_are_found_among_many(database: Database, outbox: SqlOutbox) -> None:
    rows = [replace(row(number), seq=number) for number in range(1, PAGE + 3)]
    await SqlArchive(database).store(1, [], [*rows, ROW], [])
    listed = [each.id for each in rows]
    assert await outbox.quiet(listed, 0, 1_003) == [(1, 1), (2, 2)]
    assert len(await outbox.quiet(listed, 0, 10_000)) == PAGE + 2
    assert await outbox.quiet([], 0, 10_000) == []
    assert await outbox.quiet(listed, 1_002, 1_004) == [(2, 2), (3, 3)]
    assert await outbox.quiet(listed[2:], 1_002, 1_004) == [(3, 3)]

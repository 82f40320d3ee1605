"""REST over the adapters of a real installation: SQLite behind the relay."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.api.harness import PASSWORD, Harness, is_problem, opened
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.records import SqlRecords
from unique_cs.storage.sqlite import SqliteDatabase


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    database = await SqliteDatabase.open(tmp_path / "archive.sqlite")
    records = await SqlRecords.open(database)
    async with opened(archive=SqlArchive(database), records=records) as made:
        yield made
    await database.close()


async def test_a_day_at_the_counter(harness: Harness) -> None:
    agent, ann, bo = await harness.agent(), await harness.contact("Ann"), await harness.contact("Bo 李")
    first = await harness.conversation(ann, "where is my order?")
    harness.clock.ms += 1
    second = await harness.conversation(bo, "我要退款")
    await agent.ok("POST", f"conversations/{first}/assign", {"agent": "1"})
    await agent.ok("POST", f"conversations/{second}/labels", {"labels": ["refund"]})

    async def ids(**query: str) -> list[str]:
        found = await agent.ok("GET", "conversations", params=query)
        return [each["id"] for each in found["conversations"]]

    assert set(await ids()) == {first, second}
    assert await ids(assignee="me") == [first]
    assert await ids(assignee="none", status="open") == [second]
    assert await ids(q="退款") == await ids(q="李") == await ids(q=second) == [second]
    assert await ids(q="order%") == []


async def test_signing_in_and_out(harness: Harness) -> None:
    first, second = await harness.agent(), await harness.agent()
    sessions = (await first.ok("GET", "auth/sessions"))["sessions"]
    assert [each["current"] for each in sessions] == [False, True]
    await first.ok("POST", "auth/logout")
    assert is_problem(await first.get("me"), 401, "unauthorized")
    assert (await second.get("me")).status_code == 200
    await second.ok("PATCH", "agents/2", {"disabled": True})
    answer = await harness.anyone.post("auth/login", {"email": "mei@example.com", "password": PASSWORD})
    assert is_problem(answer, 403, "forbidden")

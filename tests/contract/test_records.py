"""The contract of `Records`, run on every adapter."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.databases import database_of
from unique_cs.domain.people import Agent, Inbox, Login
from unique_cs.errors import Code, UniqueCsError
from unique_cs.ports import Records
from unique_cs.storage.records import SqlRecords
from unique_cs.storage.records_memory import MemoryRecords
from unique_cs.storage.sqlite import SqliteDatabase

OWNER = Agent(1, "Owner@example.com", "Owner", "owner", "$argon2id$x")
INBOX = Inbox(2, "Website", "key-1", "secret", "HS256", ["https://shop.example"])
LOGIN = Login(10, 1, "ab" * 32, 1_000, 2_000, "curl", "192.0.2.1")


@pytest.fixture(params=["memory", "sqlite", "mariadb"])
async def records(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Records]:
    if request.param == "memory":
        yield MemoryRecords()
        return
    async with database_of(request, tmp_path) as database:
        yield await SqlRecords.open(database)


async def test_new_records_are_empty(records: Records) -> None:
    assert records.agents() == []
    assert records.inboxes() == []
    assert records.inbox_by_key("") is None
    assert await records.login_by_hash(LOGIN.token_hash) is None


async def test_the_first_start_happens_once(records: Records) -> None:
    assert await records.first_start(OWNER, INBOX)
    assert not await records.first_start(replace(OWNER, id=8, email="b"), replace(INBOX, id=9, key="k2"))
    assert records.agents() == [OWNER]
    assert records.inboxes() == [INBOX]
    assert records.agent(1) == OWNER
    assert records.inbox(2) == INBOX
    assert records.inbox_by_key("key-1") == INBOX
    assert records.inbox_by_key("key-2") is None


async def test_an_agent_is_found_by_e_mail_without_regard_to_case(records: Records) -> None:
    await records.first_start(OWNER, INBOX)
    assert records.agent_by_email("owner@EXAMPLE.com") == OWNER
    assert records.agent_by_email("other@example.com") is None


async def test_agents_are_added_and_changed(records: Records) -> None:
    await records.first_start(OWNER, INBOX)
    mei = Agent(5, "mei@example.com", "Mei", "agent")
    await records.add_agent(mei)
    await records.change_agent(5, lambda agent: replace(agent, disabled=True))
    assert records.agents() == [OWNER, replace(mei, disabled=True)]


async def test_logins_are_stored_touched_listed_and_deleted(records: Records) -> None:
    later = replace(LOGIN, id=11, token_hash="cd" * 32)
    other = replace(LOGIN, id=12, token_hash="ef" * 32, agent=2)
    for login in (LOGIN, later, other):
        await records.add_login(login)
    assert await records.touch_login(10, 9_000)
    assert await records.login_by_hash(LOGIN.token_hash) == replace(LOGIN, last_seen_at=9_000)
    assert [each.id for each in await records.logins(1)] == [11, 10]
    await records.delete_login(10)
    await records.delete_login(10)
    assert await records.login_by_hash(LOGIN.token_hash) is None
    assert not await records.touch_login(10, 9_500)
    assert [each.id for each in await records.logins(1)] == [11]


async def test_of_two_nodes_that_start_at_once_one_makes_the_owner(tmp_path: Path) -> None:
    databases = [await SqliteDatabase.open(tmp_path / "archive.sqlite") for _ in range(2)]
    first, second = [await SqlRecords.open(database) for database in databases]
    assert await first.first_start(OWNER, INBOX)
    assert not await second.first_start(replace(OWNER, id=8, email="b"), replace(INBOX, id=9, key="k2"))
    assert second.agents() == [OWNER]
    assert second.inboxes() == [INBOX]
    for database in databases:
        await database.close()


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    database = await SqliteDatabase.open(tmp_path / "archive.sqlite")
    records = await SqlRecords.open(database)
    await records.first_start(OWNER, INBOX)
    await records.add_login(LOGIN)
    await database.close()
    database = await SqliteDatabase.open(tmp_path / "archive.sqlite")
    records = await SqlRecords.open(database)
    assert (records.agents(), records.inboxes()) == ([OWNER], [INBOX])
    assert await records.login_by_hash(LOGIN.token_hash) == LOGIN
    await database.close()


async def test_an_agent_is_added_unless_its_e_mail_is_taken(records: Records) -> None:
    await records.first_start(OWNER, INBOX)
    mei = Agent(5, "Mei@example.com", "Mei", "agent", "$argon2id$y")
    assert await records.add_agent(mei)
    assert not await records.add_agent(replace(mei, id=6, email="mei@EXAMPLE.com"))
    assert not await records.add_agent(replace(mei, id=7, email=OWNER.email.lower()))
    assert records.agents() == [OWNER, mei]


async def test_of_two_that_are_added_at_once_with_one_e_mail_one_is(records: Records) -> None:
    twins = [
        Agent(number, f"{name}@example.com", "Mei", "agent") for number, name in ((5, "mei"), (6, "MEI"))
    ]
    added = await asyncio.gather(*map(records.add_agent, twins))
    assert sorted(added) == [False, True]
    assert records.agents() == [twins[added.index(True)]]


async def test_changes_of_one_agent_do_not_undo_each_other(records: Records) -> None:
    await records.first_start(OWNER, INBOX)
    renamed, disabled = await asyncio.gather(
        records.change_agent(1, lambda agent: replace(agent, name="Olga")),
        records.change_agent(1, lambda agent: replace(agent, disabled=True)),
    )
    assert renamed == replace(OWNER, name="Olga")
    assert disabled == records.agent(1) == replace(OWNER, name="Olga", disabled=True)
    assert await records.change_agent(77, lambda agent: agent) is None


async def test_a_change_that_is_refused_stores_nothing(records: Records) -> None:
    await records.first_start(OWNER, INBOX)

    def refuse(_: Agent) -> Agent:
        raise UniqueCsError(Code.FORBIDDEN, "no")

    with pytest.raises(UniqueCsError, match="no"):
        await records.change_agent(1, refuse)
    assert records.agent(1) == OWNER
    assert await records.change_agent(1, lambda agent: replace(agent, name="Olga"))


async def test_an_inbox_is_changed(records: Records) -> None:
    await records.first_start(OWNER, INBOX)
    wanted = replace(INBOX, name="Shop", allowed_origins=["https://a.example", "*"])
    assert await records.change_inbox(2, lambda _: wanted) == wanted
    assert records.inboxes() == [wanted]
    assert await records.change_inbox(77, lambda inbox: inbox) is None


async def test_an_agents_logins_are_deleted_but_for_one(records: Records) -> None:
    second, third = (replace(LOGIN, id=number, token_hash=f"{number}" * 32) for number in (11, 12))
    other = replace(LOGIN, id=13, token_hash="ef" * 32, agent=2)
    for login in (LOGIN, second, third, other):
        await records.add_login(login)
    assert await records.delete_logins(1, 11) == [third, LOGIN]
    assert await records.logins(1) == [second]
    assert await records.logins(2) == [other]
    assert await records.delete_logins(1, 0) == [second]
    assert await records.login_by_hash(second.token_hash) is None


async def test_what_was_changed_is_there_after_a_restart(tmp_path: Path) -> None:
    database = await SqliteDatabase.open(tmp_path / "archive.sqlite")
    records = await SqlRecords.open(database)
    await records.first_start(OWNER, INBOX)
    mei = Agent(5, "mei@example.com", "Mei", "agent", "$argon2id$y")
    await records.add_agent(mei)
    await records.change_agent(5, lambda agent: replace(agent, role="admin"))
    await records.change_inbox(2, lambda inbox: replace(inbox, allowed_origins=["*"]))
    await database.close()
    database = await SqliteDatabase.open(tmp_path / "archive.sqlite")
    records = await SqlRecords.open(database)
    assert records.agents() == [OWNER, replace(mei, role="admin")]
    assert records.inboxes() == [replace(INBOX, allowed_origins=["*"])]
    await database.close()

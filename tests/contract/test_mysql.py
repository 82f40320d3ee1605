"""What only a database in a server can do to us: deadlocks, many nodes, a server that is killed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from msgspec.structs import replace
from sqlalchemy import Connection, text

from tests.support.door import make_certificate
from tests.support.mariadb import PASSWORD, MariaDb
from unique_cs.cluster.cold import Cold
from unique_cs.domain.people import Agent, Inbox
from unique_cs.domain.stored import ArchivedEvent, Stored
from unique_cs.errors import OutcomeUnknown, SettingsError, StorageUnavailable
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.migrate import revision_of
from unique_cs.storage.mysql import MySqlDatabase
from unique_cs.storage.records import SqlRecords
from unique_cs.storage.schema import HEAD, metadata

OWNER = Agent(1, "owner@example.com", "Owner", "owner")
INBOX = Inbox(2, "Website", "key-1")


@pytest.fixture
async def nodes(mariadb: MariaDb) -> AsyncIterator[list[MySqlDatabase]]:
    """Two nodes' connections to one new database, opened at once."""
    url = mariadb.new_database()
    opened = await asyncio.gather(*[MySqlDatabase.open(url) for _ in range(2)])
    yield opened
    for each in opened:
        await each.close()


@pytest.fixture
async def both(nodes: list[MySqlDatabase]) -> list[SqlRecords]:
    """The records as two nodes see them, after the first start."""
    first, second = [await SqlRecords.open(each) for each in nodes]
    made = await asyncio.gather(first.first_start(OWNER, INBOX), second.first_start(OWNER, INBOX))
    assert sorted(made) == [False, True]
    await first.reload()
    return [first, second]


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_of_many_nodes_that_start_at_once_one_migrates(mariadb: MariaDb) -> None:
    url = mariadb.new_database()
    opened = await asyncio.gather(*[MySqlDatabase.open(url) for _ in range(8)])
    assert {await each.read(revision_of) for each in opened} == {HEAD}
    assert await opened[0].read(differences) == []
    for each in opened:
        await each.close()


async def test_a_migration_that_was_cut_off_is_completed(mariadb: MariaDb) -> None:
    url = mariadb.new_database()
    await (await MySqlDatabase.open(url)).close()
    name = url.rpartition("/")[2]
    mariadb.sql("DELETE FROM alembic_version; DROP TABLE relay", name)
    mariadb.sql("DROP INDEX ix_conversations_updated_at ON conversations", name)
    database = await MySqlDatabase.open(url)
    assert await database.read(differences) == []
    await database.close()


async def test_a_newer_schema_is_left_alone_unless_it_says_that_it_cannot_be(mariadb: MariaDb) -> None:
    url = mariadb.new_database()
    await (await MySqlDatabase.open(url)).close()
    name = url.rpartition("/")[2]
    mariadb.sql("UPDATE alembic_version SET version_num = '9998'", name)
    await (await MySqlDatabase.open(url)).close()
    mariadb.sql("INSERT INTO installation VALUES ('oldest_revision', '9998')", name)
    with pytest.raises(SettingsError, match="newer version"):
        await MySqlDatabase.open(url)


async def test_a_lost_deadlock_is_run_again(nodes: list[MySqlDatabase]) -> None:
    tries = 0

    def crossing(first: str, second: str) -> Callable[[Connection], None]:
        def transaction(connection: Connection) -> None:
            nonlocal tries
            tries += 1
            for name in (first, second):
                lock = text("SELECT * FROM installation WHERE name = :name FOR UPDATE")
                connection.execute(lock, {"name": name}).all()
                connection.execute(text("SELECT SLEEP(0.1)"))

        return transaction

    await nodes[0].write(
        lambda connection: connection.execute(text("INSERT INTO installation VALUES ('a', ''), ('b', '')"))
    )
    await asyncio.gather(nodes[0].write(crossing("a", "b")), nodes[1].write(crossing("b", "a")))
    assert tries > 2


async def test_of_two_nodes_that_add_an_e_mail_one_does(both: list[SqlRecords]) -> None:
    for number in range(10, 20):
        twins = [Agent(number, f"mei{number}@example.com", "Mei", "agent")]
        twins.append(replace(twins[0], id=number + 100, email=f"MEI{number}@example.com"))
        added = await asyncio.gather(*[each.add_agent(twin) for each, twin in zip(both, twins, strict=True)])
        assert sorted(added) == [False, True]


async def test_changes_on_two_nodes_do_not_undo_each_other(both: list[SqlRecords]) -> None:
    for number in range(10):
        await asyncio.gather(
            both[0].change_agent(1, lambda agent: replace(agent, name=agent.name + "x")),
            both[1].change_agent(1, lambda agent: replace(agent, name=agent.name + "y")),
        )
        await both[0].reload()
        (owner,) = both[0].agents()
        assert len(owner.name) == len(OWNER.name) + 2 * (number + 1)


async def test_keys_are_compared_byte_by_byte(both: list[SqlRecords]) -> None:
    spellings = ["Ümit@example.com", "ümit@example.com ", "umit@example.com", "ＵＭＩＴ@example.com"]
    for number, email in enumerate(spellings, 10):
        assert await both[0].add_agent(Agent(number, email, "Ümit 🐝", "agent"))
    await both[1].reload()
    assert [each.email for each in both[1].agents()[1:]] == spellings
    assert both[1].agents()[1].name == "Ümit 🐝"


# The driver leaves the socket of a connect that was cancelled to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_cancelled_query_leaves_nothing_to_the_next(nodes: list[MySqlDatabase]) -> None:
    def ask(number: int) -> Coroutine[None, None, int]:
        query = text("SELECT :number, SLEEP(0.002)")
        return nodes[0].read(lambda connection: connection.execute(query, {"number": number}).scalar_one())

    for begin in range(0, 320, 16):
        asked = [asyncio.ensure_future(ask(begin + each)) for each in range(16)]
        await asyncio.sleep(0.003)
        for each in asked[::2]:
            each.cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert answers[1::2] == list(range(begin + 1, begin + 16, 2))


async def test_while_the_server_is_away_everything_says_so(own_mariadb: MariaDb) -> None:
    database = await MySqlDatabase.open(own_mariadb.new_database())
    archive = SqlArchive(database)
    own_mariadb.kill()
    for work in (archive.cursor(), archive.store(1, [], [], [])):
        with pytest.raises(StorageUnavailable) as raised:
            await work
        assert raised.value.message == "the database is away"
        assert raised.value.reason in str(raised.value)
        assert PASSWORD not in str(raised.value)
        assert raised.value.retry_after_ms
    own_mariadb.start()
    await archive.store(1, [], [], [])
    assert await archive.cursor() == 1
    await database.close()


async def test_connections_to_a_server_that_became_read_only_are_left(own_mariadb: MariaDb) -> None:
    """As after a failover, when the name leads to another server already."""
    url = own_mariadb.new_database()
    await (await MySqlDatabase.open(url)).close()
    own_mariadb.sql("CREATE USER plain@'%' IDENTIFIED BY 'p'; GRANT ALL ON `test\\_%`.* TO plain@'%'")
    database = await MySqlDatabase.open(
        f"mysql://plain:p@127.0.0.1:{own_mariadb.port}/{url.rpartition('/')[2]}"
    )
    archive = SqlArchive(database)
    query = text("SELECT CONNECTION_ID()")

    async def connection_id() -> int:
        return await database.write(lambda connection: connection.execute(query).scalar_one())

    before = await connection_id()
    own_mariadb.sql("SET GLOBAL read_only = ON")
    with pytest.raises(StorageUnavailable):
        await archive.store(1, [], [], [])
    own_mariadb.sql("SET GLOBAL read_only = OFF")
    await archive.store(1, [], [], [])
    assert await connection_id() != before
    await database.close()


def batch(number: int) -> list[ArchivedEvent]:
    """Events of ten conversations."""
    stored = Stored(number, 0, b"s", number, b"{}")
    return [ArchivedEvent(each, 10**6 * each + number, 1, "message.created", stored) for each in range(1, 11)]


async def store_all(archive: SqlArchive, numbers: range) -> tuple[int, list[int]]:
    """Store batches until one fails; return the last that was answered, and those whose outcome is open."""
    done = numbers.start - 1
    for number in numbers:
        try:
            await archive.store(number, batch(number), [], [])
        except (StorageUnavailable, OutcomeUnknown):
            return done, [number]
        done = number
    return done, []


async def test_killed_between_writes_it_has_what_was_answered_and_a_repeat_changes_nothing(
    own_mariadb: MariaDb,
) -> None:
    database = await MySqlDatabase.open(own_mariadb.new_database())
    archive = SqlArchive(database)
    next_number = 1
    for _ in range(3):
        work = asyncio.ensure_future(store_all(archive, range(next_number, 100_000)))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(own_mariadb.kill)
        done, opened = await work
        assert opened
        await asyncio.to_thread(own_mariadb.start)
        assert await archive.cursor() in {done, done + 1}
        for number in range(max(1, done - 20), done + 2):
            await archive.store(number, batch(number), [], [])
        next_number = done + 2
        seqs = [each.seq for each in await archive.events(7, 0, 10**9, 10**6, False)]
        assert seqs == list(range(1, next_number))
    await database.close()


async def test_a_server_that_stands_still_is_away(
    own_mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await MySqlDatabase.open(own_mariadb.new_database())
    archive = SqlArchive(database)
    monkeypatch.setattr("unique_cs.storage.mysql.ANSWER_S", 0.5)
    with own_mariadb.paused(), pytest.raises(StorageUnavailable):
        await archive.cursor()
    monkeypatch.undo()
    with contextlib.suppress(StorageUnavailable):
        await archive.cursor()
    assert await archive.cursor() == 0
    await database.close()


async def test_tls_is_spoken_with_a_server_that_is_known(own_mariadb: MariaDb, tmp_path: Path) -> None:
    certificate = make_certificate(own_mariadb.folder / "server.pem")
    other = make_certificate(tmp_path / "other.pem")
    certificate.chmod(0o644)
    url = own_mariadb.new_database()
    own_mariadb.stop()
    # The client program is told nothing of certificates, so that it can go without.
    own_mariadb.start(f"--ssl-cert={certificate}", f"--ssl-key={certificate}")
    database = await MySqlDatabase.open(f"{url}?ssl_ca={certificate}")
    cipher = await database.read(
        lambda connection: connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).all()
    )
    assert cipher[0][1].startswith("TLS")
    await database.close()
    for options in (f"ssl_ca={other}", "ssl=on"):
        with pytest.raises(StorageUnavailable, match=r"(?i)certificate"):
            await MySqlDatabase.open(f"{url}?{options}")


async def test_what_many_nodes_make_at_once_is_made_by_one(nodes: list[MySqlDatabase]) -> None:
    """A secret that two nodes have otherwise would make each refuse the other's tokens."""
    colds = [Cold(each) for each in nodes]
    for name in range(20):
        asked = [colds[number % 2].fact(f"fact-{name}", str(number)) for number in range(16)]
        assert len({*await asyncio.gather(*asked), await colds[0].fact(f"fact-{name}", "")}) == 1

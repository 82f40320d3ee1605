"""Journals that a recovery went without, and rows that were put back and lost again."""

import asyncio
from pathlib import Path

import pytest

from tests.cluster.test_faults import relay_of
from tests.support.cluster import ANN, ClusterNode, nodes, until
from tests.support.redis import RedisServer
from unique_cs.cluster import journal, log, log_source, recovery, settling
from unique_cs.cluster.ending import end
from unique_cs.cluster.imports import arranged
from unique_cs.cluster.keys import GENERATION, first_place
from unique_cs.cluster.log import Record
from unique_cs.domain.conversation import Conversation


async def _opened(node: ClusterNode, counter: int) -> None:
    def is_open() -> bool:
        found = node.cluster.generation
        return node.cluster.ready.is_set() and found is not None and found.counter >= counter

    await until(is_open, f"generation {counter} is open")


async def _said(node: ClusterNode, number: int) -> list[str]:
    conversation = await node.timeline.conversation(number)
    return [] if conversation is None else await node.texts(conversation)


async def _until_said(node: ClusterNode, number: int, wanted: list[str]) -> None:
    async with asyncio.timeout(20):
        while [each for each in await _said(node, number) if each in wanted] != wanted:
            await asyncio.sleep(0.1)


async def _relaying(node: ClusterNode) -> None:
    relay = relay_of(node)
    while True:
        await relay.move_all()
        await asyncio.sleep(0.05)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nobody for long."""
    monkeypatch.setattr(recovery, "WAIT_S", 0.3)
    monkeypatch.setattr(settling, "EACH_S", 0.1)


@pytest.mark.usefixtures("hurried")
async def test_a_journal_that_comes_late_is_taken_in(own_redis: RedisServer, tmp_path: Path) -> None:
    """What only the node knew that was down comes to the end; what was sent again meanwhile comes once."""
    async with nodes(2, own_redis.url, tmp_path) as made:
        away, here = made
        await away.ann()
        session = await away.session()
        for n in (1, 2, 3):
            sent = await away.send(session, n, str(n))
        assert sent.conversation is not None
        number = sent.conversation.id
        await away.stop()
        own_redis.flush()
        await _opened(here, 2)
        assert await _said(here, number) == []
        again, _ = await here.timeline.open_session(ANN, session.id, 7, 2)
        assert (again.id, again.n) == (session.id, 2)
        await here.ann()
        repeated = await here.send(again, 3, "3")
        assert repeated.conversation is not None
        back = ClusterNode("back", own_redis.url, away.database, away.hot)
        made.append(back)
        await back.start()
        relay = asyncio.create_task(_relaying(back))
        await _until_said(here, number, ["1", "2"])
        await _until_said(back, number, ["1", "2"])
        assert "3" not in await _said(here, number)
        assert (await _said(here, repeated.conversation.id))[1:] == ["3"]
        await until(lambda: back.cluster.journal.settled >= first_place(2), "the journal is settled")
        await end([relay])


@pytest.mark.usefixtures("hurried")
async def test_what_was_put_back_is_put_back_again(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive had begun with the new numbering when that was lost, too."""
    monkeypatch.setattr(log_source, "LIMIT", 3)
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        session = await node.session()
        for n in range(1, 20):
            sent = await node.send(session, n, str(n))
        own_redis.flush()
        await _opened(node, 2)
        relay = relay_of(node)
        await relay._find_place()
        await relay.move()
        assert first_place(2) < await node.archive.cursor() < node.cluster.memory.position
        own_redis.flush()
        await _opened(node, 3)
        assert isinstance(sent.conversation, Conversation)
        assert (await _said(node, sent.conversation.id))[1:] == [str(n) for n in range(1, 20)]


def test_an_older_numbering_takes_no_place_of_a_newer_one() -> None:
    old, new = first_place(1), first_place(2)
    was = [Record(old + seq, log.EVENT, 7, seq) for seq in (1, 2, 3, 4)]
    then = [Record(new + 1, log.EVENT, 7, 3), Record(new + 2, log.EVENT, 7, 4)]
    assert arranged([*was, *then]) == ([*was[:2], *then], was[2:])


@pytest.mark.usefixtures("hurried")
async def test_a_repeat_is_answered_for_with_all_that_the_send_did(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """The node that opened the conversation never comes back; the one that repeated the answer has it all."""
    async with nodes(2, own_redis.url, tmp_path) as (away, here):
        await away.ann()
        session = await away.session()
        sent = await away.send(session, 1, "1")
        assert sent.conversation is not None
        again, _ = await here.timeline.open_session(ANN, session.id, 7, 0)
        assert (await here.timeline.answer(again, 1)).seq == 2
        await away.stop()
        own_redis.flush()
        await _opened(here, 2)
        assert await _said(here, sent.conversation.id) == ["conversation.opened", "1"]


@pytest.mark.usefixtures("hurried")
async def test_who_goes_on_elsewhere_is_answered_for_there(own_redis: RedisServer, tmp_path: Path) -> None:
    """A client that comes back takes its own message, when it sees it, for the answer to it."""
    async with nodes(2, own_redis.url, tmp_path) as (away, here):
        await away.ann()
        session = await away.session()
        for n in range(1, 4):
            sent = await away.send(session, n, str(n))
        assert sent.conversation is not None
        await here.timeline.open_session(ANN, session.id, 7, 1)
        await away.stop()
        own_redis.flush()
        await _opened(here, 2)
        assert await _said(here, sent.conversation.id) == ["conversation.opened", "1", "2", "3"]


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("late", [False, True])
async def test_a_journal_longer_than_one_reading(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    """The database was away for long when Redis was lost."""
    monkeypatch.setattr(journal, "PAGE", 3)
    async with nodes(2, own_redis.url, tmp_path) as made:
        here, there = made
        await here.ann()
        session = await here.session()
        wanted = [str(n) for n in range(1, 20)]
        for n, text in enumerate(wanted, 1):
            sent = await here.send(session, n, text)
        assert sent.conversation is not None
        if late:
            await here.stop()
        own_redis.flush()
        await _opened(there, 2)
        if late:
            back = ClusterNode("back", own_redis.url, here.database, here.hot)
            made.append(back)
            await back.start()
            relay = asyncio.create_task(_relaying(back))
            await _until_said(back, sent.conversation.id, wanted)
            await end([relay])
        await _until_said(there, sent.conversation.id, wanted)


@pytest.mark.usefixtures("hurried")
async def test_a_journal_is_called_missing_before_a_generation_opens(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node, which may come the moment it is open, says last that it is there."""
    async with nodes(2, own_redis.url, tmp_path) as (away, here):
        await until(lambda: away.cluster.journal.settled > 0, "both journals are known")
        await away.stop()
        put_fact, said = here.cluster.cold.put_fact, []

        async def noting(name: str, value: str) -> None:
            if value == recovery.MISSING:
                said.append((name, own_redis.call("GET", GENERATION)))
            await put_fact(name, value)

        monkeypatch.setattr(here.cluster.cold, "put_fact", noting)
        own_redis.flush()
        await _opened(here, 2)
        assert said == [(recovery.JOURNALS + away.cluster.journal.id, None)]

"""Trimming: what is archived and old leaves the hot tier, and nothing that is needed."""

from tests.support.tiers import ANN, Tiers
from unique_cs.protocol.session import Session
from unique_cs.storage import keys

DAY = 24


def hot_places(tiers: Tiers, conversation: int) -> list[int]:
    """Where events lie in the hot tier."""
    rows = tiers.hot.scan(keys.event(conversation, 0), keys.event(conversation, keys.LAST), 10_000)
    return [keys.number_at(key) for key, _ in rows]


def answers(tiers: Tiers, session: Session) -> list[int]:
    """The numbers whose answers lie in the hot tier."""
    rows = tiers.hot.scan(keys.answer(session.key, 0), keys.answer(session.key, keys.LAST), 10_000)
    return [keys.number_at(key) for key, _ in rows]


async def test_nothing_goes_before_it_is_archived(tiers: Tiers) -> None:
    """However old, what the relay has not moved stays."""
    session, conversation = await tiers.talk(3)
    tiers.send(session, conversation, 4)
    assert await tiers.trim(hours=30 * DAY) == (0, 0)
    assert hot_places(tiers, conversation.id) == [1, 2, 3, 4, 5]


async def test_nothing_goes_before_it_is_old(tiers: Tiers) -> None:
    """What is archived stays in the hot tier for its hours."""
    session, conversation = await tiers.talk(3)
    tiers.send(session, conversation, 4)
    await tiers.group.drain()
    await tiers.archive_all()
    assert await tiers.trim(hours=47) == (0, 0)
    assert hot_places(tiers, conversation.id) == [1, 2, 3, 4, 5]
    groups, _ = await tiers.trim(hours=2)
    assert groups > 0
    assert hot_places(tiers, conversation.id) == [5]


async def test_the_end_of_a_timeline_stays(tiers: Tiers) -> None:
    """Through talks, pauses and trims the hot tier keeps the head, and everything can be read."""
    session, conversation = await tiers.talk(3)
    for n in range(4, 12):
        tiers.send(session, conversation, n)
        if n % 3 == 0:
            await tiers.group.drain()
            await tiers.archive_all()
            await tiers.trim()
            kept = hot_places(tiers, conversation.id)
            assert kept == list(range(kept[0], n + 2))
            assert await tiers.places(conversation) == list(range(1, n + 2))
    again = await tiers.again()
    found = await again.timeline.conversation(conversation.id)
    assert found is not None
    assert (found.seq, found.durable) == (12, 12)
    await again.close()


async def test_newest_answers_stay(tiers: Tiers) -> None:
    """The answers of the newest 256 sends stay as long as their session, older ones go with their events."""
    session, conversation = await tiers.talk(300)
    tiers.send(session, conversation, 301)
    await tiers.group.drain()
    await tiers.archive_all()
    await tiers.trim()
    assert answers(tiers, session) == list(range(46, 302))
    repeated = await tiers.timeline.answer(session, 46)
    assert repeated.stored is not None
    assert repeated.stored.n == 46
    again = await tiers.again()
    resumed, _ = await again.timeline.open_session(ANN, session.id, None, 0)
    assert (resumed.n, resumed.resumed) == (301, True)
    await again.close()


async def test_sessions_are_kept(tiers: Tiers) -> None:
    """A session outlives its last connection by its days; then it and its answers are gone."""
    session, _ = await tiers.talk(3)
    wire_id = session.id
    assert (await tiers.trim(hours=7 * DAY, session_days=7))[1] == 0
    assert answers(tiers, session) == [1, 2, 3]
    assert (await tiers.trim(hours=2 * DAY, session_days=7))[1] == 1
    await tiers.group.drain()
    assert answers(tiers, session) == []
    again = await tiers.again()
    found, _ = await again.timeline.open_session(ANN, wire_id, None, 0)
    assert (found.resumed, found.n) == (False, 0)
    await again.close()


async def test_live_sessions_are_kept(tiers: Tiers) -> None:
    """A session whose connection lives for months is kept, and after a crash as if it had just ended."""
    session, _ = await tiers.talk(3)
    session.connection = object()
    for _ in range(40):
        assert (await tiers.trim(hours=DAY, session_days=7))[1] == 0
    await tiers.group.drain()
    again = await tiers.again()
    assert (await again.trim(hours=6 * DAY, session_days=7))[1] == 0
    found, _ = await again.timeline.open_session(ANN, session.id, None, 0)
    assert (found.resumed, found.n) == (True, 3)
    await again.close()

"""The timeline's promises, on every hot tier."""

import asyncio

import msgspec
import pytest

from tests.support.tiers import ANN, BOB, Tiers, decide_message, settled
from unique_cs.actions import conversations, messages
from unique_cs.domain import conversation as rules
from unique_cs.domain.body import TextBody
from unique_cs.domain.events import Named
from unique_cs.errors import Code, OutcomeUnknown, Replaced, StorageUnavailable, UniqueCsError
from unique_cs.ports import Entry
from unique_cs.protocol.session import Session


@pytest.fixture(autouse=True)
async def _ann(tiers: Tiers) -> None:
    await tiers.ann()


async def test_places_without_gaps(tiers: Tiers) -> None:
    """Events get the places 1, 2, 3 … at once, and are delivered in that order once they are durable."""
    session = await tiers.session()
    conversation = await messages.target(tiers.timeline, tiers.contacts, ANN, None)
    given = [tiers.send(session, conversation, n) for n in range(1, 51)]
    assert (conversation.seq, conversation.durable) == (51, 0)
    assert await tiers.places(conversation) == []
    await tiers.group.drain()
    assert conversation.durable == 51
    delivered = [entry for entry in tiers.delivered if entry.event]
    assert [entry.event and entry.event.seq for entry in delivered] == list(range(1, 52))
    assert [entry.n for entry in delivered] == [0, *range(1, 51)]
    assert given == delivered[1:]
    assert await tiers.places(conversation) == list(range(1, 52))


async def test_ids_grow(tiers: Tiers) -> None:
    """Ids of events strictly grow with their places, also where the wall clock is set back."""
    _, conversation = await tiers.talk(5)
    tiers.clock.wall_ms = -3_600_000
    await settled(tiers.timeline.append(conversation, BOB.actor, decide_message(conversation, "x"), 1))
    found = await tiers.timeline.events(conversation, 0, 99, 99, False)
    ids = [int(each.id_and_time()[0]) for each in found]
    assert ids == sorted(set(ids))


async def test_plain_messages_never_conflict(tiers: Tiers) -> None:
    """Messages that were decided at the same state are all taken."""
    _, conversation = await tiers.talk()
    state = conversation.state_seq
    drafts = [decide_message(conversation, f"x{number}") for number in range(5)]
    entries = [tiers.timeline.append(conversation, BOB.actor, draft, state) for draft in drafts]
    assert [entry.event and entry.event.seq for entry in await settled(*entries)] == [3, 4, 5, 6, 7]


async def test_messages_conflict_with_state(tiers: Tiers) -> None:
    """A message that was decided before the last state event gets `conflict`, and stores nothing."""
    session, conversation = await tiers.talk()
    state = conversation.state_seq
    draft = decide_message(conversation, "late")
    await tiers.resolve(conversation)
    with pytest.raises(UniqueCsError) as raised:
        tiers.timeline.append(conversation, BOB.actor, draft, state, session=session, n=2)
    assert raised.value.code is Code.CONFLICT
    assert (conversation.seq, session.n) == (3, 1)


async def test_state_conflicts_with_everything(tiers: Tiers) -> None:
    """A state event that was decided before the last event, even a message, gets `conflict`."""
    session, conversation = await tiers.talk()
    drafts = rules.decide_labels(conversation, ["vip"])
    expect = conversation.seq
    tiers.send(session, conversation, 2)
    with pytest.raises(UniqueCsError) as raised:
        tiers.timeline.append(conversation, BOB.actor, drafts, expect)
    assert raised.value.code is Code.CONFLICT
    await conversations.set_labels(tiers.timeline, BOB, conversation, ["vip"])
    assert await tiers.places(conversation) == [1, 2, 3, 4]


async def test_number_is_checked_in_the_same_write(tiers: Tiers) -> None:
    """A number that is not the next one stores nothing, wherever it comes from."""
    session, conversation = await tiers.talk()
    for n in (1, 3):
        with pytest.raises(UniqueCsError) as raised:
            tiers.send(session, conversation, n)
        assert raised.value.code is Code.OUT_OF_ORDER
        with pytest.raises(UniqueCsError):
            tiers.timeline.refuse(session, n, UniqueCsError(Code.INVALID, "x"), None)
    await tiers.group.drain()
    assert await tiers.places(conversation) == [1, 2]


async def test_answers(tiers: Tiers) -> None:
    """The answer to a send is its event or its error; both outlive the process."""
    session, conversation = await tiers.talk(2)
    tiers.timeline.refuse(session, 3, UniqueCsError(Code.FORBIDDEN, "no"), None)
    await tiers.timeline.settled(session, 3)
    for each in (tiers, await tiers.again()):
        sent = await each.timeline.answer(session, 2)
        assert (sent.conversation, sent.seq) == (conversation.id, 3)
        assert sent.stored is not None
        assert (sent.stored.session, sent.stored.n) == (session.key, 2)
        refused = await each.timeline.answer(session, 3)
        assert (refused.code, refused.message, refused.stored) == ("forbidden", "no", None)
        assert (await each.timeline.answer(session, 4)).code == Code.CONFLICT
        await each.close()


async def test_session_is_rebuilt(tiers: Tiers) -> None:
    """Number, count and answers of a session are read back; `c` must be higher than the highest seen."""
    session, _ = await tiers.talk(3)
    wire_id = session.id
    _, c = await tiers.timeline.open_session(ANN, wire_id, 7, 0)
    again = await tiers.again()
    with pytest.raises(Replaced):
        await again.timeline.open_session(ANN, wire_id, 7, 0)
    found, c = await again.timeline.open_session(ANN, wire_id, None, 0)
    assert (found.n, found.resumed, c) == (3, True, 8)
    other, _ = await again.timeline.open_session(BOB, wire_id, None, 0)
    assert (other.id != wire_id, other.resumed) == (True, False)
    await again.close()


async def test_refused_numbers_are_rebuilt(tiers: Tiers) -> None:
    """A number that a refusal used up is used up for the next process too."""
    session, _ = await tiers.talk(1)
    tiers.timeline.refuse(session, 2, UniqueCsError(Code.INVALID, "x"), None)
    again = await tiers.again()
    found, _ = await again.timeline.open_session(ANN, session.id, None, 0)
    assert found.n == 2
    await again.close()


async def test_conversation_is_rebuilt(tiers: Tiers) -> None:
    """Heads and state of a conversation are read back."""
    _, conversation = await tiers.talk(2)
    await conversations.assign(tiers.timeline, BOB, conversation, Named("22", "Bob"))
    await conversations.set_labels(tiers.timeline, BOB, conversation, ["vip"])
    again = await tiers.again()
    found = await again.timeline.conversation(conversation.id)
    assert found is not None
    for name in ("id", "inbox", "contact", "status", "assignee", "labels", "seq", "durable", "state_seq"):
        assert getattr(found, name) == getattr(conversation, name), name
    for name in ("created_at", "updated_at", "waiting_since"):
        assert getattr(found, name) == getattr(conversation, name), name
    assert again.timeline.epoch == tiers.timeline.epoch
    assert await again.timeline.conversation(12345) is None
    await again.close()


async def test_newest_open(tiers: Tiers) -> None:
    """The newest conversation that is not resolved is found, also while its opening is on its way."""
    assert await tiers.timeline.newest_open(ANN.id) is None
    _, first = await tiers.talk()
    assert await tiers.timeline.newest_open(ANN.id) is first
    await tiers.resolve(first)
    assert await tiers.timeline.newest_open(ANN.id) is None
    session = await tiers.session()
    second = await messages.target(tiers.timeline, tiers.contacts, ANN, None)
    tiers.send(session, second, 1)
    assert await messages.target(tiers.timeline, tiers.contacts, ANN, None) is second
    await tiers.group.drain()
    assert await tiers.timeline.newest_open(ANN.id) is second
    assert [each.id for each in await tiers.timeline.conversations_of(ANN.id, 9)] == [second.id, first.id]
    assert [each.id for each in await tiers.timeline.conversations_of(ANN.id, 1)] == [second.id]


async def test_not_resolved(tiers: Tiers) -> None:
    """The index of conversations that are not resolved says inbox, assignee and since when they wait."""
    _, conversation = await tiers.talk()
    waiting = tiers.clock.now_ms()
    assert tiers.timeline.not_resolved() == [(conversation.id, 1, 0, waiting)]
    await conversations.assign(tiers.timeline, BOB, conversation, Named("22", "Bob"))
    assert tiers.timeline.not_resolved() == [(conversation.id, 1, 22, 0)]
    await tiers.resolve(conversation)
    assert tiers.timeline.not_resolved() == []


@pytest.mark.parametrize(
    ("after", "before", "limit", "newest", "expected"),
    [
        (0, 99, 99, False, [1, 2, 3, 4, 5, 6]),
        (2, 5, 99, False, [3, 4]),
        (2, 99, 2, False, [3, 4]),
        (0, 99, 2, True, [5, 6]),
        (0, 5, 2, True, [3, 4]),
        (4, 99, 9, True, [5, 6]),
        (6, 99, 9, False, []),
        (3, 4, 9, False, []),
        (0, 99, 0, False, []),
        (0, 1, 9, True, []),
    ],
)
@pytest.mark.parametrize("cold", [False, True])
async def test_events(
    tiers: Tiers, after: int, before: int, limit: int, newest: bool, expected: list[int], cold: bool
) -> None:
    """Any range is read oldest first, the same from the hot tier as from both that meet."""
    session, conversation = await tiers.talk(3)
    if cold:
        await tiers.archive_all()
        await tiers.trim()
    tiers.send(session, conversation, 4)
    tiers.send(session, conversation, 5)
    await tiers.group.drain()
    found = await tiers.timeline.events(conversation, after, before, limit, newest)
    assert [each.seq for each in found] == expected


async def test_tiers_that_do_not_meet(tiers: Tiers) -> None:
    """A hole between the tiers is an error and not a shorter answer."""
    session, conversation = await tiers.talk(3)
    tiers.send(session, conversation, 4)
    await tiers.archive_all()
    await tiers.trim()
    tiers.archive._events[conversation.id].pop(3)
    for newest in (False, True):
        with pytest.raises(UniqueCsError) as raised:
            await tiers.timeline.events(conversation, 0, 99, 99, newest)
        assert raised.value.code is Code.INTERNAL
    assert [each.seq for each in await tiers.timeline.events(conversation, 3, 99, 9, False)] == [4, 5]


async def _failing(tiers: Tiers, fails: str, session: Session, conversation: rules.Conversation) -> Entry:
    tiers.hot.fails = fails
    entry = tiers.send(session, conversation, 2, "lost?")
    with pytest.raises(OutcomeUnknown):
        await messages.durable(entry)
    return entry


@pytest.mark.parametrize("fails", ["write", "flush"])
async def test_failure(tiers: Tiers, fails: str) -> None:
    """After a failure who waits gets `OutcomeUnknown`; nothing is accepted until heads were read back."""
    session, conversation = await tiers.talk()
    failures: list[Exception] = []
    tiers.group.on_failure = failures.append
    await _failing(tiers, fails, session, conversation)
    assert len(failures) == 1
    assert tiers.group.refusal
    with pytest.raises(StorageUnavailable) as raised:
        tiers.send(session, conversation, 3)
    assert raised.value.retry_after_ms
    with pytest.raises(OutcomeUnknown):
        await tiers.group.durable()
    await tiers.recover()
    found = await tiers.timeline.conversation(conversation.id)
    resumed, _ = await tiers.timeline.open_session(ANN, session.id, None, 0)
    assert found is not None
    assert found.seq == found.durable == resumed.n + 1
    before = await tiers.places(found)
    tiers.send(resumed, found, resumed.n + 1, "next")
    await tiers.group.drain()
    assert await tiers.places(found) == [*before, len(before) + 1]


@pytest.mark.parametrize("fails", ["write", "flush"])
async def test_no_id_repeats_after_a_failure(tiers: Tiers, fails: str) -> None:
    """An id that was given to an event that was lost is not given again."""
    session, conversation = await tiers.talk()
    lost = await _failing(tiers, fails, session, conversation)
    await tiers.recover()
    resumed, _ = await tiers.timeline.open_session(ANN, session.id, None, 0)
    found = await tiers.timeline.conversation(conversation.id)
    assert found is not None
    (entry,) = await settled(tiers.send(resumed, found, resumed.n + 1))
    assert entry.event is not None
    assert lost.event is not None
    assert int(entry.event.id) > int(lost.event.id)


async def test_idempotency_key(tiers: Tiers) -> None:
    """A key names one message of its actor: a repeat gets the same event, another message `conflict`."""
    _, conversation = await tiers.talk()

    async def post(tiers: Tiers, text: str, key: str = "k") -> str:
        found = await tiers.timeline.conversation(conversation.id)
        assert found is not None
        stored = await messages.post_message(tiers.timeline, BOB, found, TextBody(text), False, key)
        return str(msgspec.json.decode(stored.frame)["id"])

    first, twin = await asyncio.gather(post(tiers, "one"), post(tiers, "one"))
    assert first == twin
    assert await post(tiers, "one", "other") != first
    with pytest.raises(UniqueCsError) as raised:
        await post(tiers, "two")
    assert raised.value.code is Code.CONFLICT
    again = await tiers.again()
    assert await post(again, "one") == first
    await again.archive_all()
    assert (await again.trim(hours=24 * 6))[0] > 0
    assert await post(again, "one") == first
    await again.close()

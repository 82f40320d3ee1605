"""Sends: numbers, answers, repeats and their order, as the protocol page promises them."""

import pytest

from tests.support.node import Frame, House, Peer, open_house, turns
from unique_cs.actions import messages
from unique_cs.domain.body import TextBody
from unique_cs.errors import StorageUnavailable


def answers(peer: Peer) -> list[tuple[int, str]]:
    """Number and outcome of each answer: `sent`, or the code of the error."""
    return [(frame["n"], frame.get("code", "sent")) for frame in peer.take("sent", "error")]


async def test_sent(house: House) -> None:
    """A send is answered with its event's id, conversation, place and time."""
    peer = await house.visitor()
    peer.say(1)
    await house.settle()
    subscribed, opened, sent = peer.take()
    assert subscribed["seq"] == 0
    assert (opened["name"], opened["seq"]) == ("conversation.opened", 1)
    assert opened["data"] == {"inbox": "1", "contact": {"id": house.id_of("ann"), "name": "ann"}}
    assert sent == {
        "type": "sent",
        "n": 1,
        "id": sent["id"],
        "conversation": opened["conversation"],
        "seq": 2,
        "time": house.clock.now_ms(),
    }
    assert int(sent["id"]) > int(opened["id"])


async def test_sent_only_when_durable(house: House) -> None:
    """Nothing is answered or shown before the flush has returned."""
    peer, conversation = await house.talk("one")
    agent = await house.staff()
    house.disk.hold()
    peer.say(2)
    await turns(50)
    assert peer.take() == []
    assert agent.take() == []
    assert (await house.conversation(conversation)).durable == 2
    house.disk.release()
    await house.settle()
    assert answers(peer) == [(2, "sent")]
    assert [frame["seq"] for frame in agent.take("event")] == [3]


async def test_sent_in_the_events_place(house: House) -> None:
    """The sender gets `sent` in the event's place; others, also of its own session, get the `event`."""
    peer, conversation = await house.talk("one")
    agent = await house.staff()
    agent.say(1, "from the agent", conversation)
    peer.say(2, "from the contact")
    await house.settle()
    mine = [(frame["type"], frame["seq"]) for frame in peer.take()]
    theirs = [(frame["type"], frame["seq"]) for frame in agent.take()]
    assert mine == [("event", 3), ("sent", 4)]
    assert theirs == [("sent", 3), ("event", 4)]


async def test_send_in_flight_while_the_session_moves(house: House) -> None:
    """What an older connection had in flight is in `connected.seq`; resent, it gets `sent` and no event."""
    older, _ = await house.talk("one")
    house.disk.hold()
    older.say(2, "two")
    await turns(5)
    newer = house.peer()
    newer.send("connect", token="ann", session=older.connected["session"])
    newer.say(2, "two")
    await turns(20)
    house.disk.release()
    await house.settle()
    connected, *rest = newer.take()
    assert connected["n"] == 2
    assert [(frame["type"], frame["n"], frame["seq"]) for frame in rest] == [("sent", 2, 3)]


async def test_own_event_on_another_connection(house: House) -> None:
    """What an older connection sent reaches the newer, live one as an `event` with `n`."""
    older, conversation = await house.talk("one")
    session = older.connection.session
    assert session is not None
    newer = await house.peer().connect("ann", session=older.connected["session"])
    timeline = house.node.timeline
    found = await house.conversation(conversation)
    messages.send(timeline, session, found, 2, TextBody("two"), False, older.connection)
    await house.settle()
    (event,) = newer.take()
    assert (event["type"], event["n"], event["seq"]) == ("event", 2, 3)


async def test_repeat(house: House) -> None:
    """A repeat stores nothing again and gets the same answer, here, on a later connection, a new process."""
    peer = await house.visitor()
    peer.say(1)
    await house.settle()
    (first,) = peer.take("sent")
    peer.say(1)
    await house.settle()
    assert peer.take() == [first]
    again = await house.peer().connect("ann", session=peer.connected["session"])
    again.say(1)
    await house.settle()
    assert again.take() == [first]
    await house.restart()
    again = await house.peer().connect("ann", session=peer.connected["session"])
    again.say(1)
    await house.settle()
    assert again.take() == [first]
    assert (await house.conversation(first["conversation"])).seq == 2


async def test_repeat_waits_until_the_first_is_durable(house: House) -> None:
    """A repeat is not answered before the first is durable; the frames behind it wait, too."""
    peer, _ = await house.talk("one")
    house.disk.hold()
    peer.say(2, "two")
    peer.say(2, "two")
    peer.say(3, "three")
    await turns(50)
    assert peer.take() == []
    house.disk.release()
    await house.settle()
    assert answers(peer) == [(2, "sent"), (2, "sent"), (3, "sent")]


async def test_repeat_after_the_replay(house: House) -> None:
    """A repeat is not answered before the position of the connection has reached its place."""
    peer, conversation = await house.talk("one", "two")
    since = {conversation: {"epoch": house.node.timeline.epoch, "seq": 1}}
    again = house.peer()
    again.send("connect", token="ann", session=peer.connected["session"], since=since)
    again.say(2, "two")
    await house.settle()
    frames = [(frame["type"], frame["seq"]) for frame in again.take("event", "sent")]
    assert frames == [("event", 2), ("event", 3), ("sent", 3)]


async def test_repeat_that_differs(house: House) -> None:
    """A repeat with another body, privacy or conversation gets `conflict`; the first answer stays."""
    _, conversation = await house.talk("one")
    _, other = await house.talk("x", name="eve")
    agent = await house.staff()
    agent.say(1, "yes", conversation)
    await house.settle()
    (first,) = agent.take("sent")
    agent.say(1, "no", conversation)
    agent.say(1, "yes", conversation, private=True)
    agent.say(1, "yes", other)
    agent.send("send", n=1, conversation=conversation, body={"kind": "text"})
    agent.say(1, "yes", conversation)
    await house.settle()
    assert answers(agent)[:4] == [(1, "conflict")] * 4
    agent.say(1, "yes", conversation)
    await house.settle()
    assert agent.take() == [first]


async def test_repeat_of_every_kind_of_body(house: House) -> None:
    """A repeat of a message of any kind is the same message; fields that are unknown don't count."""
    peer = await house.visitor()
    bodies: list[Frame] = [
        {
            "kind": "card",
            "title": "Shoes",
            "price": "1",
            "actions": [{"label": "Buy", "url": "https://x.cn/"}],
        },
        {"kind": "choices", "text": "Which?", "options": ["a", "b"]},
        {"kind": "rating", "score": 5, "comment": "good"},
        {"kind": "custom", "number": 2**64 - 1, "deep": [[{"x": None}]], "float": 0.1},
        {"kind": "text", "text": "hi", "unknown": 1},
    ]
    for n, body in enumerate(bodies, start=1):
        peer.send("send", n=n, body=body)
        await house.settle()
        (first,) = peer.take("sent")
        peer.send("send", n=n, body=body)
        await house.settle()
        assert peer.take("sent", "error") == [first]


async def test_answers_in_the_order_of_n(house: House) -> None:
    """Answers come in the order of `n`, errors and repeats among them, all once the group is durable."""
    peer, _ = await house.talk("one")
    house.disk.hold()
    peer.say(2, "two")
    peer.say(3, "a note", private=True)
    peer.say(4, "four")
    peer.send("send", n=5, body={"kind": "text", "text": ""})
    peer.say(6, "six")
    await turns(50)
    assert peer.take() == []
    house.disk.release()
    await house.settle()
    assert answers(peer) == [(2, "sent"), (3, "forbidden"), (4, "sent"), (5, "invalid"), (6, "sent")]


async def test_final_error_uses_the_number_up(house: House) -> None:
    """An error without `retry_after_ms` is final: a repeat gets the same, also from a new process."""
    peer, _ = await house.talk("one")
    peer.say(2, "note", private=True)
    await house.settle()
    (first,) = peer.take("error")
    assert (first["n"], first["code"]) == (2, "forbidden")
    assert "retry_after_ms" not in first
    assert "expected" not in first
    for _ in range(2):
        peer.say(2, "note", private=True)
        await house.settle()
        assert peer.take() == [first]
        await house.power_failure()
        peer = await house.peer().connect("ann", session=peer.connected["session"])
    peer.say(3)
    await house.settle()
    assert answers(peer) == [(3, "sent")]


async def test_out_of_order(house: House) -> None:
    """A number above the next one gets `out_of_order` with `expected`; nothing is stored, nothing used up."""
    peer, conversation = await house.talk("one")
    peer.say(3)
    peer.say(4)
    await house.settle()
    frames = peer.take()
    assert [(f["code"], f["n"], f["expected"]) for f in frames] == [
        ("out_of_order", 3, 2),
        ("out_of_order", 4, 2),
    ]
    assert (await house.conversation(conversation)).seq == 2
    peer.say(2)
    peer.say(3)
    await house.settle()
    assert answers(peer) == [(2, "sent"), (3, "sent")]


async def test_newest_256_answers(house: House) -> None:
    """The newest 256 answers can be repeated; an older number gets `conflict`."""
    peer, _ = await house.talk(*[f"message {n}" for n in range(1, 301)])
    peer.say(45, "message 45")
    peer.say(44, "message 44")
    peer.say(1, "message 1")
    await house.settle()
    assert answers(peer) == [(45, "sent"), (44, "conflict"), (1, "conflict")]
    await house.restart()
    peer = await house.peer().connect("ann", session=peer.connected["session"])
    peer.say(45, "message 45")
    peer.say(44, "message 44")
    await house.settle()
    assert answers(peer) == [(45, "sent"), (44, "conflict")]


async def test_at_most_256_in_flight(house: House) -> None:
    """The 257th send without an answer is held off with `expected`; what follows is out of order."""
    peer, _ = await house.talk("one")
    house.disk.hold()
    for n in range(2, 260):
        peer.say(n)
    await turns(10)
    held, later = peer.take()
    assert (held["code"], held["n"], held["expected"]) == ("rate_limited", 258, 258)
    assert held["retry_after_ms"] >= 1
    assert (later["code"], later["n"], later["expected"]) == ("out_of_order", 259, 258)
    house.disk.release()
    await house.settle()
    assert answers(peer) == [(n, "sent") for n in range(2, 258)]
    peer.say(258)
    peer.say(259)
    await house.settle()
    assert answers(peer) == [(258, "sent"), (259, "sent")]


async def test_rate_limited() -> None:
    """Too many sends get `rate_limited` with `retry_after_ms` and `expected`; later ones cost no tokens."""
    async with open_house(rates=True, sends_per_second=1) as house:
        peer, _ = await house.talk("1", "2", "3", "4", "5")
        for n in range(6, 20):
            peer.say(n)
        await house.settle()
        first, *later = peer.take()
        assert (first["code"], first["n"], first["expected"]) == ("rate_limited", 6, 6)
        assert 1 <= first["retry_after_ms"] <= 1_001
        assert {(f["code"], f["expected"]) for f in later} == {("out_of_order", 6)}
        await house.advance(first["retry_after_ms"] / 1000)
        peer.say(6)
        peer.say(7)
        await house.settle()
        assert answers(peer) == [(7, "rate_limited"), (6, "sent")]


async def test_rate_by_address() -> None:
    """All sessions of one address share a bucket; another address is not held off."""
    async with open_house(rates=True, sends_per_ip=1) as house:
        one = await house.peer(address="10.0.0.1").connect(await house.contact("ann"))
        two = await house.peer(address="10.0.0.1").connect(await house.contact("ben"))
        far = await house.peer(address="10.0.0.2").connect(await house.contact("cho"))
        for peer in (one, two, far):
            peer.say(1)
            peer.say(2)
            await house.settle()
        assert answers(one) == [(1, "sent"), (2, "sent")]
        assert answers(two) == [(1, "rate_limited"), (2, "out_of_order")]
        assert answers(far) == [(1, "sent"), (2, "sent")]


async def test_send_whose_number_is_unreadable(house: House) -> None:
    """A send without a readable number gets `invalid` without `n`; the connection stays open."""
    peer, _ = await house.talk("one")
    for n in (0, -1, 2**53, "2", None, True, 1.5):
        (error,) = await peer.ask("send", n=n, body={"kind": "text", "text": "x"})
        assert error["code"] == "invalid"
        assert "n" not in error
    peer.say(2)
    await house.settle()
    assert answers(peer) == [(2, "sent")]


async def test_refusal_while_nothing_can_be_stored(house: House) -> None:
    """While the store takes nothing every send is held off with its number, whatever is wrong with it."""
    peer, conversation = await house.talk("one")
    house.node.group.block("the disk is nearly full")
    peer.say(2)
    await house.settle()
    (held,) = peer.take()
    assert (held["code"], held["n"], held["expected"]) == ("overloaded", 2, 2)
    assert held["retry_after_ms"] > 0
    peer.say(2, private=True)
    peer.send("send", n=2, body={"kind": "text", "text": ""})
    peer.say(2, conversation="12345")
    await house.settle()
    assert [(f["code"], f["n"], f["expected"]) for f in peer.take()] == [("overloaded", 2, 2)] * 3
    house.node.group.block("")
    peer.say(2)
    await house.settle()
    assert answers(peer) == [(2, "sent")]
    assert (await house.conversation(conversation)).seq == 3


async def test_a_repeat_whose_answer_can_not_be_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not told to try later, for its number is taken: the client comes back and asks again."""
    peer, _ = await house.talk("one")

    async def away(*_: object) -> None:
        raise StorageUnavailable("Redis is away")

    monkeypatch.setattr(house.node.timeline, "answer", away)
    peer.say(1, "one")
    await house.settle()
    assert [frame["code"] for frame in peer.take("error", "close")] == [4500]

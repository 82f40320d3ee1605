"""Positions: replay, resync and live events meet without a gap or a repeat."""

from typing import Any

import pytest

from tests.support.node import Frame, House, turns
from unique_cs.actions import conversations
from unique_cs.domain.events import Named
from unique_cs.protocol.codec import MSGPACK


def since(house: House, conversation: str, seq: int, epoch: str | None = None) -> dict[str, Any]:
    """A `since` that names one position."""
    return {conversation: {"epoch": epoch or house.node.timeline.epoch, "seq": seq}}


def places(frames: list[Frame]) -> list[tuple[str, int]]:
    """Type and place of each frame that has a place."""
    return [(frame["type"], frame["seq"]) for frame in frames if "seq" in frame]


async def test_replay_from_a_position(house: House) -> None:
    """After `connected` come, in order, all events above the position, those of the own session with `n`."""
    peer, conversation = await house.talk("one", "two", "three")
    again = await house.peer().connect(
        "ann", session=peer.connected["session"], since=since(house, conversation, 2)
    )
    frames = again.take()
    assert places(frames) == [("event", 3), ("event", 4)]
    assert [frame["n"] for frame in frames] == [2, 3]
    assert frames[0]["data"] == {"body": {"kind": "text", "text": "two"}, "private": False}


async def test_replay_for_another_session(house: House) -> None:
    """Another session of the same actor, and an agent, get the events without `n`."""
    _, conversation = await house.talk("one")
    position = since(house, conversation, 0)
    for peer in (
        await house.peer().connect("ann", since=position),
        await house.staff(since=position),
        await house.peer(MSGPACK).connect("bob", since=position),
    ):
        frames = peer.take()
        assert [frame["name"] for frame in frames] == ["conversation.opened", "message.created"]
        assert not any("n" in frame for frame in frames)


async def test_conversation_without_a_position_is_live(house: House) -> None:
    """A conversation that `since` does not name starts live at the `seq` shown in `connected`."""
    peer, _ = await house.talk("one")
    agent = await house.staff()
    assert agent.connected["conversations"][0]["seq"] == 2
    assert agent.take() == []
    peer.say(2)
    await house.settle()
    assert places(agent.take()) == [("event", 3)]


async def test_replay_meets_live_events(house: House) -> None:
    """What becomes durable while a replay is on its way comes after it: no gap, no repeat."""
    peer, conversation = await house.talk(*[f"message {n}" for n in range(350)])
    agent = house.peer()
    agent.holds = True
    agent.send("connect", token=house.agent(), since=since(house, conversation, 0))
    for n in range(351, 401):
        peer.say(n)
        await turns(3)
        if n % 10 == 0:
            agent.catch_up()
    await house.settle()
    while agent.connection.drained is not None:
        agent.catch_up()
        await house.settle()
    assert [frame["seq"] for frame in agent.take("event")] == list(range(1, 402))


async def test_replay_waits_for_the_reader(house: House) -> None:
    """A long replay is pulled as the client reads: it does not count as slow, and memory stays bounded."""
    peer, conversation = await house.talk(*["x" * 7_900] * 250)
    assert peer.code is None
    agent = house.peer()
    agent.holds = True
    agent.send("connect", token=house.agent(), since=since(house, conversation, 0))
    most = 0
    seen: list[int] = []
    while len(seen) < 251:
        await house.settle()
        seen += [frame["seq"] for frame in agent.take("event")]
        most = max(most, agent.buffered())
        assert agent.code is None
        agent.catch_up()
    assert seen == list(range(1, 252))
    assert most < 200_000


@pytest.mark.parametrize("behind", [1_000, 1_001])
async def test_replay_is_bounded(house: House, behind: int) -> None:
    """At most 1,000 events are replayed; a position further back gets `resync` and is live at the head."""
    peer, conversation = await house.talk("first")
    for n in range(2, 1_102):
        peer.say(n)
        if n % 200 == 0:
            await house.settle()
    await house.settle()
    head = 1_102
    agent = await house.staff(since=since(house, conversation, head - behind))
    frames = agent.take()
    if behind == 1_000:
        assert [frame["seq"] for frame in frames] == list(range(103, 1_103))
    else:
        assert frames == [
            {
                "type": "resync",
                "conversation": conversation,
                "epoch": house.node.timeline.epoch,
                "seq": head,
            }
        ]
    peer.say(1_102)
    await house.settle()
    assert places(agent.take()) == [("event", head + 1)]


async def test_resync_of_a_wrong_position(house: House) -> None:
    """A position of another epoch, or above the head, gets `resync` to the head; live goes on above."""
    peer, conversation = await house.talk("one")
    for position in (since(house, conversation, 2, "other"), since(house, conversation, 3)):
        agent = await house.peer().connect(house.agent(), since=position)
        (frame,) = agent.take()
        assert (frame["type"], frame["epoch"], frame["seq"]) == ("resync", house.node.timeline.epoch, 2)
    peer.say(2)
    await house.settle()
    assert places(agent.take()) == [("event", 3)]


async def test_position_at_the_head(house: House) -> None:
    """A position at the head gets nothing and is live."""
    peer, conversation = await house.talk("one")
    agent = await house.staff(since=since(house, conversation, 2))
    assert agent.take() == []
    peer.say(2)
    await house.settle()
    assert places(agent.take()) == [("event", 3)]


async def test_since_without_access(house: House) -> None:
    """A position in a conversation of somebody else, or of none, gets `unsubscribed` and nothing else."""
    _, conversation = await house.talk("secret")
    for name in (conversation, "12345", "nonsense"):
        eve = await house.peer().connect(await house.contact("eve"), since=since(house, name, 0))
        assert eve.connected["conversations"] == []
        assert eve.take() == [{"type": "unsubscribed", "conversation": name}]


async def test_named_conversations_are_listed_first(house: House) -> None:
    """`connected` lists 500 conversations, first those in `since`; the rest comes as `subscribed`."""
    _, oldest = await house.talk("one", name="c0")
    house.agent("bob")
    bob = house.principals["bob"]
    timeline = house.node.timeline
    for number in range(1, 502):
        contact = await house.visitor(f"c{number}")
        contact.say(1)
        await house.settle()
        (sent,) = contact.take("sent")
        await conversations.assign(
            timeline, bob, await house.conversation(sent["conversation"]), _named(house, "bob")
        )
        contact.hang_up()
    await conversations.assign(timeline, bob, await house.conversation(oldest), _named(house, "bob"))
    agent = await house.peer().connect("bob", since=since(house, oldest, 3))
    listed = [each["id"] for each in agent.connected["conversations"]]
    rest = [frame["conversation"] for frame in agent.take("subscribed", "unsubscribed")]
    assert len(listed) == 500
    assert oldest in listed
    assert len(set(listed) | set(rest)) == 502


def _named(house: House, name: str) -> Named:
    return Named(house.id_of(name), name)


async def test_subscribe(house: House) -> None:
    """`subscribe` answers `subscribed` with the head, then the replay, then what is live."""
    peer, conversation = await house.talk("one", "two")
    house.agent("bob")
    await conversations.set_status(
        house.node.timeline,
        house.principals["bob"],
        await house.conversation(conversation),
        "resolved",
        None,
    )
    agent = await house.peer().connect("bob")
    assert agent.connected["conversations"] == []
    frames = await agent.ask(
        "subscribe", conversation=conversation, since=since(house, conversation, 2)[conversation]
    )
    assert frames[0] == {
        "type": "subscribed",
        "conversation": conversation,
        "epoch": house.node.timeline.epoch,
        "seq": 4,
        "status": "resolved",
        "contact": {"id": house.id_of("ann"), "name": "ann"},
        "cursors": [],
    }
    assert places(frames[1:]) == [("event", 3), ("event", 4)]
    peer.say(3, conversation=conversation)
    await house.settle()
    assert places(agent.take("event")) == [("event", 5), ("event", 6)]


async def test_subscribe_without_access(house: House) -> None:
    """Without access, or with an unknown id: `unsubscribed` and nothing else."""
    peer, conversation = await house.talk("secret")
    eve = await house.visitor("eve")
    for name in (conversation, "12345", "x"):
        assert await eve.ask("subscribe", conversation=name) == [
            {"type": "unsubscribed", "conversation": name}
        ]
    peer.say(2)
    await house.settle()
    assert eve.take() == []


async def test_unsubscribe(house: House) -> None:
    """`unsubscribe` ends the events of a conversation; a send there is still answered."""
    peer, conversation = await house.talk("one")
    agent = await house.staff()
    assert await agent.ask("unsubscribe", conversation=conversation) == [
        {"type": "unsubscribed", "conversation": conversation}
    ]
    peer.say(2)
    await house.settle()
    assert agent.take() == []
    agent.say(1, conversation=conversation)
    await house.settle()
    assert places(agent.take()) == [("sent", 4)]


async def test_subscribe_again_from_another_place(house: House) -> None:
    """Subscribing anew moves the position; sends in flight are answered before the replay."""
    peer, conversation = await house.talk("one")
    peer.say(2, "two")
    peer.send("subscribe", conversation=conversation, since=since(house, conversation, 0)[conversation])
    await house.settle()
    frames = peer.take()
    assert places(frames) == [("sent", 3), ("subscribed", 3), ("event", 1), ("event", 2), ("event", 3)]
    peer.say(3)
    await house.settle()
    assert places(peer.take()) == [("sent", 4)]


async def test_hidden_events_in_a_replay(house: House) -> None:
    """A contact gets `advance` for a note, in a replay as live."""
    peer, conversation = await house.talk("one")
    agent = await house.staff()
    agent.say(1, "a note", conversation, private=True)
    agent.say(2, "an answer", conversation)
    await house.settle()
    live = peer.take()
    again = await house.peer().connect("ann", since=since(house, conversation, 2))
    assert again.take() == live
    assert live[0] == {"type": "advance", "conversation": conversation, "seq": 3}
    assert places(live) == [("advance", 3), ("event", 4)]


async def test_replay_crosses_the_tiers(house: House) -> None:
    """A replay begins in the cold tier where the hot one was trimmed."""
    peer, conversation = await house.talk(*[f"message {n}" for n in range(1, 150)])
    await house.trim(after_hours=49)
    peer.say(150)
    await house.settle()
    agent = await house.staff(since=since(house, conversation, 3))
    assert [frame["seq"] for frame in agent.take("event")] == list(range(4, 152))

"""What an agent gets without asking: its own conversations, and the longest waiting."""

from typing import Any

import pytest

from tests.support.node import Frame, House, Peer
from unique_cs.actions import conversations
from unique_cs.domain.alarms import Alarm
from unique_cs.domain.events import Named
from unique_cs.gateway import desk
from unique_cs.gateway.peers import heard
from unique_cs.protocol.notices import Incidents
from unique_cs.telemetry import metrics


async def act(house: House, name: str, step: str, conversation: str, *values: Any) -> None:
    """Let an agent do one step, durably."""
    found = await house.conversation(conversation)
    await getattr(conversations, step)(house.node.timeline, house.principals[name], found, *values)
    await house.settle()


def named(house: House, name: str) -> Named:
    """An agent as events name it."""
    return Named(house.id_of(name), name)


def gist(frames: list[Frame]) -> list[tuple[str, Any]]:
    """Type and the telling part of each frame."""
    return [
        (frame["type"], frame.get("name") or frame.get("seq"))
        for frame in frames
        if frame["type"] != "signal"
    ]


async def test_new_conversation_comes_to_all_agents(house: House) -> None:
    """A new conversation joins live sessions: `subscribed` with 0 first, then its events from 1 on."""
    one, two = await house.staff("bob"), await house.staff("cyd")
    await house.talk()
    for agent in (one, two):
        assert gist(agent.take()) == [
            ("subscribed", 0),
            ("event", "conversation.opened"),
            ("event", "message.created"),
        ]


async def test_new_conversation_comes_to_the_contacts_other_sessions(house: House) -> None:
    """A contact is subscribed to its own: another session of it gets a new conversation from its start."""
    first = await house.visitor()
    second = await house.peer().connect("ann")
    first.say(1)
    await house.settle()
    assert gist(second.take()) == [
        ("subscribed", 0),
        ("event", "conversation.opened"),
        ("event", "message.created"),
    ]
    first.say(2)
    await house.settle()
    assert gist(second.take()) == [("event", "message.created")]


async def test_assignment(house: House) -> None:
    """The others get the event that takes the conversation away, then `unsubscribed`."""
    peer, conversation = await house.talk()
    mine, other = await house.staff("bob"), await house.staff("cyd")
    mine.take(), other.take()
    await act(house, "bob", "assign", conversation, named(house, "bob"))
    assert gist(mine.take()) == [("event", "conversation.assigned")]
    assert gist(other.take()) == [("event", "conversation.assigned"), ("unsubscribed", None)]
    peer.say(2)
    await house.settle()
    assert gist(mine.take()) == [("event", "message.created")]
    assert other.take("event") == []


async def test_assignment_to_somebody_new(house: House) -> None:
    """The new assignee gets `subscribed` with the place before the event, then the event."""
    _, conversation = await house.talk()
    house.agent("bob")
    await act(house, "bob", "assign", conversation, named(house, "bob"))
    agent = await house.staff("cyd")
    assert agent.connected["conversations"] == []
    agent.take()
    await act(house, "bob", "assign", conversation, named(house, "cyd"))
    subscribed, event = agent.take("subscribed", "event")
    assert (subscribed["seq"], event["seq"]) == (3, 4)
    assert event["data"] == {
        "assignee": {"id": house.id_of("cyd"), "name": "cyd"},
        "previous": {"id": house.id_of("bob"), "name": "bob"},
    }


async def test_asked_for_stays(house: House) -> None:
    """An agent that subscribed by name keeps the conversation whoever it is assigned to."""
    peer, conversation = await house.talk()
    agent = await house.staff("bob")
    house.agent("cyd")
    await agent.ask("subscribe", conversation=conversation)
    await act(house, "cyd", "assign", conversation, named(house, "cyd"))
    peer.say(2)
    await house.settle()
    assert gist(agent.take()) == [("event", "conversation.assigned"), ("event", "message.created")]


async def test_public_names_only(house: House) -> None:
    """A contact gets `conversation.assigned` with names and no ids of agents."""
    peer, conversation = await house.talk()
    house.agent("bob")
    await act(house, "bob", "assign", conversation, named(house, "bob"))
    (event,) = peer.take()
    assert event["data"] == {"assignee": {"name": "bob"}, "previous": None}
    again = await house.peer().connect(
        "ann", since={conversation: {"epoch": house.node.timeline.epoch, "seq": 2}}
    )
    assert again.take() == [event]
    await act(house, "bob", "assign", conversation, None)
    assert [frame["data"] for frame in peer.take()] == [{"assignee": None, "previous": {"name": "bob"}}]


async def test_labels_are_hidden(house: House) -> None:
    """Labels are no business of the contact: it gets `advance`."""
    peer, conversation = await house.talk()
    agent = await house.staff()
    agent.take()
    await act(house, "bob", "set_labels", conversation, ["vip", "angry"])
    assert [frame["data"] for frame in agent.take("event")] == [{"labels": ["angry", "vip"]}]
    assert peer.take() == [{"type": "advance", "conversation": conversation, "seq": 3}]


async def test_resolved(house: House) -> None:
    """A resolved conversation leaves the desk after its status event, and comes back when reopened."""
    peer, conversation = await house.talk()
    agent = await house.staff()
    agent.take()
    await act(house, "bob", "set_status", conversation, "resolved", None)
    assert gist(agent.take()) == [("event", "conversation.status_changed"), ("unsubscribed", None)]
    assert gist(peer.take()) == [("event", "conversation.status_changed")]
    peer.say(2, conversation=conversation)
    await house.settle()
    assert gist(agent.take()) == [
        ("subscribed", 3),
        ("event", "conversation.status_changed"),
        ("event", "message.created"),
    ]


async def test_own_conversation_that_is_resolved(house: House) -> None:
    """The assignee goes on hearing of a conversation that it resolved."""
    peer, conversation = await house.talk()
    agent = await house.staff()
    await act(house, "bob", "assign", conversation, named(house, "bob"))
    agent.take()
    await act(house, "bob", "set_status", conversation, "resolved", None)
    peer.say(2, conversation=conversation)
    await house.settle()
    assert gist(agent.take()) == [
        ("event", "conversation.status_changed"),
        ("event", "conversation.status_changed"),
        ("event", "message.created"),
    ]


async def test_desk_after_a_restart(house: House) -> None:
    """A new process knows who waits and whose conversations are whose."""
    _, waiting = await house.talk(name="ann")
    _, mine = await house.talk(name="ben")
    _, resolved = await house.talk(name="cho")
    house.agent("bob")
    house.agent("cyd")
    await act(house, "bob", "assign", mine, named(house, "bob"))
    await act(house, "bob", "set_status", resolved, "resolved", None)
    await house.restart()
    for name, expected in (("bob", {waiting, mine}), ("cyd", {waiting})):
        agent = await house.peer().connect(name)
        assert {each["id"] for each in agent.connected["conversations"]} == expected


async def test_longest_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest waiting conversations of an inbox come unasked; one that leaves lets the next in."""
    monkeypatch.setattr(desk, "WINDOW", 2)
    talks = {}
    for name in ("ann", "ben", "cho"):
        talks[name] = await house.talk(name=name)
        await house.advance(1)
    agent = await house.staff("bob")
    listed = {each["id"] for each in agent.connected["conversations"]}
    assert listed == {talks["ann"][1], talks["ben"][1]}
    agent.take()
    talks["cho"][0].say(2)
    await house.settle()
    assert agent.take("event") == []
    await act(house, "bob", "set_status", talks["ann"][1], "resolved", None)
    frames = agent.take("event", "subscribed", "unsubscribed")
    assert [(f["type"], f["conversation"]) for f in frames] == [
        ("event", talks["ann"][1]),
        ("unsubscribed", talks["ann"][1]),
        ("subscribed", talks["cho"][1]),
    ]
    assert frames[-1]["seq"] == 3
    talks["cho"][0].say(3)
    await house.settle()
    assert [frame["seq"] for frame in agent.take("event")] == [4]


async def test_the_gauges_say_how_many_wait_and_for_how_long(house: House) -> None:
    """They follow what is said and done, and a restart."""

    def shown() -> tuple[float, ...]:
        house.node.each_second()
        names = ("unique_cs_agents", "unique_cs_waiting_conversations", "unique_cs_oldest_wait_seconds")
        return tuple(metrics.registry.get_sample_value(name) or 0.0 for name in names)

    assert shown() == (0, 0, 0)
    _, first = await house.talk(name="ann")
    await house.advance(20)
    visitor, _ = await house.talk(name="ben")
    assert shown() == (0, 2, 20)
    await house.staff("bob")
    await act(house, "bob", "assign", first, named(house, "bob"))
    await house.advance(5)
    visitor.say(2)
    await house.settle()
    assert shown() == (1, 1, 5)
    await house.restart()
    await house.advance(5)
    assert shown() == (0, 1, 10)
    assert metrics.registry.get_sample_value("unique_cs_connection_limit") == 100_000


async def test_agents_hear_of_a_backlog_when_it_begins_and_when_it_is_over(house: House) -> None:
    """Whoever comes meanwhile hears of it once; contacts never do."""

    def told(peer: Peer) -> list[tuple[Any, ...]]:
        frames = [frame for frame in peer.take("signal") if frame["name"] == "backlog"]
        assert all(frame.keys() == {"type", "name", "data"} for frame in frames)
        return [tuple(frame["data"][key] for key in ("alarm", "raised", "value")) for frame in frames]

    waiting, lag = Alarm("waiting", True, 57, 50, 1), Alarm("relay_lag", True, 75, 60, 2)
    visitor, early = await house.visitor(), await house.staff("bob")
    for lasting in ([waiting], [waiting], [waiting, lag]):
        heard(house.gateway, Incidents(lasting))
    await house.settle()
    assert told(early) == [("waiting", True, 57), ("relay_lag", True, 75)]
    late = await house.staff("cyd")
    assert told(late) == [("waiting", True, 57), ("relay_lag", True, 75)]
    house.gateway.hub.desk.alarm([lag])
    house.gateway.hub.desk.alarm([])
    assert told(await house.staff("dan")) == []
    assert told(early) == told(late) == [("waiting", False, 57), ("relay_lag", False, 75)]
    assert told(visitor) == []

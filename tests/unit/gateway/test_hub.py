"""The hub: who listens, and what each delivery costs."""

from tests.support.node import House
from unique_cs.actions import conversations
from unique_cs.domain.events import MESSAGE_CREATED, Actor, Event
from unique_cs.ports import Entry
from unique_cs.protocol.codec import JSON, MSGPACK
from unique_cs.telemetry import metrics


async def test_one_encoding_for_all(house: House) -> None:
    """An event is encoded once for all who get the same, and everybody gets all of it in one write a tick."""
    peer, _ = await house.talk()
    agents = [
        await house.peer(codec).connect(house.agent(f"a{n}")) for n, codec in enumerate((JSON, MSGPACK) * 3)
    ]
    for agent in agents:
        agent.writes = 0
    for n in range(2, 12):
        peer.say(n)
    await house.settle()
    frames = [agent.take("event") for agent in agents]
    assert [frame["seq"] for frame in frames[0]] == list(range(3, 13))
    assert all(each == frames[0] for each in frames)
    assert [agent.writes for agent in agents] == [1] * 6


async def test_who_left_is_forgotten(house: House) -> None:
    """A connection that ended gets nothing more, and nothing is kept of it."""
    peer, conversation = await house.talk()
    agent = await house.staff()
    agent.hang_up()
    peer.say(2)
    await house.settle()
    assert agent.take() == []
    assert len(house.gateway.hub.connections) == 1
    assert agent.connection.subscriptions == ()
    peer.hang_up()
    await house.settle()
    assert not house.gateway.hub.connections
    assert not (await house.conversation(conversation)).listeners


async def test_messages_are_counted(house: House) -> None:
    """Messages that came in and those that went out to others are counted."""
    peer, _ = await house.talk()
    _, _ = await house.staff("bob"), await house.staff("cyd")
    came, went = metrics.counted_in(), metrics.counted_out()
    for n in range(2, 7):
        peer.say(n)
    await house.settle()
    assert metrics.counted_in() - came == 5
    assert metrics.counted_out() - went == 10


async def test_resolved_while_it_is_replayed(house: House) -> None:
    """A conversation that was asked for is replayed to its end, also when it is resolved meanwhile."""
    _, conversation = await house.talk(*["x" * 7_000] * 60)
    slow, _ = house.peer(), house.agent("bob")
    house.agent("cyd")
    cyd = house.principals["cyd"]
    slow.holds = True
    found = await house.conversation(conversation)
    slow.send("connect", token="bob", since={conversation: {"epoch": house.node.timeline.epoch, "seq": 0}})
    await house.settle()
    await conversations.set_status(house.node.timeline, cyd, found, "resolved", None)
    for _ in range(20):
        slow.catch_up()
        await house.settle()
    seen = [frame["seq"] for frame in slow.take("event")]
    assert seen == list(range(1, 63))


async def test_a_listener_is_not_told_what_it_joined_after(house: House) -> None:
    """A node of a cluster may have read a conversation ahead of the log, which then comes to that place."""
    _, conversation = await house.talk("hello")
    late = await house.staff()
    late.take()
    found = await house.conversation(conversation)
    (stored,) = await house.node.timeline.events(found, 1, 3, 1, False)
    id_, time = stored.id_and_time()
    event = Event(
        MESSAGE_CREATED, conversation, 2, id_, time, Actor("contact", house.id_of("ann"), "ann"), {}
    )
    house.gateway.deliver([Entry(found, event, stored.frame, 0)])
    await house.settle()
    assert late.take() == []

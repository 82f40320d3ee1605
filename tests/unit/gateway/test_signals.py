"""Signals: typing, cursors, presence, page and queue reach whom the protocol page names."""

from tests.support.node import Frame, House, Peer, open_house


def signals(peer: Peer) -> list[Frame]:
    """The signals that came."""
    return peer.take("signal")


async def test_typing_of_a_contact(house: House) -> None:
    """A contact's typing reaches the others in the conversation, its preview agents only."""
    peer, conversation = await house.talk()
    agent = await house.staff()
    await peer.ask("typing", conversation=conversation, on=True, preview="I would li")
    assert signals(agent) == [
        {
            "type": "signal",
            "name": "typing",
            "conversation": conversation,
            "actor": {"kind": "contact", "id": house.id_of("ann"), "name": "ann"},
            "data": {"on": True, "preview": "I would li"},
        }
    ]
    await peer.ask("typing", conversation=conversation, on=False)
    assert [frame["data"] for frame in signals(agent)] == [{"on": False}]


async def test_typing_is_not_told_to_the_typist(house: House) -> None:
    """The actor's own sessions don't hear that it types."""
    peer, conversation = await house.talk()
    second = await house.peer().connect("ann")
    await peer.ask("typing", conversation=conversation, on=True)
    assert signals(peer) == []
    assert signals(second) == []


async def test_typing_of_an_agent(house: House) -> None:
    """An agent's typing reaches the contact without preview; typing a note is told to agents only."""
    peer, conversation = await house.talk()
    writer, reader = await house.staff("bob"), await house.staff("cyd")
    await writer.ask("typing", conversation=conversation, on=True, preview="let me se")
    assert [frame["data"] for frame in signals(peer) + signals(reader)] == [{"on": True}] * 2
    await writer.ask("typing", conversation=conversation, on=True, private=True)
    assert [frame["data"] for frame in signals(reader)] == [{"on": True}]
    assert signals(peer) == []


async def test_signals_without_access(house: House) -> None:
    """Signals about a conversation of somebody else are `not_found`, as for one that does not exist."""
    peer, conversation = await house.talk()
    eve = await house.visitor("eve")
    for name in (conversation, "12345", "x"):
        for frame in ({"type": "typing"}, {"type": "read", "seq": 1}, {"type": "delivered", "seq": 1}):
            (error,) = await eve.ask(**frame, conversation=name)
            assert error["code"] == "not_found"
    assert signals(peer) == []


async def test_read_and_delivered(house: House) -> None:
    """Cursors are told to the others; `read` also to the actor's other sessions, `delivered` not."""
    peer, conversation = await house.talk("one", "two")
    agent = await house.staff()
    twin = await house.peer().connect("bob")
    await agent.ask("delivered", conversation=conversation, seq=3)
    await agent.ask("read", conversation=conversation, seq=2)
    told = [(frame["name"], frame["actor"]["name"], frame["data"]) for frame in signals(peer)]
    assert told == [("delivered", "bob", {"seq": 3}), ("read", "bob", {"seq": 2})]
    assert [(frame["name"], frame["data"]) for frame in signals(twin)] == [("read", {"seq": 2})]
    assert signals(agent) == []


async def test_cursors_only_grow(house: House) -> None:
    """A cursor that would go back or stays where it is changes nothing and is told to nobody."""
    peer, conversation = await house.talk("one", "two", "three")
    agent = await house.staff()
    await agent.ask("read", conversation=conversation, seq=3)
    signals(peer)
    for seq in (3, 2, 0):
        await agent.ask("read", conversation=conversation, seq=seq)
        await agent.ask("delivered", conversation=conversation, seq=seq)
    assert signals(peer) == []
    again = await house.peer().connect("bob")
    (head,) = again.connected["conversations"]
    assert (head["read"], head["delivered"]) == (3, 3)


async def test_many_cursors_are_told_once_a_second(house: House) -> None:
    """The first at once, then the newest at the end of each second, also that of another device."""
    peer, conversation = await house.talk(*map(str, range(9)))
    agent, twin = await house.staff(), await house.peer().connect("bob")
    for seq in range(1, 8):
        await agent.ask("read", conversation=conversation, seq=seq)
        await agent.ask("delivered", conversation=conversation, seq=seq)
    assert [frame["data"]["seq"] for frame in signals(twin)] == [1]
    await twin.ask("read", conversation=conversation, seq=9)
    told = [(frame["name"], frame["data"]["seq"]) for frame in signals(peer)]
    assert told == [("read", 1)]
    await house.advance(1)
    assert [(frame["name"], frame["data"]["seq"]) for frame in signals(peer)] == [("read", 9)]
    assert [frame["data"]["seq"] for frame in signals(agent)] == [9]
    await agent.ask("read", conversation=conversation, seq=10)
    await house.advance(0.9)
    assert signals(peer) == []
    await house.advance(0.2)
    assert [frame["data"]["seq"] for frame in signals(peer)] == [10]
    await house.advance(5)
    assert signals(peer) == []


async def test_cursors_never_pass_the_head(house: House) -> None:
    """A cursor beyond the durable head stops at the head, in the signal and in what is stored."""
    peer, conversation = await house.talk("one")
    agent = await house.staff()
    await agent.ask("read", conversation=conversation, seq=99)
    assert [frame["data"] for frame in signals(peer)] == [{"seq": 2}]
    peer.say(2)
    await house.settle()
    again = await house.peer().connect("bob")
    (head,) = again.connected["conversations"]
    assert (head["seq"], head["read"], head["delivered"]) == (3, 2, 2)


async def test_cursors_show_in_connected(house: House) -> None:
    """Cursors are stored: `connected` shows the own and the others', also after a power failure."""
    _, conversation = await house.talk("one", "two")
    agent = await house.staff()
    await agent.ask("delivered", conversation=conversation, seq=3)
    await agent.ask("read", conversation=conversation, seq=2)
    await house.power_failure()
    peer = await house.peer().connect("ann")
    (head,) = peer.connected["conversations"]
    theirs = {"actor": {"kind": "agent", "id": house.id_of("bob")}, "read": 2, "delivered": 3}
    assert (head["read"], head["delivered"], head["cursors"]) == (0, 0, [theirs])
    agent = await house.peer().connect("bob")
    (head,) = agent.connected["conversations"]
    assert (head["read"], head["delivered"], head["cursors"]) == (2, 3, [])


async def test_presence(house: House) -> None:
    """Agents hear when a contact comes and goes; contacts don't hear of agents."""
    peer, conversation = await house.talk()
    agent = await house.staff()
    second = await house.peer().connect("ann", session=peer.connected["session"])
    signals(agent)
    second.hang_up()
    await house.settle()
    assert [(frame["name"], frame["data"]) for frame in signals(agent)] == [("presence", {"online": False})]
    peer = await house.peer().connect("ann")
    (online,) = signals(agent)
    assert (online["name"], online["data"]) == ("presence", {"online": True})
    assert online["conversation"] == conversation
    agent.hang_up()
    await house.settle()
    assert signals(peer) == []


async def test_presence_with_two_devices(house: House) -> None:
    """A contact goes offline with its last connection only."""
    phone, _ = await house.talk()
    agent = await house.staff()
    laptop = await house.peer().connect("ann")
    agent.take()
    phone.hang_up()
    await house.settle()
    assert signals(agent) == []
    laptop.hang_up()
    await house.settle()
    assert [frame["data"] for frame in signals(agent)] == [{"online": False}]


async def test_page(house: House) -> None:
    """A contact's page is told to agents only; an agent's is ignored."""
    peer, conversation = await house.talk()
    twin = await house.peer().connect("ann")
    agent = await house.staff()
    await peer.ask(
        "page", url="https://shop.example/shoes", title="Shoes", referrer="https://search.example/"
    )
    (page,) = signals(agent)
    assert (page["name"], page["conversation"]) == ("page", conversation)
    assert page["data"] == {
        "url": "https://shop.example/shoes",
        "title": "Shoes",
        "referrer": "https://search.example/",
    }
    assert await agent.ask("page", url="https://console.example/") == []
    assert signals(twin) == []


async def test_queue(house: House) -> None:
    """Agents are told how many wait in an inbox: when they come, and once a second where it changed."""
    peer, _ = await house.talk()
    agent = await house.staff()
    assert agent.queues == [{"type": "signal", "name": "queue", "data": {"inbox": "1", "waiting": 1}}]
    house.node.each_second()
    await house.settle()
    agent.queues.clear()
    await house.talk(name="eve")
    house.node.each_second()
    house.node.each_second()
    await house.settle()
    assert [frame["data"] for frame in agent.queues] == [{"inbox": "1", "waiting": 2}]
    assert peer.queues == []


async def test_signals_over_the_rate() -> None:
    """Too many signals are dropped, and too many questions for conversations of others are put off."""
    async with open_house(rates=True, signals_per_second=1) as house:
        peer, conversation = await house.talk()
        agent = await house.staff()
        agent.take()
        for _ in range(10):
            peer.send("typing", conversation=conversation)
        await house.settle()
        assert len(signals(agent)) == 5
        assert await peer.ask("read", conversation=conversation, seq=1) == []
        assert [frame["name"] for frame in signals(agent)] == ["read"]
        (error,) = await peer.ask("read", conversation="12345", seq=1)
        assert (error["code"], error["retry_after_ms"]) == ("rate_limited", 1000)
        await house.advance(2)
        (error,) = await peer.ask("read", conversation="12345", seq=1)
        assert error["code"] == "not_found"


async def test_all_sessions_of_a_contact_share_their_signals() -> None:
    """Any number of connections types no faster than one."""
    async with open_house(rates=True, signals_per_second=1) as house:
        peer, conversation = await house.talk()
        agent = await house.staff()
        twin = await house.peer().connect("ann")
        for each in (peer, peer, peer, twin, twin, twin, twin):
            await each.ask("typing", conversation=conversation, on=True)
        assert len(signals(agent)) == 5

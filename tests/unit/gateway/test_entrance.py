"""Connecting, resuming, subscribing and replay, as the protocol page promises them."""

import asyncio

import pytest

from tests.support.node import House, turns
from unique_cs.actions import conversations
from unique_cs.domain.conversation import Conversation


async def test_connected_says_who_and_how(house: House) -> None:
    """`connected` names session, count, number, actor, conversations, heartbeat, limit and time."""
    peer = await house.visitor("ann")
    session = peer.connected["session"]
    assert session.startswith("s_")
    assert peer.connected == {
        "type": "connected",
        "session": session,
        "resumed": False,
        "c": 1,
        "n": 0,
        "actor": {"kind": "contact", "id": house.id_of("ann"), "name": "ann"},
        "conversations": [],
        "heartbeat_ms": 25_000,
        "max_frame": 65_536,
        "time": house.clock.now_ms(),
    }


async def test_conversations_in_connected(house: House) -> None:
    """`connected.conversations` shows id, status, epoch, durable head and the own cursors."""
    peer, conversation = await house.talk("one", "two")
    again = await house.peer().connect("ann", session=peer.connected["session"])
    assert again.connected["conversations"] == [
        {
            "id": conversation,
            "status": "open",
            "epoch": house.node.timeline.epoch,
            "seq": 3,
            "read": 0,
            "delivered": 0,
            "cursors": [],
        }
    ]
    agent = await house.staff()
    assert agent.connected["conversations"][0]["contact"] == {"id": house.id_of("ann"), "name": "ann"}


async def test_frames_before_connected_wait(house: House) -> None:
    """Frames that come right behind `connect` are worked on after the answer, in their order."""
    peer = house.peer()
    peer.send("connect", token=await house.contact())
    peer.say(1)
    peer.send("ping")
    await house.settle()
    assert [frame["type"] for frame in peer.take()] == ["connected", "pong", "subscribed", "event", "sent"]


async def test_first_frame_must_be_connect(house: House) -> None:
    """Any other first frame is a bad frame: 4400."""
    peer = house.peer()
    peer.send("ping")
    assert [frame["type"] for frame in peer.take()] == ["error", "close"]
    assert peer.code == 4400


async def test_unknown_type_before_connect(house: House) -> None:
    """An unknown type before `connect` is refused and the connection stays open."""
    peer = house.peer()
    peer.send("hello", n="x")
    await house.settle()
    assert [frame["code"] for frame in peer.take()] == ["unknown_type"]
    await peer.connect(await house.contact())


async def test_second_connect(house: House) -> None:
    """A second `connect` on one connection is a bad frame."""
    peer = await house.visitor()
    await peer.ask("connect", token="ann")
    assert peer.code == 4400


async def test_wrong_token(house: House) -> None:
    """A token that proves nobody gets the error `unauthorized` and 4401, which lets it come back."""
    peer = house.peer()
    error, close = await peer.ask("connect", token="nobody")
    assert (error["code"], close["code"], close["reconnect"]) == ("unauthorized", 4401, True)
    assert peer.code == 4401


async def test_resume(house: House) -> None:
    """A session that is named again is resumed with its number; the server counts where `c` is absent."""
    peer, _ = await house.talk("one", "two")
    peer.hang_up()
    again = await house.peer().connect("ann", session=peer.connected["session"])
    assert again.connected["session"] == peer.connected["session"]
    assert (again.connected["resumed"], again.connected["n"], again.connected["c"]) == (True, 2, 2)


async def test_resume_on_a_new_process(house: House) -> None:
    """A session is rebuilt from what is stored: also one that never sent anything."""
    peer, _ = await house.talk("one", "two")
    silent = await house.visitor("cho", c=5)
    await house.restart()
    again = await house.peer().connect("ann", session=peer.connected["session"])
    assert (again.connected["resumed"], again.connected["n"], again.connected["c"]) == (True, 2, 2)
    again = await house.peer().connect("cho", session=silent.connected["session"])
    assert (again.connected["resumed"], again.connected["n"], again.connected["c"]) == (True, 0, 6)


async def test_unknown_session(house: House) -> None:
    """A session of which nothing was ever stored gets a new id, and begins at n = 1 whatever was acked."""
    token = await house.contact()
    for name in ("s_" + "0" * 32, "s_" + "ab" * 16, "nonsense", "s_", ""):
        peer = await house.peer().connect(token, session=name, acked=9, c=3)
        assert (peer.connected["resumed"], peer.connected["n"], peer.connected["c"]) == (False, 0, 3)
        assert peer.connected["session"] != name
        peer.say(1)
        await house.settle()
        assert [frame["n"] for frame in peer.take("sent")] == [1]


async def test_somebody_elses_session(house: House) -> None:
    """A session id grants nothing: another actor gets a new session, the owner's connection is left alone."""
    owner, _ = await house.talk("one")
    session = owner.connected["session"]
    thief = await house.visitor("eve", session=session, c=99)
    assert thief.connected["session"] != session
    assert thief.connected["resumed"] is False
    assert thief.connected["conversations"] == []
    owner.say(2)
    await house.settle()
    assert [frame["n"] for frame in owner.take("sent")] == [2]
    await house.restart()
    later = await house.peer().connect("eve", session=session)
    assert later.connected["resumed"] is False


async def test_higher_count_replaces(house: House) -> None:
    """A session has one connection: one with a higher `c` closes the older with 4409."""
    peer = await house.visitor(c=1)
    newer = await house.peer().connect("ann", session=peer.connected["session"], c=2)
    assert peer.code == 4409
    assert peer.take() == [
        {"type": "close", "code": 4409, "reason": "replaced", "reconnect": False, "after_ms": 0}
    ]
    assert newer.code is None


async def test_count_not_higher(house: House) -> None:
    """A `c` that is not higher than the highest seen is closed with 4409; the holder is left alone."""
    peer = await house.visitor(c=4)
    for c in (4, 3, 1):
        stale = house.peer()
        await stale.ask("connect", token="ann", session=peer.connected["session"], c=c)
        assert stale.code == 4409
    assert peer.code is None
    await house.restart()
    stale = house.peer()
    await stale.ask("connect", token="ann", session=peer.connected["session"], c=4)
    assert stale.code == 4409


async def test_count_is_stored_before_connected(house: House) -> None:
    """The highest `c` is durable before `connected`: a power failure does not let an older one in again."""
    peer = await house.visitor(c=7)
    await house.power_failure()
    stale = house.peer()
    await stale.ask("connect", token="ann", session=peer.connected["session"], c=7)
    assert stale.code == 4409


async def test_older_connection_is_refused(house: House) -> None:
    """From the moment a newer connection asks for the session, what the older still sends stores nothing."""
    older, conversation = await house.talk("one")
    house.disk.hold()
    newer = house.peer()
    newer.send("connect", token="ann", session=older.connected["session"], c=2)
    await turns(10)
    older.say(2, "too late")
    assert older.code == 4409
    house.disk.release()
    await house.settle()
    assert newer.take()[0]["n"] == 1
    assert (await house.conversation(conversation)).seq == 2


async def test_acked_raises_the_number(house: House) -> None:
    """The client has final answers up to `acked`: the server takes the next one after it."""
    peer = await house.visitor()
    session = peer.connected["session"]
    again = await house.peer().connect("ann", session=session, acked=17)
    assert again.connected["n"] == 17
    again.say(17)
    again.say(18)
    await house.settle()
    assert [(f["type"], f["n"]) for f in again.take("sent", "error")] == [("error", 17), ("sent", 18)]
    await house.restart()
    later = await house.peer().connect("ann", session=session, acked=3)
    assert later.connected["n"] == 18


async def test_a_conversation_that_begins_on_another_device_while_this_one_connects(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in `connected`, or comes right after it: never is it missed."""
    phone, first = await house.talk("one")
    await house.staff()
    conversation = await house.conversation(first)
    await conversations.set_status(
        house.node.timeline, house.principals["bob"], conversation, "resolved", None
    )
    cursors, reached, gate = house.node.contacts.cursors, asyncio.Event(), asyncio.Event()

    async def slowly(conversation: Conversation) -> object:
        reached.set()
        await gate.wait()
        return await cursors(conversation)

    monkeypatch.setattr(house.node.contacts, "cursors", slowly)
    laptop = house.peer()
    laptop.send("connect", token="ann")
    await asyncio.wait_for(reached.wait(), 5)
    phone.say(2, "two")
    await house.settle()
    gate.set()
    await house.settle()
    known = [each["id"] for each in laptop.take()[0]["conversations"]]
    assert len(known) == 2
    phone.say(3, "three")
    await house.settle()
    told = [frame for frame in laptop.take() if frame["type"] == "event"]
    assert [each["conversation"] for each in told] == [next(each for each in known if each != first)]

"""When the disk fails or the power goes: nothing acknowledged is lost, and nothing unknown is answered."""

import asyncio
import random
from typing import Any

import pytest

from tests.support.node import Frame, House, Peer, open_house, turns
from unique_cs.actions import conversations, messages
from unique_cs.domain.body import TextBody
from unique_cs.errors import OutcomeUnknown, StorageUnavailable, UniqueCsError


async def recovered(house: House) -> None:
    """Wait until the node accepts again."""
    await house.until(lambda: not house.node.group.refusal)
    await house.settle()


@pytest.mark.parametrize("when", ["write", "flush"])
async def test_unknown_outcome_closes(house: House, when: str) -> None:
    """A write or flush that fails is never answered: everybody is closed with 4500 and comes back."""
    peer, _ = await house.talk("one")
    agent = await house.staff()
    if when == "flush":
        house.disk.hold()
        peer.say(2, "two")
        await turns(10)
        house.disk.fail = OSError("no")
        house.disk.release()
    else:
        house.disk.fail = OSError("no")
        peer.say(2, "two")
    await house.until(lambda: peer.code)
    for each in (peer, agent):
        frames = each.take()
        assert [frame["type"] for frame in frames if frame["type"] != "signal"] == ["close"]
        assert (each.code, frames[-1]["code"], frames[-1]["reconnect"]) == (4500, 4500, True)


async def test_recovery_reads_the_heads_back(house: House) -> None:
    """After a failure heads and numbers are read back; what was lost is taken again at the same place."""
    peer, conversation = await house.talk("one")
    house.disk.fail = OSError("no")
    peer.say(2, "two")
    await house.until(lambda: peer.code)
    house.disk.fail = None
    await house.advance(2)
    await recovered(house)
    again = await house.peer().connect("ann", session=peer.connected["session"])
    assert again.connected["n"] == 1
    assert again.connected["conversations"][0]["seq"] == 2
    again.say(2, "two")
    await house.settle()
    (sent,) = again.take("sent")
    assert (sent["n"], sent["seq"], sent["conversation"]) == (2, 3, conversation)


async def test_flush_fails_but_the_rows_are_there(house: House) -> None:
    """What a failed flush has stored after all is found: a repeat gets its answer and is not stored again."""
    peer, conversation = await house.talk("one")
    house.disk.hold()
    peer.say(2, "two")
    await turns(10)
    house.disk._undo.clear()
    house.disk.fail = OSError("no")
    house.disk.release()
    await house.until(lambda: peer.code)
    house.disk.fail = None
    await house.advance(2)
    await recovered(house)
    again = await house.peer().connect("ann", session=peer.connected["session"])
    assert again.connected["n"] == 2
    again.say(2, "two")
    await house.settle()
    assert [(frame["n"], frame["seq"]) for frame in again.take("sent")] == [(2, 3)]
    assert (await house.conversation(conversation)).seq == 3


async def test_while_the_store_is_away(house: House) -> None:
    """Until the store is open again `connect` gets `overloaded` and 4529; then it is let in."""
    peer, _ = await house.talk("one")
    house.disk.fail = OSError("no")
    peer.say(2)
    await house.until(lambda: peer.code)
    early = house.peer()
    error, goodbye = await early.ask("connect", token="ann", session=peer.connected["session"])
    assert error["code"] == "overloaded"
    assert (early.code, goodbye["reconnect"]) == (4529, True)
    assert goodbye["after_ms"] > 0
    await house.advance(5)
    assert house.node.group.refusal
    for read in (house.node.contacts.contact(1), house.node.timeline.newest_open(1)):
        with pytest.raises(StorageUnavailable):
            await read
    house.disk.fail = None
    await house.advance(2)
    await recovered(house)
    await house.peer().connect("ann", session=peer.connected["session"])


async def test_connect_in_flight_when_the_store_fails(house: House) -> None:
    """A `connect` whose count may not be stored is closed with 4500."""
    await house.talk("one")
    house.disk.hold()
    peer = house.peer()
    peer.send("connect", token="ann")
    await turns(10)
    house.disk.fail = OSError("no")
    house.disk.release()
    await house.until(lambda: peer.code)
    assert peer.code == 4500
    assert [frame["type"] for frame in peer.take()] == ["close"]


async def test_use_cases_hear_of_it(house: House) -> None:
    """Whoever waits for a write gets `OutcomeUnknown`, whoever asks later `StorageUnavailable`."""
    _, conversation = await house.talk("one")
    house.agent()
    bob, found, timeline = (
        house.principals["bob"],
        await house.conversation(conversation),
        house.node.timeline,
    )
    house.disk.hold()
    steps: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(conversations.set_labels(timeline, bob, found, ["vip"])),
        asyncio.ensure_future(messages.post_message(timeline, bob, found, TextBody("x"), False, "key")),
        asyncio.ensure_future(house.node.group.durable()),
    ]
    await turns(10)
    house.disk.fail = OSError("no")
    house.disk.release()
    for step in steps:
        with pytest.raises(OutcomeUnknown):
            await step
    with pytest.raises(StorageUnavailable):
        await conversations.set_labels(timeline, bob, found, ["late"])


async def test_state_from_before_a_failure_is_not_built_on(house: House) -> None:
    """A conversation that was looked up before a failure takes no writes after it: its head may be wrong."""
    peer, conversation = await house.talk("one")
    house.agent()
    bob, timeline = house.principals["bob"], house.node.timeline
    stale = await house.conversation(conversation)
    house.disk.fail = OSError("no")
    peer.say(2, "lost")
    await house.until(lambda: peer.code)
    house.disk.fail = None
    await house.advance(2)
    await recovered(house)
    fresh = await house.conversation(conversation)
    assert (stale.seq, fresh.seq) == (3, 2)
    with pytest.raises(UniqueCsError):
        await conversations.set_labels(timeline, bob, stale, ["vip"])
    await conversations.set_labels(timeline, bob, fresh, ["vip"])
    assert [each.seq for each in await timeline.events(fresh, 0, 99, 99, False)] == [1, 2, 3]


async def test_closing_while_the_store_is_away(house: House) -> None:
    """A node whose store is away can still be closed."""
    peer, _ = await house.talk("one")
    house.disk.fail = OSError("no")
    peer.say(2)
    await house.until(lambda: peer.code)
    closing = asyncio.ensure_future(house.node.close())
    await house.until(closing.done)
    await closing
    house.disk.fail = None
    house.open()


async def test_disk_reserve(house: House) -> None:
    """Before the disk is full sends are held off with `overloaded`; what is stored can still be read."""
    peer, conversation = await house.talk("one")
    house.node.group.block("the disk is nearly full")
    peer.say(2)
    await house.settle()
    assert [(f["code"], f["expected"]) for f in peer.take()] == [("overloaded", 2)]
    frames = await peer.ask(
        "subscribe", conversation=conversation, since={"epoch": house.node.timeline.epoch, "seq": 0}
    )
    assert [frame["seq"] for frame in frames] == [2, 1, 2]
    house.node.group.block("")
    peer.say(2)
    await house.settle()
    assert [frame["n"] for frame in peer.take("sent")] == [2]


async def test_power_failure_before_the_answer(house: House) -> None:
    """A send that was never answered may be gone; resent after a power failure it is stored once."""
    peer, conversation = await house.talk("one")
    house.disk.hold()
    peer.say(2, "two")
    await turns(10)
    assert peer.take() == []
    await house.power_failure()
    again = await house.peer().connect("ann", session=peer.connected["session"])
    again.say(2, "two")
    await house.settle()
    assert [(frame["n"], frame["seq"]) for frame in again.take("sent")] == [(2, 3)]
    assert (await house.conversation(conversation)).seq == 3


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_acknowledged_is_lost(seed: int) -> None:
    """Through power failures and restarts each `sent` stays at its place, once, in the order of sending."""
    rng = random.Random(seed)
    async with open_house() as house:
        sent: dict[int, Frame] = {}
        peer = await house.visitor()
        session, n, epoch, conversation = peer.connected["session"], 1, house.node.timeline.epoch, ""
        for _ in range(12):
            n = await _send_some(house, peer, rng, n, sent)
            if rng.random() < 0.7:
                house.disk.hold()
                n = await _send_some(house, peer, rng, n, sent)
                await house.power_failure()
            else:
                await house.restart()
            for each in peer.take("sent"):
                sent[each["n"]] = each
            peer = await house.peer().connect("ann", session=session)
            assert peer.connected["n"] >= max(sent, default=0)
            n = peer.connected["n"] + 1
            for number in range(1, n):
                peer.say(number, f"message {number}")
            await house.settle()
            for each in peer.take("sent"):
                assert sent.setdefault(each["n"], each) == each
        conversation = next(iter(sent.values()))["conversation"]
        reader = await house.staff(since={conversation: {"epoch": epoch, "seq": 0}})
        events = reader.take("event")
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        stored = {event["id"]: event for event in events[1:]}
        assert [event["data"]["body"]["text"] for event in events[1:]] == [
            f"message {k}" for k in range(1, n)
        ]
        assert all(stored[each["id"]]["seq"] == each["seq"] for each in sent.values())


async def _send_some(house: House, peer: Peer, rng: random.Random, n: int, sent: dict[int, Frame]) -> int:
    for _ in range(rng.randrange(6)):
        peer.say(n, f"message {n}")
        n += 1
        await turns(rng.randrange(4))
    if house.disk.flushing():
        await house.settle()
    for each in peer.take("sent"):
        sent[each["n"]] = each
    return n

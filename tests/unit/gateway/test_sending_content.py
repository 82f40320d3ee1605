"""What is sent, and where it goes."""

from typing import Any

from tests.support.node import Frame, House, Peer, turns
from unique_cs.actions import conversations
from unique_cs.domain.events import Named


def answers(peer: Peer) -> list[tuple[int, str]]:
    """Number and outcome of each answer: `sent`, or the code of the error."""
    return [(frame["n"], frame.get("code", "sent")) for frame in peer.take("sent", "error")]


async def test_two_sends_open_one_conversation(house: House) -> None:
    """A contact without a conversation opens one, also where two of its sessions send at once."""
    one = await house.visitor()
    two = await house.peer().connect("ann")
    house.disk.hold()
    one.say(1, "one")
    two.say(1, "two")
    one.say(2, "three")
    await turns(20)
    house.disk.release()
    await house.settle()
    sent = one.take("sent") + two.take("sent")
    assert len({frame["conversation"] for frame in sent}) == 1
    assert sorted(frame["seq"] for frame in sent) == [2, 3, 4]


async def test_newest_open_conversation(house: House) -> None:
    """Without a conversation the newest that is not resolved is used; if all are resolved one is opened."""
    peer, first = await house.talk("one")
    await _resolve(house, first)
    peer.say(2)
    await house.settle()
    second = peer.take("sent")[0]["conversation"]
    assert second != first
    peer.say(3)
    await house.settle()
    assert peer.take("sent")[0]["conversation"] == second
    await _resolve(house, second)
    stranger = await house.peer().connect("ann")
    stranger.say(1)
    await house.settle()
    assert stranger.take("sent")[0]["conversation"] not in {first, second}


async def test_message_reopens(house: House) -> None:
    """A contact's message reopens a resolved conversation: the status event first, in the same write."""
    peer, conversation = await house.talk("one")
    await _resolve(house, conversation)
    await house.settle()
    peer.take()
    house.disk.hold()
    peer.say(2, "again", conversation)
    await turns(10)
    house.disk.release()
    await house.settle()
    status, sent = peer.take()
    assert (status["name"], status["seq"]) == ("conversation.status_changed", 6)
    assert status["data"] == {"status": "open", "previous": "resolved"}
    assert (sent["type"], sent["seq"]) == ("sent", 7)
    assert (await house.conversation(conversation)).status == "open"


async def test_agent_does_not_reopen(house: House) -> None:
    """An agent's message leaves a resolved conversation as it is."""
    _, conversation = await house.talk("one")
    await _resolve(house, conversation)
    agent = await house.peer().connect("bob")
    agent.say(1, "for the record", conversation)
    await house.settle()
    assert answers(agent) == [(1, "sent")]
    assert (await house.conversation(conversation)).status == "resolved"


async def _resolve(house: House, conversation: str) -> None:
    if "bob" not in house.principals:
        house.agent("bob")
    bob = house.principals["bob"]
    found = await house.conversation(conversation)
    await conversations.assign(house.node.timeline, bob, found, Named(bob.actor.id, "bob"))
    await conversations.assign(house.node.timeline, bob, found, None)
    await conversations.set_status(house.node.timeline, bob, found, "resolved", None)


async def test_where_an_agent_may_write(house: House) -> None:
    """An agent names the conversation; an unknown one is `not_found`. Both use the number up."""
    agent = await house.staff()
    agent.say(1)
    agent.say(2, conversation="12345")
    agent.say(3, conversation="nonsense")
    await house.settle()
    assert answers(agent) == [(1, "invalid"), (2, "not_found"), (3, "not_found")]


async def test_no_way_into_other_conversations(house: House) -> None:
    """A contact that guesses an id gets the same refusal as for an id that was never issued."""
    _, conversation = await house.talk("secret")
    eve = await house.visitor("eve")
    eve.say(1, conversation=conversation)
    eve.say(2, conversation="12345")
    await house.settle()
    known, unknown = eve.take()
    assert {**known, "n": 2} == unknown
    assert unknown["code"] == "not_found"


async def test_private_notes(house: House) -> None:
    """A note is shown to agents and is an `advance` for the contact; a contact can't write one."""
    peer, conversation = await house.talk("one")
    writer, reader = await house.staff("bob"), await house.staff("cyd")
    writer.say(1, "between us", conversation, private=True)
    await house.settle()
    assert answers(writer) == [(1, "sent")]
    (note,) = reader.take()
    assert note["data"] == {"body": {"kind": "text", "text": "between us"}, "private": True}
    assert peer.take() == [{"type": "advance", "conversation": conversation, "seq": 3}]


async def test_bodies_that_are_taken(house: House) -> None:
    """Every kind of body reaches the others as it was sent."""
    bodies: list[Frame] = [
        {"kind": "text", "text": "line\nline 🎉"},
        {"kind": "card", "title": "Shoes", "url": "https://shop.example/1", "image_url": "http://a.b/c.png"},
        {"kind": "card", "title": "Shoes", "url": "HTTPS://shop.example/1", "image_url": "Http://a.b/c.png"},
        {"kind": "choices", "text": "Which?", "options": ["a", "b"]},
        {"kind": "rating", "score": 1},
        {"kind": "custom", "anything": {"goes": [1, 2.5, None, True]}},
    ]
    peer, conversation = await house.talk("one")
    agent = await house.staff()
    for n, body in enumerate(bodies, start=1):
        agent.send("send", n=n, conversation=conversation, body=body)
    await house.settle()
    assert [frame["data"]["body"] for frame in peer.take("event")] == bodies


async def test_bodies_that_are_refused(house: House) -> None:
    """A body that breaks its limits gets a final error with its number, and the next send is taken."""
    refused: list[tuple[Any, str]] = [
        ({"kind": "text", "text": ""}, "invalid"),
        ({"kind": "text"}, "invalid"),
        ({"kind": "text", "text": 7}, "invalid"),
        ({"kind": "text", "text": "x" * 8_001}, "too_large"),
        ({"kind": "custom", "text": "x" * 8_001}, "too_large"),
        ({"kind": "image", "attachment": "1"}, "not_found"),
        ({"kind": "file", "attachment": "1"}, "not_found"),
        ({"kind": "audio", "attachment": "1"}, "not_found"),
        ({"kind": "card", "title": "x", "url": "javascript:alert(1)"}, "invalid"),
        ({"kind": "card", "title": "x", "image_url": "data:image/png;base64,"}, "invalid"),
        ({"kind": "card", "title": "x", "actions": [{"label": "y", "url": "ftp://x/"}]}, "invalid"),
        ({"kind": "card", "title": ""}, "invalid"),
        ({"kind": "choices", "text": "x", "options": []}, "invalid"),
        ({"kind": "rating", "score": 0}, "invalid"),
        ({"kind": "rating", "score": 6}, "invalid"),
        ({"kind": "rating", "score": 2.5}, "invalid"),
        ({"kind": "video"}, "invalid"),
        ({"text": "x"}, "invalid"),
        ("text", "invalid"),
        (None, "invalid"),
    ]
    peer = await house.visitor()
    for n, (body, _) in enumerate(refused, start=1):
        peer.send("send", n=n, body=body)
    await house.settle()
    assert answers(peer) == [(n, code) for n, (_, code) in enumerate(refused, start=1)]
    peer.say(len(refused) + 1, "x" * 8_000)
    await house.settle()
    assert answers(peer) == [(len(refused) + 1, "sent")]


async def test_custom_bodies_that_no_codec_carries(house: House) -> None:
    """A custom body that other codecs can't carry is refused; nobody else is harmed."""
    peer, _ = await house.talk("one")
    agent = await house.staff()
    deep = b"[" * 40 + b"]" * 40
    for n, value in enumerate((b"18446744073709551616", b"-9223372036854775809", deep, b"1e999"), start=2):
        peer.receive(b'{"type":"send","n":%d,"body":{"kind":"custom","x":%b}}' % (n, value))
    peer.say(6)
    await house.settle()
    assert answers(peer) == [(n, "invalid") for n in (2, 3, 4, 5)] + [(6, "sent")]
    assert [frame["seq"] for frame in agent.take("event")] == [3]

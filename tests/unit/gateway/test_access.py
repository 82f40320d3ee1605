"""What a frame does for somebody to whom the conversation that it names does not belong.

What is not in the table fails: a new frame gets its rule here. Every road feeds these same connections.
"""

from typing import Any, Final, get_args

import pytest

from tests.support.node import House, Peer
from unique_cs.protocol.codec import JSON, MSGPACK, Codec
from unique_cs.protocol.frames import ClientFrame

SECRET: Final = "only Ann's"
BODY: Final = {"kind": "text", "text": "I am in"}
Answers = list[tuple[str, str | None]]
"""Types of frames, with the codes of errors."""

NOT_FOUND: Final[Answers] = [("error", "not_found")]

RULES: Final[dict[str, tuple[dict[str, Any], Answers]]] = {
    "connect": ({"token": "eve"}, [("error", "bad_frame"), ("close", None)]),
    "send": ({"n": 1, "body": BODY}, NOT_FOUND),
    "subscribe": ({"since": {"epoch": "", "seq": 0}}, [("unsubscribed", None)]),
    "unsubscribe": ({}, [("unsubscribed", None)]),
    "typing": ({"on": True, "preview": "I"}, NOT_FOUND),
    "read": ({"seq": 1}, NOT_FOUND),
    "delivered": ({"seq": 1}, NOT_FOUND),
    "page": ({"url": "https://shop.example/"}, []),
    "ping": ({}, [("pong", None)]),
}
"""The fields of each frame beside `conversation`, and the answers."""


def answers(peer: Peer) -> Answers:
    """What came, and nothing of Ann's in it."""
    taken = peer.take()
    assert SECRET not in str(taken)
    return [(frame["type"], frame["code"] if frame["type"] == "error" else None) for frame in taken]


def start(house: House) -> dict[str, Any]:
    """The position before the first event."""
    return {"epoch": house.node.timeline.epoch, "seq": 0}


def test_every_frame_has_a_rule() -> None:
    assert {str(kind.__struct_config__.tag) for kind in get_args(ClientFrame)} == set(RULES)


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=lambda codec: codec.name)
@pytest.mark.parametrize("name", RULES)
async def test_nobody_reaches_into_anothers_conversation(house: House, name: str, codec: Codec) -> None:
    """The answer is the one that an id gets which was never given, and nobody inside hears of it."""
    ann, conversation = await house.talk(SECRET)
    agent = await house.staff()
    for peer in (ann, agent):
        peer.take()
    fields, expected = RULES[name]
    for number, wire_id in enumerate((conversation, "123456789", "0", "-1", "x", "9" * 40)):
        eve = house.peer(codec)
        await eve.connect(await house.contact(f"eve-{number}"))
        fields = fields | ({"token": f"eve-{number}"} if name == "connect" else {})
        eve.send(name, conversation=wire_id, **fields)
        await house.settle()
        assert (wire_id, answers(eve)) == (wire_id, expected)
    assert [peer.take() for peer in (ann, agent)] == [[], []]
    assert (await house.conversation(conversation)).seq == 2


@pytest.mark.parametrize("name", sorted(RULES.keys() - {"connect"}))
async def test_nothing_is_done_for_who_has_not_connected(house: House, name: str) -> None:
    ann, conversation = await house.talk(SECRET)
    ann.take()
    stranger = house.peer()
    stranger.send(name, conversation=conversation, **RULES[name][0])
    await house.settle()
    assert answers(stranger) == [("error", "bad_frame"), ("close", None)]
    assert stranger.code == 4400
    assert ann.take() == []


@pytest.mark.parametrize("token", ["", "nobody", "bob "])
async def test_who_has_no_token_is_nobody(house: House, token: str) -> None:
    house.agent("bob")
    stranger = house.peer()
    stranger.send("connect", token=token)
    await house.settle()
    assert answers(stranger) == [("error", "unauthorized"), ("close", None)]
    assert stranger.code == 4401


async def test_a_session_id_and_positions_grant_nothing(house: House) -> None:
    """Who connects with another's session gets a new one, hears nothing of it, and disturbs nobody."""
    ann, conversation = await house.talk(SECRET)
    ann.take()
    await house.contact("eve")
    eve = house.peer()
    await eve.connect("eve", session=ann.connected["session"], c=9, since={conversation: start(house)})
    assert eve.connected["session"] != ann.connected["session"]
    assert not eve.connected["resumed"]
    assert SECRET not in str(eve.connected)
    assert conversation not in str(eve.connected)
    assert answers(eve) == [("unsubscribed", None)]
    assert ann.code is None
    ann.say(2, "still here")
    await house.settle()
    assert [frame["n"] for frame in ann.take("sent")] == [2]
    assert eve.take() == []


async def test_positions_of_others_are_not_even_looked_for(house: House, monkeypatch: Any) -> None:
    """A `connect` may name 500: each would be a search of every tier."""
    _, theirs = await house.talk(SECRET)
    await house.contact("eve")
    looked: list[int] = []
    find = house.node.timeline.conversation

    async def watched(number: int) -> Any:
        looked.append(number)
        return await find(number)

    monkeypatch.setattr(house.node.timeline, "conversation", watched)
    eve = await house.peer().connect("eve", since={str(int(theirs) + n): start(house) for n in range(500)})
    assert answers(eve) == [("unsubscribed", None)] * 500
    assert looked == []


async def test_a_contact_writes_no_notes_and_reads_none(house: House) -> None:
    ann, conversation = await house.talk("hello")
    agent = await house.staff()
    ann.take()
    ann.say(2, "a note", conversation, private=True)
    await house.settle()
    assert answers(ann) == [("error", "forbidden")]
    agent.say(1, SECRET, conversation, private=True)
    await agent.ask("typing", conversation=conversation, on=True, private=True)
    assert answers(ann) == [("advance", None)]
    again = await house.peer().connect("ann", since={conversation: start(house)})
    assert SECRET not in str(again.connected)
    assert [kind for kind, _ in answers(again)] == ["event", "event", "advance"]

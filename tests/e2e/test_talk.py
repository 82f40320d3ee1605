"""A visitor and an agent talk over a real server; the protocol's promises, one by one."""

import asyncio

import pytest

from tests.support.raw import RawSocket
from tests.support.world import World, answered, until
from unique_cs.client import (
    Advanced,
    Connected,
    MemoryStore,
    Position,
    Rebased,
    Refused,
    RestError,
    Sent,
    Subscribed,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


def text(words: str) -> dict[str, str]:
    return {"kind": "text", "text": words}


async def opened(town: World, name: str, words: str) -> tuple[RawSocket, str]:
    """A contact's bare socket whose send 1 opened a conversation."""
    socket = await town.raw(await town.contact(name))
    await socket.send({"type": "send", "n": 1, "body": text(words)})
    sent = await socket.until("sent", n=1)
    return socket, sent["conversation"]


# Talking


async def test_both_hear_each_other_in_order(town: World) -> None:
    owner, visitor = await town.owner(), await town.visitor("ann")
    (first,) = await answered([visitor.say("talk-1")])
    assert isinstance(first, Sent)
    await until(lambda: "talk-1" in owner.texts())
    await answered([owner.say("talk-2", first.conversation), owner.say("talk-3", first.conversation)])
    await until(lambda: visitor.texts() == ["talk-2", "talk-3"])
    await answered([visitor.say("talk-4")])
    await until(lambda: "talk-4" in owner.texts())
    assert await town.verdict() == []


async def test_a_note_is_invisible_to_the_contact_on_every_road(town: World) -> None:
    owner, rest = await town.owner(), await town.contact("ann")
    visitor = await town.client("ann", rest)
    (first,) = await answered([visitor.say("note-1")])
    await until(lambda: "note-1" in owner.texts())
    (note,) = await answered([owner.say("note-2", first.conversation, private=True)])
    await answered([owner.say("note-3", first.conversation)])
    await until(lambda: visitor.texts() == ["note-3"])
    assert Advanced(first.conversation, note.seq) in visitor.recorder.told
    _, events = await rest.history(first.conversation)
    assert note.id not in {event["id"] for event in events}
    assert "note-2" not in str(events)
    assert await town.verdict() == []


async def test_a_contact_must_not_write_notes(town: World) -> None:
    socket, _ = await opened(town, "ann", "forbidden-1")
    await socket.send({"type": "send", "n": 2, "body": text("forbidden-2"), "private": True})
    assert (await socket.until("error"))["code"] == "forbidden"
    await socket.send({"type": "send", "n": 3, "body": text("forbidden-3")})
    await socket.until("sent", n=3)


async def test_a_stranger_finds_nothing(town: World) -> None:
    _, conversation = await opened(town, "ann", "stranger-1")
    rest = await town.contact("eve")
    eve = await town.raw(rest)
    await eve.send({"type": "subscribe", "conversation": conversation})
    await eve.receive("unsubscribed", conversation=conversation)
    for n, name in enumerate((conversation, "1234567890123"), 1):
        await eve.send({"type": "send", "n": n, "conversation": name, "body": text("stranger-2")})
        assert (await eve.receive("error", n=n))["code"] == "not_found"
    for call in (rest.conversation, rest.events):
        with pytest.raises(RestError, match="404 not_found"):
            await call(conversation)
    again = await town.raw(rest, since={conversation: {"epoch": "x", "seq": 0}})
    await again.receive("unsubscribed", conversation=conversation)


async def test_a_message_to_a_resolved_conversation_reopens_it_first(town: World) -> None:
    socket, conversation = await opened(town, "ann", "resolved-1")
    await (await town.agent()).set_status(conversation, "resolved")
    resolved = await socket.until("event", name="conversation.status_changed")
    await socket.send({"type": "send", "n": 2, "conversation": conversation, "body": text("resolved-2")})
    reopened = await socket.receive("event", name="conversation.status_changed", seq=resolved["seq"] + 1)
    assert reopened["data"]["status"] == "open"
    await socket.receive("sent", n=2, seq=reopened["seq"] + 1)


async def test_without_a_conversation_the_newest_unresolved_is_used_else_one_opened(town: World) -> None:
    socket, first = await opened(town, "ann", "newest-1")
    await socket.send({"type": "send", "n": 2, "body": text("newest-2")})
    assert (await socket.until("sent", n=2))["conversation"] == first
    await (await town.agent()).set_status(first, "resolved")
    await socket.until("event", name="conversation.status_changed")
    await socket.send({"type": "send", "n": 3, "body": text("newest-3")})
    subscribed = await socket.receive("subscribed", seq=0)
    assert subscribed["conversation"] != first
    await socket.receive("event", name="conversation.opened", seq=1)
    await socket.receive("sent", n=3, seq=2, conversation=subscribed["conversation"])


# Resuming


async def test_a_cut_client_resumes_and_misses_nothing(town: World) -> None:
    owner, visitor = await town.owner(), await town.visitor("ann")
    (first,) = await answered([visitor.say("cut-0")])
    await until(lambda: "cut-0" in owner.texts())
    for turn in range(1, 6):
        visitor.cut()
        await answered([owner.say(f"cut-{turn}", first.conversation), visitor.say(f"cut-v{turn}")])
    await until(lambda: len(visitor.texts()) >= 5)
    resumes = [item for item in visitor.recorder.told if isinstance(item, Connected)]
    assert [item.resumed for item in resumes] == [False] + [True] * (len(resumes) - 1)
    assert len(resumes) > 1
    assert await town.verdict() == []


async def test_a_later_connection_gets_the_event_with_n_and_the_same_answer(town: World) -> None:
    rest = await town.contact("ann")
    one = await town.raw(rest)
    session = one.connected["session"]
    await one.send({"type": "send", "n": 1, "body": text("later-1")})
    sent = await one.until("sent", n=1)
    one.socket.transport.abort()
    shown = {"epoch": await epoch(town, sent["conversation"]), "seq": sent["seq"] - 1}
    two = await town.raw(rest, session=session, c=2, acked=0, since={sent["conversation"]: shown})
    assert two.connected["resumed"] is True
    assert two.connected["n"] == 1
    await two.send({"type": "send", "n": 1, "body": text("later-1")})
    await two.until("event", seq=sent["seq"], id=sent["id"], n=1)
    assert await two.receive("sent", n=1) == sent


async def epoch(town: World, conversation: str) -> str:
    found: str = (await (await town.agent()).events(conversation))["epoch"]
    return found


async def test_a_session_survives_the_process(town: World) -> None:
    owner, rest, store = await town.owner(), await town.contact("ann"), MemoryStore()
    visitor = await town.client("ann", rest, store=store)
    (first,) = await answered([visitor.say("process-1")])
    await until(lambda: "process-1" in owner.texts())
    session = visitor.session.state.session
    await visitor.__aexit__(None, None, None)
    await answered([owner.say("process-2", first.conversation)])
    again = await town.client("ann again", rest, store=store)
    await until(lambda: again.texts() == ["process-2"])
    assert again.session.state.session == session
    (sent,) = await answered([again.say("process-3")])
    assert sent.send.n == 2


async def test_positions_that_cannot_be_replayed_are_resynced(town: World) -> None:
    socket, conversation = await opened(town, "ann", "resync-1")
    owner = await town.owner()
    await until(lambda: conversation in owner.recorder.positions())
    keys = [f"resync-o{i}" for i in range(1_050)]
    for at in range(0, len(keys), 200):
        await answered([owner.say(key, conversation) for key in keys[at : at + 200]])
    here = await epoch(town, conversation)
    head = (await (await town.agent()).conversation(conversation))["seq"]
    for since in (
        {"epoch": here, "seq": 1},
        {"epoch": "other", "seq": head},
        {"epoch": here, "seq": head + 1},
    ):
        again = await town.raw()
        await again.connect(socket.token, since={conversation: since})
        await again.receive("resync", conversation=conversation, epoch=here, seq=head)


async def test_after_a_resync_a_client_has_the_whole_history(town: World) -> None:
    owner, rest, store = await town.owner(), await town.contact("ann"), MemoryStore()
    visitor = await town.client("ann", rest, store=store)
    (first,) = await answered([visitor.say("whole-1")])
    await until(lambda: "whole-1" in owner.texts())
    await visitor.__aexit__(None, None, None)
    keys = [f"whole-o{i}" for i in range(1_100)]
    for at in range(0, len(keys), 200):
        await answered([owner.say(key, first.conversation) for key in keys[at : at + 200]])
    again = await town.client("ann again", rest, store=store)
    (sent,) = await answered([again.say("whole-2")])
    await until(lambda: any(isinstance(item, Rebased) for item in again.recorder.told))
    rebased = next(item for item in again.recorder.told if isinstance(item, Rebased))
    texts = [event["data"]["body"]["text"] for event in rebased.events if event["name"] == "message.created"]
    assert texts == ["whole-1", *keys]
    assert sent.seq == rebased.seq + 1
    assert again.session.state.positions[first.conversation] == Position(rebased.epoch, sent.seq)


async def test_a_higher_count_replaces_and_others_are_refused(town: World) -> None:
    rest = await town.contact("ann")
    one = await town.raw(rest)
    session = one.connected["session"]
    two = await town.raw(rest, session=session, c=5)
    assert await one.closed() == 4409
    for c in (4, 5):
        late = await town.raw()
        await late.send({"type": "connect", "token": rest.token, "session": session, "c": c})
        assert await late.closed() == 4409
    assert await two.outcome() == ["open"]
    three = await town.raw(rest, session=session)
    assert three.connected["c"] == 6
    assert await two.closed() == 4409


async def test_a_session_id_grants_nothing_with_another_token(town: World) -> None:
    one = await town.raw(await town.contact("ann"))
    eve = await town.raw(await town.contact("eve"), session=one.connected["session"], c=9)
    assert eve.connected["resumed"] is False
    assert eve.connected["session"] != one.connected["session"]
    assert await one.outcome() == ["open"]


# Numbers


async def test_repeats_get_the_same_answer_and_store_nothing(town: World) -> None:
    socket, conversation = await opened(town, "ann", "repeat-1")
    first = await repeat(socket, 1, "repeat-1")
    assert first == await repeat(socket, 1, "repeat-1")
    await socket.send({"type": "send", "n": 2, "body": {"kind": "nonsense"}})
    refused = await socket.until("error", n=2)
    assert refused["code"] == "invalid"
    await socket.send({"type": "send", "n": 2, "body": {"kind": "nonsense"}})
    assert await socket.until("error", n=2) == refused
    _, events = await (await town.agent()).history(conversation)
    assert len([event for event in events if event["name"] == "message.created"]) == 1


async def repeat(socket: RawSocket, n: int, words: str) -> dict[str, object]:
    await socket.send({"type": "send", "n": n, "body": text(words)})
    return await socket.receive("sent", n=n)


async def test_a_repeat_that_differs_is_a_conflict(town: World) -> None:
    socket, conversation = await opened(town, "ann", "differs-1")
    await socket.send({"type": "send", "n": 1, "body": text("something else")})
    assert (await socket.receive("error", n=1))["code"] == "conflict"
    owner = await town.raw(await town.agent())
    await owner.send({"type": "send", "n": 1, "conversation": conversation, "body": text("differs-2")})
    await owner.until("sent", n=1)
    send = {"type": "send", "n": 1, "conversation": conversation, "body": text("differs-2"), "private": True}
    await owner.send(send)
    assert (await owner.until("error", n=1))["code"] == "conflict"


async def test_a_repeat_older_than_the_newest_256_is_a_conflict(town: World) -> None:
    socket, _ = await opened(town, "ann", "old-1")
    for n in range(2, 260):
        await socket.send({"type": "send", "n": n, "body": text(f"old-{n}")})
        await socket.receive("sent", n=n)
    await socket.send({"type": "send", "n": 3, "body": text("old-3")})
    assert (await socket.receive("error", n=3))["code"] == "conflict"
    await socket.send({"type": "send", "n": 4, "body": text("old-4")})
    await socket.receive("sent", n=4)


async def test_a_hole_in_the_numbers_stores_nothing_and_says_what_is_expected(town: World) -> None:
    socket, conversation = await opened(town, "ann", "hole-1")
    for n in (4, 3):
        await socket.send({"type": "send", "n": n, "body": text(f"hole-{n}")})
        await socket.receive("error", code="out_of_order", expected=2)
    for n in (2, 3, 4):
        await socket.send({"type": "send", "n": n, "body": text(f"hole-{n}")})
        await socket.receive("sent", n=n, conversation=conversation)


async def test_a_bad_send_uses_its_number_up(town: World) -> None:
    visitor = await town.visitor("ann")
    bad = visitor.send({"kind": "rating", "score": 9})
    good = visitor.say("number-2")
    refused, sent = await answered([bad, good])
    assert isinstance(refused, Refused)
    assert refused.code == "invalid"
    assert sent.send.n == 2


async def test_acked_raises_the_number_of_the_server(town: World) -> None:
    rest = await town.contact("ann")
    one = await town.raw(rest)
    await one.send({"type": "send", "n": 1, "body": text("raise-1")})
    await one.until("sent", n=1)
    two = await town.raw(rest, session=one.connected["session"], acked=7)
    await two.send({"type": "send", "n": 8, "body": text("raise-8")})
    await two.until("sent", n=8)


# Around


async def test_a_rest_message_is_stored_once_under_its_key(town: World) -> None:
    socket, conversation = await opened(town, "ann", "key-1")
    agent = await town.agent()
    one = await agent.post_message(conversation, text("key-2"), "k-1")
    two = await agent.post_message(conversation, text("key-2"), "k-1")
    assert (one["id"], one["seq"]) == (two["id"], two["seq"])
    await socket.receive("event", id=one["id"])
    with pytest.raises(RestError, match="409 conflict"):
        await agent.post_message(conversation, text("key-3"), "k-1")


async def test_typing_and_its_preview_reach_who_may_see_them(town: World) -> None:
    socket, conversation = await opened(town, "ann", "typing-1")
    owner = await town.raw(await town.agent())
    typing = {"type": "typing", "conversation": conversation, "on": True}
    await socket.send(typing | {"preview": "I wo"})
    heard = await owner.until("signal", name="typing", conversation=conversation)
    assert heard["data"]["preview"] == "I wo"
    await owner.send(typing | {"preview": "secret"})
    heard = await socket.until("signal", name="typing", conversation=conversation)
    assert heard["actor"]["kind"] == "agent"
    assert "secret" not in str(heard)


async def test_cursors_grow_to_the_head_only_and_are_kept(town: World) -> None:
    socket, conversation = await opened(town, "ann", "cursor-1")
    owner = await town.raw(await town.agent())
    for seq in (1_000, 2, 1):
        await socket.send({"type": "read", "conversation": conversation, "seq": seq})
    heard = await owner.until("signal", name="read", conversation=conversation)
    assert heard["data"]["seq"] <= 2
    await until_read(town, socket, conversation, 2)


async def until_read(town: World, socket: RawSocket, conversation: str, seq: int) -> None:
    """Cursors are durable within a second; `connected` shows them."""
    async with asyncio.timeout(5):
        shown = {"read": -1}
        while shown["read"] != seq:
            again = await town.raw()
            await again.connect(socket.token)
            shown = {item["id"]: item for item in again.connected["conversations"]}[conversation]
            assert shown["read"] <= shown["seq"]


async def test_who_is_assigned_is_told_and_named_publicly(town: World) -> None:
    socket, conversation = await opened(town, "ann", "assign-1")
    agent = await town.agent()
    me = (await agent.call("GET", "/me"))["agent"]
    await agent.assign(conversation, me["id"])
    event = await socket.until("event", name="conversation.assigned")
    assert set(event["data"]["assignee"]) <= {"id", "name"}
    assert me["email"] not in str(event)


async def test_signing_out_closes_the_live_connection(town: World) -> None:
    agent = await town.agent()
    socket = await town.raw(agent)
    await agent.call("POST", "/auth/logout")
    assert await asyncio.wait_for(socket.closed(), 5) == 4401


async def test_a_new_conversation_is_announced_before_its_first_event(town: World) -> None:
    owner = await town.owner()
    visitor = await town.visitor("ann")
    (sent,) = await answered([visitor.say("announce-1")])
    await until(lambda: "announce-1" in owner.texts())
    joined = [item for item in owner.recorder.told if isinstance(item, Subscribed)]
    assert [item.seq for item in joined if item.conversation == sent.conversation] == [0]

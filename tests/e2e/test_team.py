"""More than one agent on a real server: made, assigned to, sent away; and pages of other sites."""

import asyncio
import time
from typing import Any, NamedTuple

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.support.raw import RawSocket
from tests.support.world import World
from unique_cs.client import Rest, RestError

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON_S = 5.0
SHOP = "https://shop.example"


class Hired(NamedTuple):
    """A new agent, who signed in with the password that the owner was shown."""

    id: str
    rest: Rest
    password: str


async def hired(town: World, email: str, name: str) -> Hired:
    """A new agent."""
    owner = await town.agent()
    made = await owner.call("POST", "/agents", {"email": email, "name": name, "role": "agent"})
    rest = await town.agent()
    await rest.login(email, made["password"])
    return Hired(made["id"], rest, made["password"])


async def about(socket: RawSocket, conversation: str) -> dict[str, Any]:
    """The next frame that is about the conversation and no signal."""
    while True:
        frame = await socket.next()
        if frame["type"] != "signal" and frame.get("conversation") == conversation:
            return frame


async def waiting(town: World, words: str) -> str:
    """A new contact's conversation."""
    socket = await town.raw(await town.contact("ann"))
    await socket.send({"type": "send", "n": 1, "body": {"kind": "text", "text": words}})
    sent = await socket.until("sent", n=1)
    return str(sent["conversation"])


async def test_a_snoozed_conversation_comes_back(town: World) -> None:
    """At its time, to whoever has it; the system did it."""
    _, rest, _ = await hired(town, "late@example.com", "Lou")
    conversation = await waiting(town, "snooze-1")
    socket = await town.raw(rest)
    await socket.send({"type": "subscribe", "conversation": conversation})
    until = int(time.time() * 1000) + 1_000
    await rest.call("POST", f"/conversations/{conversation}/status", {"status": "snoozed", "until": until})
    async with asyncio.timeout(30):
        while (event := await socket.until("event", conversation=conversation))["data"].get(
            "status"
        ) != "open":
            pass
    assert (event["name"], event["actor"]["kind"]) == ("conversation.status_changed", "system")
    assert event["time"] >= until


async def test_a_conversation_goes_from_one_agent_to_the_other(town: World) -> None:
    first_id, first_rest, _ = await hired(town, "first@example.com", "Fay")
    second_id, second_rest, _ = await hired(town, "second@example.com", "Sam")
    first = await town.raw(first_rest)
    conversation = await waiting(town, "team-1")
    await first.until("event", conversation=conversation, name="message.created")
    await first_rest.assign(conversation, first_id)
    taken = await about(first, conversation)
    assert (taken["name"], taken["data"]["assignee"]["id"]) == ("conversation.assigned", first_id)
    second = await town.raw(second_rest)
    assert conversation not in {each["id"] for each in second.connected["conversations"]}

    await first_rest.assign(conversation, second_id)
    event = await about(first, conversation)
    assert (event["type"], event["name"]) == ("event", "conversation.assigned")
    assert event["data"]["assignee"] == {"id": second_id, "name": "Sam"}
    assert event["data"]["previous"] == {"id": first_id, "name": "Fay"}
    assert await about(first, conversation) == {"type": "unsubscribed", "conversation": conversation}
    joined = await about(second, conversation)
    assert (joined["type"], joined["seq"]) == ("subscribed", event["seq"] - 1)
    assert await about(second, conversation) == event

    await second_rest.post_message(conversation, {"kind": "text", "text": "team-2"}, "key")
    assert (await about(second, conversation))["data"]["body"]["text"] == "team-2"


async def test_who_asked_for_a_conversation_keeps_it_when_it_is_given_away(town: World) -> None:
    agent_id, rest, _ = await hired(town, "keeper@example.com", "Kim")
    keeper, owner = await town.raw(rest), await town.agent()
    conversation = await waiting(town, "team-keep")
    await keeper.until("event", conversation=conversation, name="message.created")
    await keeper.send({"type": "subscribe", "conversation": conversation})
    await keeper.until("subscribed", conversation=conversation)
    await owner.assign(conversation, agent_id)
    await owner.assign(conversation, None)
    await owner.assign(conversation, (await owner.call("GET", "/me"))["agent"]["id"])
    for _ in range(3):
        assert (await about(keeper, conversation))["name"] == "conversation.assigned"
    await owner.post_message(conversation, {"kind": "text", "text": "still here?"}, "key-keep")
    assert (await about(keeper, conversation))["name"] == "message.created"


async def test_disabling_an_agent_closes_its_connections(town: World) -> None:
    agent_id, rest, _ = await hired(town, "gone@example.com", "Gus")
    sockets = [await town.raw(rest), await town.raw(rest)]
    owner = await town.agent()
    await owner.call("PATCH", f"/agents/{agent_id}", {"disabled": True})
    closed = [asyncio.wait_for(socket.closed(), SOON_S) for socket in sockets]
    assert await asyncio.gather(*closed) == [4403, 4403]
    with pytest.raises(RestError) as refused:
        await rest.call("GET", "/me")
    assert (refused.value.status, refused.value.code) == (403, "forbidden")
    again = await town.raw()
    await again.send({"type": "connect", "token": rest.token})
    assert await again.closed() == 4403
    await owner.call("PATCH", f"/agents/{agent_id}", {"disabled": False})
    await town.raw(rest)


async def test_a_reset_of_the_password_closes_connections_and_ends_logins(town: World) -> None:
    agent_id, rest, _ = await hired(town, "reset@example.com", "Rae")
    socket, owner = await town.raw(rest), await town.agent()
    watching = await town.raw(owner)
    password = (await owner.call("POST", f"/agents/{agent_id}/password"))["password"]
    assert await asyncio.wait_for(socket.closed(), SOON_S) == 4401
    with pytest.raises(RestError) as refused:
        await rest.call("GET", "/me")
    assert refused.value.status == 401
    assert await watching.outcome() == ["open"]
    await rest.login("reset@example.com", password)
    await town.raw(rest)


async def test_an_own_new_password_closes_the_other_logins_only(town: World) -> None:
    _, here, password = await hired(town, "own@example.com", "Oda")
    there = await town.agent()
    await there.login("own@example.com", password)
    stays, goes = await town.raw(here), await town.raw(there)
    await here.call("POST", "/me/password", {"old": password, "new": "a longer password"})
    assert await asyncio.wait_for(goes.closed(), SOON_S) == 4401
    assert await stays.outcome() == ["open"]


async def test_pages_of_an_inboxes_sites_may_call_as_soon_as_they_are_listed(town: World) -> None:
    owner = await town.agent()
    [inbox] = (await owner.call("GET", "/inboxes"))["inboxes"]
    url = town.server.url
    headers = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}

    async def allowed() -> tuple[int, set[str | None]]:
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as http:
            asked = [
                await http.request("OPTIONS", f"/api/v1/{path}", headers=headers)
                for path in ("contacts/session", "stream", "conversations")
            ]
        return await _handshake(url), {answer.headers.get("access-control-allow-origin") for answer in asked}

    assert await allowed() == (403, {None})
    await owner.call("PATCH", f"/inboxes/{inbox['id']}", {"allowed_origins": [SHOP]})
    assert await allowed() == (101, {SHOP})
    await owner.call("PATCH", f"/inboxes/{inbox['id']}", {"allowed_origins": []})
    assert await allowed() == (403, {None})


async def _handshake(url: str) -> int:
    """The status with which a page of the shop is answered that opens a WebSocket."""
    try:
        async with connect(f"ws{url.removeprefix('http')}/ws", origin=Origin(SHOP), proxy=None):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code

"""The desk's calls without gRPC: what they refuse, and what a contact gets to see."""

from typing import Any

import pytest
from google.protobuf.message import Message

from tests.unit.api.harness import MEI, Harness
from unique_cs.api.grpc_desk import Desk
from unique_cs.domain.flow import own_buckets
from unique_cs.errors import Code, UniqueCsError
from unique_cs.protobuf import from_dict, to_dict
from unique_cs.v1 import messaging_pb2 as pb

REQUESTS: dict[str, type[Message]] = {
    method.name: getattr(pb, method.input_type.name)
    for method in pb.DESCRIPTOR.services_by_name["Desk"].methods
}
ANSWERS: dict[str, type[Message]] = {
    method.name: getattr(pb, method.output_type.name)
    for method in pb.DESCRIPTOR.services_by_name["Desk"].methods
}


async def ask(harness: Harness, method: str, token: str, **fields: Any) -> dict[str, Any]:
    """One call."""
    payload = from_dict(REQUESTS[method](), fields).SerializeToString()
    call = Desk(harness._deps({})).calls()[method]
    return to_dict(ANSWERS[method].FromString(await call(payload, token, "10.0.0.1")))


async def refused(harness: Harness, method: str, token: str, **fields: Any) -> Code:
    """The code of a refusal."""
    with pytest.raises(UniqueCsError) as caught:
        await ask(harness, method, token, **fields)
    return caught.value.code


async def test_every_call_of_the_definition_is_there(harness: Harness) -> None:
    assert set(Desk(harness._deps({})).calls()) == set(REQUESTS)


@pytest.mark.parametrize("method", REQUESTS)
async def test_bytes_that_are_no_request_are_refused(harness: Harness, method: str) -> None:
    agent = await harness.agent()
    with pytest.raises(UniqueCsError) as caught:
        await Desk(harness._deps({})).calls()[method](b"\xff", agent.token, "10.0.0.1")
    assert caught.value.code is Code.BAD_FRAME


@pytest.mark.parametrize("method", REQUESTS)
async def test_nobody_gets_in_without_a_token(harness: Harness, method: str) -> None:
    assert await refused(harness, method, "") is Code.UNAUTHORIZED
    assert await refused(harness, method, "wrong") is Code.UNAUTHORIZED


async def test_an_address_that_asks_too_often_is_held_off(harness: Harness) -> None:
    agent = await harness.agent()
    call = Desk(harness._deps({"requests": own_buckets("request", 1, 2)})).calls()["ListConversations"]
    for _ in range(2):
        await call(b"", agent.token, "10.0.0.1")
    with pytest.raises(UniqueCsError) as caught:
        await call(b"", agent.token, "10.0.0.1")
    assert caught.value.code is Code.RATE_LIMITED
    assert caught.value.retry_after_ms
    await call(b"", agent.token, "10.0.0.2")


async def test_a_transfer_needs_a_conversation_of_ones_own(harness: Harness) -> None:
    contact, owner = await harness.contact(), await harness.agent()
    asked = {"conversation": await harness.conversation(contact), "agent": str(MEI.id)}
    assert await refused(harness, "TransferConversation", contact.token, **asked) is Code.FORBIDDEN
    assert await refused(harness, "TransferConversation", owner.token, **asked) is Code.CONFLICT
    me = (await owner.ok("GET", "me"))["agent"]["id"]
    await ask(harness, "AssignConversation", owner.token, **(asked | {"agent": me}))
    nobody = asked | {"agent": "7"}
    assert await refused(harness, "TransferConversation", owner.token, **nobody) is Code.NOT_FOUND
    shown = await ask(harness, "TransferConversation", owner.token, **asked)
    assert shown["assignee"] == {"id": str(MEI.id), "name": MEI.name}
    events = (await ask(harness, "ListEvents", owner.token, conversation=asked["conversation"]))["events"]
    assert events[-1]["data"]["previous"]["id"] == me


async def test_a_contact_sees_public_names_only(harness: Harness) -> None:
    contact, owner = await harness.contact(), await harness.agent()
    name = await harness.conversation(contact)
    await harness.say(owner, "a note", name, note=True)
    await ask(harness, "AssignConversation", owner.token, conversation=name, agent=str(MEI.id))
    await owner.ok("POST", f"conversations/{name}/labels", {"labels": ["vip"]})
    page = await ask(harness, "ListConversations", contact.token)
    [shown] = page["conversations"]
    assert (shown["assignee"], shown["labels"], page["cursor"]) == ({"name": MEI.name}, [], None)
    events = (await ask(harness, "ListEvents", contact.token, conversation=name))["events"]
    assert [event["name"] for event in events] == [
        "conversation.opened",
        "message.created",
        "conversation.assigned",
    ]
    assert events[-1]["data"] == {"assignee": {"name": MEI.name}, "previous": None}
    assert await refused(harness, "AssignConversation", contact.token, conversation=name) is Code.FORBIDDEN


async def test_pages_lead_on_to_the_next(harness: Harness) -> None:
    owner = await harness.agent()
    names = {await harness.conversation(await harness.contact(f"Ann {i}")) for i in range(3)}
    first = await ask(harness, "ListConversations", owner.token, limit=2)
    rest = await ask(harness, "ListConversations", owner.token, limit=2, cursor=first["cursor"])
    found = [each["id"] for each in first["conversations"] + rest["conversations"]]
    assert (len(found), set(found), rest["cursor"]) == (3, names, None)
    for wrong in ({"cursor": "x"}, {"status": "lost"}, {"inbox": "x"}, {"assignee": "you"}, {"limit": -1}):
        assert await refused(harness, "ListConversations", owner.token, **wrong) is Code.INVALID

"""Conversations over REST."""

from typing import Any

import pytest

from tests.unit.api.harness import MEI, START_MS, Harness, is_problem
from unique_cs.domain.conversation import Cursor


async def ids(harness: Harness, caller: Any, **query: Any) -> list[str]:
    listed = await caller.ok("GET", "conversations", params=query)
    return [each["id"] for each in listed["conversations"]]


async def test_a_conversation_as_agents_see_it(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann, "where is my order?")
    shown = await agent.ok("GET", f"conversations/{number}")
    contact = shown.pop("contact")
    last = shown.pop("last_message")
    assert shown == {
        "id": number,
        "inbox": {"id": "3", "name": "Website"},
        "status": "open",
        "assignee": None,
        "labels": [],
        "epoch": harness.node.timeline.epoch,
        "seq": 2,
        "read": 0,
        "delivered": 0,
        "cursors": [],
        "created_at": START_MS,
        "updated_at": START_MS,
        "waiting_since": START_MS,
    }
    assert contact["name"] == "Ann"
    assert (last["type"], last["name"], last["seq"]) == ("event", "message.created", 2)
    assert last["data"]["body"] == {"kind": "text", "text": "where is my order?"}


async def test_cursors_are_the_callers_own_and_the_others(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann)
    found = await harness.node.timeline.conversation(int(number))
    assert found is not None
    await harness.node.contacts.cursors(found)
    harness.node.contacts.advance_cursor(found, Cursor("agent", "1", 2, 2))
    shown = await agent.ok("GET", f"conversations/{number}")
    assert (shown["read"], shown["delivered"], shown["cursors"]) == (2, 2, [])
    shown = await ann.ok("GET", f"conversations/{number}")
    assert (shown["read"], shown["delivered"]) == (0, 0)
    assert shown["cursors"] == [{"actor": {"kind": "agent", "id": "1"}, "read": 2, "delivered": 2}]


async def test_assigning_to_an_agent_and_to_nobody(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann)
    shown = await agent.ok("POST", f"conversations/{number}/assign", {"agent": "2"})
    assert shown["assignee"] == {"id": "2", "name": "Mei"}
    assert (shown["waiting_since"], shown["seq"]) == (None, 3)
    assert (await agent.ok("POST", f"conversations/{number}/assign", {"agent": None}))["assignee"] is None
    await agent.ok("POST", f"conversations/{number}/assign", {"agent": "2"})
    bare = await agent.post(
        f"conversations/{number}/assign", content=b"null", headers={"content-type": "application/json"}
    )
    assert bare.json()["assignee"] is None
    answer = await agent.post(f"conversations/{number}/assign", {"team": "2"})
    assert is_problem(answer, 404, "not_found")
    for nobody in ("99", "0"):
        answer = await agent.post(f"conversations/{number}/assign", {"agent": nobody})
        assert is_problem(answer, 404, "not_found")
    wrong: Any
    for wrong in ({}, {"agent": 2}, {"agent": "me"}, [], "x"):
        answer = await agent.post(f"conversations/{number}/assign", wrong)
        assert is_problem(answer, 422, "invalid")


async def test_a_disabled_agent_takes_no_conversation(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann)
    await agent.ok("PATCH", "agents/2", {"disabled": True})
    answer = await agent.post(f"conversations/{number}/assign", {"agent": "2"})
    assert is_problem(answer, 404, "not_found")


async def test_status_and_labels(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    path = f"conversations/{await harness.conversation(ann)}"
    assert (await agent.ok("POST", f"{path}/status", {"status": "resolved"}))["status"] == "resolved"
    snoozed = await agent.ok("POST", f"{path}/status", {"status": "snoozed", "until": START_MS + 1})
    assert snoozed["status"] == "snoozed"
    assert (await agent.ok("POST", f"{path}/labels", {"labels": ["vip", "refund"]}))["labels"] == [
        "refund",
        "vip",
    ]
    for wrong in ({"status": "gone"}, {"status": "open", "until": START_MS}, {}):
        assert is_problem(await agent.post(f"{path}/status", wrong), 422, "invalid")
    for labels in ([""], [" "], ["x" * 51], ["x"] * 51, "vip"):
        assert is_problem(await agent.post(f"{path}/labels", {"labels": labels}), 422, "invalid")


async def test_contacts_change_nothing_and_see_public_names_only(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    path = f"conversations/{await harness.conversation(ann)}"
    await agent.ok("POST", f"{path}/assign", {"agent": "2"})
    await agent.ok("POST", f"{path}/labels", {"labels": ["vip"]})
    for verb, body in (
        ("assign", {"agent": None}),
        ("status", {"status": "open"}),
        ("labels", {"labels": []}),
    ):
        assert is_problem(await ann.post(f"{path}/{verb}", body), 403, "forbidden")
    shown = await ann.ok("GET", path)
    assert shown["assignee"] == {"name": "Mei"}
    assert shown["labels"] == []


async def test_no_access_and_no_such_id_look_alike(harness: Harness) -> None:
    ann, bo = await harness.contact(), await harness.contact("Bo")
    number = await harness.conversation(ann)
    foreign = await bo.get(f"conversations/{number}")
    assert is_problem(foreign, 404, "not_found")
    for wire_id in (str(int(number) + 1), "0", "-1", "abc", "1" * 30, "１２", "%00"):
        assert (await bo.get(f"conversations/{wire_id}")).json() == foreign.json()
    key = {"idempotency-key": "k"}
    body = {"body": {"kind": "text", "text": "x"}}
    for method, path, json in (
        ("GET", "events", None),
        ("POST", "messages", body),
        ("POST", "assign", {"agent": None}),
        ("POST", "status", {"status": "open"}),
        ("POST", "labels", {"labels": []}),
    ):
        answer = await bo.call(method, f"conversations/{number}/{path}", json=json, headers=key)
        assert is_problem(answer, 404, "not_found")


async def test_lists_and_their_filters(harness: Harness) -> None:
    owner, mei = await harness.agent(), await harness.agent(MEI.email)
    people = [await harness.contact(name) for name in ("Ann", "Bo", "Cy")]
    numbers = []
    for person in people:
        harness.clock.ms += 1
        numbers.append(await harness.conversation(person))
    ann, bo, cy = numbers
    await owner.ok("POST", f"conversations/{bo}/assign", {"agent": "2"})
    await owner.ok("POST", f"conversations/{cy}/status", {"status": "resolved"})
    assert set(await ids(harness, owner)) == {ann, bo, cy}
    assert await ids(harness, owner, status="resolved") == [cy]
    assert await ids(harness, owner, assignee="none", status="open") == [ann]
    assert await ids(harness, owner, assignee="2") == await ids(harness, mei, assignee="me") == [bo]
    assert await ids(harness, owner, assignee="me") == []
    assert len(await ids(harness, owner, inbox="3")) == 3
    assert await ids(harness, owner, inbox="4") == []
    assert await ids(harness, owner, q="BO") == [bo]
    assert await ids(harness, owner, q=ann) == [ann]
    assert await ids(harness, people[0]) == [ann]
    assert await ids(harness, people[0], assignee="2") == []


async def test_a_list_is_newest_activity_first_and_has_pages(harness: Harness) -> None:
    agent = await harness.agent()
    numbers = []
    for _ in range(5):
        harness.clock.ms += 1
        numbers.append(await harness.conversation(await harness.contact()))
    seen: list[str] = []
    cursor = ""
    while True:
        page = await agent.ok("GET", "conversations", params={"limit": 2, "cursor": cursor})
        seen += [each["id"] for each in page["conversations"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == numbers[::-1]


async def test_a_list_shows_what_was_durable_when_it_was_asked_for(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann)
    for status in ("resolved", "open", "pending"):
        await agent.ok("POST", f"conversations/{number}/status", {"status": status})
        assert await ids(harness, agent, status=status) == [number]


async def test_a_row_that_has_changed_meanwhile_is_left_out(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann)
    assert await ids(harness, agent, status="open") == [number]
    harness.node.relay.stopped = "for this test"
    for task in list(harness.node._tasks):
        task.cancel()
    await agent.ok("POST", f"conversations/{number}/status", {"status": "resolved"})
    assert await ids(harness, agent, status="open") == []


@pytest.mark.parametrize(
    "query",
    [
        {"status": "gone"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "x"},
        {"assignee": "you"},
        {"assignee": "-1"},
        {"assignee": "me\n"},
        {"cursor": "1-1\n"},
        {"status": "open\n"},
        {"inbox": "x"},
        {"cursor": "x"},
        {"cursor": "1"},
        {"q": "x" * 201},
    ],
)
async def test_queries_that_make_no_sense(harness: Harness, query: dict[str, str]) -> None:
    agent = await harness.agent()
    assert is_problem(await agent.get("conversations", params=query), 422, "invalid")


async def test_ids_beyond_64_bits_find_nothing(harness: Harness) -> None:
    agent = await harness.agent()
    await harness.conversation(await harness.contact())
    for query in ({"assignee": "9" * 19}, {"inbox": "9" * 19}, {"q": "9" * 19}):
        assert await ids(harness, agent, **query) == []

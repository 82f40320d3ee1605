"""Events and messages over REST."""

import asyncio
from typing import Any

import pytest

from tests.unit.api.harness import INBOX, Caller, Harness, is_problem, opened
from unique_cs.domain.permission import Principal
from unique_cs.errors import Code, UniqueCsError


async def post(caller: Caller, number: str, body: Any, key: str = "k1", **fields: Any) -> Any:
    path = f"conversations/{number}/messages"
    return await caller.post(path, {"body": body} | fields, headers={"idempotency-key": key})


def text(said: str) -> dict[str, str]:
    return {"kind": "text", "text": said}


async def seqs(caller: Caller, number: str, **query: int) -> tuple[list[int], bool]:
    page = await caller.ok("GET", f"conversations/{number}/events", params=query)
    return [each["seq"] for each in page["events"]], page["more"]


async def test_events_are_as_on_the_wire(harness: Harness) -> None:
    ann = await harness.contact()
    number = await harness.conversation(ann, '你好 "quoted"\n')
    page = await ann.ok("GET", f"conversations/{number}/events")
    assert (page["epoch"], page["more"]) == (harness.node.timeline.epoch, False)
    opening, message = page["events"]
    assert (opening["name"], opening["seq"]) == ("conversation.opened", 1)
    assert set(message) == {"type", "name", "conversation", "seq", "id", "time", "actor", "data"}
    assert message["data"] == {"body": text('你好 "quoted"\n'), "private": False}
    assert message["actor"] == {"kind": "contact", "id": opening["actor"]["id"], "name": "Ann"}


async def test_pages_of_events(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann, *(str(each) for each in range(9)))
    assert await seqs(agent, number) == (list(range(1, 11)), False)
    assert await seqs(agent, number, limit=3) == ([8, 9, 10], True)
    assert await seqs(agent, number, limit=3, before=8) == ([5, 6, 7], True)
    assert await seqs(agent, number, limit=3, before=3) == ([1, 2], False)
    assert await seqs(agent, number, limit=3, before=4) == ([1, 2, 3], False)
    assert await seqs(agent, number, limit=3, after=0) == ([1, 2, 3], True)
    assert await seqs(agent, number, limit=3, after=7) == ([8, 9, 10], False)
    assert await seqs(agent, number, limit=3, after=2, before=5) == ([3, 4], False)
    assert await seqs(agent, number, limit=3, after=2, before=7) == ([3, 4, 5], True)
    assert await seqs(agent, number, after=10) == ([], False)
    assert await seqs(agent, number, before=0) == ([], False)
    assert await seqs(agent, number, after=2**53 - 1) == ([], False)


async def test_contacts_see_no_notes_and_no_labels(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann, "hello")
    await harness.say(agent, "the secret note", number, note=True)
    await agent.ok("POST", f"conversations/{number}/labels", {"labels": ["secret label"]})
    await agent.ok("POST", f"conversations/{number}/assign", {"agent": "2"})
    answer = await ann.get(f"conversations/{number}/events")
    assert "secret" not in answer.text
    assert [each["seq"] for each in answer.json()["events"]] == [1, 2, 5]
    assigned = answer.json()["events"][-1]
    assert assigned["data"] == {"assignee": {"name": "Mei"}, "previous": None}
    assert "secret" not in (await ann.get(f"conversations/{number}")).text
    shown = await agent.ok("GET", f"conversations/{number}")
    assert shown["last_message"]["data"]["private"]
    assert [each["seq"] for each in (await agent.ok("GET", f"conversations/{number}/events"))["events"]] == [
        1,
        2,
        3,
        4,
        5,
    ]


async def test_a_contacts_pages_are_full_in_spite_of_hidden_events(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann, "one")
    for each in range(5):
        await harness.say(agent, f"note {each}", number, note=True)
    await harness.say(ann, "two", number)
    assert await seqs(ann, number, limit=2) == ([2, 8], True)
    assert await seqs(ann, number, limit=2, before=8) == ([1, 2], False)
    assert await seqs(ann, number, limit=2, after=1) == ([2, 8], False)
    assert await seqs(ann, number, limit=1, after=2) == ([8], False)


async def test_the_last_message_is_found_behind_many_other_events(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann, "the last word")
    for each in range(15):
        await agent.ok("POST", f"conversations/{number}/labels", {"labels": [str(each)]})
    shown = await agent.ok("GET", f"conversations/{number}")
    assert shown["last_message"]["data"]["body"]["text"] == "the last word"


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 201}, {"before": -1}, {"after": "x"}, {"after": 2**53}]
)
async def test_pages_that_make_no_sense(harness: Harness, query: dict[str, Any]) -> None:
    ann = await harness.contact()
    number = await harness.conversation(ann)
    answer = await ann.get(f"conversations/{number}/events", params=query)
    assert is_problem(answer, 422, "invalid")


async def test_a_message_is_answered_with_its_event(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann)
    answer = await post(agent, number, text("it left today"))
    assert answer.status_code == 201
    event = answer.json()
    assert (event["type"], event["name"], event["seq"]) == ("event", "message.created", 3)
    assert event["actor"] == {"kind": "agent", "id": "1", "name": "Olga"}
    assert (await ann.ok("GET", f"conversations/{number}/events"))["events"][-1] == event


async def test_a_repeat_sends_nothing_and_gets_the_same_answer(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann)
    answers = await asyncio.gather(*(post(agent, number, text("once")) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await seqs(agent, number) == ([1, 2, 3], False)
    assert (await post(agent, number, text("twice"), key="k2")).json()["seq"] == 4
    # The key is the actor's own.
    assert (await post(ann, number, text("once"))).json()["seq"] == 5


async def test_a_key_that_was_used_for_something_else_is_a_conflict(harness: Harness) -> None:
    agent, ann, bo = await harness.agent(), await harness.contact(), await harness.contact("Bo")
    number, other = await harness.conversation(ann), await harness.conversation(bo)
    assert (await post(agent, number, text("one"))).status_code == 201
    for answer in (
        await post(agent, number, text("two")),
        await post(agent, number, text("one"), private=True),
        await post(agent, other, text("one")),
    ):
        assert is_problem(answer, 409, "conflict")


async def test_a_refusal_uses_the_key_up(harness: Harness) -> None:
    """As it does on a connection: the key names one message, which was refused; what it sent stays sent."""
    ann = await harness.contact()
    number = await harness.conversation(ann)
    for key, refused, status, code in (
        ("k1", {"body": text("")}, 422, "invalid"),
        ("k2", {"body": text("x" * 9_000)}, 413, "too_large"),
        ("k3", {"body": text("x"), "private": True}, 403, "forbidden"),
    ):
        first = await post(ann, number, refused.pop("body"), key, **refused)
        assert is_problem(first, status, code)
        again = await post(ann, number, text("x"), key)
        assert again.json() == first.json()
    assert (await post(ann, number, text("y"), "k4")).json()["seq"] == 3
    assert is_problem(await post(ann, number, text(""), "k4"), 409, "conflict")


async def test_a_message_needs_a_key(harness: Harness) -> None:
    ann = await harness.contact()
    number = await harness.conversation(ann)
    for headers in ({}, {"idempotency-key": ""}, {"idempotency-key": "x" * 256}, {"idempotency-key": "a b"}):
        answer = await ann.post(f"conversations/{number}/messages", {"body": text("x")}, headers=headers)
        assert is_problem(answer, 422, "invalid")
    nobody = await harness.anyone.post(f"conversations/{number}/messages", {"body": text("x")})
    assert is_problem(nobody, 401, "unauthorized")


async def test_notes_are_for_agents(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann)
    assert is_problem(await post(ann, number, text("x"), private=True), 403, "forbidden")
    assert (await post(agent, number, text("x"), private=True)).json()["data"]["private"]


@pytest.mark.parametrize(
    "body",
    [
        {
            "kind": "card",
            "title": "Lamp",
            "price": "¥99",
            "actions": [{"label": "Buy", "url": "https://a.example"}],
        },
        {"kind": "choices", "text": "Which?", "options": ["a", "b"]},
        {"kind": "rating", "score": 5, "comment": "good"},
        {"kind": "custom", "of": {"any": [1, None, "x"]}, "text": "kept"},
    ],
)
async def test_every_kind_of_body_is_kept(harness: Harness, body: dict[str, Any]) -> None:
    ann = await harness.contact()
    number = await harness.conversation(ann)
    assert (await post(ann, number, body)).json()["data"]["body"] == body


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "text"},
        {"kind": "text", "text": ""},
        {"kind": "poem", "text": "x"},
        {"text": "x"},
        {"kind": "card", "title": "x", "url": "javascript:alert(1)"},
        {"kind": "rating", "score": 6},
        {"kind": "choices", "text": "x", "options": []},
        {"kind": "custom", "n": 2**64},
        {"kind": "card", "title": "x", "url": "https://a.example/\n"},
        "x",
        None,
    ],
)
async def test_bodies_that_are_none(harness: Harness, body: Any) -> None:
    ann = await harness.contact()
    number = await harness.conversation(ann)
    assert is_problem(await post(ann, number, body), 422, "invalid")
    assert await seqs(ann, number) == ([1, 2], False)


async def test_a_text_that_is_too_long_and_a_body_that_is_too_large() -> None:
    async with opened(max_text=10, max_body=2_000) as harness:
        ann = await harness.contact()
        number = await harness.conversation(ann)
        assert (await post(ann, number, text("x" * 10))).status_code == 201
        assert is_problem(await post(ann, number, text("x" * 11), key="k2"), 413, "too_large")
        assert is_problem(await post(ann, number, text("x" * 3_000), key="k3"), 413, "too_large")


async def test_an_attachment_that_was_not_uploaded_is_not_found(harness: Harness) -> None:
    ann = await harness.contact()
    number = await harness.conversation(ann)
    assert is_problem(await post(ann, number, {"kind": "image", "attachment": "1"}), 404, "not_found")


async def test_a_store_that_takes_nothing_now_says_when_to_come_back(harness: Harness) -> None:
    ann = await harness.contact()
    number = await harness.conversation(ann)
    harness.node.group.block("the disk is nearly full")
    answer = await post(ann, number, text("x"))
    assert is_problem(answer, 503, "overloaded")
    assert answer.json()["retry_after_ms"] > 0
    assert int(answer.headers["retry-after"]) >= 1
    harness.node.group.block("")
    assert (await post(ann, number, text("x"))).status_code == 201


async def test_a_contacts_message_reopens_a_resolved_conversation(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann)
    await agent.ok("POST", f"conversations/{number}/status", {"status": "resolved"})
    assert (await post(ann, number, text("one more thing"))).json()["seq"] == 5
    assert (await agent.ok("GET", f"conversations/{number}"))["status"] == "open"


async def test_under_load_a_message_is_refused_before_it_is_taken() -> None:
    """`overloaded` with a time to come back; afterwards the same request is taken."""
    busy = True

    def admit(principal: Principal, address: str, inbox: int) -> None:
        assert (address, inbox) == ("127.0.0.1", INBOX.id)
        if busy and principal.is_contact:
            raise UniqueCsError(Code.OVERLOADED, "busy", retry_after_ms=1_500)

    async with opened(admit_sender=admit) as harness:
        ann, agent = await harness.contact(), await harness.agent()
        number = await harness.conversation(ann, "first")
        refused = await post(ann, number, text("second"))
        assert is_problem(refused, 503, "overloaded")
        assert refused.headers["retry-after"] == "2"
        assert (await post(agent, number, text("reply"))).status_code == 201
        busy = False
        assert (await post(ann, number, text("second"))).status_code == 201
        assert await seqs(ann, number) == ([1, 2, 3, 4], False)

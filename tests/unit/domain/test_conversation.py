"""A conversation's rules: what would happen, and what events make of the state."""

import pytest

from unique_cs.domain import conversation as rules
from unique_cs.domain.body import TextBody
from unique_cs.domain.conversation import Conversation, Draft
from unique_cs.domain.events import (
    Actor,
    Assigned,
    Event,
    Named,
    Visibility,
    reduce_for_contact,
    visibility,
)
from unique_cs.errors import UniqueCsError

ANN, BOB = Actor("contact", "11", "Ann"), Actor("agent", "22", "Bob")
MEI = Named("33", "Mei")
HELLO = TextBody("hello")


def happen(conversation: Conversation, drafts: list[Draft], time: int = 5) -> list[str]:
    """Let drafts change the state; their names."""
    for name, data in drafts:
        rules.apply(conversation, name, data, time)
    return [draft.name for draft in drafts]


def opened() -> Conversation:
    """A conversation with its first message."""
    made = Conversation(1, 1, Named("11", "Ann"))
    happen(made, rules.decide_message(made, ANN, HELLO, False))
    return made


def test_first_message_opens() -> None:
    """The first message of a contact opens the conversation, which then waits."""
    made = Conversation(1, 1, Named("11", "Ann"))
    names = happen(made, rules.decide_message(made, ANN, HELLO, False), time=7)
    assert names == ["conversation.opened", "message.created"]
    assert (made.seq, made.state_seq, made.status, made.created_at, made.waiting_since) == (
        2,
        1,
        "open",
        7,
        7,
    )
    assert made.waiting


@pytest.mark.parametrize("status", ["resolved", "snoozed"])
def test_contact_reopens(status: str) -> None:
    """A contact's message reopens what is resolved or snoozed; an agent's does not."""
    made = opened()
    happen(made, rules.decide_status(made, status))
    assert not made.waiting
    assert [draft.name for draft in rules.decide_message(made, BOB, HELLO, False)] == ["message.created"]
    names = happen(made, rules.decide_message(made, ANN, HELLO, False), time=9)
    assert names == ["conversation.status_changed", "message.created"]
    assert (made.status, made.waiting_since) == ("open", 9)


def test_pending_stays_pending() -> None:
    """A contact's message leaves a pending conversation pending."""
    made = opened()
    happen(made, rules.decide_status(made, "pending"))
    assert happen(made, rules.decide_message(made, ANN, HELLO, False)) == ["message.created"]
    assert made.status == "pending"


def test_messages_are_no_state() -> None:
    """Messages move `seq` and the time, not `state_seq`."""
    made = opened()
    happen(made, rules.decide_message(made, BOB, HELLO, True), time=99)
    assert (made.seq, made.state_seq, made.updated_at) == (3, 1, 99)


def test_assign() -> None:
    """An assignment says who had it before, ends the waiting, and is nothing where it is so already."""
    made = opened()
    (draft,) = rules.decide_assign(made, MEI)
    assert draft.data == Assigned(MEI, None)
    happen(made, [draft])
    assert (made.assignee, made.waiting, made.state_seq) == (MEI, False, 3)
    assert rules.decide_assign(made, MEI) == []
    happen(made, rules.decide_assign(made, None), time=50)
    assert (made.assignee, made.waiting_since) == (None, 50)


def test_status() -> None:
    """A status is one of four; the same again is nothing; `until` goes with snoozed only."""
    made = opened()
    assert rules.decide_status(made, "open") == []
    with pytest.raises(UniqueCsError):
        rules.decide_status(made, "closed")
    with pytest.raises(UniqueCsError):
        rules.decide_status(made, "resolved", until=5)
    happen(made, rules.decide_status(made, "snoozed", until=5))
    assert made.status == "snoozed"
    assert len(rules.decide_status(made, "snoozed", until=6)) == 1


def test_labels() -> None:
    """Labels are a set without order, of at most 50 with 1 to 50 characters each."""
    made = opened()
    happen(made, rules.decide_labels(made, ["vip", " angry ", "vip"]))
    assert made.labels == ("angry", "vip")
    assert rules.decide_labels(made, ["vip", "angry"]) == []
    for labels in ([""], [" "], ["x" * 51], [str(number) for number in range(51)]):
        with pytest.raises(UniqueCsError):
            rules.decide_labels(made, labels)


def test_waiting_keeps_its_begin() -> None:
    """What waits already goes on waiting since the same time."""
    made = opened()
    happen(made, rules.decide_labels(made, ["vip"]), time=100)
    assert made.waiting_since == 5


def test_what_a_contact_sees() -> None:
    """Notes and labels are hidden, assignments are reduced, everything else is the same for all."""
    made = opened()
    drafts = [
        *rules.decide_message(made, BOB, HELLO, True),
        *rules.decide_labels(made, ["vip"]),
        *rules.decide_assign(made, MEI),
        *rules.decide_message(made, BOB, HELLO, False),
        *rules.decide_status(made, "resolved"),
        rules.decide_open(made),
    ]
    seen = [visibility(name, data) for name, data in drafts]
    hidden, reduced, same = Visibility.HIDDEN, Visibility.REDUCED, Visibility.SAME
    assert seen == [hidden, hidden, reduced, same, same, same]


def test_reduced_assignment() -> None:
    """Of an assignment a contact gets names and no ids."""
    event = Event(
        "conversation.assigned",
        "1",
        3,
        "9",
        5,
        BOB,
        {"assignee": {"id": "33", "name": "Mei"}, "previous": None},
    )
    assert isinstance(event.data, dict)
    reduced = reduce_for_contact({"name": event.name, "data": event.data})
    assert reduced == {
        "name": "conversation.assigned",
        "data": {"assignee": {"name": "Mei"}, "previous": None},
    }

"""The client session against scripted frames: connecting and sending."""

import pytest

from tests.support.script import Script, connected, event, faults, sent, shown
from unique_cs.client import (
    Abandoned,
    Connected,
    Delivered,
    Drop,
    Phase,
    Position,
    Refused,
    Sent,
)

# Connecting


def test_the_first_connect_names_no_session_and_sends_wait_for_the_answer(script: Script) -> None:
    script.send()
    frame = script.open()
    assert frame["token"] == "token"
    assert "session" not in frame
    assert "c" not in frame
    assert script.frames == []
    out = script.receive("connected", **connected())
    assert isinstance(out[0], Connected)
    assert script.sent_numbers() == [1]


def test_a_resume_names_session_count_acked_and_positions(script: Script) -> None:
    script.live(shown("7", 3))
    script.send()
    script.receive("sent", **sent(1, 4))
    script.session.closed(script.now, 1006)
    script.collect()
    frame = script.open()
    assert (frame["session"], frame["c"], frame["acked"]) == ("s_1", 2, 1)
    assert frame["since"] == {"7": {"epoch": "e", "seq": 4}}


def test_the_count_of_connections_outlives_the_process_and_grows_with_failed_ones(script: Script) -> None:
    script.live()
    for c in (2, 3):
        script = Script(script.store)
        assert script.open()["c"] == c


def test_after_a_resume_every_unanswered_send_goes_out_again_in_order(script: Script) -> None:
    script.live(shown("7", 0))
    for _ in range(4):
        script.send()
    assert script.sent_numbers() == [1, 2, 3, 4]
    script.receive("sent", **sent(1, 1))
    again = Script(script.store)
    again.live(shown("7", 1), resumed=True, c=2, n=4)
    assert again.sent_numbers() == [2, 3, 4]


def test_a_new_session_renumbers_what_was_never_stored(script: Script) -> None:
    script.live(shown("7", 0))
    script.send("a")
    script.receive("sent", **sent(1, 1))
    script.send("b")
    again = Script(script.store)
    again.live(shown("7", 1), session="s_2", resumed=False, c=1)
    assert [(frame["n"], frame["body"]["text"]) for frame in again.frames] == [(1, "b")]
    out = again.receive("sent", **sent(1, 2))
    assert isinstance(out[0], Sent)
    assert out[0].fresh


def test_sends_of_another_actor_are_abandoned_not_stored_under_the_new_name(script: Script) -> None:
    script.live(shown("7", 0))
    script.send()
    other = Script(script.store)
    stranger = {"kind": "contact", "id": "2", "name": "Bob"}
    other.live(session="s_2", actor=stranger, c=1)
    assert other.sent_numbers() == []
    assert [type(item) for item in other.told if isinstance(item, Abandoned)] == [Abandoned]
    assert other.session.state.positions == {}


def test_no_answer_to_connect_within_ten_seconds_drops_the_connection(script: Script) -> None:
    script.open()
    assert script.after(9.9) == []
    out = script.after(0.2)
    assert isinstance(out[0], Drop)
    assert script.session.phase is Phase.WAITING


def test_more_positions_than_fit_into_since_are_asked_for(script: Script) -> None:
    script.live(*(shown(str(i), 1) for i in range(500)))
    script.receive("subscribed", conversation="x", epoch="e", seq=0)
    again = Script(script.store)
    frame = again.live(resumed=True, c=2)
    assert len(frame["since"]) == 500
    assert again.frames == [{"type": "subscribe", "conversation": "0", "since": {"epoch": "e", "seq": 1}}]


# Sending


def test_at_most_256_sends_are_without_an_answer(script: Script) -> None:
    script.live(shown("7", 0))
    for _ in range(300):
        script.send()
    assert script.sent_numbers() == list(range(1, 257))
    script.receive("sent", **sent(1, 1))
    assert script.sent_numbers() == [257]


def test_a_wait_is_waited_once_and_later_out_of_order_is_ignored(script: Script) -> None:
    script.live(shown("7", 0))
    for _ in range(3):
        script.send()
    script.sent_numbers()
    script.receive("error", code="rate_limited", message="", n=1, expected=1, retry_after_ms=500)
    script.receive("error", code="out_of_order", message="", n=2, expected=1)
    script.receive("error", code="out_of_order", message="", n=3, expected=1)
    script.after(0.4)
    script.send()
    assert script.sent_numbers() == []
    script.after(0.11)
    assert script.sent_numbers() == [1, 2, 3, 4]
    assert script.session.unanswered == 4


def test_out_of_order_resends_from_expected(script: Script) -> None:
    script.live(shown("7", 0))
    for _ in range(3):
        script.send()
    script.sent_numbers()
    script.receive("error", code="out_of_order", message="", n=3, expected=2)
    script.after(0.2)
    assert script.sent_numbers() == [2, 3]


@pytest.mark.parametrize("expected", [1, 3])
def test_an_expected_number_that_is_answered_or_was_never_sent_is_a_fault(
    script: Script, expected: int
) -> None:
    script.live(shown("7", 0))
    script.send()
    script.receive("sent", **sent(1, 1))
    script.send()
    out = script.receive("error", code="out_of_order", message="", n=2, expected=expected)
    assert faults(out)


def test_a_final_error_uses_the_number_up(script: Script) -> None:
    script.live(shown("7", 0))
    script.send()
    script.send()
    out = script.receive("error", code="invalid", message="no", n=1)
    assert isinstance(out[0], Refused)
    assert out[0].send.n == 1
    assert isinstance(script.receive("sent", **sent(2, 1))[0], Sent)
    assert script.session.state.acked == 2


def test_answers_out_of_the_order_of_n_are_a_fault(script: Script) -> None:
    script.live(shown("7", 0))
    script.send()
    script.send()
    assert faults(script.receive("sent", **sent(2, 1)))


def test_an_answer_to_a_number_not_yet_transmitted_is_a_fault(script: Script) -> None:
    script.live(shown("7", 0))
    assert faults(script.receive("sent", **sent(1, 1)))


def test_a_second_answer_to_a_number_is_ignored(script: Script) -> None:
    script.live(shown("7", 0))
    script.send()
    script.receive("sent", **sent(1, 1))
    assert script.receive("sent", **sent(1, 1)) == []


def test_a_repeat_is_answered_after_its_event_came_and_is_not_fresh(script: Script) -> None:
    script.live(shown("7", 0))
    script.send()
    again = Script(script.store)
    again.live(shown("7", 1), resumed=True, c=2, n=1)
    assert isinstance(again.receive("event", **event("7", 1), n=1)[0], Delivered)
    out = again.receive("sent", **sent(1, 1))
    assert isinstance(out[0], Sent)
    assert not out[0].fresh
    assert again.session.state.positions == {"7": Position("e", 1)}


def test_a_send_tried_before_but_never_stored_is_fresh(script: Script) -> None:
    script.live(shown("7", 0))
    script.send()
    again = Script(script.store)
    again.live(shown("7", 0), resumed=True, c=2)
    out = again.receive("sent", **sent(1, 1))
    assert isinstance(out[0], Sent)
    assert out[0].fresh


def test_a_sent_ahead_of_its_position_is_told_as_a_fault_and_the_send_stays(script: Script) -> None:
    script.live(shown("7", 0))
    script.send()
    assert faults(script.receive("sent", **sent(1, 2)))
    assert script.session.unanswered == 1

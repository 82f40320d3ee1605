"""The client session against scripted frames: each rule of the protocol that binds a client."""

import random
from typing import Any

import pytest

from unique_cs.client import (
    Abandoned,
    Advanced,
    Connected,
    Delivered,
    Disconnected,
    Drop,
    Failed,
    Fault,
    Frame,
    Halt,
    Halted,
    MemoryStore,
    Open,
    Output,
    Phase,
    Position,
    ReadHistory,
    Rebased,
    Refused,
    Sent,
    Session,
    Settings,
    Signalled,
    Subscribed,
    Transmit,
    Unsubscribed,
)

TEXT = {"kind": "text", "text": "hello"}


class Script:
    """Drives one session by hand and keeps what it says."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.now = 0.0
        self.store = store or MemoryStore()
        self.session = Session("token", self.store, Settings(rng=random.Random(1)))
        self.told: list[Output] = []
        self.frames: list[Frame] = []

    def collect(self) -> list[Output]:
        """The outputs since the last call; frames apart."""
        out = self.session.take()
        self.frames += [item.frame for item in out if isinstance(item, Transmit)]
        rest: list[Output] = [item for item in out if not isinstance(item, Transmit)]
        self.told += rest
        return rest

    def receive(self, kind: str, **fields: Any) -> list[Output]:
        self.session.received(self.now, {"type": kind, **fields})
        return self.collect()

    def open(self) -> Frame:
        """Go to the time to connect, open, and give the `connect` frame."""
        if self.session.deadline is not None:
            self.now = max(self.now, self.session.deadline)
        self.session.tick(self.now)
        assert self.collect()[-1] == Open()
        self.session.opened(self.now)
        self.collect()
        return self.frames.pop()

    def live(self, *conversations: Frame, **fields: Any) -> Frame:
        """Open and be connected."""
        frame = self.open()
        self.receive("connected", **connected(*conversations, **fields))
        return frame

    def send(self, text: str = "hello", conversation: str | None = None) -> int:
        n = self.session.send(self.now, {"kind": "text", "text": text}, conversation)
        self.collect()
        return n

    def after(self, seconds: float) -> list[Output]:
        self.now += seconds
        self.session.tick(self.now)
        return self.collect()

    def sent_numbers(self) -> list[int]:
        """The numbers of the sends transmitted since the last call."""
        numbers = [frame["n"] for frame in self.frames if frame["type"] == "send"]
        self.frames.clear()
        return numbers


def connected(*conversations: Frame, **fields: Any) -> Frame:
    actor = {"kind": "contact", "id": "1", "name": "Ann"}
    base = {"session": "s_1", "resumed": False, "c": 1, "n": 0, "actor": actor, "heartbeat_ms": 25000}
    return base | {"conversations": list(conversations), "max_frame": 65536, "time": 0} | fields


def shown(name: str, seq: int, epoch: str = "e") -> Frame:
    return {"id": name, "status": "open", "epoch": epoch, "seq": seq, "read": 0, "delivered": 0}


def event(name: str, seq: int) -> Frame:
    base = {"name": "message.created", "conversation": name, "id": str(seq), "data": {"body": TEXT}}
    return base | {"seq": seq}


def sent(n: int, seq: int, name: str = "7") -> Frame:
    return {"n": n, "id": str(1000 + seq), "conversation": name, "seq": seq, "time": 5}


def faults(out: list[Output]) -> list[str]:
    return [item.reason for item in out if isinstance(item, Fault)]


@pytest.fixture
def script() -> Script:
    return Script()


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


# Timelines


def test_a_conversation_not_named_starts_live_at_the_seq_shown(script: Script) -> None:
    script.live(shown("7", 44))
    assert isinstance(script.receive("event", **event("7", 45))[0], Delivered)


@pytest.mark.parametrize("seq", [44, 46])
def test_a_gap_or_a_repeat_drops_the_connection_and_resumes_at_the_position(script: Script, seq: int) -> None:
    script.live(shown("7", 44))
    out = script.receive("event", **event("7", seq))
    assert [type(item) for item in out] == [Fault, Drop, Disconnected]
    assert script.open()["since"] == {"7": {"epoch": "e", "seq": 44}}


def test_advance_jumps_over_what_the_actor_may_not_see(script: Script) -> None:
    script.live(shown("7", 44))
    assert script.receive("advance", conversation="7", seq=46) == [Advanced("7", 46)]
    assert isinstance(script.receive("event", **event("7", 47))[0], Delivered)
    assert faults(script.receive("advance", conversation="7", seq=47))


def test_events_of_unknown_names_advance_too(script: Script) -> None:
    script.live(shown("7", 1))
    script.receive("event", **(event("7", 2) | {"name": "conversation.knitted"}))
    assert script.session.state.positions["7"].seq == 2


def test_a_conversation_joins_by_subscribed_before_its_first_event(script: Script) -> None:
    script.live()
    out = script.receive("subscribed", conversation="8", epoch="e", seq=0)
    assert isinstance(out[0], Subscribed)
    assert isinstance(script.receive("event", **event("8", 1))[0], Delivered)


def test_an_event_of_a_conversation_that_is_not_subscribed_is_a_fault(script: Script) -> None:
    script.live()
    assert faults(script.receive("event", **event("8", 1)))


def test_named_in_since_the_replay_follows_subscribed(script: Script) -> None:
    script.live()
    script.session.subscribe(script.now, "8", Position("e", 2))
    script.collect()
    assert script.frames[-1]["since"] == {"epoch": "e", "seq": 2}
    script.receive("subscribed", conversation="8", epoch="e", seq=44)
    assert isinstance(script.receive("event", **event("8", 3))[0], Delivered)


def test_losing_access_forgets_the_position(script: Script) -> None:
    script.live(shown("7", 1))
    assert script.receive("unsubscribed", conversation="7") == [Unsubscribed("7")]
    assert script.session.state.positions == {}


def test_after_unsubscribe_what_is_still_on_its_way_is_ignored(script: Script) -> None:
    script.live(shown("7", 1))
    script.session.unsubscribe(script.now, "7")
    assert script.receive("event", **event("7", 2)) == []
    script.receive("subscribed", conversation="7", epoch="e", seq=9)
    assert isinstance(script.receive("event", **event("7", 10))[0], Delivered)


def test_a_resync_reads_history_and_holds_live_frames_until_then(script: Script) -> None:
    script.live(shown("7", 1))
    read = script.receive("resync", conversation="7", epoch="f", seq=3)[0]
    assert isinstance(read, ReadHistory)
    assert (read.conversation, read.epoch, read.seq) == ("7", "f", 3)
    assert script.receive("event", **event("7", 4)) == []
    assert script.session.state.positions["7"] == Position("e", 1)
    past = [event("7", seq) for seq in (1, 3, 4)]
    script.session.history_read(script.now, read, "f", past)
    rebased, delivered = script.collect()
    assert isinstance(rebased, Rebased)
    assert [item["seq"] for item in rebased.events] == [1, 3]
    assert isinstance(delivered, Delivered)
    assert script.session.state.positions["7"] == Position("f", 4)


def test_a_send_answered_during_a_resync_comes_as_its_event_in_its_turn(script: Script) -> None:
    script.live(shown("7", 1))
    script.send("mine")
    read = script.receive("resync", conversation="7", epoch="f", seq=3)[0]
    assert isinstance(read, ReadHistory)
    (answer,) = script.receive("sent", **sent(1, 4))
    assert isinstance(answer, Sent)
    assert not answer.fresh
    script.receive("event", **event("7", 5))
    script.session.history_read(script.now, read, "f", [event("7", 3)])
    _, mine, other = script.collect()
    assert isinstance(mine, Delivered)
    assert isinstance(other, Delivered)
    assert (mine.frame["seq"], mine.frame["n"], mine.frame["data"]["body"]["text"]) == (4, 1, "mine")
    assert other.frame["seq"] == 5


def test_a_connection_lost_during_a_resync_keeps_the_old_position(script: Script) -> None:
    script.live(shown("7", 1))
    read = script.receive("resync", conversation="7", epoch="f", seq=3)[0]
    assert isinstance(read, ReadHistory)
    script.session.closed(script.now, None)
    script.collect()
    assert script.open()["since"] == {"7": {"epoch": "e", "seq": 1}}
    script.session.history_read(script.now, read, "f", [])
    assert script.collect() == []


def test_another_epoch_over_rest_reconnects(script: Script) -> None:
    script.live(shown("7", 1))
    read = script.receive("resync", conversation="7", epoch="f", seq=3)[0]
    assert isinstance(read, ReadHistory)
    script.session.history_read(script.now, read, "g", [])
    assert faults(script.collect())


def test_history_that_cannot_be_read_reconnects(script: Script) -> None:
    script.live(shown("7", 1))
    read = script.receive("resync", conversation="7", epoch="f", seq=3)[0]
    assert isinstance(read, ReadHistory)
    script.session.history_failed(script.now, read)
    assert isinstance(script.collect()[0], Drop)


# Heartbeat, signals, errors


def test_idle_it_pings_every_heartbeat_and_misses_two(script: Script) -> None:
    script.live()
    script.after(24.9)
    assert script.frames == []
    script.after(0.2)
    assert script.frames == [{"type": "ping"}]
    out = script.after(25)
    assert isinstance(out[0], Drop)


def test_a_pong_keeps_it_alive(script: Script) -> None:
    script.live()
    for _ in range(4):
        script.after(25)
        script.receive("pong", time=1)
    assert script.session.phase is Phase.LIVE


def test_cursors_are_merged_to_one_a_second_and_survive_a_disconnect(script: Script) -> None:
    script.live(shown("7", 9))
    for seq in (1, 5, 3):
        script.session.signal(script.now, {"type": "read", "conversation": "7", "seq": seq})
    script.collect()
    assert [frame["seq"] for frame in script.frames] == [1]
    script.session.closed(script.now, 1006)
    again = script.live(shown("7", 9), resumed=True, c=2)
    script.after(1)
    assert again["session"] == "s_1"
    assert [frame["seq"] for frame in script.frames] == [1, 5]


def test_typing_is_at_most_one_in_two_seconds_and_lost_while_away(script: Script) -> None:
    script.live(shown("7", 9))
    for on in (True, False):
        script.session.signal(script.now, {"type": "typing", "conversation": "7", "on": on})
    script.collect()
    assert [frame["on"] for frame in script.frames] == [True]
    script.after(2)
    assert [frame["on"] for frame in script.frames] == [True, False]
    script.session.signal(script.now, {"type": "typing", "conversation": "7", "on": True})
    script.session.closed(script.now, 1006)
    script.live(shown("7", 9), resumed=True, c=2)
    script.after(3)
    assert [frame["on"] for frame in script.frames] == [True, False]


def test_signals_and_unknown_frames_reach_the_application(script: Script) -> None:
    script.live()
    assert script.receive("signal", name="typing") == [Signalled({"type": "signal", "name": "typing"})]
    assert script.receive("novelty", x=1) == [Signalled({"type": "novelty", "x": 1})]


def test_an_error_without_a_number_is_told(script: Script) -> None:
    script.live()
    out = script.receive("error", code="rate_limited", message="slow", retry_after_ms=5)
    assert out == [Failed("rate_limited", "slow", 5)]


@pytest.mark.parametrize("frame", [{"type": "event"}, {"type": "sent", "n": "x"}, {"type": "connected"}])
def test_malformed_frames_are_faults(script: Script, frame: Frame) -> None:
    script.live()
    script.session.received(script.now, frame)
    assert faults(script.collect())


# Closing


def close(script: Script, code: int, after_ms: int | None = None) -> list[Output]:
    return script.receive("close", code=code, reason="r", reconnect=True, after_ms=after_ms)


@pytest.mark.parametrize(
    ("code", "why"),
    [(4400, Halt.WRONG), (4403, Halt.WRONG), (4413, Halt.WRONG), (4401, Halt.TOKEN)],
)
def test_codes_that_halt(script: Script, code: int, why: Halt) -> None:
    script.live()
    out = close(script, code)
    assert out[-1] == Halted(why, code, "r")
    assert script.session.deadline is None


def test_a_new_token_ends_the_wait(script: Script) -> None:
    script.live()
    close(script, 4401)
    script.session.set_token(script.now, "fresh")
    assert script.open()["token"] == "fresh"


def test_replaced_comes_back_once_with_a_higher_c_then_waits_for_the_user(script: Script) -> None:
    script.live()
    close(script, 4409)
    assert script.live(resumed=True, c=2)["c"] == 2
    assert close(script, 4409)[-1] == Halted(Halt.REPLACED, 4409, "r")
    script.session.resume(script.now)
    assert script.open()["c"] == 3


@pytest.mark.parametrize("code", [4408, 4500, 4503, 4504, 4508, 4529, 1001, 1006, None, 4499, 429])
def test_other_codes_come_back(script: Script, code: int | None) -> None:
    script.live()
    script.session.closed(script.now, code)
    script.collect()
    assert script.session.phase is Phase.WAITING


def test_after_ms_is_waited_and_jittered(script: Script) -> None:
    script.live()
    out = close(script, 4503, 1200)
    gone = out[-1]
    assert isinstance(gone, Disconnected)
    assert gone.retry_in is not None
    assert 1.2 <= gone.retry_in <= 1.7


def test_the_back_off_grows_to_its_cap_with_full_jitter(script: Script) -> None:
    waits: list[float] = []
    for _ in range(200):
        script.open()
        script.session.closed(script.now, None)
        out = script.collect()[-1]
        assert isinstance(out, Disconnected)
        waits.append(out.retry_in or 0.0)
    assert waits[0] <= 0.5
    assert max(waits) <= 30
    assert max(waits) > 25
    assert min(waits[20:]) < 5


def test_close_says_goodbye_and_stays_away(script: Script) -> None:
    script.live()
    script.session.close(script.now)
    assert [type(item) for item in script.collect()] == [Drop, Halted]
    script.session.tick(script.now + 100)
    assert script.collect() == []

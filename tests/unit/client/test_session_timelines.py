"""The client session against scripted frames: timelines, signals, heartbeat, closing."""

import pytest

from tests.support.script import Script, connected, event, faults, sent, shown
from unique_cs.client import (
    Advanced,
    Delivered,
    Disconnected,
    Drop,
    Failed,
    Fault,
    Frame,
    Halt,
    Halted,
    Output,
    Phase,
    Position,
    ReadHistory,
    Rebased,
    Sent,
    Signalled,
    Subscribed,
    Unsubscribed,
)

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
    assert script.collect() == [Unsubscribed("7")]
    assert script.receive("event", **event("7", 2)) == []
    assert script.receive("unsubscribed", conversation="7") == []
    script.receive("subscribed", conversation="7", epoch="e", seq=9)
    assert isinstance(script.receive("event", **event("7", 10))[0], Delivered)


def test_who_subscribes_again_while_leaving_follows_again(script: Script) -> None:
    script.live(shown("7", 1))
    script.session.unsubscribe(script.now, "7")
    script.session.subscribe(script.now, "7", Position("e", 1))
    script.receive("event", **event("7", 2))
    script.receive("unsubscribed", conversation="7")
    script.receive("subscribed", conversation="7", epoch="e", seq=2)
    assert isinstance(script.receive("event", **event("7", 2))[0], Delivered)


def test_unsubscribing_while_connecting_changes_nothing(script: Script) -> None:
    script.live(shown("7", 1))
    again = Script(script.store)
    again.open()
    again.session.unsubscribe(again.now, "7")
    again.receive("connected", **connected(shown("7", 2), resumed=True, c=2))
    assert isinstance(again.receive("event", **event("7", 2))[0], Delivered)


def test_subscribing_to_what_is_followed_sends_nothing(script: Script) -> None:
    script.live(shown("7", 1))
    script.session.subscribe(script.now, "7")
    script.collect()
    assert script.frames == []


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

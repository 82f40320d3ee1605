"""Which road is taken, and the order between a stream and the answers of requests."""

import pytest

from unique_cs.client import ROADS, Connected, Frame, MemoryStore, Phase, Session, Transmit
from unique_cs.client.places import Places
from unique_cs.client.roads import LOYALTY, RETURN_S, TRIES, Choice

ANN = {"kind": "contact", "id": "1", "name": "Ann"}
MEI = {"kind": "agent", "id": "2", "name": "Mei"}


def connected(actor: Frame = ANN, seq: int = 3, **fields: object) -> Frame:
    """The answer to `connect`, with conversation 7 at `seq`."""
    head = {"id": "7", "epoch": "e", "seq": seq, "read": 0, "delivered": 0}
    frame: Frame = {"type": "connected", "session": "s_1", "resumed": True, "c": 1, "n": 0, "actor": actor}
    return frame | {"conversations": [head], "heartbeat_ms": 25000, "max_frame": 65536} | fields


def sent(n: int, seq: int, conversation: str = "7") -> Frame:
    """The answer to a send."""
    return {"type": "sent", "n": n, "id": "9", "conversation": conversation, "seq": seq, "time": 1}


def event(seq: int, **fields: object) -> Frame:
    """An event of conversation 7."""
    return {"type": "event", "name": "message.created", "conversation": "7", "seq": seq, **fields}


# The choice


def test_the_next_road_is_tried_when_attempts_end_without_an_answer() -> None:
    choice = Choice(ROADS)
    taken = [choice.take(0) for _ in range(2 * (TRIES + 2))]
    assert taken == 2 * ["websocket", "websocket", "websocket", "http", "poll"]


def test_the_road_that_worked_is_kept_and_the_first_one_tried_again_later() -> None:
    choice = Choice(ROADS)
    for _ in range(TRIES + 1):
        choice.take(100)
    choice.connected()
    assert choice.take(100) == "http"
    choice.connected()
    assert choice.take(100 + RETURN_S) == "websocket"


def test_a_road_that_worked_has_more_attempts() -> None:
    choice = Choice(ROADS)
    choice.take(0)
    choice.connected()
    taken = [choice.take(0) for _ in range(1 + LOYALTY)]
    assert taken == LOYALTY * ["websocket"] + ["http"]


def test_a_road_that_works_now_and_then_is_not_left() -> None:
    choice = Choice(ROADS)
    for _ in range(5):
        choice.take(0)
        assert choice.take(0) == "websocket"
        choice.connected()


def test_a_client_needs_a_road() -> None:
    with pytest.raises(ValueError, match="a road"):
        Choice(())


# The order


def test_an_answer_waits_for_its_event_and_later_ones_for_it() -> None:
    places = Places()
    places.came(connected())
    pong = {"type": "pong"}
    places.answered([sent(1, 4), sent(2, 5), pong])
    assert list(places.ready()) == []
    places.came(event(4))
    assert list(places.ready()) == [sent(1, 4)]
    places.came({"type": "advance", "conversation": "7", "seq": 5})
    assert list(places.ready()) == [sent(2, 5), pong]


def test_positions_begin_where_the_client_said() -> None:
    places = Places()
    places.sending({"type": "connect", "since": {"7": {"epoch": "e", "seq": 1}}})
    places.came(connected(seq=3))
    places.answered([sent(1, 2)])
    assert list(places.ready()) == []


def test_a_contact_waits_for_a_conversation_that_it_begins_and_an_agent_for_none_that_it_leaves_out() -> None:
    for actor, waits in ((ANN, True), (MEI, False)):
        places = Places()
        places.came(connected(actor))
        places.answered([sent(1, 2, "8")])
        assert (list(places.ready()) == []) is waits
        places.came({"type": "subscribed", "conversation": "8", "epoch": "e", "seq": 2})
        assert (list(places.ready()) == [sent(1, 2, "8")]) is waits


# The session between polls


def test_a_poll_counts_on_and_keeps_what_is_live() -> None:
    session = Session("token", MemoryStore())
    session.tick(0)
    session.opened(0)
    session.received(0, connected(resumed=False))
    session.received(0, event(4))
    session.take()
    session.opened(1)
    (asked,) = session.take()
    assert isinstance(asked, Transmit)
    assert asked.frame["c"] == 2
    assert asked.frame["since"] == {"7": {"epoch": "e", "seq": 4}}
    session.send(1, {"kind": "text", "text": "hello"})
    assert [type(output) for output in session.take()] == [Transmit]
    session.received(2, connected(seq=5, c=2))
    session.received(2, event(5, n=1))
    session.received(2, sent(1, 5))
    assert session.phase is Phase.LIVE
    assert not any(isinstance(output, Connected | Transmit) for output in session.take())
    assert session.unanswered == 0

"""The numbers of a session, without a store."""

from hypothesis import given
from hypothesis import strategies as st

from unique_cs.domain.events import Actor
from unique_cs.domain.permission import Principal
from unique_cs.protocol.session import MAX_IN_FLIGHT, Session, Verdict


def session(n: int = 0) -> Session:
    """A session that has taken `n` sends, all settled."""
    return Session(b"k" * 16, Principal("contact", 1, Actor("contact", "1", "Ann")), n=n)


def test_next_number_is_taken() -> None:
    """Only the number after the last is taken; the ones above are out of order."""
    numbers = session(5)
    assert numbers.expected == 6
    assert numbers.check(6) is Verdict.TAKE
    assert numbers.check(7) is Verdict.OUT_OF_ORDER
    assert numbers.check(2**53) is Verdict.OUT_OF_ORDER


def test_repeats() -> None:
    """The newest 256 numbers are repeats, older ones are forgotten."""
    numbers = session(300)
    assert numbers.check(300) is Verdict.REPEAT
    assert numbers.check(45) is Verdict.REPEAT
    assert numbers.check(44) is Verdict.FORGOTTEN
    assert numbers.check(1) is Verdict.FORGOTTEN


def test_in_flight() -> None:
    """With 256 sends unsettled the next is held off until one settles."""
    numbers = session(10)
    numbers.n += MAX_IN_FLIGHT
    assert numbers.check(numbers.expected) is Verdict.FULL
    numbers.settled += 1
    assert numbers.check(numbers.expected) is Verdict.TAKE


@given(n=st.integers(0, 1_000), acked=st.integers(0, 1_000))
def test_acked(n: int, acked: int) -> None:
    """`acked` raises the number and never lowers it; what is acked is settled."""
    numbers = session(n)
    numbers.accept_acked(acked)
    assert numbers.n == max(n, acked)
    assert numbers.settled == numbers.n
    assert numbers.check(numbers.expected) is Verdict.TAKE


def test_acked_while_sends_are_in_flight() -> None:
    """An `acked` below the last number settles up to there and no further."""
    numbers = session(10)
    numbers.n = 20
    numbers.accept_acked(15)
    assert (numbers.n, numbers.settled) == (20, 15)

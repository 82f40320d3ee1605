"""The checker must flag every kind of broken history; else a green end-to-end run means nothing."""

import time
from collections.abc import Callable

import pytest

from tests.support.checker import Final, Issued, Kind, Placed, Row, Step, Timeline, View, check

HEAD = 6


def good() -> tuple[list[View], Final]:
    """Two contacts' sends in one timeline with a note at place 4, which only the agent is shown."""
    rows = [Row(seq, f"i{seq}", f"k{seq}", hidden=seq == 4) for seq in range(1, HEAD + 1)]
    ann = View("ann")
    for seq in (1, 2, 5):
        ann.issued.append(Issued(f"k{seq}", [Placed(f"i{seq}", "7", seq)]))
    ann.issued.append(Issued("lost", []))
    ann.issued.append(Issued("bad", ["invalid", "invalid"]))
    start = Step(Kind.START, "7", 0, epoch="e")
    ann.steps += [start, own(1), own(2), event(3), Step(Kind.JUMP, "7", 4), own(5), event(6)]
    agent = View("agent", contact=False)
    for seq in (3, 4, 6):
        agent.issued.append(Issued(f"k{seq}", [Placed(f"i{seq}", "7", seq)]))
    agent.steps += [start, *(event(seq) for seq in range(1, HEAD + 1))]
    return [ann, agent], {"7": Timeline("e", rows)}


def own(seq: int) -> Step:
    return Step(Kind.OWN, "7", seq, f"i{seq}")


def event(seq: int) -> Step:
    return Step(Kind.EVENT, "7", seq, f"i{seq}")


def rebase(*seqs: int, upto: int) -> Step:
    return Step(Kind.REBASE, "7", upto, epoch="e", shown=tuple((seq, f"i{seq}") for seq in seqs))


def test_a_sound_history_passes() -> None:
    assert check(*good()) == []


def test_a_view_that_was_replaced_by_history_passes() -> None:
    views, final = good()
    views[0].steps[:] = [Step(Kind.START, "7", 0, epoch="d"), event(1), rebase(1, 2, 3, 5, upto=5), event(6)]
    assert check(views, final) == []


Break = Callable[[View, View, Final], object]


def broken(name: str, how: Break, *flags: str) -> object:
    return pytest.param(how, flags, id=name)


@pytest.mark.parametrize(
    ("how", "flags"),
    [
        broken(
            "acknowledged and lost",
            lambda _a, _b, f: f["7"].rows.pop(),
            "k6 was acknowledged at 7/6 and is lost",
        ),
        broken("hole", lambda _a, _b, f: f["7"].rows.pop(2), "place 3 holds seq 4"),
        broken(
            "stored twice", lambda _a, _b, f: f["7"].rows.append(Row(7, "i7", "k1")), "k1 is stored 2 times"
        ),
        broken("id twice", lambda _a, _b, f: f["7"].rows.append(Row(7, "i1")), "id i1 stands 2 times"),
        broken(
            "refused and stored", lambda _a, _b, f: f["7"].rows.append(Row(7, "i7", "bad")), "bad was refused"
        ),
        broken(
            "from nowhere", lambda _a, _b, f: f["7"].rows.append(Row(7, "i7", "x")), "x is stored, and nobody"
        ),
        broken(
            "stored elsewhere",
            lambda a, _b, _f: a.issued.__setitem__(0, Issued("k1", [Placed("i1", "7", 2)])),
            "k1 was acknowledged as",
        ),
        broken(
            "two answers",
            lambda a, _b, _f: a.issued[0].answers.append(Placed("i9", "7", 1)),
            "got different answers",
        ),
        broken(
            "sender's order",
            lambda a, _b, _f: a.issued.reverse(),
            "k1 at 1 stands before k2 at 2, sent earlier",
        ),
        broken("gap in a view", lambda _a, b, _f: b.steps.pop(3), "event 4 after 2"),
        broken("repeat in a view", lambda _a, b, _f: b.steps.insert(3, event(2)), "event 2 after 2"),
        broken(
            "another order for one client",
            lambda _a, b, _f: b.steps.__setitem__(2, Step(Kind.EVENT, "7", 2, "i3")),
            "2 was shown as i3 and is stored as i2",
        ),
        broken(
            "ahead of what is stored",
            lambda _a, b, _f: b.steps.append(event(7)),
            "7 was shown and is not stored",
        ),
        broken("note shown to a contact", lambda a, _b, _f: a.steps.__setitem__(4, event(4)), "4 is hidden"),
        broken(
            "message withheld",
            lambda _a, b, _f: b.steps.__setitem__(3, Step(Kind.JUMP, "7", 3)),
            "3 was withheld",
        ),
        broken(
            "advance back",
            lambda a, _b, _f: a.steps.__setitem__(4, Step(Kind.JUMP, "7", 3)),
            "advance from 3 to 3",
        ),
        broken("never caught up", lambda _a, b, _f: b.steps.pop(), "ends at 5, the timeline at 6"),
        broken(
            "skipped at a reconnect",
            lambda _a, b, _f: b.steps.__setitem__(3, Step(Kind.START, "7", 3, epoch="e")),
            "starts again at 3, was at 2",
        ),
        broken("not subscribed", lambda _a, b, _f: b.steps.pop(0), "event 1 while not subscribed"),
        broken(
            "after the end",
            lambda _a, b, _f: b.steps.insert(6, Step(Kind.END, "7")),
            "event 6 while not subscribed",
        ),
        broken(
            "history with a hole",
            lambda _a, b, _f: b.steps.append(rebase(1, 2, 4, 5, 6, upto=6)),
            "3 was withheld",
        ),
        broken(
            "history of another epoch at the end",
            lambda _a, b, _f: b.steps.append(Step(Kind.REBASE, "7", 6, epoch="d")),
            "ends at 6",
        ),
        broken(
            "unknown conversation",
            lambda _a, b, _f: b.steps.append(Step(Kind.START, "8", 0, epoch="e")),
            "8: is followed and has no history",
        ),
    ],
)
def test_a_broken_history_is_flagged(how: Break, flags: tuple[str, ...]) -> None:
    views, final = good()
    how(views[0], views[1], final)
    problems = check(views, final)
    for flag in flags:
        assert any(flag in problem for problem in problems), problems


def test_a_client_that_left_early_needs_no_convergence() -> None:
    views, final = good()
    views[1].steps.pop()
    assert check(views, final, converged=False) == []


def test_time_grows_with_the_length_only() -> None:
    size = 100_000
    rows = [Row(seq, str(seq), f"k{seq}") for seq in range(1, size + 1)]
    view = View("ann")
    view.issued = [Issued(f"k{row.seq}", [Placed(row.id, "7", row.seq)]) for row in rows]
    view.steps = [Step(Kind.START, "7", 0, epoch="e")]
    view.steps += [Step(Kind.EVENT, "7", row.seq, row.id) for row in rows]
    began = time.process_time()
    assert check([view], {"7": Timeline("e", rows)}) == []
    assert time.process_time() - began < 5

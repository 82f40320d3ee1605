"""Judges what clients saw against what is stored: the promises of the messaging core, in linear time.

Every message carries a key of its own in its text. `check` returns one line for each broken promise:

- each acknowledged send is stored exactly once, where its answer said; others at most once, refused never;
- every timeline has the places 1, 2, 3 … without holes, and no id stands twice;
- each client's view of a timeline is one run: no gap, no repeat, also over reconnects; what it jumps over is
  hidden from it, and nothing hidden is shown;
- a place holds the same event for everybody; each sender's messages stand in the order of sending;
- a repeated send got the same answer again.

Places are judged within an epoch. Where a later epoch began after a message was acknowledged, the message is
there still, once; it may have moved, if all that knew its place came back too late.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Placed:
    """The answer to a stored send."""

    id: str
    conversation: str
    seq: int
    epoch: str = ""

    def same(self, other: "Placed") -> bool:
        """Whether both may be answers to one send."""
        of_one_epoch = not self.epoch or not other.epoch or self.epoch == other.epoch
        same_event = (self.id, self.conversation) == (other.id, other.conversation)
        return same_event and (self.seq == other.seq or not of_one_epoch)


@dataclass(slots=True)
class Issued:
    """One send in the order of sending. `answers` are all its final answers; a code is a refusal."""

    key: str
    answers: list[Placed | str] = field(default_factory=list)


class Kind(Enum):
    """What happened to a client's view of a timeline."""

    START = "start"  # it goes on after `seq`; a view that was known may not skip or go back
    EVENT = "event"
    OWN = "own"  # `sent` in the event's place
    JUMP = "jump"  # `advance`
    REBASE = "rebase"  # history replaced everything up to `seq`
    END = "end"  # unsubscribed


@dataclass(frozen=True, slots=True)
class Step:
    kind: Kind
    conversation: str
    seq: int = 0
    id: str | None = None
    epoch: str | None = None
    shown: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True)
class View:
    """Everything one client did and saw, in order."""

    name: str
    contact: bool = True
    issued: list[Issued] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """An event as the final history holds it. `hidden`: not for contacts."""

    seq: int
    id: str
    key: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    epoch: str
    rows: list[Row]


Final = dict[str, Timeline]


def check(views: Iterable[View], final: Final, *, converged: bool = True) -> list[str]:
    """All violations. `converged`: every client had time to catch up, so its views must reach the heads."""
    views = list(views)
    problems = list(_rows(final))
    places = {
        row.key: Placed(row.id, name, row.seq, timeline.epoch)
        for name, timeline in final.items()
        for row in timeline.rows
        if row.key is not None
    }
    issued = {item.key for view in views for item in view.issued}
    problems += [f"{key} is stored, and nobody sent it" for key in places if key not in issued]
    shown: dict[tuple[str, str, int], str | None] = {}
    for view in views:
        problems += _sends(view, places)
        problems += _orders(view)
        problems += _ViewCheck(view, final, shown).run(converged)
    return problems


def moved(views: Iterable[View], final: Final) -> int:
    """How many acknowledged messages stand elsewhere than they did in the epoch of their answer."""
    places = {row.id: row.seq for timeline in final.values() for row in timeline.rows}
    answers = (answer for view in views for item in view.issued for answer in item.answers[:1])
    return sum(isinstance(answer, Placed) and places.get(answer.id) != answer.seq for answer in answers)


def _rows(final: Final) -> Iterator[str]:
    ids: Counter[str] = Counter()
    keys: Counter[str] = Counter()
    for name, timeline in final.items():
        for place, row in enumerate(timeline.rows, 1):
            if row.seq != place:
                yield f"{name}: place {place} holds seq {row.seq}"
                break
        ids.update(row.id for row in timeline.rows)
        keys.update(row.key for row in timeline.rows if row.key is not None)
    yield from (f"id {name} stands {count} times" for name, count in ids.items() if count > 1)
    yield from (f"{name} is stored {count} times" for name, count in keys.items() if count > 1)


def _sends(view: View, places: dict[str, Placed]) -> Iterator[str]:
    heads: dict[str, tuple[int, str]] = {}
    for item in view.issued:
        place = places.get(item.key)
        yield from (f"{view.name}: {line}" for line in _answers(item, place))
        if place is None or any(isinstance(each, Placed) and each.seq != place.seq for each in item.answers):
            continue
        seq, before = heads.get(place.conversation, (0, ""))
        if place.seq < seq:
            yield f"{view.name}: {item.key} at {place.seq} stands before {before} at {seq}, sent earlier"
        heads[place.conversation] = (place.seq, item.key)


def _orders(view: View) -> Iterator[str]:
    """Within each epoch the sender's messages got their places in the order of sending."""
    heads: dict[tuple[str, str], int] = {}
    for item in view.issued:
        for answer in item.answers:
            if isinstance(answer, Placed) and answer.epoch:
                where = answer.conversation, answer.epoch
                if answer.seq < heads.get(where, 0):
                    yield f"{view.name}: {item.key} got {answer.seq}, an earlier send {heads[where]}"
                heads[where] = answer.seq


def _answers(item: Issued, place: Placed | None) -> Iterator[str]:
    if not all(_alike(item.answers[0], each) for each in item.answers[1:]):
        yield f"{item.key} got different answers: {item.answers[:_SHOWN]}"
    for answer in set(item.answers):
        if isinstance(answer, str):
            if place is not None:
                yield f"{item.key} was refused ({answer}) and is stored"
        elif place is None:
            yield f"{item.key} was acknowledged at {answer.conversation}/{answer.seq} and is lost"
        elif not place.same(answer):
            yield f"{item.key} was acknowledged as {answer} and is stored as {place}"


def _alike(first: Placed | str, later: Placed | str) -> bool:
    if isinstance(first, Placed) and isinstance(later, Placed):
        return first.same(later)
    return first == later


@dataclass(slots=True)
class _Place:
    epoch: str
    seq: int


class _ViewCheck:
    """Walks one client's steps once."""

    def __init__(self, view: View, final: Final, shown: dict[tuple[str, str, int], str | None]) -> None:
        self._view = view
        self._final = final
        self._shown = shown
        self._at: dict[str, _Place] = {}
        self._left: set[str] = set()
        self._problems: list[str] = []

    def run(self, converged: bool) -> list[str]:
        for step in self._view.steps:
            self._step(step)
        if converged:
            self._heads()
        return self._problems

    def _say(self, line: str) -> None:
        self._problems.append(f"{self._view.name}: {line}")

    def _step(self, step: Step) -> None:
        at = self._at.get(step.conversation)
        if step.kind is Kind.START:
            self._start(step, at)
        elif step.kind is Kind.REBASE:
            self._rebase(step)
        elif step.kind is Kind.END:
            # It also answers a subscription that was refused, or ended from both sides at once.
            self._at.pop(step.conversation, None)
            self._left.add(step.conversation)
        elif step.kind is Kind.OWN and at is None and self._may_write_unheard(step.conversation):
            """Who does not listen may write."""
        elif at is None:
            self._say(f"{step.conversation}: {step.kind.value} {step.seq} while not subscribed")
        elif step.kind is Kind.JUMP:
            self._jump(step, at)
        else:
            self._next(step, at)

    def _may_write_unheard(self, name: str) -> bool:
        """An agent anywhere, a contact where it left: at first it follows all of its own."""
        return not self._view.contact or name in self._left

    def _start(self, step: Step, at: _Place | None) -> None:
        epoch = step.epoch or ""
        if at is not None and at.epoch == epoch and at.seq != step.seq:
            self._say(f"{step.conversation}: starts again at {step.seq}, was at {at.seq}")
        self._at[step.conversation] = _Place(epoch, step.seq)

    def _rebase(self, step: Step) -> None:
        self._at[step.conversation] = _Place(step.epoch or "", step.seq)
        before = 0
        for seq, name in step.shown:
            self._hidden_between(step.conversation, step.epoch, before, seq)
            self._same(step.conversation, step.epoch, seq, name)
            before = seq
        self._hidden_between(step.conversation, step.epoch, before, step.seq + 1)

    def _next(self, step: Step, at: _Place) -> None:
        if step.seq != at.seq + 1:
            self._say(f"{step.conversation}: {step.kind.value} {step.seq} after {at.seq}")
        at.seq = step.seq
        self._same(step.conversation, at.epoch, step.seq, step.id)
        other = self._shown.setdefault((step.conversation, at.epoch, step.seq), step.id)
        if other != step.id:
            self._say(f"{step.conversation}: {step.seq} is {step.id} here and {other} elsewhere")

    def _jump(self, step: Step, at: _Place) -> None:
        if step.seq <= at.seq:
            self._say(f"{step.conversation}: advance from {at.seq} to {step.seq}")
        self._hidden_between(step.conversation, at.epoch, at.seq, step.seq + 1)
        at.seq = step.seq

    def _row(self, name: str, epoch: str | None, seq: int) -> Row | None:
        timeline = self._final.get(name)
        if timeline is None or timeline.epoch != epoch or not 0 < seq <= len(timeline.rows):
            return None
        return timeline.rows[seq - 1]

    def _same(self, name: str, epoch: str | None, seq: int, shown: str | None) -> None:
        timeline = self._final.get(name)
        if timeline is None or timeline.epoch != epoch:
            return
        row = self._row(name, epoch, seq)
        if row is None:
            self._say(f"{name}: {seq} was shown and is not stored")
        elif row.id != shown:
            self._say(f"{name}: {seq} was shown as {shown} and is stored as {row.id}")
        elif row.hidden and self._view.contact:
            self._say(f"{name}: {seq} is hidden from contacts and was shown")

    def _hidden_between(self, name: str, epoch: str | None, after: int, before: int) -> None:
        for seq in range(after + 1, before):
            row = self._row(name, epoch, seq)
            if row is not None and not (row.hidden and self._view.contact):
                self._say(f"{name}: {seq} was withheld")

    def _heads(self) -> None:
        for name, at in self._at.items():
            timeline = self._final.get(name)
            if timeline is None:
                self._say(f"{name}: is followed and has no history")
            elif (at.epoch, at.seq) != (timeline.epoch, len(timeline.rows)):
                self._say(f"{name}: ends at {at.seq}, the timeline at {len(timeline.rows)}")

"""Turns what a `Client` does and hears into a `View` for the checker."""

from collections import Counter
from typing import Any

from tests.support.checker import Final, Issued, Kind, Placed, Row, Step, Timeline, View
from unique_cs.client import (
    Advanced,
    Client,
    Delivered,
    Frame,
    Output,
    Rebased,
    Rest,
    Sent,
    Session,
    Subscribed,
    Unsubscribed,
)
from unique_cs.client.roads import Wire


class Recorder:
    """Keeps the view of one client: feed it every raw frame, every output, and every send."""

    def __init__(self, name: str, *, contact: bool = True) -> None:
        self.view = View(name, contact)
        self.delivered: list[Frame] = []
        self.told: list[Output] = []
        self.refusals: Counter[str] = Counter()
        self.closes: list[Frame] = []
        self.epoch = ""
        self._keyed: dict[str, Issued] = {}
        self._numbered: dict[tuple[str | None, int], Issued] = {}

    def sending(self, key: str) -> None:
        """A message with this key is handed to the session."""
        issued = self._keyed[key] = Issued(key)
        self.view.issued.append(issued)

    def frame(self, session: Session, frame: Frame) -> None:
        """A frame as it came, before the session looks at it: the answers are kept, repeats as well."""
        n = frame.get("n")
        for told in (frame, *frame.get("conversations", ())):
            self.epoch = told.get("epoch", self.epoch)
        if frame["type"] == "error":
            self.refusals[frame["code"]] += 1
        if frame["type"] == "close":
            self.closes.append(frame)
        if frame["type"] not in {"sent", "error"} or n is None:
            return
        if frame["type"] == "sent":
            place = Placed(frame["id"], frame["conversation"], frame["seq"], self.epoch)
            self._answered(session, n, place)
        elif frame["code"] != "out_of_order" and "retry_after_ms" not in frame:
            self._answered(session, n, frame["code"])

    def output(self, output: Output) -> None:
        """What the session tells its application."""
        if isinstance(output, Delivered):
            self.delivered.append(output.frame)
        self.told.append(output)
        step = _step(output)
        if step is not None:
            self.view.steps.append(step)

    def positions(self) -> dict[str, int]:
        """Where the view of each timeline stands."""
        found: dict[str, int] = {}
        for step in self.view.steps:
            if step.kind is Kind.END:
                found.pop(step.conversation, None)
            else:
                found[step.conversation] = step.seq
        return found

    def _answered(self, session: Session, n: int, answer: Placed | str) -> None:
        """Keep an answer with the keyed send that has the number; repeats come after the send is done."""
        name = (session.state.session, n)
        if name not in self._numbered and n in session.state.pending:
            issued = self._keyed.get(session.state.pending[n].body.get("text", ""))
            if issued is not None:
                self._numbered[name] = issued
        if name in self._numbered:
            self._numbered[name].answers.append(answer)


def _step(output: Output) -> Step | None:
    match output:
        case Subscribed(name, epoch, seq):
            return Step(Kind.START, name, seq, epoch=epoch)
        case Delivered(frame):
            return Step(Kind.EVENT, frame["conversation"], frame["seq"], frame["id"])
        case Sent(fresh=True):
            return Step(Kind.OWN, output.conversation, output.seq, output.id)
        case Advanced(name, seq):
            return Step(Kind.JUMP, name, seq)
        case Rebased(name, epoch, seq, events):
            shown = tuple((event["seq"], event["id"]) for event in events)
            return Step(Kind.REBASE, name, seq, epoch=epoch, shown=shown)
        case Unsubscribed(name):
            return Step(Kind.END, name)
        case _:
            return None


class RecordingClient(Client):
    """A client whose life is recorded."""

    def __init__(self, url: str, token: str, recorder: Recorder, **options: Any) -> None:
        super().__init__(url, token, listener=recorder.output, **options)
        self.recorder = recorder

    def wire_received(self, wire: Wire, frame: Frame) -> None:
        self.recorder.frame(self.session, frame)
        super().wire_received(wire, frame)


async def final_history(agent: Rest, conversations: list[str]) -> Final:
    """What the server holds in the end, as an agent reads it."""
    final: Final = {}
    for name in conversations:
        epoch, events = await agent.history(name)
        final[name] = timeline_of(epoch, events)
    return final


def timeline_of(epoch: str, events: list[Frame]) -> Timeline:
    """The whole history of one conversation, as an agent is shown it."""
    return Timeline(epoch, [_row(event) for event in events])


_FOR_CONTACTS = {
    "conversation.opened",
    "conversation.assigned",
    "conversation.status_changed",
    "conversation.rated",
}


def _row(event: Frame) -> Row:
    message = event["name"].startswith("message.")
    data = event.get("data", {})
    hidden = bool(data.get("private")) if message else event["name"] not in _FOR_CONTACTS
    key = data["body"].get("text") if event["name"] == "message.created" else None
    return Row(event["seq"], event["id"], key, hidden)

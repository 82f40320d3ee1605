"""The positions of a client in the timelines that it follows. Pure."""

from dataclasses import dataclass

from unique_cs.client.outbox import FaultError
from unique_cs.client.outputs import (
    Advanced,
    Delivered,
    Output,
    ReadHistory,
    Rebased,
    Subscribed,
    Unsubscribed,
)
from unique_cs.client.state import Frame, Position, State, Store

SINCE_LIMIT = 500


@dataclass(slots=True)
class _Live:
    """Where a timeline stands on this connection; `held` collects live frames while history is read.

    Events up to `base` do not come as frames.
    """

    epoch: str
    seq: int
    held: list[Output] | None = None
    base: int = 0
    leaving: bool = False


class Timelines:
    """Checks that every frame of a subscribed timeline has its place: no gap, no repeat.

    The stored position moves when the application is given an event: a lost connection never skips one.
    """

    def __init__(self, state: State, store: Store) -> None:
        self._state = state
        self._store = store
        self._live: dict[str, _Live] = {}
        self._asked: dict[str, Position | None] = {}
        self._later: list[str] = []
        self._connection = 0

    def since(self) -> dict[str, Frame]:
        """Begin a connection: the positions for `connect`. More than the limit are asked for afterwards."""
        self._connection += 1
        self._live.clear()
        known = list(self._state.positions)
        self._later, named = known[:-SINCE_LIMIT], known[-SINCE_LIMIT:]
        self._asked = {name: self._state.positions[name] for name in named}
        return {name: _since(self._state.positions[name]) for name in named}

    def again(self) -> dict[str, Frame]:
        """Go on: the positions for another `connect` of a connection that is a series of polls."""
        followed = [(name, live) for name, live in self._live.items() if not live.leaving]
        named = {name: Position(live.epoch, live.seq) for name, live in followed[-SINCE_LIMIT:]}
        self._asked |= named
        return {name: _since(position) for name, position in named.items()}

    def joined(self, conversations: list[Frame]) -> list[Output]:
        """Take the listing of a later `connected`: only what is not followed yet is news."""
        told: list[Output] = []
        for shown in conversations:
            if str(shown["id"]) not in self._live:
                told += self._listed(str(shown["id"]), shown)
        return told

    def connected(self, conversations: list[Frame]) -> tuple[list[Output], list[Frame]]:
        """Take the listing of `connected`: what to tell, and the `subscribe` frames for the rest."""
        told: list[Output] = []
        for shown in conversations:
            told += self._listed(str(shown["id"]), shown)
        asks = [self.ask(name, self._state.positions[name]) for name in self._later if name not in self._live]
        return told, asks

    def _listed(self, name: str, shown: Frame) -> list[Output]:
        position = self._asked.get(name)
        if position is not None:
            self._live[name] = _Live(position.epoch, position.seq)
            return [Subscribed(name, position.epoch, position.seq, shown)]
        known = self._state.positions.get(name)
        here = Position(shown["epoch"], shown["seq"])
        if known is not None and known != here:
            return [Subscribed(name, here.epoch, here.seq, shown), *self._rebase(name, here)]
        return self._begin(name, here, shown)

    def _begin(self, name: str, position: Position, shown: Frame) -> list[Output]:
        self._live[name] = _Live(position.epoch, position.seq, base=position.seq)
        self._apply(name, position)
        return [Subscribed(name, position.epoch, position.seq, shown)]

    def ask(self, name: str, since: Position | None) -> Frame:
        """The frame that subscribes to a conversation, after `since` where one is given."""
        frame: Frame = {"type": "subscribe", "conversation": name}
        if since is not None:
            frame["since"] = _since(since)
        self._asked[name] = since
        return frame

    def follows(self, name: str) -> bool:
        """Whether the timeline is live on this connection."""
        live = self._live.get(name)
        return live is not None and not live.leaving

    def leave(self, name: str) -> list[Output]:
        """The application unsubscribed: what is still on its way is ignored."""
        if self.follows(name):
            self._live[name].leaving = True
        elif name not in self._state.positions:
            return []
        self._asked.pop(name, None)
        self._forget(name)
        return [Unsubscribed(name)]

    def subscribed(self, frame: Frame) -> list[Output]:
        name = frame["conversation"]
        shown = Position(frame["epoch"], frame["seq"])
        asked = name in self._asked
        since = self._asked.pop(name, None)
        live = self._live.get(name)
        if live is not None and not live.leaving:
            if not asked and (live.epoch, live.seq) != (shown.epoch, shown.seq):
                raise FaultError(f"subscribed to {name} at {shown.seq} in mid-timeline {live.seq}")
            return []
        if since is None:
            return self._begin(name, shown, frame)
        self._live[name] = _Live(since.epoch, since.seq)
        return [Subscribed(name, since.epoch, since.seq, frame)]

    def unsubscribed(self, name: str) -> list[Output]:
        live = self._live.pop(name, None)
        if live is not None and live.leaving:
            return []
        self._asked.pop(name, None)
        self._forget(name)
        return [Unsubscribed(name)]

    def event(self, frame: Frame) -> list[Output]:
        return self._next(frame["conversation"], frame["seq"], Delivered(frame))

    def advance(self, name: str, seq: int) -> list[Output]:
        live = self._require(name)
        if seq <= live.seq:
            raise FaultError(f"advance of {name} from {live.seq} to {seq}")
        return self._move(name, live, seq, Advanced(name, seq))

    def sent(self, name: str, seq: int, repeat: bool, event: Frame) -> bool:
        """A send took place `seq`. True where it stands in its event's place on this connection.

        While history is read, `event` is held with the others, and comes in its turn.
        """
        live = self._live.get(name)
        if live is None or live.leaving:
            return True
        if seq <= live.seq and (repeat or seq <= live.base):
            return False
        holds = live.held is not None
        self._next(name, seq, Delivered(event) if holds else None)
        return not holds

    def _next(self, name: str, seq: int, told: Output | None) -> list[Output]:
        live = self._require(name)
        if seq != live.seq + 1 and not live.leaving:
            raise FaultError(f"{name} goes from {live.seq} to {seq}")
        return self._move(name, live, seq, told)

    def _require(self, name: str) -> _Live:
        live = self._live.get(name)
        if live is None:
            raise FaultError(f"an event of {name}, which is not subscribed")
        return live

    def _move(self, name: str, live: _Live, seq: int, told: Output | None) -> list[Output]:
        live.seq = seq
        if live.leaving:
            return []
        out = [] if told is None else [told]
        if live.held is not None:
            live.held += out
            return []
        self._apply(name, Position(live.epoch, seq))
        return out

    def resync(self, frame: Frame) -> list[Output]:
        name = frame["conversation"]
        if name not in self._live and name not in self._asked:
            raise FaultError(f"resync of {name}, which is not subscribed")
        live = self._live.get(name)
        if live is not None and live.leaving:
            return []
        return self._rebase(name, Position(frame["epoch"], frame["seq"]))

    def _rebase(self, name: str, position: Position) -> list[Output]:
        self._live[name] = _Live(position.epoch, position.seq, held=[], base=position.seq)
        return [ReadHistory(name, position.epoch, position.seq, self._connection)]

    def history_read(self, read: ReadHistory, epoch: str, events: list[Frame]) -> list[Output]:
        """The timeline as REST shows it, then the live frames that waited for it.

        Raises:
            FaultError: the timeline has another epoch by now; the client connects again.
        """
        live = self._live.get(read.conversation)
        if not self.wants(read) or live is None or live.held is None:
            return []
        if epoch != live.epoch:
            raise FaultError(f"{read.conversation} has epoch {epoch} over REST, {live.epoch} here")
        past = tuple(event for event in events if event["seq"] <= live.base)
        held, live.held = live.held, None
        self._apply(read.conversation, Position(epoch, live.seq))
        return [Rebased(read.conversation, epoch, live.base, past), *held]

    def wants(self, read: ReadHistory) -> bool:
        """Whether this read belongs to the connection and the resync that are current."""
        live = self._live.get(read.conversation)
        current = live is not None and live.held is not None and not live.leaving and live.base == read.seq
        return current and read.connection == self._connection

    def _apply(self, name: str, position: Position) -> None:
        self._state.positions[name] = position
        self._store.position(name, position)

    def _forget(self, name: str) -> None:
        if self._state.positions.pop(name, None) is not None:
            self._store.position(name, None)

    def clear(self) -> None:
        """Another actor: no position of the former one is kept."""
        for name in list(self._state.positions):
            self._forget(name)
        self._live.clear()


def _since(position: Position) -> Frame:
    return {"epoch": position.epoch, "seq": position.seq}

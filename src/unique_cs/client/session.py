"""The client's side of protocol version 1, without I/O.

Frames, time and the transport's fate go in, outputs come out. The shell calls one input at a time, then
carries out `take()` in order. `deadline` says when `tick` is due. Time is in seconds on any growing clock.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from unique_cs.client.closing import Backoff, Return, after_close
from unique_cs.client.frames import Unreadable, check
from unique_cs.client.outbox import FaultError, Outbox
from unique_cs.client.outputs import (
    Abandoned,
    Connected,
    Disconnected,
    Drop,
    Failed,
    Fault,
    Halt,
    Halted,
    Open,
    Output,
    ReadHistory,
    Refused,
    Sent,
    Signalled,
    Transmit,
)
from unique_cs.client.state import Frame, Position, Send, Settings, Store
from unique_cs.client.throttle import Throttle
from unique_cs.client.timelines import Timelines

CONNECT_TIMEOUT = 10.0


class Phase(Enum):
    """Where a session stands."""

    WAITING = "waiting"  # for the time to connect
    OPENING = "opening"  # the shell opens a transport
    CONNECTING = "connecting"  # `connect` was sent
    LIVE = "live"
    HALTED = "halted"


class Session:
    """One logical client; it outlives connections and, with its store, processes."""

    def __init__(self, token: str | None, store: Store, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.state = store.load()
        self.phase = Phase.WAITING
        self._token = token
        self._store = store
        self._outbox = Outbox(self.state, store)
        self._timelines = Timelines(self.state, store)
        self._throttle = Throttle()
        self._backoff = Backoff(self.settings.rng, self.settings.backoff_base, self.settings.backoff_cap)
        self._out: list[Output] = []
        self._now = 0.0
        self._connect_at = 0.0
        self._opened_at = 0.0
        self._heard = self._spoke = 0.0
        self._heartbeat = 25.0
        self._goodbye: Frame | None = None
        self._actor: Frame = {}
        self._came_back = False

    # What goes on

    def take(self) -> list[Output]:
        """The outputs since the last call, in order."""
        out, self._out = self._out, []
        return out

    @property
    def deadline(self) -> float | None:
        """When `tick` must be called at the latest."""
        match self.phase:
            case Phase.WAITING:
                return self._connect_at
            case Phase.CONNECTING:
                return self._opened_at + CONNECT_TIMEOUT
            case Phase.LIVE:
                ends = (self._outbox.retry_at, self._throttle.deadline())
                beats = (self._spoke + self._heartbeat, self._heard + 2 * self._heartbeat)
                return min(*beats, *(end for end in ends if end is not None))
            case _:
                return None

    @property
    def unanswered(self) -> int:
        """How many sends have no final answer yet."""
        return len(self.state.pending)

    # Inputs of the shell

    def tick(self, now: float) -> None:
        """Time went on."""
        self._now = now
        if self.phase is Phase.WAITING and now >= self._connect_at:
            self.phase = Phase.OPENING
            self._out.append(Open())
        elif self.phase is Phase.CONNECTING and now >= self._opened_at + CONNECT_TIMEOUT:
            self._lose("no answer to connect")
        elif self.phase is Phase.LIVE:
            self._beat()

    def opened(self, now: float) -> None:
        """The transport is open: `connect` goes first, and nothing more until its answer.

        Called again while the session is live, it makes the `connect` of the next poll.
        """
        if self.phase is Phase.LIVE:
            self._now = now
            self._transmit(self._connect_frame(self._timelines.again()))
        if self.phase is not Phase.OPENING:
            return
        self._now = self._opened_at = now
        self.phase, self._goodbye = Phase.CONNECTING, None
        self._transmit(self._connect_frame(self._timelines.since()))

    def closed(self, now: float, code: int | None, reason: str = "", after_ms: int = 0) -> None:
        """The transport is gone, or could not be opened; `code` as the transport has it, else None.

        `after_ms` is when to come back, where the transport was told.
        """
        if self.phase in {Phase.WAITING, Phase.HALTED}:
            return
        self._now = now
        said = self._goodbye or {}
        self._ended(said.get("code", code), said.get("reason", reason), said.get("after_ms") or after_ms)

    def received(self, now: float, frame: Frame) -> None:
        """A frame came over the open transport."""
        if self.phase not in {Phase.CONNECTING, Phase.LIVE}:
            return
        self._now = self._heard = now
        try:
            check(frame)
            self._dispatch(frame)
            self._flush()
        except (FaultError, Unreadable) as fault:
            self._fault(str(fault))

    def history_read(self, now: float, read: ReadHistory, epoch: str, events: list[Frame]) -> None:
        """REST showed the timeline that `read` asked for, oldest first."""
        self._now = now
        try:
            self._out += self._timelines.history_read(read, epoch, events)
        except FaultError as fault:
            self._fault(str(fault))

    def history_failed(self, now: float, read: ReadHistory) -> None:
        """REST did not answer: the position stays, and the next connection asks again."""
        self._now = now
        if self._timelines.wants(read):
            self._lose("history could not be read")

    # Inputs of the application

    def send(self, now: float, body: Frame, conversation: str | None = None, *, private: bool = False) -> int:
        """Take a message: it is stored before this returns its `n`.

        It ends in exactly one `Sent`, `Refused` or `Abandoned`; these come in the order of the sends.
        """
        self._now = now
        send = self._outbox.add(body, conversation, private)
        self._flush()
        return send.n

    def signal(self, now: float, frame: Frame) -> None:
        """`typing`, `read` and `delivered` as often as the protocol allows; others at once, or never."""
        self._now = now
        if frame["type"] in {"typing", "read", "delivered"}:
            self._throttle.offer(frame)
            self._flush()
        elif self.phase is Phase.LIVE:
            self._transmit(frame)

    def subscribe(self, now: float, conversation: str, since: Position | None = None) -> None:
        """Follow a conversation; no effect while disconnected, or where it is followed already."""
        self._now = now
        if self.phase is Phase.LIVE and not self._timelines.follows(conversation):
            self._transmit(self._timelines.ask(conversation, since))

    def unsubscribe(self, now: float, conversation: str) -> None:
        """Follow a conversation no more; no effect while disconnected."""
        self._now = now
        if self.phase is Phase.LIVE:
            self._out += self._timelines.leave(conversation)
            self._transmit({"type": "unsubscribe", "conversation": conversation})

    def set_token(self, now: float, token: str) -> None:
        """Use this token from the next connection on."""
        self._token = token
        self.resume(now)

    def resume(self, now: float) -> None:
        """Somebody asks for it: come back from a halt, at once."""
        if self.phase is Phase.HALTED:
            self._came_back = False
            self._wait(now)

    def close(self, now: float) -> None:
        """Stay away until `resume`."""
        self._now = now
        if self.phase in {Phase.OPENING, Phase.CONNECTING, Phase.LIVE}:
            self._out.append(Drop("closed by the application"))
        self._halt(Halt.CLOSED, None, "")

    # Frames

    def _dispatch(self, frame: Frame) -> None:
        kind = frame["type"]
        if kind in {"close", "error", "pong"}:
            _HANDLERS[kind](self, frame)
        elif kind == "connected" and self.phase is Phase.LIVE and frame["session"] == self.state.session:
            self._on_next_poll(frame)
        elif (self.phase is Phase.CONNECTING) != (kind == "connected"):
            raise FaultError(f"{kind} while {self.phase.value}")
        else:
            _HANDLERS.get(kind, Session._on_unknown)(self, frame)

    def _on_connected(self, frame: Frame) -> None:
        self._adopt(frame)
        self.phase, self._heartbeat = Phase.LIVE, frame["heartbeat_ms"] / 1000
        self._backoff.reset()
        self._outbox.restart()
        self._out.append(Connected(frame["session"], frame["resumed"], frame))
        told, asks = self._timelines.connected(frame.get("conversations", []))
        self._out += told
        for ask in asks:
            self._transmit(ask)

    def _on_next_poll(self, frame: Frame) -> None:
        self.state.c = max(self.state.c, frame["c"])
        self._store.identity(self.state)
        self._out += self._timelines.joined(frame.get("conversations", []))

    def _adopt(self, frame: Frame) -> None:
        state, actor = self.state, f"{frame['actor']['kind']}:{frame['actor']['id']}"
        same = state.actor in {None, actor}
        self._actor = frame["actor"]
        if frame["resumed"] and frame["session"] != state.session:
            raise FaultError("resumed another session")
        if not frame["resumed"]:
            abandoned = self._outbox.renumber(keep=same)
            if not same:
                self._timelines.clear()
            if abandoned:
                self._out.append(Abandoned(abandoned))
        state.session, state.actor, state.c = frame["session"], actor, frame["c"]
        (self._store.identity if frame["resumed"] else self._store.renumber)(state)

    def _on_sent(self, frame: Frame) -> None:
        answered = self._outbox.answered(frame["n"])
        if answered is None:
            return
        send, repeat = answered
        name, seq = frame["conversation"], frame["seq"]
        fresh = self._timelines.sent(name, seq, repeat, self._event_of(send, frame))
        self._out.append(Sent(send, frame["id"], name, seq, frame["time"], fresh))
        self._outbox.settle(send.n)

    def _event_of(self, send: Send, sent: Frame) -> Frame:
        place = {name: sent[name] for name in ("n", "id", "conversation", "seq", "time")}
        data = {"body": send.body, "private": send.private}
        return {"type": "event", "name": "message.created", "actor": self._actor, "data": data} | place

    def _on_error(self, frame: Frame) -> None:
        code, wait, n = frame["code"], frame.get("retry_after_ms"), frame.get("n")
        expected = frame.get("expected", n)
        if expected is not None and (code == "out_of_order" or wait is not None):
            self._outbox.not_taken(expected, None if wait is None else wait / 1000, self._now)
        elif n is None:
            self._out.append(Failed(code, frame.get("message", ""), wait))
        elif (answered := self._outbox.answered(n)) is not None:
            self._out.append(Refused(answered[0], code, frame.get("message", "")))
            self._outbox.settle(n)

    def _on_event(self, frame: Frame) -> None:
        if "n" in frame:
            self._outbox.shown(frame["n"])
        self._out += self._timelines.event(frame)

    def _on_advance(self, frame: Frame) -> None:
        self._out += self._timelines.advance(frame["conversation"], frame["seq"])

    def _on_subscribed(self, frame: Frame) -> None:
        self._out += self._timelines.subscribed(frame)

    def _on_unsubscribed(self, frame: Frame) -> None:
        self._out += self._timelines.unsubscribed(frame["conversation"])

    def _on_resync(self, frame: Frame) -> None:
        self._out += self._timelines.resync(frame)

    def _on_close(self, frame: Frame) -> None:
        self._goodbye = frame
        self._out.append(Drop("the server said goodbye"))
        self.closed(self._now, frame["code"])

    def _on_pong(self, frame: Frame) -> None:
        """Anything heard counts; the time that it carries is not needed."""

    def _on_unknown(self, frame: Frame) -> None:
        self._out.append(Signalled(frame))

    # Inside

    def _connect_frame(self, since: dict[str, Frame]) -> Frame:
        state, settings = self.state, self.settings
        frame: Frame = {"type": "connect", "token": self._token, "acked": state.acked}
        if state.session is not None:
            state.c += 1
            self._store.identity(state)
            frame |= {"session": state.session, "c": state.c}
        if since:
            frame["since"] = since
        return frame | {"client": {"name": settings.name, "version": settings.version}}

    def _transmit(self, frame: Frame) -> None:
        self._spoke = self._now
        self._out.append(Transmit(frame))

    def _flush(self) -> None:
        if self.phase is not Phase.LIVE:
            return
        for send in self._outbox.due(self._now):
            self._transmit(send.frame())
        for frame in self._throttle.due(self._now):
            self._transmit(frame)

    def _beat(self) -> None:
        if self._now >= self._heard + 2 * self._heartbeat:
            self._lose("heartbeat missed")
            return
        self._flush()
        if self._now >= self._spoke + self._heartbeat:
            self._transmit({"type": "ping"})

    def _fault(self, reason: str) -> None:
        self._out.append(Fault(reason))
        self._lose(reason)

    def _lose(self, reason: str) -> None:
        if self.phase in {Phase.WAITING, Phase.HALTED}:
            return
        self._out.append(Drop(reason))
        self._ended(None, reason, 0)

    def _ended(self, code: int | None, reason: str, after_ms: int) -> None:
        self._throttle.disconnected()
        action: Return | Halt = after_close(code)
        if action is Return.ONCE and self._came_back:
            action = Halt.REPLACED
        if isinstance(action, Halt):
            self._out.append(Disconnected(code, reason, None))
            self._halt(action, code, reason)
            return
        self._came_back = self._came_back or action is Return.ONCE
        delay = self._backoff.delay(after_ms)
        self._out.append(Disconnected(code, reason, delay))
        self._wait(self._now + delay)

    def _wait(self, until: float) -> None:
        self.phase, self._connect_at = Phase.WAITING, until

    def _halt(self, why: Halt, code: int | None, reason: str) -> None:
        self.phase = Phase.HALTED
        self._out.append(Halted(why, code, reason))


_HANDLERS: dict[Any, Callable[[Session, Frame], None]] = {
    "connected": Session._on_connected,  # noqa: SLF001 - the table belongs to the class
    "sent": Session._on_sent,  # noqa: SLF001
    "event": Session._on_event,  # noqa: SLF001
    "advance": Session._on_advance,  # noqa: SLF001
    "subscribed": Session._on_subscribed,  # noqa: SLF001
    "unsubscribed": Session._on_unsubscribed,  # noqa: SLF001
    "resync": Session._on_resync,  # noqa: SLF001
    "error": Session._on_error,  # noqa: SLF001
    "close": Session._on_close,  # noqa: SLF001
    "pong": Session._on_pong,  # noqa: SLF001
    "signal": Session._on_unknown,  # noqa: SLF001
}

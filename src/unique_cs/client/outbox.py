"""The numbered sends of a session: window, resending, the order of answers. Pure."""

from collections.abc import Iterator

from unique_cs.client.state import Frame, Send, State, Store

WINDOW = 256
# `out_of_order` without a wait of its own: late ones of the same burst pass by before the resend (seconds).
REORDER_WAIT = 0.05


class FaultError(Exception):
    """The server sent what the protocol rules out."""


class Outbox:
    """Numbers sends, says which are due, and accepts their answers in the order of `n`."""

    def __init__(self, state: State, store: Store) -> None:
        self._state = state
        self._store = store
        self._next = state.last + 1
        # Sends up to here may have been stored before: their `sent` may be a repeat.
        self._tried = state.last
        self._expected: int | None = None
        self.retry_at: float | None = None

    def add(self, body: Frame, conversation: str | None, private: bool) -> Send:
        send = Send(self._state.last + 1, body, conversation, private)
        self._store.enqueue(send)
        self._state.last = send.n
        self._state.pending[send.n] = send
        return send

    def restart(self) -> None:
        """A connection is live: every send without an answer is due again."""
        self._tried = max(self._tried, self._next - 1)
        self._next = self._state.acked + 1
        self._expected = self.retry_at = None

    def due(self, now: float) -> Iterator[Send]:
        """Sends to transmit now, in order; each is given once a connection unless the server asks again."""
        if self.retry_at is not None:
            if now < self.retry_at:
                return
            self._resend()
        while self._next <= min(self._state.last, self._state.acked + WINDOW):
            self._next += 1
            yield self._state.pending[self._next - 1]

    def _resend(self) -> None:
        assert self._expected is not None
        self._tried = max(self._tried, self._next - 1)
        self._next = max(self._expected, self._state.acked + 1)
        self._expected = self.retry_at = None

    def not_taken(self, expected: int, wait: float | None, now: float) -> None:
        """The server took nothing from `expected` on. Wait once, then resend from there."""
        if not self._state.acked < expected < self._next:
            raise FaultError(f"expected {expected} outside {self._state.acked + 1}…{self._next - 1}")
        if self._expected == expected and wait is None:
            return
        self._expected = expected
        self.retry_at = now + (REORDER_WAIT if wait is None else wait)

    def answered(self, n: int) -> tuple[Send, bool] | None:
        """The send that a final answer is for and whether it may be a repeat; None if it had one before."""
        if n <= self._state.acked:
            return None
        if n != self._state.acked + 1 or n >= self._next:
            raise FaultError(f"answer to {n} where {self._state.acked + 1} is due")
        return self._state.pending[n], n <= self._tried

    def shown(self, n: int) -> None:
        """The event of this send came: its `sent` follows it, as that of a repeat does."""
        self._tried = max(self._tried, n)

    def settle(self, n: int) -> None:
        """The answer was told: the send is done with."""
        self._store.answered(n)
        self._state.acked = n
        del self._state.pending[n]

    def renumber(self, keep: bool) -> tuple[Send, ...]:
        """Nothing of the session was stored: begin again at 1. Returns the sends that were not kept."""
        waiting = tuple(self._state.pending.values())
        kept = waiting if keep else ()
        self._state.pending = {
            n: Send(n, send.body, send.conversation, send.private) for n, send in enumerate(kept, 1)
        }
        self._state.acked, self._state.last = 0, len(kept)
        self._next, self._tried = 1, 0
        return () if keep else waiting

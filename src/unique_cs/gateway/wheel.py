"""A timer wheel: one timer for all deadlines, so that an idle connection costs two links in a ring."""

import asyncio


class Timed:
    """Something with a deadline, in one wheel at most. Its links belong to the wheel.

    A ring of links is chosen for its size: a place in a set takes up to 100 bytes of an idle connection.
    """

    __slots__ = ("after", "before")

    def __init__(self) -> None:
        self.before: Timed | None = None
        self.after: Timed | None = None

    def expire(self, tick: int) -> int:
        """The deadline may have come: return the tick of the next one, or 0 to leave the wheel."""
        raise NotImplementedError


class Wheel:
    """Deadlines are ticks of `tick_s` seconds; one is met at most a tick late."""

    SLOTS = 512

    def __init__(self, tick_s: float) -> None:
        self.tick_s = tick_s
        self.tick = 1
        self._rings = [_ring() for _ in range(self.SLOTS)]
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.time() + tick_s
        self._timer = self._loop.call_at(self._next, self._turn)

    def ticks(self, milliseconds: int) -> int:
        """How many ticks to wait so that at least `milliseconds` have passed."""
        return int(milliseconds / 1000 / self.tick_s) + 2

    def add(self, item: Timed, tick: int) -> None:
        """Ask `item` at `tick` only; one that is more than `SLOTS` ahead is asked each time round before."""
        self.discard(item)
        head = self._rings[tick % self.SLOTS]
        last = head.before
        assert last is not None
        item.before, item.after = last, head
        last.after = head.before = item

    def discard(self, item: Timed) -> None:
        """Forget `item`; harmless if it is not here."""
        before, after = item.before, item.after
        if before is not None and after is not None:
            before.after, after.before = after, before
            item.before = item.after = None

    def items(self) -> list[Timed]:
        """Everything that waits, in no special order."""
        return [item for head in self._rings for item in self._of(head)]

    def _of(self, head: Timed) -> list[Timed]:
        found: list[Timed] = []
        item = head.after
        while item is not None and item is not head:
            found.append(item)
            item = item.after
        return found

    def _turn(self) -> None:
        self.tick += 1
        self._next += self.tick_s
        self._timer = self._loop.call_at(self._next, self._turn)
        for item in self._of(self._rings[self.tick % self.SLOTS]):
            if item.after is None:  # another one's end took it out meanwhile
                continue
            self.discard(item)
            deadline = item.expire(self.tick)
            if deadline:
                self.add(item, max(deadline, self.tick + 1))

    def close(self) -> None:
        """Stop turning."""
        self._timer.cancel()


def _ring() -> Timed:
    """An empty ring: its head alone, which never expires."""
    head = Timed()
    head.before = head.after = head
    return head

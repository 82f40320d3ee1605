"""The order between two channels: answers of requests wait for the events of the stream. Pure."""

from collections import deque
from collections.abc import Iterator

from unique_cs.client.frames import judging
from unique_cs.client.state import Frame


class Places:
    """Holds `sent` back until the stream has reached its `seq`, so that a session sees one order.

    A contact is subscribed to all of its conversations; an agent may write where it does not listen, and
    such an answer does not wait.
    """

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._held: deque[Frame] = deque()
        self._everywhere = False

    def sending(self, frame: Frame) -> None:
        """A frame leaves: positions that it names are where the stream goes on."""
        kind = frame["type"]
        if kind == "connect":
            self._at |= {name: since["seq"] for name, since in frame.get("since", {}).items()}
        elif kind == "subscribe" and "since" in frame:
            self._at[frame["conversation"]] = frame["since"]["seq"]
        elif kind == "unsubscribe":
            self._at.pop(frame["conversation"], None)

    def came(self, frame: Frame) -> None:
        """A frame came down the stream. Raises `Unreadable` where it lacks what it needs."""
        with judging(frame):
            self._move(frame)

    def _move(self, frame: Frame) -> None:
        kind = frame["type"]
        if kind == "connected":
            self._everywhere = frame["actor"]["kind"] == "contact"
            for head in frame["conversations"]:
                self._at.setdefault(head["id"], head["seq"])
        elif kind == "subscribed":
            self._at.setdefault(frame["conversation"], frame["seq"])
        elif kind == "unsubscribed":
            self._at.pop(frame["conversation"], None)
        elif kind in {"event", "advance", "resync"}:
            self._at[frame["conversation"]] = frame["seq"]

    def answered(self, frames: list[Frame]) -> None:
        """The answers of a request, in order."""
        self._held += frames

    def ready(self) -> Iterator[Frame]:
        """The answers that may be given now."""
        while self._held and not self._waits(self._held[0]):
            yield self._held.popleft()

    def _waits(self, frame: Frame) -> bool:
        if frame["type"] != "sent":
            return False
        with judging(frame):
            reached = self._at.get(frame["conversation"])
            return self._everywhere if reached is None else bool(reached < frame["seq"])

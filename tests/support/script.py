"""A client session driven by hand, and the frames that it is told."""

import random
from typing import Any

from unique_cs.client import (
    Fault,
    Frame,
    MemoryStore,
    Open,
    Output,
    Session,
    Settings,
    Transmit,
)

TEXT = {"kind": "text", "text": "hello"}


class Script:
    """Drives one session by hand and keeps what it says."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.now = 0.0
        self.store = store or MemoryStore()
        self.session = Session("token", self.store, Settings(rng=random.Random(1)))
        self.told: list[Output] = []
        self.frames: list[Frame] = []

    def collect(self) -> list[Output]:
        """The outputs since the last call; frames apart."""
        out = self.session.take()
        self.frames += [item.frame for item in out if isinstance(item, Transmit)]
        rest: list[Output] = [item for item in out if not isinstance(item, Transmit)]
        self.told += rest
        return rest

    def receive(self, kind: str, **fields: Any) -> list[Output]:
        self.session.received(self.now, {"type": kind, **fields})
        return self.collect()

    def open(self) -> Frame:
        """Go to the time to connect, open, and give the `connect` frame."""
        if self.session.deadline is not None:
            self.now = max(self.now, self.session.deadline)
        self.session.tick(self.now)
        assert self.collect()[-1] == Open()
        self.session.opened(self.now)
        self.collect()
        return self.frames.pop()

    def live(self, *conversations: Frame, **fields: Any) -> Frame:
        """Open and be connected."""
        frame = self.open()
        self.receive("connected", **connected(*conversations, **fields))
        return frame

    def send(self, text: str = "hello", conversation: str | None = None) -> int:
        n = self.session.send(self.now, {"kind": "text", "text": text}, conversation)
        self.collect()
        return n

    def after(self, seconds: float) -> list[Output]:
        self.now += seconds
        self.session.tick(self.now)
        return self.collect()

    def sent_numbers(self) -> list[int]:
        """The numbers of the sends transmitted since the last call."""
        numbers = [frame["n"] for frame in self.frames if frame["type"] == "send"]
        self.frames.clear()
        return numbers


def connected(*conversations: Frame, **fields: Any) -> Frame:
    actor = {"kind": "contact", "id": "1", "name": "Ann"}
    base = {"session": "s_1", "resumed": False, "c": 1, "n": 0, "actor": actor, "heartbeat_ms": 25000}
    return base | {"conversations": list(conversations), "max_frame": 65536, "time": 0} | fields


def shown(name: str, seq: int, epoch: str = "e") -> Frame:
    return {"id": name, "status": "open", "epoch": epoch, "seq": seq, "read": 0, "delivered": 0}


def event(name: str, seq: int) -> Frame:
    base = {"name": "message.created", "conversation": name, "id": str(seq), "data": {"body": TEXT}}
    return base | {"seq": seq}


def sent(n: int, seq: int, name: str = "7") -> Frame:
    return {"n": n, "id": str(1000 + seq), "conversation": name, "seq": seq, "time": 5}


def faults(out: list[Output]) -> list[str]:
    return [item.reason for item in out if isinstance(item, Fault)]

"""Fuzz target of the Python client: whatever a server says, its session goes on or drops the connection."""

import random
from typing import Final

import msgspec

from tests.fuzz.target import Target
from tests.wire.golden import SERVER, TALK
from unique_cs.client import (
    Abandoned,
    Drop,
    MemoryStore,
    Output,
    Phase,
    Position,
    ReadHistory,
    Refused,
    Sent,
    Session,
    Settings,
    Transmit,
)
from unique_cs.client.frames import Unreadable, read_frame
from unique_cs.client.places import Places
from unique_cs.protocol.codec import JSON

_GAP: Final = 40.0  # seconds; over a heartbeat, and over every back-off


def client(data: bytes) -> None:
    """Lines are frames, or one letter: `S` a send, `C` the connection is lost, `T` time, `H` a history."""
    run = _Run()
    for line in data.split(b"\n")[:60]:
        run.step(line)
    run.step(b"T")
    deadline = run.session.deadline
    assert deadline is None or deadline == deadline  # noqa: PLR0124 - no NaN


class _Run:
    """A session, and a shell that carries out what it says."""

    def __init__(self) -> None:
        store = MemoryStore()
        store.position(TALK, Position("E", 3))
        self.session = Session("T", store, Settings(rng=random.Random(1)))
        self._places = Places()
        self._now = 0.0
        self._sent = self._answered = 0
        self._read: ReadHistory | None = None
        self._open()

    def _open(self) -> None:
        self.session.resume(self._now)
        self.session.tick(self._now)
        self.session.opened(self._now)
        self._collect()

    def step(self, line: bytes) -> None:
        self._now += 0.01
        match line:
            case b"S":
                self._sent += 1
                self.session.send(self._now, {"kind": "text", "text": "x"}, TALK)
            case b"C":
                self.session.closed(self._now, 1006)
                self._now += _GAP
                self._open()
            case b"T":
                self._now += _GAP
                self.session.tick(self._now)
            case b"H":
                self._history()
            case _:
                self._receive(line)
        self._collect()

    def _history(self) -> None:
        if self._read is not None:
            self.session.history_read(self._now, self._read, self._read.epoch, [{"seq": 1}])

    def _receive(self, line: bytes) -> None:
        try:
            frame = read_frame(line)
            self._places.came(frame)
            self._places.answered([frame])
            shown = list(self._places.ready())
        except Unreadable:
            # A road that gives up; the others show the session what they read.
            try:
                shown = [read_frame(line)]
            except Unreadable:
                return
        for one in shown or [frame]:
            self.session.received(self._now, one)

    def _collect(self) -> None:
        for output in self.session.take():
            self._check(output)

    def _check(self, output: Output) -> None:
        match output:
            case Transmit(frame):
                msgspec.json.encode(frame)
            case Drop():
                assert self.session.phase in {Phase.WAITING, Phase.HALTED}
            case ReadHistory():
                self._read = output
            case Sent() | Refused():
                self._answered += 1
            case Abandoned(sends):
                self._answered += len(sends)
        assert self._answered + self.session.unanswered <= self._sent


def _talks() -> list[bytes]:
    frames = {name: JSON.encode(frame) for name, frame in SERVER.items()}
    connected = next(raw for name, raw in frames.items() if b'"connected"' in raw[:20])
    alone = [connected + b"\nS\nS\n" + raw + b"\nH\nT\nC\n" + connected for raw in frames.values()]
    event = b'{"type":"event","name":"message.created","conversation":"%b","seq":%d,"data":{}}'
    live = b"\n".join(event % (TALK.encode(), seq) for seq in range(4, 8))
    sent = b'{"type":"sent","n":1,"id":"9","conversation":"%b","seq":8,"time":1}' % TALK.encode()
    return [*alone, connected + b"\nS\n" + live + b"\n" + sent]


TARGETS: Final = {"client": Target(client, _talks)}

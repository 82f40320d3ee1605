"""Bytes of a WebSocket client that must cost nearly nothing: prebuilt frames out, scans in (RFC 6455)."""

import json
from typing import Any

# One key for every frame: the server unmasks as ever, and a table of frames serves all connections.
_KEY = b"\x37\xfa\x21\x3d"
_N_WIDTH = 9


def masked(payload: bytes) -> bytes:
    """A final text frame from a client, of less than 64 KiB."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    # As two large numbers, the whole payload is masked in one step.
    keys = int.from_bytes((_KEY * (size // 4 + 1))[:size], "big")
    return b"\x81" + length + _KEY + (int.from_bytes(payload, "big") ^ keys).to_bytes(size, "big")


def json_frame(frame: dict[str, Any]) -> bytes:
    return masked(json.dumps(frame, separators=(",", ":")).encode())


class SendTable:
    """Frames of sends 1, 2, 3 … side by side, all of one size, so a run of them is one slice.

    JSON allows blanks before a number, which keeps the size. The table grows as it is used.
    """

    def __init__(self, text: str) -> None:
        body = json.dumps({"kind": "text", "text": text}, separators=(",", ":")).encode()
        before, after = b'{"type":"send","n":', b',"body":' + body + b"}"
        frame = masked(before + b" " * _N_WIDTH + after)
        at = len(frame) - len(after) - _N_WIDTH
        self.size = len(frame)
        self._head, self._tail = frame[:at], frame[at + _N_WIDTH :]
        phase = len(before) % len(_KEY)
        self._key = int.from_bytes((_KEY * 4)[phase : phase + _N_WIDTH], "big")
        self._table = bytearray()
        self._count = 0

    def reserve(self, count: int) -> None:
        """Build all frames up to `count`, before time matters."""
        for n in range(self._count + 1, count + 1):
            digits = int.from_bytes(b"%*d" % (_N_WIDTH, n), "big") ^ self._key
            self._table += self._head + digits.to_bytes(_N_WIDTH, "big") + self._tail
        self._count = max(self._count, count)

    def run(self, after: int, upto: int) -> bytes:
        """The frames after number `after` up to `upto`, ready to write."""
        if upto > self._count:
            self.reserve(upto + 4096)
        return bytes(memoryview(self._table)[after * self.size : upto * self.size])


class Counter:
    """Counts a mark in a stream, also where it is cut between two reads."""

    __slots__ = ("_keep", "_mark", "_tail", "count")

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._keep = len(mark) - 1
        self._tail = b""
        self.count = 0

    def feed(self, data: bytes) -> int:
        """How many marks ended in these bytes."""
        keep = self._keep
        found = data.count(self._mark) + (self._tail + data[:keep]).count(self._mark)
        self._tail = data[-keep:] if len(data) >= keep else (self._tail + data)[-keep:]
        self.count += found
        return found


class Unframer:
    """Splits a server's stream into the payloads of its frames, which are never masked (5.1)."""

    def __init__(self) -> None:
        self._buffer = b""

    def rest(self) -> bytes:
        """The bytes of a frame that is not complete yet; they are given up."""
        rest, self._buffer = self._buffer, b""
        return rest

    def feed(self, data: bytes) -> list[bytes]:
        """The payload of every frame that is complete."""
        buffer = self._buffer + data if self._buffer else data
        frames, at, end = [], 0, len(buffer)
        while end - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if end < start or end - start < size:
                break
            frames.append(buffer[start : start + size])
            at = start + size
        self._buffer = buffer[at:]
        return frames

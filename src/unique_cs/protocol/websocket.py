"""The server side of RFC 6455 after the handshake, without I/O: bytes in, messages and bytes out.

One `WebSocket` per connection. Its owner does, on each read:

    for message in ws.receive(data):        # complete messages, in order
        ...                                 # `bytes` is a text message, `Binary` a binary one
    if ws.output:                           # pongs, the answer to a close, a failure's close frame
        transport.write(ws.take_output())
    if ws.state:                            # not OPEN any more, see the states below
        ...

Messages are sent by writing `frame_text(payload)` or `frame_binary(payload)`; such bytes carry no state of a
connection, so one frame may go to any number of receivers. `ws.close(code, reason)` queues the close frame.

States, in ascending order; a connection only moves up:

- `OPEN` (0): messages flow.
- `TOO_LARGE`: a message went over `max_message`. Nothing is queued, so that the owner can say so in its own
  words before it calls `close()` with a code of its choice.
- `CLOSING`: `close()` was called; the peer's close frame is awaited. Nothing here bounds the wait: the owner
  does. Messages are dropped, here as in `TOO_LARGE`.
- `CLOSED`: nothing more is read. Write the output, then close the transport (7.1.1: the server closes first).

`close_code` is 0 while open; then the code of whichever close frame came first: the peer's (1005 if it gave
none), ours, or the one that a violation of the RFC was answered with (1002, 1007).
"""

import codecs
import struct
from collections.abc import Callable
from typing import Final


def xor_mask(data: bytes, mask: bytes) -> bytes:
    """Masking and unmasking, one operation (5.3)."""
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


apply_mask: Callable[[bytes, bytes], bytes]
try:
    from websockets.speedups import apply_mask
except ImportError:  # the helper is compiled and may be absent
    apply_mask = xor_mask

OPEN: Final = 0
TOO_LARGE: Final = 1
CLOSING: Final = 2
CLOSED: Final = 3

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
NO_CODE: Final = 1005
INVALID_TEXT: Final = 1007

MAX_CONTROL: Final = 125  # bytes in the payload of a control frame (5.5)

_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA

_WHOLE_TEXT: Final = 0x81  # FIN and the opcode
_WHOLE_BINARY: Final = 0x82


class Binary(bytes):
    """The payload of a binary message; a plain `bytes` is that of a text message."""

    __slots__ = ()


class WebSocket:
    """What one connection remembers: about 100 bytes, and more only while a frame or message is incomplete.

    `max_message` bounds a message's payload in bytes over all its fragments, at least 125.
    `controls` counts the pings and pongs that came: any of them proves that the peer lives.
    """

    __slots__ = ("_reader", "close_code", "close_reason", "controls", "max_message", "output", "state")

    def __init__(self, max_message: int) -> None:
        if max_message < MAX_CONTROL:
            raise ValueError(f"max_message must be at least {MAX_CONTROL}")
        self.max_message = max_message
        self.state: int = OPEN
        self.close_code = 0
        self.close_reason = ""
        self.controls = 0
        self.output: list[bytes] | None = None
        self._reader: _Reader | None = None

    def receive(self, data: bytes) -> list[bytes]:
        """Take what the transport read; return the messages that it completed, text ones as valid UTF-8.

        Never raises: a violation closes with the code of its clause; what was complete before it is returned.
        """
        messages: list[bytes] = []
        pos, end = 0, len(data)
        while pos < end and self.state < CLOSED:
            if self._reader is None and self.state == OPEN:
                pos = self._whole_frames(data, pos, messages)
                if pos == end:
                    break
            pos = self._step(data, pos, messages)
        return messages

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Queue the close frame, once, to start the closing handshake (7.1.2).

        Does nothing after either side has closed. A code that may not be sent raises `ValueError`.
        """
        if self.state < CLOSING:
            self._queue(frame_close(code, reason))
            self._end(CLOSING, code, reason)

    def take_output(self) -> bytes:
        """The bytes to write now, and forget them."""
        output, self.output = self.output, None
        return b"".join(output) if output else b""

    def _whole_frames(self, data: bytes, pos: int, messages: list[bytes]) -> int:
        """Read the messages that lie in `data` as one whole, masked, short frame each; return where they end.

        The usual case, kept free of all others: whatever is not plainly right is left to `_step`.
        """
        end = len(data)
        while end - pos > 5:
            first = data[pos]
            size = data[pos + 1] - 0x80
            if 0 <= size < 126:
                start = pos + 6
            elif size == 126 and end - pos > 7:
                size = data[pos + 2] << 8 | data[pos + 3]
                start = pos + 8
                if not 126 <= size <= self.max_message:
                    return pos
            else:
                return pos
            stop = start + size
            if stop > end:
                return pos
            payload = apply_mask(data[start:stop], data[start - 4 : start])
            if first == _WHOLE_TEXT and (payload.isascii() or _is_utf8(payload)):
                messages.append(payload)
            elif first == _WHOLE_BINARY:
                messages.append(Binary(payload))
            else:
                return pos
            pos = stop
        return pos

    def _step(self, data: bytes, pos: int, messages: list[bytes]) -> int:
        """Read on in the frame at `pos`, as far as `data` goes; return where the next one begins."""
        reader = self._reader
        if reader is None:
            reader = self._reader = _Reader()
        if not reader.left:
            pos = self._read_header(reader, data, pos)
            if reader.header or self.state == CLOSED:
                return pos
        if reader.left:
            pos = self._read_payload(reader, data, pos)
        if not reader.left and self.state < CLOSED:
            self._end_frame(reader, messages)
        return pos

    def _read_header(self, reader: "_Reader", data: bytes, pos: int) -> int:
        """Read a frame's header (5.2); it stays in `reader.header` while it is incomplete."""
        known = len(reader.header)
        header = reader.header + data[pos : pos + 14 - known]
        reader.header = header
        if len(header) < 2:
            return len(data)
        if not _is_lawful(header[0], header[1], in_message=bool(reader.kind)):
            self._fail(PROTOCOL_ERROR)
            return len(data)
        extra = _LENGTH_BYTES.get(header[1] & 0x7F, 0)
        if len(header) < 6 + extra:
            return len(data)
        size = int.from_bytes(header[2 : 2 + extra], "big") if extra else header[1] & 0x7F
        if extra and not _LEAST_SIZE[extra] <= size < 1 << 63:
            self._fail(PROTOCOL_ERROR)
            return len(data)
        reader.begin(header[0], size, header[2 + extra : 6 + extra])
        if self.state == OPEN and reader.opcode < _CLOSE and size + len(reader.message) > self.max_message:
            self.state = TOO_LARGE
        return pos + 6 + extra - known

    def _read_payload(self, reader: "_Reader", data: bytes, pos: int) -> int:
        stop = min(pos + reader.left, len(data))
        reader.left -= stop - pos
        if reader.opcode >= _CLOSE:
            reader.control += reader.unmask(data[pos:stop])
        elif self.state == OPEN:
            chunk = reader.unmask(data[pos:stop])
            reader.message += chunk
            if reader.kind == _TEXT and not reader.take_text(chunk):
                self._fail(INVALID_TEXT)
        return stop

    def _end_frame(self, reader: "_Reader", messages: list[bytes]) -> None:
        if reader.opcode >= _CLOSE:
            payload, reader.control = bytes(reader.control), bytearray()
            self._end_control(reader.opcode, payload)
        elif reader.fin:
            self._end_message(reader, messages)
        if not reader.kind:
            self._reader = None

    def _end_message(self, reader: "_Reader", messages: list[bytes]) -> None:
        if self.state == OPEN:
            if reader.text_tail:  # 8.1: the message ends within a character
                self._fail(INVALID_TEXT)
            else:
                messages.append(bytes(reader.message) if reader.kind == _TEXT else Binary(reader.message))
        reader.kind = 0
        reader.message = bytearray()

    def _end_control(self, opcode: int, payload: bytes) -> None:
        """A control frame may come between a message's fragments (5.4) and leaves the message alone."""
        if opcode == _CLOSE:
            self._peer_closes(payload)
            return
        self.controls += 1
        if opcode == _PING and self.state == OPEN:  # 5.5.2: unless a close has been sent
            self._queue(frame_pong(payload))

    def _peer_closes(self, payload: bytes) -> None:
        """Answer a close frame with its own code (5.5.1), or end the handshake that we began."""
        if len(payload) == 0:
            code, reason = NO_CODE, ""
        else:
            code = int.from_bytes(payload[:2], "big")
            if len(payload) == 1 or not _may_be_sent(code):
                self._fail(PROTOCOL_ERROR)
                return
            try:
                reason = payload[2:].decode()
            except UnicodeDecodeError:
                self._fail(INVALID_TEXT)
                return
        if self.state < CLOSING:
            self._queue(_frame(0x80 | _CLOSE, payload[:2]))
        self._end(CLOSED, code, reason)

    def _fail(self, code: int) -> None:
        """Fail the connection (7.1.7): say why, read nothing more."""
        if self.state < CLOSING:
            self._queue(frame_close(code))
        self._end(CLOSED, code, "")

    def _end(self, state: int, code: int, reason: str) -> None:
        self.state = state
        if state == CLOSED:
            self._reader = None
        if not self.close_code:
            self.close_code, self.close_reason = code, reason

    def _queue(self, frame: bytes) -> None:
        if self.output is None:
            self.output = [frame]
        else:
            self.output.append(frame)


class _Reader:
    """What a connection remembers between two reads while a frame or a fragmented message is incomplete."""

    __slots__ = ("control", "fin", "header", "kind", "left", "mask", "message", "opcode", "text_tail")

    def __init__(self) -> None:
        self.header = b""  # of the frame, while incomplete
        self.opcode = 0
        self.fin = False
        self.left = 0  # bytes of the frame's payload still to come
        self.mask = b""  # turned so that it fits the next byte
        self.control = bytearray()
        self.kind = 0  # opcode of the message that is being put together, 0 outside of one
        self.message = bytearray()
        self.text_tail = b""  # the bytes of a character that is not complete yet

    def begin(self, first: int, size: int, mask: bytes) -> None:
        """Begin the payload of a frame whose header is complete."""
        self.header = b""
        self.fin = first >= 0x80
        self.opcode = first & 0x0F
        self.left = size
        self.mask = mask
        if self.opcode in (_TEXT, _BINARY):
            self.kind = self.opcode

    def unmask(self, chunk: bytes) -> bytes:
        """Unmask the next bytes of the payload (5.3)."""
        turn = len(chunk) & 3
        clear = apply_mask(chunk, self.mask)
        self.mask = self.mask[turn:] + self.mask[:turn]
        return clear

    def take_text(self, chunk: bytes) -> bool:
        """Check the next bytes of a text message; false as soon as they can't become UTF-8 (8.1)."""
        pending = self.text_tail + chunk
        try:
            used = codecs.utf_8_decode(pending, "strict", False)[1]
        except UnicodeDecodeError:
            return False
        self.text_tail = pending[used:]
        return True


_LENGTH_BYTES: Final = {126: 2, 127: 8}
_LEAST_SIZE: Final = {2: 126, 8: 65536}  # 5.2: the minimal number of bytes must be used


def _is_lawful(first: int, second: int, *, in_message: bool) -> bool:
    """Whether a frame may begin so: its reserved bits, opcode, masking (5.1, 5.2, 5.4, 5.5)."""
    if first & 0x70 or not second & 0x80:
        return False
    opcode = first & 0x0F
    if opcode >= _CLOSE:
        return opcode <= _PONG and first >= 0x80 and second & 0x7F <= MAX_CONTROL
    if opcode == _CONTINUATION:
        return in_message
    return opcode <= _BINARY and not in_message


def _may_be_sent(code: int) -> bool:
    """Whether a close frame may carry the code: 7.4.1, 7.4.2, and what IANA has added."""
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


_HEADERS: Final = {
    first: [bytes((first, size)) for size in range(126)]
    for first in (_WHOLE_TEXT, _WHOLE_BINARY, 0x80 | _CLOSE, 0x80 | _PING, 0x80 | _PONG)
}
_TEXT_HEADERS: Final = _HEADERS[_WHOLE_TEXT]
_SHORT: Final = struct.Struct("!BBH").pack
_LONG: Final = struct.Struct("!BBQ").pack


def _frame(first: int, payload: bytes) -> bytes:
    """A server's frames are not masked (5.1)."""
    size = len(payload)
    if size < 126:
        return _HEADERS[first][size] + payload
    if size < 65536:
        return _SHORT(first, 126, size) + payload
    return _LONG(first, 127, size) + payload


def frame_text(payload: bytes) -> bytes:
    """A text message as one frame; the payload must be UTF-8."""
    size = len(payload)
    if size < 126:
        return _TEXT_HEADERS[size] + payload
    return _frame(_WHOLE_TEXT, payload)


def frame_binary(payload: bytes) -> bytes:
    """A binary message as one frame."""
    return _frame(_WHOLE_BINARY, payload)


def frame_ping(payload: bytes = b"") -> bytes:
    """A ping of at most 125 bytes; longer raises `ValueError`."""
    return _frame_control(_PING, payload)


def frame_pong(payload: bytes = b"") -> bytes:
    """A pong of at most 125 bytes; longer raises `ValueError`."""
    return _frame_control(_PONG, payload)


def frame_close(code: int, reason: str = "") -> bytes:
    """A close frame (5.5.1). A reason over 123 bytes is cut; a code that may not be sent: `ValueError`."""
    if not _may_be_sent(code):
        raise ValueError(f"close code {code} may not be sent")
    text = reason.encode()[: MAX_CONTROL - 2].decode(errors="ignore")
    return _frame_control(_CLOSE, code.to_bytes(2, "big") + text.encode())


def _frame_control(opcode: int, payload: bytes) -> bytes:
    if len(payload) > MAX_CONTROL:
        raise ValueError(f"a control frame carries at most {MAX_CONTROL} bytes")
    return _frame(0x80 | opcode, payload)

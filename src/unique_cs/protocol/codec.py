"""Codecs: bytes of one message <-> frame. JSON is the default; msgpack is a subprotocol of the WebSocket."""

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from unique_cs.domain.body import UNUSABLE_BODY, CustomBody, is_plain
from unique_cs.errors import Code, UniqueCsError
from unique_cs.protocol import frames
from unique_cs.protocol.frames import ClientFrame, InvalidSend, Send, ServerFrame

Decoded = ClientFrame | InvalidSend

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that it cannot read; the latter two it does not count as its own."""


class BadFrame(UniqueCsError):
    """The bytes are no frame at all: the connection ends with 4400."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.BAD_FRAME, message)


class _Shell(Struct):
    type: str
    n: Any = None


class _CustomShell(Struct):
    body: dict[str, Any]


_TYPES: Final = frozenset(
    str(frame.__struct_config__.tag)
    for frame in (
        frames.Connect,
        frames.Send,
        frames.Subscribe,
        frames.Unsubscribe,
        frames.Typing,
        frames.Read,
        frames.Delivered,
        frames.Page,
        frames.Ping,
    )
)


_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class Codec:
    """One encoding of frames.

    `decode` raises `BadFrame` for bytes that are no frame, and `UniqueCsError` with `unknown_type`
    or `invalid` for frames that the connection survives.
    """

    def __init__(self, name: str, binary: bool, module: Any) -> None:
        self.name = name
        self.binary = binary
        self._frame = module.Decoder(ClientFrame)
        self._shell = module.Decoder(_Shell)
        self._custom = module.Decoder(_CustomShell)
        self._encoder = module.Encoder()

    def decode(self, payload: bytes) -> Decoded:
        """Return the frame in `payload`."""
        try:
            frame: ClientFrame = self._frame.decode(payload)
        except UNREADABLE as error:
            return self._explain(payload, error)
        if type(frame) is Send and type(frame.body) is CustomBody:
            return self._whole(frame, payload)
        return frame

    def _whole(self, frame: Send, payload: bytes) -> Decoded:
        """The send with its `custom` body as it came, if every other codec can carry that too."""
        try:
            body = self._custom.decode(payload).body
        except UNREADABLE as error:
            return self._explain(payload, error)
        if not is_plain(body):
            return InvalidSend(frame.n, UNUSABLE_BODY)
        frame.body = body
        return frame

    def encode(self, frame: ServerFrame) -> bytes:
        """Return the bytes of one frame."""
        encoded: bytes = self._encoder.encode(frame)
        return encoded

    def transcode(self, json: bytes) -> bytes:
        """Return the frame that `json` holds in this encoding."""
        if not self.binary:
            return json
        encoded: bytes = self._encoder.encode(msgspec.json.decode(json))
        return encoded

    def _explain(self, payload: bytes, error: Exception) -> InvalidSend:
        try:
            shell = self._read_shell(payload)
        except UNREADABLE as worse:
            raise BadFrame("a frame is an object with a type") from worse
        if shell.type not in _TYPES:
            raise UniqueCsError(Code.UNKNOWN_TYPE, f"unknown type {shell.type[:40]!r}") from error
        if shell.type == "send" and type(shell.n) is int and 0 < shell.n < 2**53:
            return InvalidSend(shell.n, str(error)[:300])
        if shell.type == "connect":
            raise BadFrame(str(error)[:300]) from error
        raise UniqueCsError(Code.INVALID, str(error)[:300]) from error

    def _read_shell(self, payload: bytes) -> _Shell:
        """The type and number of a frame that can't be read as a whole."""
        try:
            shell: _Shell = self._shell.decode(payload)
        except msgspec.DecodeError:
            if self.binary:
                raise
            # Half of a surrogate pair, as a cut emoji leaves it, is no text; the rest can be read.
            shell = self._shell.decode(_SURROGATE.sub(b"?", payload))
        return shell


JSON: Final = Codec("unique-cs.v1", False, msgspec.json)
MSGPACK: Final = Codec("unique-cs.v1+msgpack", True, msgspec.msgpack)

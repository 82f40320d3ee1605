"""Frames as a server sends them, before anybody looks into them. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from unique_cs.client.state import Frame

_Count = Annotated[int, Meta(ge=0)]
_Span = Annotated[float, Meta(ge=0, le=1e12)]


class _Actor(Struct):
    kind: str
    id: str


class _Place(Struct):
    conversation: str
    seq: _Count


class _Event(_Place):
    n: _Count | None = None


class _Named(_Place):
    epoch: str


class _Head(Struct):
    id: str
    epoch: str
    seq: _Count


class _Connected(Struct):
    session: str
    resumed: bool
    c: _Count
    actor: _Actor
    heartbeat_ms: Annotated[float, Meta(gt=0, le=1e12)]
    conversations: list[_Head] = []


class _Sent(_Place):
    n: _Count
    id: str
    time: int


class _Error(Struct):
    code: str
    message: str = ""
    n: _Count | None = None
    expected: _Count | None = None
    retry_after_ms: _Span | None = None


class _Close(Struct):
    code: int
    reason: str = ""
    after_ms: _Span | None = None


class _Conversation(Struct):
    conversation: str


_SHAPES: Final[dict[str, Any]] = {
    "connected": _Connected,
    "sent": _Sent,
    "error": _Error,
    "event": _Event,
    "advance": _Place,
    "subscribed": _Named,
    "unsubscribed": _Conversation,
    "resync": _Named,
    "close": _Close,
}
"""What a session reads of a frame; fields and frames beyond that are ignored."""


class Unreadable(ValueError):
    """A message holds no frame, or a frame lacks a field: the connection is given up."""


def read_frame(data: bytes | str) -> Frame:
    """The frame in one message. Raises `Unreadable` if it is no object with a type."""
    return _checked(_decode(data))


def read_frames(data: bytes) -> list[Frame]:
    """The frames in an array. Raises `Unreadable` if it is none of such objects."""
    found = _decode(data)
    if not isinstance(found, list):
        raise Unreadable("an answer is an array of frames")
    return [_checked(each) for each in found]


def _decode(data: bytes | str) -> object:
    try:
        found: object = msgspec.json.decode(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    return found


def _checked(value: object) -> Frame:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Unreadable("a frame is an object with a type")
    return value


def check(frame: Frame) -> None:
    """Raise `Unreadable` where a field that a session reads is missing or of another type."""
    shape = _SHAPES.get(frame["type"])
    if shape is not None:
        try:
            msgspec.convert(frame, shape)
        except msgspec.ValidationError as error:
            raise Unreadable(f"malformed {frame['type']}: {error}") from error


@contextmanager
def judging(frame: Frame) -> Iterator[None]:
    """Turn what the lack or the wrong type of a field raises within the block into `Unreadable`."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Unreadable(f"malformed {frame['type']}: {error!r}") from error

"""What a connection needs of its transport, and how frames become bytes there."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from unique_cs.domain.events import Visibility, reduce_for_contact
from unique_cs.protocol.codec import Codec
from unique_cs.protocol.frames import Advance, ServerFrame


class Link(Protocol):
    """The transport below a connection. Nothing here blocks or raises."""

    def write(self, frames: list[bytes]) -> None:
        """Send frames that the connection's `Wire` made, at once and in order."""

    def buffered(self) -> int:
        """Bytes that are written and not yet with the kernel."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye the transport's way and read no more; the connection is told when it is gone."""

    def abort(self) -> None:
        """End at once."""

    def ping(self) -> None:
        """Ask a silent client for a sign of life, where the transport can and the client may need it."""

    def pause_reading(self) -> None:
        """Read nothing until `resume_reading`; may be called again meanwhile."""

    def resume_reading(self) -> None:
        """Read again."""


class Wire:
    """A codec and a framing: one for all connections of a kind, so that bytes can be shared by receivers."""

    def __init__(self, codec: Codec, framing: Callable[[bytes], bytes]) -> None:
        self.codec = codec
        self._framing = framing

    def frame(self, frame: ServerFrame) -> bytes:
        """Bytes of a frame."""
        return self._framing(self.codec.encode(frame))

    def event(self, json: bytes) -> bytes:
        """Bytes of an event that is kept as JSON."""
        return self._framing(self.codec.transcode(json))

    def own_event(self, json: bytes, n: int) -> bytes:
        """The same for another connection of the sender's session: with `n`."""
        return self._framing(self.codec.transcode(b'%b,"n":%d}' % (json[:-1], n)))

    def partial_event(self, visibility: int, json: bytes, conversation: str, seq: int) -> bytes:
        """What a contact gets of an event that is not for it, or not wholly."""
        if visibility == Visibility.HIDDEN:
            return self.frame(Advance(conversation, seq))
        reduced = msgspec.json.encode(reduce_for_contact(msgspec.json.decode(json)))
        return self._framing(self.codec.transcode(reduced))

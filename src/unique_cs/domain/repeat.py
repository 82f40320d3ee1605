"""Whether a repeat of a send is the send that is stored."""

from typing import Any

import msgspec
from msgspec import Struct

from unique_cs.domain.body import Body


class _Data(Struct):
    body: dict[str, Any]
    private: bool = False


class _Event(Struct):
    data: _Data


_decoder = msgspec.json.Decoder(_Event)


def same_message(frame: bytes, body: Body, private: bool) -> bool:
    """Say whether the stored JSON frame of a message has this body and privacy."""
    stored = _decoder.decode(frame).data
    return stored.private == private and stored.body == msgspec.json.decode(msgspec.json.encode(body))

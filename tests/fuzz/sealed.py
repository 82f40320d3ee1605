"""Fuzz targets of `unique-cs.v1+sm`: the handshake of either side, and the records."""

import random
from collections.abc import Callable
from typing import Final

from tests.fuzz.target import Target
from unique_cs.sm.channel import BadRecord, Channel, channel
from unique_cs.sm.curve import NotOnCurve, decode, encode
from unique_cs.sm.handshake import BadHello, answer, begin, fingerprint, finish, make_credentials
from unique_cs.sm.sm2 import key_of, verify

_draw: Final = random.Random(1).randbytes
_IDENTITY: Final = key_of(7)
_PIN: Final = fingerprint(_IDENTITY.public)
_CREDENTIALS: Final = make_credentials(_IDENTITY, _draw)
_HELLO: Final = begin(_draw)
_ANSWER: Final = answer(_CREDENTIALS, _HELLO.message, _draw)[0]
_RECORDS: Final = [b"", b'{"type":"ping"}', bytes(100)]


def server(data: bytes) -> None:
    """A hello is refused or answered."""
    try:
        message, _ = answer(_CREDENTIALS, data, _draw)
    except BadHello:
        return
    assert len(data) == len(_HELLO.message)
    assert len(message) == len(_ANSWER)


def client(data: bytes) -> None:
    """An answer is refused, or has the pinned key's word for its agreement key."""
    try:
        finish(_HELLO, data, _PIN)
    except BadHello:
        return
    assert data[1:195] == _ANSWER[1:195]


def points(data: bytes) -> None:
    """Bytes are refused, or are those of a point on the curve."""
    try:
        point = decode(data)
    except NotOnCurve:
        return
    assert encode(point) == data


def signatures(data: bytes) -> None:
    """No signature but ours is good."""
    good = _ANSWER[131:195]
    message = b"unique-cs.v1+sm agreement key" + _ANSWER[66:131]
    assert verify(_IDENTITY.public, b"unique-cs.server", message, data) is (data == good)


def record(data: bytes) -> None:
    """Only the next record is opened."""
    opener, first = _side(client=False).opener, _sealed()[0]
    try:
        opener.open(data)
    except BadRecord:
        assert data != first
    else:
        assert data == first


def _side(*, client: bool) -> Channel:
    return channel(bytes(range(56)), b"bound", client=client)


def _sealed() -> list[bytes]:
    sealer = _side(client=True).sealer
    return [sealer.seal(each) for each in _RECORDS]


def _seeds(*seeds: bytes) -> Callable[[], list[bytes]]:
    return lambda: list(seeds)


TARGETS: Final = {
    "sm-hello": Target(server, _seeds(_HELLO.message)),
    "sm-answer": Target(client, _seeds(_ANSWER)),
    "sm-point": Target(points, _seeds(encode(_IDENTITY.public))),
    "sm-signature": Target(signatures, _seeds(_ANSWER[131:195])),
    "sm-record": Target(record, _sealed),
}

"""Fuzz target of `unique-cs.v1+sm`: its handshake, on both sides, and its records."""

import random
from contextlib import suppress
from typing import Final

from tests.fuzz.target import Target
from unique_cs.sm.channel import BadRecord
from unique_cs.sm.handshake import BadHello, answer, begin, fingerprint, finish, make_credentials
from unique_cs.sm.sm2 import make_key

_DRAW: Final = random.Random(3).randbytes
_IDENTITY: Final = make_key(_DRAW)
_CREDENTIALS: Final = make_credentials(_IDENTITY, _DRAW)
_PIN: Final = fingerprint(_IDENTITY.public)
_HELLO: Final = begin(_DRAW)
_ANSWER: Final = answer(_CREDENTIALS, _HELLO.message, _DRAW)[0]


def sm(data: bytes) -> None:
    """The first byte says who hears the rest: a server, a client, or either one's open channel."""
    message = data[1:]
    match data[0] % 3 if data else 3:
        case 0:
            with suppress(BadHello):
                answer(_CREDENTIALS, message, _DRAW)
        case 1:
            with suppress(BadHello):
                finish(_HELLO, message, _PIN)
                assert message == _ANSWER
        case 2:
            channel = finish(_HELLO, _ANSWER, _PIN)
            with suppress(BadRecord):
                channel.opener.open(message)
                raise AssertionError("nobody sealed this")


TARGETS: Final = {
    "sm": Target(sm, lambda: [b"\0" + _HELLO.message, b"\1" + _ANSWER, b"\2" + bytes(40)]),
}

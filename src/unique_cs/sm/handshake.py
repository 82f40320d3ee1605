"""The handshake of `unique-cs.v1+sm`: two messages, then both sides have a `Channel`. Pure.

`docs/guides/national-crypto.md` has the layout of the bytes.
"""

from typing import Final, NamedTuple

from unique_cs.sm.channel import KEYS_BYTES, Channel, channel
from unique_cs.sm.curve import POINT_BYTES, NotOnCurve, Point, decode, encode
from unique_cs.sm.sm2 import SIGNATURE_BYTES, Draw, Key, Party, agree, make_key, sign, sm3, verify

SUBPROTOCOL: Final = "unique-cs.v1+sm"
VERSION: Final = b"\x01"
CLIENT: Final = b"unique-cs.client"
SERVER: Final = b"unique-cs.server"
"""The names of the two sides, ID_A and ID_B of the standard."""

CLIENT_HELLO_BYTES: Final = 1 + 2 * POINT_BYTES
SERVER_HELLO_BYTES: Final = 1 + 3 * POINT_BYTES + SIGNATURE_BYTES
_STATEMENT: Final = b"unique-cs.v1+sm agreement key"


class BadHello(ValueError):
    """A message of the handshake that is malformed, or not of the server that was meant."""


def fingerprint(public: Point) -> str:
    """What clients know a server by: SM3 of the identity key's 65 bytes, 64 hexadecimal digits."""
    return sm3(encode(public)).hex()


class Credentials(NamedTuple):
    """What a server answers with: its agreement key, and the identity key's word for it."""

    agreement: Key
    statement: bytes


def make_credentials(identity: Key, draw: Draw) -> Credentials:
    """A new agreement key, signed. The identity key does nothing else."""
    agreement = make_key(draw)
    public = encode(agreement.public)
    signature = sign(identity, SERVER, _STATEMENT + public, draw)
    return Credentials(agreement, encode(identity.public) + public + signature)


def answer(credentials: Credentials, hello: bytes, draw: Draw) -> tuple[bytes, Channel]:
    """The server's message in answer to a client's, and its channel. Raises `BadHello`."""
    public, once = _points(hello, CLIENT_HELLO_BYTES, 1, 2)
    own = make_key(draw)
    message = VERSION + credentials.statement + encode(own.public)
    initiator = Party(CLIENT, public, once)
    responder = Party(SERVER, credentials.agreement.public, own.public)
    keys = _agree(credentials.agreement, own, initiator, responder, initiates=False)
    return message, channel(keys, sm3(hello + message), client=False)


class Hello(NamedTuple):
    """A client's side of a handshake that has begun: two key pairs for this connection only."""

    own: Key
    once: Key
    message: bytes


def begin(draw: Draw) -> Hello:
    """The client's message, and what `finish` needs."""
    own, once = make_key(draw), make_key(draw)
    return Hello(own, once, VERSION + encode(own.public) + encode(once.public))


def finish(hello: Hello, message: bytes, pin: str) -> Channel:
    """The client's channel. `pin` is the server's fingerprint. Raises `BadHello`."""
    identity, agreement = _points(message, SERVER_HELLO_BYTES, 1, 2)
    signature_at = 1 + 2 * POINT_BYTES
    signature = message[signature_at : signature_at + SIGNATURE_BYTES]
    (once,) = _points(message, SERVER_HELLO_BYTES, signature_at + SIGNATURE_BYTES, 1)
    if fingerprint(identity) != pin.lower():
        raise BadHello("the server has another identity key")
    if not verify(identity, SERVER, _STATEMENT + encode(agreement), signature):
        raise BadHello("the server's agreement key is not signed")
    initiator = Party(CLIENT, hello.own.public, hello.once.public)
    keys = _agree(hello.own, hello.once, initiator, Party(SERVER, agreement, once), initiates=True)
    return channel(keys, sm3(hello.message + message), client=True)


def _points(message: bytes, size: int, start: int, count: int) -> list[Point]:
    """The points that stand in a message from a place on."""
    if len(message) != size or message[:1] != VERSION:
        raise BadHello("no handshake of this version")
    places = range(start, start + count * POINT_BYTES, POINT_BYTES)
    try:
        return [decode(message[at : at + POINT_BYTES]) for at in places]
    except NotOnCurve as error:
        raise BadHello(str(error)) from error


def _agree(own: Key, once: Key, initiator: Party, responder: Party, *, initiates: bool) -> bytes:
    try:
        return agree(own, once, initiator, responder, KEYS_BYTES, initiates=initiates)
    except NotOnCurve as error:
        raise BadHello(str(error)) from error

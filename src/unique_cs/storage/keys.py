"""Keys of the hot tier. Numbers are big-endian, so that byte order is their order.

| first byte | rest | value |
|---|---|---|
| e | conversation, seq | event row |
| c | conversation | state of the conversation |
| i | conversation | index of those not resolved |
| o | contact, conversation | index of a contact's conversations |
| s | session | session row |
| a | session, n | answer row |
| r | conversation, kind, actor | cursors |
| k | contact | contact row |
| x | inbox, digest of identifier | contact |
| l | number of the group | what the group wrote, for the relay |
| m | name | facts of the installation |
"""

from hashlib import blake2b
from struct import Struct

_one = Struct(">cQ").pack
_two = Struct(">cQQ").pack
_answer = Struct(">c16sQ").pack

LAST = 2**64 - 1


def event(conversation: int, seq: int) -> bytes:
    """Key of an event row."""
    return _two(b"e", conversation, seq)


def state(conversation: int) -> bytes:
    """Key of a conversation's state."""
    return _one(b"c", conversation)


def not_resolved(conversation: int) -> bytes:
    """Key in the index of conversations that are not resolved."""
    return _one(b"i", conversation)


def owned(contact: int, conversation: int) -> bytes:
    """Key in the index of a contact's conversations."""
    return _two(b"o", contact, conversation)


def session(key: bytes) -> bytes:
    """Key of a session row; `key` has 16 bytes."""
    return b"s" + key


def answer(session_key: bytes, n: int) -> bytes:
    """Key of the answer to send `n` of a session."""
    return _answer(b"a", session_key, n)


def cursors(conversation: int) -> bytes:
    """What the keys of a conversation's cursors begin with."""
    return _one(b"r", conversation)


def cursor(conversation: int, kind: str, actor: str) -> bytes:
    """Key of one participant's cursors."""
    return cursors(conversation) + kind[:1].encode() + int(actor).to_bytes(8, "big")


def contact(contact_id: int) -> bytes:
    """Key of a contact row."""
    return _one(b"k", contact_id)


def identifier(inbox: int, text: str) -> bytes:
    """Key in the index of identified contacts."""
    return _one(b"x", inbox) + blake2b(text.encode(), digest_size=16).digest()


def group(number: int) -> bytes:
    """Key of a group's row."""
    return _one(b"l", number)


def fact(name: str) -> bytes:
    """Key of a fact of the installation."""
    return b"m" + name.encode()


def number_at(key: bytes) -> int:
    """The last eight bytes of a key, as a number."""
    return int.from_bytes(key[-8:], "big")


def after(prefix: bytes) -> bytes:
    """The first key beyond all that begin with `prefix`."""
    return (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")

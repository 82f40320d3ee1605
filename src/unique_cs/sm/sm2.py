"""SM2: signatures (GB/T 32918.2) and key agreement (GB/T 32918.3), on the curve of GB/T 32918.5.

Pure: random bytes come in as arguments.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.hashes import SM3, Hash

from unique_cs.sm.curve import A, B, G, N, NotOnCurve, Point, curve, encode

SIGNATURE_BYTES: Final = 64
_HALF: Final = 1 << 127
"""2^w, where w = ⌈⌈log2 n⌉ / 2⌉ − 1 (GB/T 32918.3, 6.1)."""

Draw = Callable[[int], bytes]
"""Gives so many random bytes that nobody can predict."""


class Key(NamedTuple):
    """A private number and the point that belongs to it."""

    private: int
    public: Point


def make_key(draw: Draw) -> Key:
    """A new key pair (GB/T 32918.1, 6.1)."""
    return key_of(_scalar(draw, N - 2))


def key_of(private: int) -> Key:
    """The pair of a private number. Raises `ValueError` unless it lies in [1, n-2]."""
    if not 0 < private < N - 1:
        raise ValueError("a private key lies in [1, n-2]")
    return Key(private, curve().multiply(private, G))


def _scalar(draw: Draw, most: int) -> int:
    """A number in [1, most], evenly drawn: 64 bits more than needed take the bias away."""
    return int.from_bytes(draw(40), "big") % most + 1


def sm3(data: bytes) -> bytes:
    """The 32 bytes of SM3 (GB/T 32905)."""
    digest = Hash(SM3())
    digest.update(data)
    return digest.finalize()


def identity(name: bytes, public: Point) -> bytes:
    """Z: the hash of a name, the curve and a public key (GB/T 32918.2, 5.5)."""
    numbers = b"".join(number.to_bytes(32, "big") for number in (A, B, *G, *public))
    return sm3((8 * len(name)).to_bytes(2, "big") + name + numbers)


def derive(shared: bytes, size: int) -> bytes:
    """The key derivation function KDF (GB/T 32918.3, 5.4.3)."""
    blocks = (sm3(shared + counter.to_bytes(4, "big")) for counter in range(1, -(-size // 32) + 1))
    return b"".join(blocks)[:size]


# Signatures


def sign(key: Key, name: bytes, message: bytes, draw: Draw) -> bytes:
    """The signature r ‖ s (GB/T 32918.2, 6.1)."""
    digest = int.from_bytes(sm3(identity(name, key.public) + message), "big")
    while True:
        k = _scalar(draw, N - 1)
        r = (digest + curve().multiply(k, G)[0]) % N
        s = pow(1 + key.private, -1, N) * (k - r * key.private) % N
        if r and s and r + k != N:
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify(public: Point, name: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is of that key and name (GB/T 32918.2, 7.1)."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    t = (r + s) % N
    if len(signature) != SIGNATURE_BYTES or not 0 < r < N or not 0 < s < N or not t:
        return False
    digest = int.from_bytes(sm3(identity(name, public) + message), "big")
    try:
        x, _ = curve().add(curve().multiply(s, G), curve().multiply(t, public))
    except NotOnCurve:
        return False
    return (digest + x) % N == r


# Key agreement


class Party(NamedTuple):
    """What the other side of an agreement knows of one: its name, its public key, its one-time point."""

    name: bytes
    public: Point
    once: Point


def agree(own: Key, once: Key, initiator: Party, responder: Party, size: int, *, initiates: bool) -> bytes:
    """The shared key of `size` bytes (GB/T 32918.3, 6.1), for either side.

    `own` is this side's key pair and `once` its pair for this agreement. Raises `NotOnCurve` where the other
    side's points lead nowhere.
    """
    other = responder if initiates else initiator
    t = (own.private + _bar(once.public) * once.private) % N
    if not t:
        raise NotOnCurve("the agreement's number is zero")
    point = curve().add(other.public, curve().multiply(_bar(other.once), other.once))
    shared = encode(curve().multiply(t, point))[1:]
    names = identity(initiator.name, initiator.public) + identity(responder.name, responder.public)
    return derive(shared + names, size)


def _bar(point: Point) -> int:
    """x̄ = 2^w + (x AND (2^w − 1))."""
    return _HALF + (point[0] & (_HALF - 1))

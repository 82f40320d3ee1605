"""The records of one connection: SM4-GCM (GB/T 32907, RFC 8998) with a counter for a nonce. Pure."""

from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM

KEY_BYTES: Final = 16
IV_BYTES: Final = 12
OVERHEAD: Final = 16
"""Bytes by which a record is longer than what it hides: the tag of GCM."""


class BadRecord(ValueError):
    """A record that the other side did not make, or not at this place."""


class _Direction:
    """A key and a counter; each number is used once."""

    __slots__ = ("_bound", "_cipher", "_count", "_iv")

    def __init__(self, key: bytes, iv: bytes, bound: bytes) -> None:
        """`bound` is authenticated with each record: the hash of the handshake."""
        self._cipher = SM4(key)
        self._iv = int.from_bytes(iv, "big")
        self._bound = bound
        self._count = 0

    def _nonce(self) -> bytes:
        return (self._iv ^ self._count).to_bytes(IV_BYTES, "big")


class Sealer(_Direction):
    """Makes the records of one direction."""

    __slots__ = ()

    def seal(self, plain: bytes) -> bytes:
        """The next record: what is hidden, then its tag of 16 bytes."""
        encryptor = Cipher(self._cipher, GCM(self._nonce())).encryptor()
        self._count += 1
        encryptor.authenticate_additional_data(self._bound)
        return encryptor.update(plain) + encryptor.finalize() + encryptor.tag


class Opener(_Direction):
    """Reads the records of one direction, in the order in which they were made."""

    __slots__ = ()

    def open(self, record: bytes) -> bytes:
        """What the record hides. Raises `BadRecord`; then the connection is over."""
        if len(record) < OVERHEAD:
            raise BadRecord("too short for a record")
        mode = GCM(self._nonce(), record[-OVERHEAD:])
        decryptor = Cipher(self._cipher, mode).decryptor()
        decryptor.authenticate_additional_data(self._bound)
        plain = decryptor.update(record[:-OVERHEAD])
        try:
            plain += decryptor.finalize()
        except InvalidTag as error:
            raise BadRecord("changed, repeated, lost or out of order") from error
        self._count += 1
        return plain


class Channel(NamedTuple):
    """Both directions, as one side sees them."""

    sealer: Sealer
    opener: Opener


def channel(keys: bytes, bound: bytes, *, client: bool) -> Channel:
    """The records of a side. `keys`: those of the client's direction and of the server's, then their IVs."""
    split = 2 * KEY_BYTES
    up = keys[:KEY_BYTES], keys[split : split + IV_BYTES]
    down = keys[KEY_BYTES:split], keys[split + IV_BYTES :]
    own, other = (up, down) if client else (down, up)
    return Channel(Sealer(*own, bound), Opener(*other, bound))


KEYS_BYTES: Final = 2 * (KEY_BYTES + IV_BYTES)

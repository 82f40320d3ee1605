"""Bearer tokens: signed ones of contacts, which need no store, and random ones of agents, kept as a hash."""

import hmac
from base64 import b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import sha256
from secrets import token_urlsafe
from struct import Struct as Layout
from typing import Final, NamedTuple

CONTACT_PREFIX: Final = "ucc_"
AGENT_PREFIX: Final = "uca_"
"""What a token begins with: it says what the token is, to scanners for leaked secrets too."""

_DAY_MS: Final = 86_400_000
_CLAIM: Final = Layout(">BQQQ")
_VERSION: Final = 1
_LENGTH: Final = len(CONTACT_PREFIX) + (_CLAIM.size + sha256().digest_size) * 4 // 3
_BLOCK: Final = sha256().block_size
_PURPOSE: Final = b"unique-cs contact token\x00"


class ContactClaim(NamedTuple):
    """Whom a contact's token names."""

    inbox: int
    contact: int
    issued_ms: int


class ContactTokens:
    """Makes and checks contacts' tokens: version, inbox, contact and time, under HMAC-SHA256."""

    def __init__(self, secret: bytes, days: int) -> None:
        """`secret` is the installation's; a token is valid for `days`."""
        # Both halves of the HMAC as far as they are the same for every token (RFC 2104, 4).
        key = secret if len(secret) <= _BLOCK else sha256(secret).digest()
        self._inner = sha256(_padded(key, 0x36) + _PURPOSE)
        self._outer = sha256(_padded(key, 0x5C))
        self._valid_ms = days * _DAY_MS

    def issue(self, inbox: int, contact: int, now_ms: int) -> str:
        """Return a token for the contact."""
        claim = _CLAIM.pack(_VERSION, inbox, contact, now_ms)
        return CONTACT_PREFIX + urlsafe_b64encode(claim + self._signature(claim)).decode()

    def read(self, token: str, now_ms: int) -> ContactClaim | None:
        """Return what the token says, or None if it was not issued here or has expired."""
        raw = _decode(token)
        claim, signature = raw[: _CLAIM.size], raw[_CLAIM.size :]
        if not hmac.compare_digest(signature, self._signature(claim)):
            return None
        version, inbox, contact, issued_ms = _CLAIM.unpack(claim)
        if version != _VERSION or now_ms - issued_ms >= self._valid_ms:
            return None
        return ContactClaim(inbox, contact, issued_ms)

    def _signature(self, claim: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(claim)
        outer.update(inner.digest())
        return outer.digest()


def _padded(key: bytes, pad: int) -> bytes:
    return bytes(byte ^ pad for byte in key.ljust(_BLOCK, b"\0"))


def _decode(token: str) -> bytes:
    """Return the bytes of a contact's token; empty if it cannot be one."""
    if not token.startswith(CONTACT_PREFIX) or len(token) != _LENGTH or "+" in token or "/" in token:
        return b""  # base64 takes the letters of both of its alphabets
    try:
        return b64decode(token[len(CONTACT_PREFIX) :], b"-_", validate=True)
    except (Error, ValueError):
        return b""


def new_agent_token() -> str:
    """Return a random token of 256 bits."""
    return AGENT_PREFIX + token_urlsafe(32)


def hash_of(token: str) -> str:
    """Return what is stored of an agent's token."""
    return sha256(token.encode()).hexdigest()

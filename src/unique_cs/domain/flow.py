"""Flow control: token buckets."""

from collections.abc import Callable, Hashable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network
from typing import Final, Protocol

NETWORK_BITS: Final = 64
"""Bits of an IPv6 address that tell households apart: of the others each has all (RFC 6177)."""


class TokenBucket:
    """Lets `rate` things a second pass, and up to `burst` at once. Times are monotonic seconds."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = 0.0

    def take(self, now: float) -> int:
        """Take one token: 0 if it was there, else the milliseconds (>= 1) until one will be."""
        tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if tokens >= 1.0:
            self._tokens = tokens - 1.0
            return 0
        self._tokens = tokens
        return 1 + int((1.0 - tokens) / self._rate * 1000)


class KeyedBuckets:
    """One bucket for each key (an IP, a contact); holds at most `max_keys`, the longest unused go first."""

    def __init__(self, rate: float, burst: float, max_keys: int = 100_000) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: dict[Hashable, TokenBucket] = {}

    def take(self, key: Hashable, now: float) -> int:
        """As `TokenBucket.take`, for the bucket of `key`."""
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, self._burst)
        self._buckets[key] = bucket
        if len(self._buckets) > self._max_keys:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(now)


class Buckets(Protocol):
    """One bucket for each key, maybe shared with other nodes."""

    def take(self, key: str, now: float) -> int:
        """As `TokenBucket.take`, for the bucket of `key`."""


class AddressBuckets:
    """Buckets for IP addresses; those of one network share one."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def take(self, key: str, now: float) -> int:
        """As `Buckets.take`, for the network of the address `key`."""
        return self._buckets.take(network_of(key), now)


@lru_cache(4_096)
def network_of(address: str) -> str:
    """Whom an IP address belongs to: the address itself, or the network of an IPv6 address."""
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = found.ipv4_mapped
    return str(IPv6Network((int(found), NETWORK_BITS), strict=False)) if mapped is None else str(mapped)


MakeBuckets = Callable[[str, float, float], Buckets]
"""Makes the buckets of a purpose, from its name, a rate and a burst."""


def own_buckets(name: str, rate: float, burst: float) -> Buckets:
    """Buckets of this node alone."""
    return KeyedBuckets(rate, burst)

"""Passwords: Argon2id (RFC 9106) in a small pool of threads, since one takes tens of milliseconds."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_bytes
from typing import Final, TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from unique_cs.errors import Code, UniqueCsError

T = TypeVar("T")

MIN_LENGTH: Final = 10
MAX_LENGTH: Final = 1_024

_THREADS: Final = 2
_MAX_WAITING: Final = 50
_MEMORY_KIB: Final = 19 * 1024
_ITERATIONS: Final = 3
# The hash of no password that anybody knows; checking against it takes as long as against a real one.
_NOBODY: Final = f"$argon2id$v=19$m={_MEMORY_KIB},t={_ITERATIONS},p=1${'A' * 22}${'A' * 43}"


class Passwords:
    """Hashes and checks passwords. More than 50 that wait are refused with `overloaded`."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, "passwords")
        self._waiting = 0

    async def check(self, password: str, phc: str | None) -> bool:
        """Say whether `password` is the one that `phc` was made of; takes as long if `phc` is None."""
        matches = await self._run(lambda: _matches(password, phc or _NOBODY))
        return matches and phc is not None

    async def hash(self, password: str) -> str:
        """Return the PHC string of a password, with a new salt."""
        return await self._run(lambda: hash_password(password))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MAX_WAITING:
            raise UniqueCsError(Code.OVERLOADED, "too many logins at once", retry_after_ms=2_000)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False)


def hash_password(password: str) -> str:
    """Return the PHC string of a password, with a new salt. Takes about 50 ms."""
    salt = token_bytes(16)
    kdf = Argon2id(salt=salt, length=32, iterations=_ITERATIONS, lanes=1, memory_cost=_MEMORY_KIB)
    return kdf.derive_phc_encoded(password.encode())


def _matches(password: str, phc: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(password.encode(), phc)
    except InvalidKey:
        return False
    return True

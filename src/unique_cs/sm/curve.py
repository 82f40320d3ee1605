"""The curve of GB/T 32918.5: arithmetic by the system's libcrypto where there is one, else by gmalg."""

import ctypes
import functools
from typing import Any, Final, Protocol

from gmalg.ellipticcurve import ECDLP

Point = tuple[int, int]

P: Final = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
A: Final = P - 3
B: Final = 0x28E9FA9E_9D9F5E34_4D5A9E4B_CF6509A7_F39789F5_15AB8F92_DDBCBD41_4D940E93
N: Final = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123
G: Final = (
    0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7,
    0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0,
)
POINT_BYTES: Final = 65
"""A point on the wire: 0x04, x and y, 32 bytes each (GB/T 32918.1, 4.2.8, uncompressed)."""

_NID_SM2: Final = 1172
_LIBRARIES: Final = ("libcrypto.so.4", "libcrypto.so.3", "libcrypto.so.1.1")


class NotOnCurve(ValueError):
    """The bytes are no point of the curve, or a result is the point at infinity."""


class Curve(Protocol):
    """Points have been checked with `on_curve`. Raises `NotOnCurve` where the result is infinite."""

    def multiply(self, k: int, point: Point) -> Point:
        """`k` times the point; 0 < k < n."""

    def add(self, one: Point, other: Point) -> Point:
        """The sum of two points."""


def on_curve(point: Point) -> bool:
    """Whether the point satisfies the equation; the cofactor is 1, so that it has the right order too."""
    x, y = point
    return 0 <= x < P and 0 <= y < P and (y * y - (x * x + A) * x - B) % P == 0


def encode(point: Point) -> bytes:
    """Return the 65 bytes of a point."""
    return b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def decode(data: bytes) -> Point:
    """Return the point in 65 bytes. Raises `NotOnCurve`."""
    point = int.from_bytes(data[1:33], "big"), int.from_bytes(data[33:], "big")
    if len(data) != POINT_BYTES or data[0] != 4 or not on_curve(point):
        raise NotOnCurve("no point of the curve")
    return point


@functools.cache
def curve() -> Curve:
    """The faster one that this machine has."""
    for name in _LIBRARIES:
        try:
            return Libcrypto(name)
        except (OSError, AttributeError, NotOnCurve):
            continue
    return Gmalg()


class Gmalg:
    """Pure Python: some 8 ms a multiplication, whose time depends on the number."""

    def __init__(self) -> None:
        self._ec = ECDLP(P, A, B, G, N).ec

    def multiply(self, k: int, point: Point) -> Point:
        return _finite(self._ec.mul(k, point), self._ec.INF)

    def add(self, one: Point, other: Point) -> Point:
        return _finite(self._ec.add(one, other), self._ec.INF)


def _finite(point: Any, infinity: Any) -> Point:
    if point == infinity:
        raise NotOnCurve("the result is infinite")
    return int(point[0]), int(point[1])


class Libcrypto:
    """OpenSSL's: some 0.3 ms a multiplication by its ladder, during which other threads run."""

    def __init__(self, name: str) -> None:
        """Raises `OSError` without the library, `AttributeError` or `NotOnCurve` if it lacks the curve."""
        self._lib = ctypes.CDLL(name)
        for function, kinds in _SIGNATURES.items():
            found = getattr(self._lib, function)
            found.restype, found.argtypes = kinds[0], kinds[1:]
        self._group = self._lib.EC_GROUP_new_by_curve_name(_NID_SM2)
        if not self._group or self.multiply(1, G) != G:
            raise NotOnCurve("the library does not know the curve")

    def multiply(self, k: int, point: Point) -> Point:
        lib, held = self._lib, self._point(point)
        number = lib.BN_bin2bn(k.to_bytes(32, "big"), 32, None)
        try:
            done = lib.EC_POINT_mul(self._group, held, None, held, number, None)
            return self._read(held, done)
        finally:
            lib.BN_clear_free(number)
            lib.EC_POINT_clear_free(held)

    def add(self, one: Point, other: Point) -> Point:
        lib, first, second = self._lib, self._point(one), self._point(other)
        try:
            return self._read(first, lib.EC_POINT_add(self._group, first, first, second, None))
        finally:
            lib.EC_POINT_clear_free(first)
            lib.EC_POINT_clear_free(second)

    def _point(self, point: Point) -> int:
        """A point of the library's, to be freed."""
        held: int = self._lib.EC_POINT_new(self._group)
        data = encode(point)
        if not held or not self._lib.EC_POINT_oct2point(self._group, held, data, len(data), None):
            self._lib.EC_POINT_clear_free(held)
            raise NotOnCurve("no point of the curve")
        return held

    def _read(self, held: int, done: int) -> Point:
        data = ctypes.create_string_buffer(POINT_BYTES)
        size = self._lib.EC_POINT_point2oct(self._group, held, 4, data, POINT_BYTES, None)
        if not done or size != POINT_BYTES:
            raise NotOnCurve("the result is infinite")
        return decode(data.raw)


_POINTER, _INT, _SIZE, _BYTES = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
_SIGNATURES: Final[dict[str, tuple[Any, ...]]] = {
    "EC_GROUP_new_by_curve_name": (_POINTER, _INT),
    "EC_POINT_new": (_POINTER, _POINTER),
    "EC_POINT_clear_free": (None, _POINTER),
    "EC_POINT_oct2point": (_INT, _POINTER, _POINTER, _BYTES, _SIZE, _POINTER),
    "EC_POINT_point2oct": (_SIZE, _POINTER, _POINTER, _INT, _BYTES, _SIZE, _POINTER),
    "EC_POINT_mul": (_INT, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER),
    "EC_POINT_add": (_INT, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER),
    "BN_bin2bn": (_POINTER, _BYTES, _INT, _POINTER),
    "BN_clear_free": (None, _POINTER),
}

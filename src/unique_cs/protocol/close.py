"""The closed table of close codes. The range says who is at fault and whether to come back."""

from typing import Final, NamedTuple


class CloseCode(NamedTuple):
    """A reason to close: 4400-4499 the client is wrong, 4500-4599 it should come back after a while."""

    code: int
    reason: str
    reconnect: bool


BAD_FRAME: Final = CloseCode(4400, "bad frame", False)
UNAUTHORIZED: Final = CloseCode(4401, "unauthorized", True)
FORBIDDEN: Final = CloseCode(4403, "forbidden", False)
CONNECT_TIMEOUT: Final = CloseCode(4408, "no connect in time", True)
REPLACED: Final = CloseCode(4409, "replaced", False)
TOO_LARGE: Final = CloseCode(4413, "frame too large", False)
INTERNAL: Final = CloseCode(4500, "internal", True)
DRAINING: Final = CloseCode(4503, "draining", True)
HEARTBEAT_MISSED: Final = CloseCode(4504, "heartbeat missed", True)
TOO_SLOW: Final = CloseCode(4508, "too slow", True)
OVERLOADED: Final = CloseCode(4529, "overloaded", True)

ALL: Final = (
    BAD_FRAME,
    UNAUTHORIZED,
    FORBIDDEN,
    CONNECT_TIMEOUT,
    REPLACED,
    TOO_LARGE,
    INTERNAL,
    DRAINING,
    HEARTBEAT_MISSED,
    TOO_SLOW,
    OVERLOADED,
)

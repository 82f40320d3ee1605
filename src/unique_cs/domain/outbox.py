"""What is told to a webhook: its JSON, its signature, and when it is tried again. Pure."""

import hmac
from base64 import b64decode, b64encode
from typing import Any, Final

import msgspec
from msgspec import Struct

from unique_cs.domain.events import (
    CONVERSATION_ASSIGNED,
    CONVERSATION_LABELLED,
    CONVERSATION_OPENED,
    CONVERSATION_STATUS_CHANGED,
    MESSAGE_CREATED,
)

ALARM_RAISED: Final = "alarm.raised"
ALARM_OVER: Final = "alarm.over"
EVENTS: Final = frozenset(
    {
        MESSAGE_CREATED,
        CONVERSATION_OPENED,
        CONVERSATION_ASSIGNED,
        CONVERSATION_STATUS_CHANGED,
        CONVERSATION_LABELLED,
    }
)
"""Events of conversations that a webhook may ask for."""

MOST_REFUSALS: Final = 5
"""A receiver that answers 4xx so often to one delivery does not want it."""

OLDEST_MS: Final = 3 * 86_400_000
"""What could not be delivered for this long is not tried any more."""

PARKED_MS: Final = 30 * 86_400_000
"""How long it is kept for an operator to look at."""

_FIRST_S: Final = 1.0
_LONGEST_S: Final = 300.0
_PREFIX: Final = "whsec_"


class Delivery(Struct, frozen=True):
    """One thing to tell. They are told in the order of (place, n); `attempts` counts those that failed.

    `id` is the same for every attempt, so a receiver knows what it has had already.
    """

    place: int
    n: int
    id: str
    name: str
    time: int
    body: bytes
    attempts: int = 0


class _Told(Struct):
    id: str
    type: str
    time: int
    data: msgspec.Raw | dict[str, Any]


_encode = msgspec.json.Encoder().encode


def delivery(place: int, n: int, number: str, name: str, time: int, data: bytes | dict[str, Any]) -> Delivery:
    """Make a delivery; `data` may be JSON already."""
    raw = msgspec.Raw(data) if isinstance(data, bytes) else data
    return Delivery(place, n, number, name, time, _encode(_Told(number, name, time, raw)))


def secret_key(secret: str) -> bytes:
    """The key of a secret: what is behind `whsec_` in base64, or the text itself. Raises `ValueError`."""
    if secret.startswith(_PREFIX):
        return b64decode(secret.removeprefix(_PREFIX), validate=True)
    return secret.encode()


def headers(key: bytes, told: Delivery, now_s: int) -> dict[str, str]:
    """The headers of one attempt, as Standard Webhooks 1.0 has them: id, time and signature."""
    signed = b"%s.%d.%s" % (told.id.encode(), now_s, told.body)
    mark = b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "content-type": "application/json",
        "webhook-id": told.id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": f"v1,{mark}",
    }


def pause_s(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row; `chance` in 0..1 spreads them over its upper half."""
    longest = min(_LONGEST_S, _FIRST_S * 2.0 ** min(failures - 1, 30))
    return longest * (0.5 + chance / 2)


def is_refusal(status: int) -> bool:
    """Whether an answer is about this one delivery, and not about the receiver's present state."""
    return 400 <= status < 500 and status not in (401, 403, 404, 408, 425, 429)

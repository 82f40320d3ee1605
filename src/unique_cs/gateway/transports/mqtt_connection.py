"""A session's connection inside an MQTT connection, and what each calls the end of the other."""

from typing import Any, Final

import msgspec

from unique_cs.domain.permission import Principal
from unique_cs.errors import Code, UniqueCsError
from unique_cs.gateway.connection import Connection
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.link import Link, Wire
from unique_cs.protocol import close
from unique_cs.protocol import mqtt_packets as packets
from unique_cs.protocol.codec import JSON, UNREADABLE

WIRE: Final = Wire(JSON, lambda payload: payload)


class MqttConnection(Connection):
    """It is of the actor that the password named, whatever token its `connect` has, and keeps MQTT's time.

    `owner` is None until the password is checked.
    """

    __slots__ = ("_heard", "_keep_alive", "owner")

    def __init__(self, gateway: Gateway, link: Link, address: str) -> None:
        super().__init__(gateway, link, WIRE, address)
        self.owner: Principal | None = None
        self._heard = gateway.wheel.tick
        self._keep_alive = 0

    def own(self, owner: Principal, keep_alive: int) -> None:
        """Whose it is, and after how many ticks of silence MQTT's keep-alive ends it; 0 for none."""
        self.owner, self._keep_alive = owner, keep_alive
        if keep_alive:
            wheel = self.gateway.wheel
            wheel.add(self, wheel.tick + min(keep_alive, self.gateway.connect_ticks))

    async def authenticate(self, token: str) -> Principal:
        principal = await super().authenticate(token)
        if self.owner is None or not is_same(principal, self.owner):
            raise UniqueCsError(Code.UNAUTHORIZED, "the token is another actor's than the password")
        return principal

    def alive(self) -> None:
        self._heard = self.gateway.wheel.tick
        super().alive()

    def expire(self, tick: int) -> int:
        deadline = self._heard + self._keep_alive
        if self._keep_alive and tick >= deadline and not self.closed:
            self.close(close.HEARTBEAT_MISSED)
            return 0
        later = super().expire(tick)
        return min(later, deadline) if later and self._keep_alive else later


def is_same(one: Principal, other: Principal) -> bool:
    """Whether two tokens are of the same actor."""
    return (one.kind, one.id) == (other.kind, other.id)


class Asked(msgspec.Struct):
    """What a transport has to know of a frame; the codec judges it."""

    type: Any = None
    token: Any = None
    session: Any = None
    c: Any = None


def asked_in(payload: bytes) -> Asked | None:
    """The frame in a payload, or None if that is no JSON object."""
    try:
        return _asked.decode(payload)
    except UNREADABLE:
        return None


def connect_in(payload: bytes) -> Asked | None:
    """The `connect` in a payload, or None if it is anything else."""
    asked = asked_in(payload)
    return asked if asked is not None and asked.type == "connect" else None


def with_token(payload: bytes, token: str) -> bytes:
    """The `connect` frame with a token; what can't be read as a whole is left for the codec to refuse."""
    try:
        return msgspec.json.encode({**msgspec.json.decode(payload), "token": token})
    except UNREADABLE:
        return payload


_asked: Final = msgspec.json.Decoder(Asked)

REFUSALS: Final = {
    Code.UNAUTHORIZED: packets.NOT_AUTHORIZED,
    Code.FORBIDDEN: packets.NOT_AUTHORIZED,
    Code.RATE_LIMITED: packets.RATE_EXCEEDED,
    Code.OVERLOADED: packets.SERVER_UNAVAILABLE,
}

CLOSES: Final = {
    packets.NOT_AUTHORIZED: close.FORBIDDEN,
    packets.PACKET_TOO_LARGE: close.TOO_LARGE,
    packets.RATE_EXCEEDED: close.OVERLOADED,
    packets.SERVER_UNAVAILABLE: close.OVERLOADED,
    packets.UNSPECIFIED: close.INTERNAL,
}
"""How the session's connection ends after a fault; all others are frames that are bad."""

REASONS: Final = {
    close.BAD_FRAME.code: packets.PAYLOAD_INVALID,
    close.UNAUTHORIZED.code: packets.NOT_AUTHORIZED,
    close.FORBIDDEN.code: packets.NOT_AUTHORIZED,
    close.CONNECT_TIMEOUT.code: packets.MAXIMUM_CONNECT_TIME,
    close.REPLACED.code: packets.TAKEN_OVER,
    close.TOO_LARGE.code: packets.PACKET_TOO_LARGE,
    close.INTERNAL.code: packets.IMPLEMENTATION,
    close.DRAINING.code: packets.SHUTTING_DOWN,
    close.HEARTBEAT_MISSED.code: packets.KEEP_ALIVE_TIMEOUT,
    close.TOO_SLOW.code: packets.QUOTA_EXCEEDED,
    close.OVERLOADED.code: packets.SERVER_BUSY,
}

"""Who is there over MQTT: which connection holds which client id."""

from typing import Final, Protocol

from unique_cs.domain.permission import Principal
from unique_cs.errors import HTTP_STATUS, Code, UniqueCsError
from unique_cs.gateway.door import Deadlines
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.transports.mqtt_connection import MqttConnection, is_same
from unique_cs.protocol import close

STRANGERS: Final = 8
"""The part of all connections that may be of clients who have not shown a token yet is one in so many."""

_LATE_S: Final = 5.0
"""Who shows none in time is sent away by the connection; this long after it would be seen to here."""


class Holder(Protocol):
    """The transport of a connection."""

    @property
    def connection(self) -> MqttConnection: ...


class MqttClients:
    """What the MQTT connections of a node share."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.holders: dict[str, Holder] = {}
        limits = gateway.limits
        # Nobody was admitted yet: a crowd of them must not take the places of those who will be.
        self.strangers = Deadlines(
            limits.connect_timeout_ms / 1000 + _LATE_S, lambda: limits.max_connections // STRANGERS
        )

    async def authenticate(self, address: str, password: bytes | None) -> Principal:
        """Whose token the password is. Raises `unauthorized`, and what says that nobody more may come in."""
        refused = self.gateway.admit(address)
        if refused is not None:
            status, seconds = refused
            code = Code.RATE_LIMITED if status == HTTP_STATUS[Code.RATE_LIMITED] else Code.OVERLOADED
            raise UniqueCsError(code, "too many connections", retry_after_ms=seconds * 1000)
        try:
            token = (password or b"").decode()
        except UnicodeDecodeError as error:
            raise UniqueCsError(Code.UNAUTHORIZED, "the password is no token") from error
        return await self.gateway.authenticate(token)

    def take_over(self, client_id: str, owner: Principal) -> None:
        """End the connection that has the client id. Raises `unauthorized` if that is another actor's."""
        holder = self.holders.get(client_id)
        held = None if holder is None else holder.connection
        if held is None or held.owner is None or held.closed:
            return
        if not is_same(held.owner, owner):
            raise UniqueCsError(Code.UNAUTHORIZED, "the client id is another actor's")
        held.close(close.REPLACED)

    def forget(self, client_id: str, holder: Holder) -> None:
        """The transport is gone."""
        if self.holders.get(client_id) is holder:
            del self.holders[client_id]

"""The MQTT endpoint: its listener, MQTT over WebSocket (`/mqtt`), and who holds which client id."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from unique_cs.domain.permission import Principal
from unique_cs.errors import HTTP_STATUS, Code, UniqueCsError
from unique_cs.gateway.door import Accept
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.transports.mqtt import MqttTransport
from unique_cs.gateway.transports.mqtt_connection import is_same
from unique_cs.protocol import close
from unique_cs.protocol import mqtt_packets as packets
from unique_cs.protocol.handshake import Refusal, UpgradeRequest
from unique_cs.protocol.websocket import CLOSED, TOO_LARGE, Binary, WebSocket, frame_binary

PATH: Final = "/mqtt"
SUBPROTOCOL: Final = "mqtt"

_BATCH: Final = 4
"""Packets of the largest size that one WebSocket message may hold."""


class Endpoint:
    """What the MQTT connections of a node share."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.holders: dict[str, MqttTransport] = {}
        self._listeners: list[asyncio.Server] = []

    async def start(self, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None) -> None:
        """Accept on sockets that listen, which are the endpoint's from now on."""
        loop = asyncio.get_running_loop()
        timeout = self.gateway.limits.connect_timeout_ms / 1000 if tls else None
        for sock in sockets:
            listener = await loop.create_server(
                lambda: MqttTransport(self), sock=sock, backlog=4096, ssl=tls, ssl_handshake_timeout=timeout
            )
            self._listeners.append(listener)

    def stop_accepting(self) -> None:
        """Close the listening sockets; a further call does nothing."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()

    def admit(self, request: UpgradeRequest, address: str) -> Accept | Refusal:
        """Decide on a WebSocket at `PATH`, which has to offer the subprotocol [MQTT-6.0.0-3]."""
        if SUBPROTOCOL not in request.subprotocols:
            return Refusal(400, "The subprotocol is mqtt.")
        return Accept(MqttWebSocket(self, address), SUBPROTOCOL)

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

    def forget(self, client_id: str, holder: MqttTransport) -> None:
        """The transport is gone."""
        if self.holders.get(client_id) is holder:
            del self.holders[client_id]


class MqttWebSocket(MqttTransport):
    """One MQTT connection over WebSocket (6): a stream of bytes in binary messages."""

    __slots__ = ("_address", "_socket")

    def __init__(self, shared: Endpoint, address: str) -> None:
        super().__init__(shared)
        self._address = address
        self._socket = WebSocket(_BATCH * self._engine.max_packet)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's
        self._transport = transport
        self._begin(self._address)

    def data_received(self, data: bytes) -> None:
        ws = self._socket
        messages = ws.receive(data)
        if not all(isinstance(message, Binary) for message in messages):
            self._engine.fail(packets.PROTOCOL_ERROR)  # [MQTT-6.0.0-1]
        if ws.state == TOO_LARGE:
            self._engine.fail(packets.PACKET_TOO_LARGE)
        self._receive(b"".join(messages))
        if ws.output:
            self._transport.write(ws.take_output())
        if ws.state == CLOSED:
            self._transport.close()

    def _send(self, data: bytes) -> None:
        self._transport.write(frame_binary(data))

    def _hang_up(self, code: int, reason: str) -> None:
        self._socket.close(code, reason)
        self._transport.write(self._socket.take_output())

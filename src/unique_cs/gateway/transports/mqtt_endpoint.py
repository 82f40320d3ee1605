"""The MQTT endpoint: its listener, and MQTT over WebSocket (`/mqtt`)."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from unique_cs.gateway.door import Accept
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.transports.mqtt import MqttTransport
from unique_cs.gateway.transports.mqtt_clients import MqttClients
from unique_cs.protocol import mqtt_packets as packets
from unique_cs.protocol.handshake import Refusal, UpgradeRequest
from unique_cs.protocol.websocket import CLOSED, TOO_LARGE, Binary, WebSocket, frame_binary

PATH: Final = "/mqtt"
SUBPROTOCOL: Final = "mqtt"

_BATCH: Final = 4
"""Packets of the largest size that one WebSocket message may hold."""


class Endpoint:
    """Where MQTT comes in, on sockets of its own and at `PATH`."""

    def __init__(self, gateway: Gateway) -> None:
        self.clients = MqttClients(gateway)
        self._connect_s = gateway.limits.connect_timeout_ms / 1000
        self._listeners: list[asyncio.Server] = []

    async def start(self, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None) -> None:
        """Accept on sockets that listen, which are the endpoint's from now on."""
        loop = asyncio.get_running_loop()
        timeout = self._connect_s if tls else None
        for sock in sockets:
            listener = await loop.create_server(
                lambda: MqttTransport(self.clients),
                sock=sock,
                backlog=4096,
                ssl=tls,
                ssl_handshake_timeout=timeout,
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
        return Accept(MqttWebSocket(self.clients, address), SUBPROTOCOL)


class MqttWebSocket(MqttTransport):
    """One MQTT connection over WebSocket (6): a stream of bytes in binary messages."""

    __slots__ = ("_address", "_socket")

    def __init__(self, clients: MqttClients, address: str) -> None:
        super().__init__(clients)
        self._address = address
        self._socket = WebSocket(_BATCH * self._engine.max_packet)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's
        self._transport = transport
        self._begin(self._address)
        self._clients.strangers.add(self)

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
            self.connection.bound()
        if ws.state == CLOSED:
            self._transport.close()

    def _send(self, data: bytes) -> None:
        self._transport.write(frame_binary(data))

    def _hang_up(self, code: int, reason: str) -> None:
        self._socket.close(code, reason)
        self._transport.write(self._socket.take_output())

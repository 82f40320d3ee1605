"""MQTT: our engine below a connection, over TCP."""

import asyncio

from unique_cs.domain.permission import Principal
from unique_cs.errors import UniqueCsError
from unique_cs.gateway.connection import LOW_WATER
from unique_cs.gateway.door import peer_address
from unique_cs.gateway.transports.mqtt_clients import MqttClients
from unique_cs.gateway.transports.mqtt_connection import (
    CLOSES,
    REASONS,
    REFUSALS,
    Asked,
    MqttConnection,
    connect_in,
    with_token,
)
from unique_cs.protocol import close
from unique_cs.protocol import mqtt_packets as packets
from unique_cs.protocol.mqtt import ADMITTING, CLOSED, Mqtt
from unique_cs.telemetry import log


class MqttTransport(asyncio.Protocol):
    """The protocol of one MQTT connection, and the `Link` of the session's connection in it.

    A further `connect` ends that connection and begins another one on the same transport.
    """

    __slots__ = (
        "_asked",
        "_blocked",
        "_client_id",
        "_clients",
        "_engine",
        "_keep_alive",
        "_token",
        "_transport",
        "_work",
        "connection",
    )

    _transport: asyncio.Transport
    connection: MqttConnection

    def __init__(self, clients: MqttClients) -> None:
        self._clients = clients
        self._engine = Mqtt(clients.gateway.limits.max_frame)
        self._client_id = self._token = ""
        self._work: asyncio.Task[None] | None = None
        self._asked = 0  # the highest `c` of a `connect`
        self._keep_alive = 0  # ticks
        self._blocked = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's
        self._transport = transport
        self._begin(peer_address(transport))
        self._clients.strangers.add(self)

    def expire(self) -> None:
        """Make way: others come, and this client has not shown a token for longest."""
        self._transport.abort()

    def _begin(self, address: str) -> None:
        self.connection = MqttConnection(self._clients.gateway, self, address)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._work is not None:
            self._work.cancel()
        self._clients.strangers.discard(self)
        self._clients.forget(self._client_id, self)
        self.connection.lost()
        # The two hold each other, and the collector that would find that out comes rarely.
        del self.connection

    def data_received(self, data: bytes) -> None:
        self._receive(data)

    def _receive(self, data: bytes) -> None:
        self.connection.alive()
        for item in self._engine.receive(data):
            if isinstance(item, bytes):
                self._take(item)
            else:
                self._transport.pause_reading()
                self._work = asyncio.get_running_loop().create_task(self._admit(item))
        self._react()

    def _react(self) -> None:
        """Write what the engine has to say; end when it has ended."""
        engine, connection = self._engine, self.connection
        if engine.fault:
            connection.close(CLOSES.get(engine.fault, close.BAD_FRAME))
        self._flush()
        connection.bound()
        if engine.state == CLOSED and not connection.closed:
            self._transport.close()
        elif engine.waiting_bytes > LOW_WATER:
            connection.writing_paused()
        elif connection.drained is not None and not self._blocked:
            connection.writing_resumed()

    def _flush(self) -> None:
        if self._engine.output:
            self._send(self._engine.take_output())

    # Admission

    async def _admit(self, asked: packets.Connect) -> None:
        """Answer CONNECT, then go on with what the client sent behind it."""
        try:
            owner = await self._clients.authenticate(self.connection.address, asked.password)
            if self._engine.state == ADMITTING:
                self._clients.take_over(asked.client_id, owner)
                self._accept(asked, owner)
        except UniqueCsError as error:
            self._engine.refuse(REFUSALS.get(error.code, packets.UNSPECIFIED))
        except Exception as error:  # noqa: BLE001  # a fault of ours ends this connection only
            log.exception("an MQTT client could not be admitted", error=repr(error))
            self._engine.refuse(packets.UNSPECIFIED)
        self._work = None
        if self._transport.is_closing():
            return
        self._receive(b"")
        if not self.connection.paused and not self._transport.is_closing():
            self._transport.resume_reading()

    def _accept(self, asked: packets.Connect, owner: Principal) -> None:
        gateway = self._clients.gateway
        self._clients.strangers.discard(self)
        self._token = (asked.password or b"").decode()
        self._client_id = asked.client_id or f"ucs-{gateway.rng.getrandbits(64):016x}"
        self._clients.holders[self._client_id] = self
        limit = max(1, gateway.limits.heartbeat_ms // 1000)
        is_shorter = asked.version == packets.V5 and not 0 < asked.keep_alive <= limit
        keep_alive = limit if is_shorter else asked.keep_alive
        self._keep_alive = gateway.wheel.ticks(1_500 * keep_alive) if keep_alive else 0
        self.connection.own(owner, self._keep_alive)
        self._engine.accept(
            self._client_id, assigned=not asked.client_id, keep_alive=limit if is_shorter else 0
        )

    # Frames

    def _take(self, payload: bytes) -> None:
        """Take a frame; until there is a `connect`, all others are dropped."""
        connection = self.connection
        began = connection.session is not None or connection.work is not None
        asked = connect_in(payload) if not began or b'"connect"' in payload else None
        if asked is None:
            if began:
                connection.receive(payload)
        elif not began or self._replace(connection, asked):
            self._asked = asked.c if isinstance(asked.c, int) else 0
            self.connection.receive(payload if asked.token else with_token(payload, self._token))

    def _replace(self, older: MqttConnection, asked: Asked) -> bool:
        """Begin anew, unless the `connect` is older than the one that it follows."""
        known = None if older.session is None else older.session.id
        if (
            asked.session in {None, known}
            and isinstance(asked.c, int)
            and asked.c < max(older.c, self._asked)
        ):
            return False
        if self._clients.gateway.admit(older.address) is not None:
            older.close(close.OVERLOADED)
            return False
        assert older.owner is not None
        older.lost()
        self._engine.forget_waiting()
        self._begin(older.address)
        self.connection.own(older.owner, self._keep_alive)
        if older.paused:
            self._transport.resume_reading()
        return True

    # Link

    def write(self, frames: list[bytes]) -> None:
        self._engine.publish(frames)
        self._flush()
        if self._blocked or self._engine.waiting_bytes > LOW_WATER:
            self.connection.writing_paused()

    def buffered(self) -> int:
        return self._transport.get_write_buffer_size() + self._engine.waiting_bytes

    def close(self, code: int, reason: str) -> None:
        self._engine.close(self._engine.fault or REASONS[code])
        self._flush()
        self._hang_up(code, reason)

    def abort(self) -> None:
        self._transport.abort()

    def ping(self) -> None:
        """MQTT's clients ping, not its servers."""

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._blocked = True
        self.connection.writing_paused()

    def resume_writing(self) -> None:
        self._blocked = False
        self._react()

    # The road below

    def _send(self, data: bytes) -> None:
        self._transport.write(data)

    def _hang_up(self, code: int, reason: str) -> None:
        # Data of the client that nobody reads would make the kernel reset what we said last.
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

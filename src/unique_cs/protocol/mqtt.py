"""The server side of MQTT 3.1.1 and 5 for an endpoint that is no broker, without I/O.

A client publishes to `ucs/v1/{client}/up` and subscribes to `ucs/v1/{client}/down`; there is nothing else.
One `Mqtt` per connection. Its owner does, on each read:

    for item in mqtt.receive(data):         # in order
        ...                                 # a `Connect` to accept or refuse, else `bytes`: a frame up
    if mqtt.output:                         # CONNACK, PUBACK, SUBACK, PINGRESP, what waited to go down ...
        transport.write(mqtt.take_output())

States, in ascending order; a connection only moves up:

- `NEW` (0): CONNECT has to come first.
- `ADMITTING`: `receive` returned a `Connect`. What a client sends behind it (3.1.4) is kept until `accept`,
  then `receive(b"")` goes on; the owner bounds it by not reading.
- `OPEN`: frames flow.
- `FAILED`: the client broke a rule. Nothing is queued for it, so that the owner can say so in its own words
  before it calls `close(fault)`.
- `CLOSED`: write the output, then close the transport.

`fault` is the reason code of what the client did wrong, or was refused for; 0 while there is none.
Nothing is kept for a client that is away: a session is never present, and no PUBLISH is sent twice.
"""

from collections import deque
from typing import ClassVar, Final

from unique_cs.protocol import mqtt_packets as packets
from unique_cs.protocol.mqtt_packets import V5, Connect, Fields, Violation

NEW: Final = 0
ADMITTING: Final = 1
OPEN: Final = 2
FAILED: Final = 3
CLOSED: Final = 4

OVERHEAD: Final = 2_048
"""Bytes of a packet beyond the frame that it carries: topic, lengths, properties."""

MAX_CLIENT_ID: Final = 256
"""Bytes of a client id."""

WINDOW: Final = 256
"""PUBLISH packets of QoS 1 without a PUBACK, down; a client's Receive Maximum may be less."""


class Mqtt:
    """What one connection remembers: about 300 bytes, and more while packets are incomplete or frames wait.

    `max_frame` bounds the payload of a PUBLISH in bytes. `waiting_bytes` are the frames that `publish` took
    and that may not go yet: the client has not subscribed, or as many as it allows are unacknowledged.
    """

    __slots__ = (
        "_buffer",
        "_down",
        "_in_flight",
        "_last_id",
        "_max_frame",
        "_max_sent",
        "_qos",
        "_up",
        "_version",
        "_waiting",
        "_window",
        "fault",
        "output",
        "state",
        "waiting_bytes",
    )

    def __init__(self, max_frame: int) -> None:
        self.state: int = NEW
        self.fault = 0
        self.output: list[bytes] | None = None
        self.waiting_bytes = 0
        self._max_frame = max_frame
        self._buffer: bytearray | None = None
        self._version = 0
        self._up = self._down = ""
        self._qos: int | None = None  # of the subscription to `down`
        self._max_sent = 0  # bytes of a packet that the client takes, 0 for any
        self._window = WINDOW
        self._in_flight: set[int] | None = None
        self._last_id = 0
        self._waiting: deque[bytes] | None = None

    @property
    def max_packet(self) -> int:
        """The largest packet that is taken, without its first byte and length."""
        return self._max_frame + OVERHEAD

    # In

    def receive(self, data: bytes) -> list[Connect | bytes]:
        """Take what the transport read; return what it completed. Never raises."""
        found: list[Connect | bytes] = []
        source: bytes | bytearray = data
        if self._buffer is not None:
            self._buffer += data
            source = self._buffer
        at = 0
        try:
            while self.state in {NEW, OPEN} and (bounds := self._whole(source, at)):
                start, end = bounds
                first, at = source[at], end
                self._take(first, Fields(bytes(source[start:end])), found)
        except Violation as violation:
            self.fail(violation.reason)
        self._keep(source, at)
        return found

    def _whole(self, data: bytes | bytearray, at: int) -> tuple[int, int] | None:
        """Where the body of the packet at `at` begins and ends; None while it is incomplete."""
        if self.state == NEW and at < len(data) and data[at] != packets.CONNECT << 4:
            raise Violation(packets.PROTOCOL_ERROR)
        length = packets.read_length(data, at + 1)
        if length is None:
            return None
        size, start = length
        if size > self.max_packet:
            raise Violation(packets.PACKET_TOO_LARGE)
        return (start, start + size) if start + size <= len(data) else None

    def _keep(self, source: bytes | bytearray, at: int) -> None:
        """Remember what is not worked on yet."""
        if at == len(source) or self.state >= FAILED:
            self._buffer = None
        elif self._buffer is None:
            self._buffer = bytearray(source[at:])
        else:
            del self._buffer[:at]

    def _take(self, first: int, fields: Fields, found: list[Connect | bytes]) -> None:
        if self.state == NEW:
            found.append(self._connect(fields))
        elif first >> 4 == packets.PUBLISH:
            self._publish(first & 0x0F, fields, found)
        else:
            handle = self._HANDLERS.get(first)
            if handle is None:
                # A second CONNECT, what belongs to QoS 2, AUTH; else reserved flags (2.1.3).
                raise Violation(packets.PROTOCOL_ERROR if not first & 0x0F else packets.MALFORMED)
            handle(self, fields)

    def _connect(self, fields: Fields) -> Connect:
        try:
            self._version = packets.read_protocol(fields)
        except Violation as violation:
            if violation.reason == packets.UNSUPPORTED_VERSION:
                self._version = packets.V311
            raise
        connect = packets.read_connect(fields, self._version)
        if packets.AUTHENTICATION_METHOD in connect.properties:
            raise Violation(packets.BAD_AUTHENTICATION_METHOD)
        if not _is_client_id(connect):
            raise Violation(packets.CLIENT_ID_NOT_VALID)
        self._window = min(WINDOW, _number(connect, packets.RECEIVE_MAXIMUM) or WINDOW)
        self._max_sent = _number(connect, packets.MAXIMUM_PACKET)
        self.state = ADMITTING
        return connect

    def _publish(self, flags: int, fields: Fields, found: list[Connect | bytes]) -> None:
        got = packets.read_publish(flags, fields, self._version)
        self._check(got)
        if got.topic == self._up:
            found.append(got.payload)
            if got.qos:
                self._queue(packets.puback(got.packet_id))
        elif got.qos and self._version == V5:
            self._queue(packets.puback(got.packet_id, packets.NOT_AUTHORIZED))
        else:
            raise Violation(packets.NOT_AUTHORIZED)

    def _check(self, got: packets.Publish) -> None:
        """What CONNACK ruled out. 3.1.1 cannot say so beforehand: there `retain` is ignored."""
        if got.qos == 2:
            raise Violation(packets.QOS_NOT_SUPPORTED)
        if got.has_alias:
            raise Violation(packets.TOPIC_ALIAS_INVALID)
        if got.retain and self._version == V5:
            raise Violation(packets.RETAIN_NOT_SUPPORTED)
        if not got.topic or _has_wildcard(got.topic):
            raise Violation(packets.TOPIC_NAME_INVALID)
        if len(got.payload) > self._max_frame:
            raise Violation(packets.PACKET_TOO_LARGE)

    def _puback(self, fields: Fields) -> None:
        packet_id = packets.read_puback(fields, self._version)
        if self._in_flight is not None:
            self._in_flight.discard(packet_id)
            if not self._in_flight:
                self._in_flight = None
        self._pump()

    def _subscribe(self, fields: Fields) -> None:
        got = packets.read_subscribe(fields, self._version)
        codes = bytearray()
        for name, qos in got.filters:
            refusal = packets.IDENTIFIERS_NOT_SUPPORTED if got.has_identifier else self._refusal(name)
            if not refusal:
                self._qos = min(qos, 1)
                codes.append(self._qos)
            else:
                codes.append(refusal if self._version == V5 else packets.UNSPECIFIED)
        self._queue(packets.suback(got.packet_id, bytes(codes), self._version))
        self._pump()

    def _refusal(self, name: str) -> int:
        """Why a topic filter is refused; 0 for `down`."""
        if name.startswith("$share/"):
            return packets.SHARED_NOT_SUPPORTED
        if _has_wildcard(name):
            return packets.WILDCARDS_NOT_SUPPORTED
        if not name:
            return packets.TOPIC_FILTER_INVALID
        return 0 if name == self._down else packets.NOT_AUTHORIZED

    def _unsubscribe(self, fields: Fields) -> None:
        packet_id, filters = packets.read_unsubscribe(fields, self._version)
        codes = bytearray()
        for name in filters:
            was_there = name == self._down and self._qos is not None
            codes.append(packets.SUCCESS if was_there else packets.NO_SUBSCRIPTION)
            if was_there:
                self._qos = None
        self._queue(packets.unsuback(packet_id, bytes(codes), self._version))

    def _ping(self, fields: Fields) -> None:
        fields.end()
        self._queue(packets.PINGRESP)

    def _disconnect(self, fields: Fields) -> None:
        self._end()

    _HANDLERS: ClassVar = {
        packets.PUBACK << 4: _puback,
        packets.SUBSCRIBE << 4 | 2: _subscribe,
        packets.UNSUBSCRIBE << 4 | 2: _unsubscribe,
        packets.PINGREQ << 4: _ping,
        packets.DISCONNECT << 4: _disconnect,
    }

    # Out

    def accept(self, client_id: str, *, assigned: bool, keep_alive: int) -> None:
        """Answer the `Connect`. `assigned`: the client id is not its own; `keep_alive` is the time in seconds
        that it has to keep, if that is not what it asked for, else 0.
        """
        self._up, self._down = f"ucs/v1/{client_id}/up", f"ucs/v1/{client_id}/down"
        self.state = OPEN
        offer = self._offer(client_id if assigned else "", keep_alive)
        self._queue(packets.connack(self._version, packets.SUCCESS, offer))

    def _offer(self, assigned: str, keep_alive: int) -> bytes:
        """The properties of CONNACK (3.2.2.3)."""
        numbers = (
            (packets.SESSION_EXPIRY, 4, 0),
            (packets.RECEIVE_MAXIMUM, 2, WINDOW),
            (packets.MAXIMUM_QOS, 1, 1),
            (packets.RETAIN_AVAILABLE, 1, 0),
            (packets.MAXIMUM_PACKET, 4, self.max_packet),
            (packets.WILDCARDS_AVAILABLE, 1, 0),
            (packets.IDENTIFIERS_AVAILABLE, 1, 0),
            (packets.SHARED_AVAILABLE, 1, 0),
        )
        offer = b"".join(bytes((name,)) + value.to_bytes(size, "big") for name, size, value in numbers)
        if assigned:
            offer += bytes((packets.ASSIGNED_CLIENT_ID,)) + packets.text(assigned)
        if keep_alive:
            offer += bytes((packets.SERVER_KEEP_ALIVE,)) + keep_alive.to_bytes(2, "big")
        return offer

    def refuse(self, reason: int) -> None:
        """Answer the `Connect` with a refusal."""
        if self.state == ADMITTING:
            self.fail(reason)

    def publish(self, frames: list[bytes]) -> None:
        """Send frames down, in order, as soon as the client takes them."""
        if self.state >= CLOSED:
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting += frames
        self.waiting_bytes += sum(map(len, frames))
        self._pump()

    def forget_waiting(self) -> None:
        """Drop what waits to go down."""
        self._waiting, self.waiting_bytes = None, 0

    def close(self, reason: int) -> None:
        """Say goodbye: the last frame published, if it still waits, and in MQTT 5 DISCONNECT."""
        if self.state == ADMITTING:
            self.refuse(packets.SERVER_UNAVAILABLE)
        elif OPEN <= self.state < CLOSED:
            if self._waiting and self._qos is not None:
                # The window may be closed; QoS 0 needs none.
                self._put(self._waiting[-1], 0)
            if self._version == V5:
                self._queue(packets.disconnect(reason))
        self._end()

    def take_output(self) -> bytes:
        """The bytes to write now, and forget them."""
        output, self.output = self.output, None
        return b"".join(output) if output else b""

    def fail(self, reason: int) -> None:
        """The client broke a rule; before it is connected, that ends at once."""
        if self.state >= FAILED:
            return
        self.fault = reason
        if self.state == OPEN:
            self.state = FAILED
            return
        if self._version:
            self._queue(packets.connack(self._version, reason))
        self._end()

    def _end(self) -> None:
        self.state = CLOSED
        self._buffer = None
        self.forget_waiting()

    def _pump(self) -> None:
        """Send what waits, as far as the client takes it."""
        waiting, qos = self._waiting, self._qos
        if qos is None:
            return
        while waiting and (not qos or self._in_flight is None or len(self._in_flight) < self._window):
            payload = waiting.popleft()
            self.waiting_bytes -= len(payload)
            self._put(payload, qos)
        if not waiting:
            self._waiting = None

    def _put(self, payload: bytes, qos: int) -> None:
        packet_id = self._next_id() if qos else 0
        packet = packets.publish(packets.text(self._down), payload, packet_id, self._version)
        if self._max_sent and len(packet) > self._max_sent:
            return  # 3.1.2.11.4: as if it had been sent
        if qos:
            if self._in_flight is None:
                self._in_flight = set()
            self._in_flight.add(packet_id)
        self._queue(packet)

    def _next_id(self) -> int:
        """A packet id that is not in use (2.2.1)."""
        used = self._in_flight or ()
        self._last_id = self._last_id % 0xFFFF + 1
        while self._last_id in used:
            self._last_id = self._last_id % 0xFFFF + 1
        return self._last_id

    def _queue(self, packet: bytes) -> None:
        if self.output is None:
            self.output = [packet]
        else:
            self.output.append(packet)


def _has_wildcard(topic: str) -> bool:
    return "+" in topic or "#" in topic


def _is_client_id(connect: Connect) -> bool:
    """Whether topics can be made of it; an empty one asks for a new one (3.1.1: if clean)."""
    client_id = connect.client_id
    if not client_id:
        return connect.clean or connect.version == V5
    return not _has_wildcard(client_id) and len(client_id.encode()) <= MAX_CLIENT_ID


def _number(connect: Connect, name: int) -> int:
    value = connect.properties.get(name, 0)
    return value if isinstance(value, int) else 0

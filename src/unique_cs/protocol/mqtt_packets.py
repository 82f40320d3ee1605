"""Packets of MQTT 3.1.1 and 5: bytes to values and back, without I/O. Clauses are those of MQTT 5."""

from typing import Final, NamedTuple

V311: Final = 4
V5: Final = 5

# Packet types (2.1.2).
CONNECT: Final = 1
PUBLISH: Final = 3
PUBACK: Final = 4
SUBSCRIBE: Final = 8
UNSUBSCRIBE: Final = 10
PINGREQ: Final = 12
DISCONNECT: Final = 14

# Reason codes (2.4).
SUCCESS: Final = 0x00
NO_SUBSCRIPTION: Final = 0x11
UNSPECIFIED: Final = 0x80
MALFORMED: Final = 0x81
PROTOCOL_ERROR: Final = 0x82
IMPLEMENTATION: Final = 0x83
UNSUPPORTED_VERSION: Final = 0x84
CLIENT_ID_NOT_VALID: Final = 0x85
NOT_AUTHORIZED: Final = 0x87
SERVER_UNAVAILABLE: Final = 0x88
SERVER_BUSY: Final = 0x89
SHUTTING_DOWN: Final = 0x8B
BAD_AUTHENTICATION_METHOD: Final = 0x8C
KEEP_ALIVE_TIMEOUT: Final = 0x8D
TAKEN_OVER: Final = 0x8E
TOPIC_FILTER_INVALID: Final = 0x8F
TOPIC_NAME_INVALID: Final = 0x90
TOPIC_ALIAS_INVALID: Final = 0x94
PACKET_TOO_LARGE: Final = 0x95
QUOTA_EXCEEDED: Final = 0x97
PAYLOAD_INVALID: Final = 0x99
RETAIN_NOT_SUPPORTED: Final = 0x9A
QOS_NOT_SUPPORTED: Final = 0x9B
SHARED_NOT_SUPPORTED: Final = 0x9E
RATE_EXCEEDED: Final = 0x9F
MAXIMUM_CONNECT_TIME: Final = 0xA0
IDENTIFIERS_NOT_SUPPORTED: Final = 0xA1
WILDCARDS_NOT_SUPPORTED: Final = 0xA2

# Properties (2.2.2.2) that are looked at or sent.
SUBSCRIPTION_IDENTIFIER: Final = 0x0B
SESSION_EXPIRY: Final = 0x11
ASSIGNED_CLIENT_ID: Final = 0x12
SERVER_KEEP_ALIVE: Final = 0x13
AUTHENTICATION_METHOD: Final = 0x15
RECEIVE_MAXIMUM: Final = 0x21
TOPIC_ALIAS: Final = 0x23
MAXIMUM_QOS: Final = 0x24
RETAIN_AVAILABLE: Final = 0x25
_USER: Final = 0x26
MAXIMUM_PACKET: Final = 0x27
WILDCARDS_AVAILABLE: Final = 0x28
IDENTIFIERS_AVAILABLE: Final = 0x29
SHARED_AVAILABLE: Final = 0x2A

_TEXT: Final = -1
_BINARY: Final = -2
_LENGTH: Final = -3
_KINDS: Final = {
    **dict.fromkeys((0x01, 0x17, 0x19), 1),
    **dict.fromkeys((RECEIVE_MAXIMUM, 0x22, TOPIC_ALIAS), 2),
    **dict.fromkeys((0x02, SESSION_EXPIRY, 0x18, MAXIMUM_PACKET), 4),
    **dict.fromkeys((0x03, 0x08, AUTHENTICATION_METHOD, 0x1F), _TEXT),
    **dict.fromkeys((0x09, 0x16), _BINARY),
    SUBSCRIPTION_IDENTIFIER: _LENGTH,
}
"""How a property's value is written: a number of so many bytes, or one of the other kinds."""

_ANSWER: Final = frozenset({0x1F, _USER})
_OF_CONNECT: Final = frozenset({0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, _USER, 0x27})
_OF_WILL: Final = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x18, _USER})
_OF_PUBLISH: Final = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, TOPIC_ALIAS, _USER})
_OF_SUBSCRIBE: Final = frozenset({SUBSCRIPTION_IDENTIFIER, _USER})
_OF_UNSUBSCRIBE: Final = frozenset({_USER})

_NOT_ZERO: Final = frozenset({RECEIVE_MAXIMUM, MAXIMUM_PACKET, SUBSCRIPTION_IDENTIFIER})
_AT_MOST_ONE: Final = frozenset({0x01, 0x17, 0x19})

Properties = dict[int, int | str | bytes]


class Violation(Exception):
    """The peer broke a rule of MQTT; `reason` is what MQTT 5 calls it."""

    def __init__(self, reason: int) -> None:
        super().__init__(hex(reason))
        self.reason = reason


class Connect(NamedTuple):
    """What a lawful CONNECT asks for; its will is read and left out."""

    version: int
    client_id: str
    clean: bool
    keep_alive: int  # seconds, 0 for none
    password: bytes | None
    properties: Properties


class Publish(NamedTuple):
    """A PUBLISH of QoS 0 to 2; `packet_id` is 0 for QoS 0."""

    topic: str
    qos: int
    retain: bool
    packet_id: int
    has_alias: bool
    payload: bytes


class Subscribe(NamedTuple):
    """A SUBSCRIBE: filters with the QoS that each asks for."""

    packet_id: int
    has_identifier: bool
    filters: list[tuple[str, int]]


class Fields:
    """Reads the fields of one packet in order; `Violation` where they do not fit (1.5)."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """The next bytes."""
        end = self._at + size
        if end > len(self._data):
            raise Violation(MALFORMED)
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, size: int) -> int:
        """An integer of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def packet_id(self) -> int:
        """A packet identifier, which is never 0 (2.2.1)."""
        number = self.number(2)
        if not number:
            raise Violation(PROTOCOL_ERROR)
        return number

    def binary(self) -> bytes:
        """Bytes behind their length."""
        return self.take(self.number(2))

    def text(self) -> str:
        """A string: well-formed UTF-8 without U+0000 (1.5.4)."""
        try:
            text = self.binary().decode()
        except UnicodeDecodeError as error:
            raise Violation(MALFORMED) from error
        if "\0" in text:
            raise Violation(MALFORMED)
        return text

    def length(self) -> int:
        """A variable byte integer."""
        found = read_length(self._data, self._at)
        if found is None:
            raise Violation(MALFORMED)
        value, self._at = found
        return value

    def properties(self, allowed: frozenset[int]) -> Properties:
        """The properties of an MQTT 5 packet (2.2.2): those `allowed`, each once; the user's left out."""
        inner = Fields(self.take(self.length()))
        found: Properties = {}
        while inner.left:
            name = inner.length()
            if name not in allowed or name in found:
                raise Violation(PROTOCOL_ERROR)
            if name == _USER:
                inner.text()
                inner.text()
            else:
                found[name] = inner.value(name)
        return found

    def value(self, name: int) -> int | str | bytes:
        """The value of one property."""
        kind = _KINDS[name]
        if kind == _TEXT:
            return self.text()
        if kind == _BINARY:
            return self.binary()
        number = self.length() if kind == _LENGTH else self.number(kind)
        if (name in _NOT_ZERO and not number) or (name in _AT_MOST_ONE and number > 1):
            raise Violation(PROTOCOL_ERROR)
        return number

    def end(self) -> None:
        """Nothing may follow."""
        if self.left:
            raise Violation(MALFORMED)


def read_length(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """A variable byte integer (1.5.5) and where it ends; None while incomplete."""
    value = 0
    for index in range(4):
        if at + index >= len(data):
            return None
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if index and not byte:
                raise Violation(MALFORMED)
            return value, at + index + 1
    raise Violation(MALFORMED)


def read_protocol(fields: Fields) -> int:
    """The version that a CONNECT asks for; `Violation` with 0x84 if it is none of ours (3.1.2.2)."""
    name, version = fields.binary(), fields.number(1)
    if name == b"MQTT" and version in {V311, V5}:
        return version
    raise Violation(UNSUPPORTED_VERSION if name in {b"MQTT", b"MQIsdp"} else PROTOCOL_ERROR)


def read_connect(fields: Fields, version: int) -> Connect:
    """What follows the version in a CONNECT (3.1.2.3)."""
    flags, keep_alive = fields.number(1), fields.number(2)
    _check_connect_flags(flags, version)
    properties = fields.properties(_OF_CONNECT) if version == V5 else {}
    client_id = fields.text()
    if flags & 0x04:
        if version == V5:
            fields.properties(_OF_WILL)
        fields.text()
        fields.binary()
    if flags & 0x80:
        fields.text()
    password = fields.binary() if flags & 0x40 else None
    fields.end()
    return Connect(version, client_id, bool(flags & 0x02), keep_alive, password, properties)


def _check_connect_flags(flags: int, version: int) -> None:
    will_qos, will_retain = flags >> 3 & 3, flags & 0x20
    if flags & 0x01 or will_qos == 3 or (not flags & 0x04 and (will_qos or will_retain)):
        raise Violation(MALFORMED)
    if version == V311 and flags & 0xC0 == 0x40:
        raise Violation(MALFORMED)  # 3.1.1 has no password without a user name [MQTT-3.1.2-22]
    if version == V5 and will_qos == 2:
        raise Violation(QOS_NOT_SUPPORTED)  # 3.2.2.3.4
    if version == V5 and will_retain:
        raise Violation(RETAIN_NOT_SUPPORTED)  # 3.2.2.3.5


def read_publish(flags: int, fields: Fields, version: int) -> Publish:
    """A PUBLISH (3.3) with the flags of its first byte."""
    qos = flags >> 1 & 3
    if qos == 3 or (flags & 0x08 and not qos):
        raise Violation(MALFORMED)
    topic = fields.text()
    packet_id = fields.packet_id() if qos else 0
    properties = fields.properties(_OF_PUBLISH) if version == V5 else {}
    payload = fields.take(fields.left)
    return Publish(topic, qos, bool(flags & 1), packet_id, TOPIC_ALIAS in properties, payload)


def read_puback(fields: Fields, version: int) -> int:
    """The packet id of a PUBACK (3.4)."""
    packet_id = fields.packet_id()
    if version == V5 and fields.left:
        fields.number(1)
        if fields.left:
            fields.properties(_ANSWER)
    fields.end()
    return packet_id


def read_subscribe(fields: Fields, version: int) -> Subscribe:
    """A SUBSCRIBE (3.8)."""
    packet_id = fields.packet_id()
    properties = fields.properties(_OF_SUBSCRIBE) if version == V5 else {}
    filters = []
    while fields.left:
        name, options = fields.text(), fields.number(1)
        reserved = 0xC0 if version == V5 else 0xFC
        if options & reserved or options & 0x03 == 0x03 or options & 0x30 == 0x30:
            raise Violation(MALFORMED)
        filters.append((name, options & 0x03))
    if not filters:
        raise Violation(PROTOCOL_ERROR)
    return Subscribe(packet_id, SUBSCRIPTION_IDENTIFIER in properties, filters)


def read_unsubscribe(fields: Fields, version: int) -> tuple[int, list[str]]:
    """The packet id and filters of an UNSUBSCRIBE (3.10)."""
    packet_id = fields.packet_id()
    if version == V5:
        fields.properties(_OF_UNSUBSCRIBE)
    filters = []
    while fields.left:
        filters.append(fields.text())
    if not filters:
        raise Violation(PROTOCOL_ERROR)
    return packet_id, filters


def packet(first: int, body: bytes) -> bytes:
    """A packet: its first byte, its length, its body."""
    return bytes((first,)) + write_length(len(body)) + body


def write_length(value: int) -> bytes:
    """A variable byte integer (1.5.5)."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def text(value: str) -> bytes:
    """A string behind its length."""
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def connack(version: int, reason: int, properties: bytes = b"") -> bytes:
    """A CONNACK without a session (3.2); empty where 3.1.1 has no code for the reason."""
    if version == V5:
        return packet(0x20, bytes((0, reason)) + write_length(len(properties)) + properties)
    code = _RETURN_CODES.get(reason)
    return b"" if code is None else bytes((0x20, 2, 0, code))


_RETURN_CODES: Final = {
    SUCCESS: 0,
    UNSUPPORTED_VERSION: 1,
    CLIENT_ID_NOT_VALID: 2,
    UNSPECIFIED: 3,
    SERVER_UNAVAILABLE: 3,
    RATE_EXCEEDED: 3,
    NOT_AUTHORIZED: 5,
}


def publish(topic: bytes, payload: bytes, packet_id: int, version: int) -> bytes:
    """A PUBLISH: QoS 1 with a packet id, QoS 0 with 0. `topic` lies behind its length already."""
    head = topic + packet_id.to_bytes(2, "big") if packet_id else topic
    if version == V5:
        head += b"\0"
    first = b"\x32" if packet_id else b"\x30"
    return first + write_length(len(head) + len(payload)) + head + payload


def puback(packet_id: int, reason: int = SUCCESS) -> bytes:
    """A PUBACK; a reason other than success is for MQTT 5 only."""
    body = packet_id.to_bytes(2, "big")
    return packet(0x40, body + bytes((reason,)) if reason else body)


def suback(packet_id: int, codes: bytes, version: int) -> bytes:
    """A SUBACK, with a code for each filter."""
    return packet(0x90, packet_id.to_bytes(2, "big") + (b"\0" if version == V5 else b"") + codes)


def unsuback(packet_id: int, codes: bytes, version: int) -> bytes:
    """An UNSUBACK; 3.1.1 has no codes in it."""
    return packet(0xB0, packet_id.to_bytes(2, "big") + (b"\0" + codes if version == V5 else b""))


PINGRESP: Final = b"\xd0\0"


def disconnect(reason: int) -> bytes:
    """A DISCONNECT of MQTT 5; in 3.1.1 a server has none."""
    return packet(0xE0, bytes((reason,)))

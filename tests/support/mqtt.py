"""MQTT packets as a client writes and reads them, also wrong ones."""

from unique_cs.protocol.mqtt_packets import V5, packet, read_length, text, write_length

__all__ = ["connect", "publish", "read_packets", "subscribe", "text"]


def connect(
    version: int,
    client_id: str | bytes,
    *,
    user: str | None = "any",
    password: bytes | None = b"token",
    clean: bool = True,
    flags: int = 0,
    keep_alive: int = 20,
    will: bool = False,
    properties: bytes = b"",
) -> bytes:
    """A CONNECT; `flags` are added."""
    flags |= clean << 1 | (user is not None) << 7 | (password is not None) << 6
    raw = client_id if isinstance(client_id, bytes) else client_id.encode()
    body = text("MQTT") + bytes((version, flags)) + keep_alive.to_bytes(2, "big")
    body += _with_length(properties, version) + _binary(raw)
    if will:
        body += _with_length(b"", version) + text("last/words") + _binary(b"gone")
    if user is not None:
        body += text(user)
    if password is not None:
        body += _binary(password)
    return packet(0x10, body)


def publish(
    version: int,
    topic: str | bytes,
    payload: bytes,
    *,
    packet_id: int = 0,
    qos: int | None = None,
    retain: bool = False,
    dup: bool = False,
    properties: bytes = b"",
) -> bytes:
    """A PUBLISH: QoS 1 with a packet id."""
    chosen = min(packet_id, 1) if qos is None else qos
    raw = topic if isinstance(topic, bytes) else topic.encode()
    number = packet_id.to_bytes(2, "big") if chosen else b""
    body = _binary(raw) + number + _with_length(properties, version) + payload
    return packet(0x30 | dup << 3 | chosen << 1 | retain, body)


def subscribe(version: int, packet_id: int, *filters: str, qos: int = 1, properties: bytes = b"") -> bytes:
    """A SUBSCRIBE; `qos` are the options of every filter."""
    listed = b"".join(text(each) + bytes((qos,)) for each in filters)
    return packet(0x82, packet_id.to_bytes(2, "big") + _with_length(properties, version) + listed)


def read_packets(data: bytes) -> list[tuple[int, bytes]]:
    """Whole packets: first byte and body."""
    found = []
    while data:
        length = read_length(data, 1)
        assert length is not None
        size, start = length
        assert len(data) >= start + size
        found.append((data[0], data[start : start + size]))
        data = data[start + size :]
    return found


def _binary(raw: bytes) -> bytes:
    return len(raw).to_bytes(2, "big") + raw


def _with_length(properties: bytes, version: int) -> bytes:
    return write_length(len(properties)) + properties if version == V5 else b""

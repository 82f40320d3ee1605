"""Fuzz targets of the decoders that do no I/O."""

from contextlib import suppress
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.fuzz.target import Target, as_records, pieces, records
from tests.support import mqtt as mqtt_bytes
from tests.support.client_frames import BINARY, CLOSE, PING, TEXT, frame, read_frames, upgrade
from tests.wire.golden import CLIENT
from unique_cs.actions.identity import read_identity
from unique_cs.actions.tokens import ContactTokens
from unique_cs.domain.origins import AllowedOrigins
from unique_cs.domain.people import Inbox
from unique_cs.errors import UniqueCsError
from unique_cs.gateway.origin import OriginPolicy, TrustedProxies
from unique_cs.protobuf import from_dict
from unique_cs.protocol import mqtt_packets
from unique_cs.protocol.codec import JSON, MSGPACK, Codec
from unique_cs.protocol.frames import InvalidSend, Send
from unique_cs.protocol.handshake import Refusal, accept_response, parse_upgrade, refuse_response
from unique_cs.protocol.mqtt import CLOSED as MQTT_CLOSED
from unique_cs.protocol.mqtt import FAILED, Mqtt
from unique_cs.protocol.protobuf import PROTOBUF
from unique_cs.protocol.websocket import CLOSED, Binary, WebSocket
from unique_cs.v1.messaging_pb2 import ClientFrame

LIMIT: Final = 300
_PROXIES: Final = TrustedProxies(["127.0.0.1", "10.0.0.0/8"])
_POLICY: Final = OriginPolicy(AllowedOrigins(["https://shop.example"]), _PROXIES)


# The opening handshake


def handshake(data: bytes) -> None:
    """A head becomes a request or a refusal; either answer is one lawful response head."""
    request = parse_upgrade(data)
    if isinstance(request, Refusal):
        assert 400 <= request.status < 500
        answer = refuse_response(request)
    else:
        _POLICY.admits(request.headers, "127.0.0.1", secure=False)
        assert _PROXIES.client("127.0.0.1", request.headers)
        answer = accept_response(request, request.subprotocols[0] if request.subprotocols else None)
    head, blank, _ = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    assert blank
    assert not any(byte < 0x20 and byte not in b"\r\n\t" for byte in head)
    assert all(b":" in line for line in head.split(b"\r\n")[1:])


def _handshakes() -> list[bytes]:
    forwarded = {"x_forwarded_for": "1.2.3.4, 10.0.0.1", "x_forwarded_proto": "https"}
    return [
        upgrade(),
        upgrade("/ws?x=1", sec_websocket_protocol="mqtt, unique-cs.v1+msgpack"),
        upgrade(sec_websocket_key=None),
        upgrade(origin="https://shop.example", **forwarded),
        b"GET http://h/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ]


# WebSocket frames

WsResult = tuple[list[bytes], int, int, bytes]


def websocket(data: bytes) -> None:
    """Any reads give the messages that one read gives, and end in the same state with the same output."""
    if not data:
        return
    stream = data[1:]
    if data[0] & 0x80:
        stream = b"".join(_masked(first, field) for first, field in records(stream))
    whole = _ws_run([stream])
    assert _ws_run(pieces(stream, data[0] & 0x7F)) == whole
    messages, state, code, output = whole
    for message in messages:
        assert len(message) <= LIMIT
        assert isinstance(message, Binary) or message.decode() is not None
    replies = [opcode for opcode, _ in read_frames(output)]
    assert replies.count(CLOSE) == (state == CLOSED) == bool(code)


def _masked(first: int, field: bytes) -> bytes:
    whole = frame(first & 0x0F, field, fin=first < 0x80)
    return bytes((first,)) + whole[1:]


def _ws_run(reads: list[bytes]) -> WsResult:
    ws, messages = WebSocket(LIMIT), list[bytes]()
    for read in reads:
        messages += ws.receive(read)
    return messages, ws.state, ws.close_code, ws.take_output()


def _websockets() -> list[bytes]:
    text = '{"type":"ping","x":"安 🎉"}'.encode()
    parts = [(TEXT, text[:18]), (0x80 | PING, b"?"), (0x00, text[18:25]), (0x80, text[25:])]
    raw = frame(TEXT, text) + frame(BINARY, b"\x80" * 130) + frame(PING, b"hi") + frame(CLOSE, b"\x03\xe8bye")
    big = frame(TEXT, b"x" * (LIMIT + 1)) + frame(CLOSE, b"")
    return [
        b"\x00" + raw,
        b"\x03" + raw,
        b"\x05" + big,
        b"\x81" + as_records(parts),
        b"\x80" + as_records([(0x88, b"\x0f\xa0"), *parts]),
    ]


# Frames


def _codec(codec: Codec, data: bytes) -> None:
    """Bytes are a frame or a refusal; a frame survives its own encoding and the other one."""
    try:
        found = codec.decode(data)
    except UniqueCsError as error:
        msgspec.json.encode(error.message)
        return
    if isinstance(found, InvalidSend):
        assert 1 <= found.n < 2**53
        return
    if isinstance(found, Send):
        assert 1 <= found.n < 2**53
    modules: list[tuple[Codec, Any]] = [(JSON, msgspec.json), (MSGPACK, msgspec.msgpack)]
    for other, module in modules:
        assert other.decode(module.encode(found)) == found


def codec_json(data: bytes) -> None:
    _codec(JSON, data)


def codec_msgpack(data: bytes) -> None:
    _codec(MSGPACK, data)


def codec_protobuf(data: bytes) -> None:
    _codec(PROTOBUF, data)


def _protobufs() -> list[bytes]:
    frames = [msgspec.json.decode(msgspec.json.encode(each)) for each in CLIENT.values()]
    return [from_dict(ClientFrame(), each).SerializeToString() for each in frames]


# MQTT


def mqtt(data: bytes) -> None:
    """Any reads complete the same items; what is said is whole packets, and a goodbye always ends it."""
    if not data:
        return
    stream = data[1:]
    if data[0] & 0x80:
        stream = b"".join(mqtt_packets.packet(first, field) for first, field in records(stream))
    whole = _mqtt_run([stream])
    assert _mqtt_run(pieces(stream, data[0] & 0x7F)) == whole
    items, output, state, fault = whole
    mqtt_bytes.read_packets(output)
    assert bool(fault) <= (state >= FAILED)
    assert all(len(item) <= LIMIT for item in items if isinstance(item, bytes))


def _mqtt_run(reads: list[bytes]) -> tuple[list[mqtt_packets.Connect | bytes], bytes, int, int]:
    engine, items = Mqtt(LIMIT), list[mqtt_packets.Connect | bytes]()
    for read in reads:
        for item in engine.receive(read):
            items.append(item)
            if isinstance(item, mqtt_packets.Connect):
                engine.accept(item.client_id or "me", assigned=False, keep_alive=0)
                engine.publish([b'{"type":"pong"}'] * 3)
                items += engine.receive(b"")
    state, fault = engine.state, engine.fault
    engine.close(mqtt_packets.SHUTTING_DOWN)
    assert engine.state == MQTT_CLOSED
    assert not engine.waiting_bytes
    return items, engine.take_output(), state, fault


def _mqtt_packets() -> list[bytes]:
    found = []
    for version in (mqtt_packets.V311, mqtt_packets.V5):
        is_five = version == mqtt_packets.V5
        empty, properties = (b"\0", bytes.fromhex("2100102700000100")) if is_five else (b"", b"")
        talk = [
            mqtt_bytes.connect(version, "me", properties=properties),
            mqtt_bytes.subscribe(version, 1, "ucs/v1/me/down", "#"),
            mqtt_bytes.publish(version, "ucs/v1/me/up", b'{"type":"ping"}', packet_id=7),
            mqtt_bytes.publish(version, "ucs/v1/me/up", b"x" * LIMIT),
            b"\x40\x02\x00\x01\xc0\x00",
            mqtt_packets.packet(0xA2, b"\0\2" + empty + mqtt_bytes.text("ucs/v1/me/down")),
            b"\xe0\x00",
        ]
        stream = b"".join(talk)
        found += [b"\x00" + stream, b"\x03" + stream]
        found.append(b"\x80" + as_records([*mqtt_bytes.read_packets(stream)]))
        found.append(b"\x00" + mqtt_bytes.connect(version, "", will=True, clean=True, keep_alive=0))
    return found


# Tokens

_TOKENS: Final = ContactTokens(b"\x07" * 32, 365)
_NOW: Final = 1_800_000_000_000
_ISSUED: Final = _TOKENS.issue(1, 402371330965504001, _NOW)
_INBOX: Final = Inbox(1, "shop", "key", "secret-secret-secret-secret-secret")


def tokens(data: bytes) -> None:
    """Only the token that was issued is read."""
    token = data.decode("latin-1")
    assert (_TOKENS.read(token, _NOW) is not None) == (token == _ISSUED)


def identity(data: bytes) -> None:
    """A JWT is an identity or refused; with a first byte of 1 the claims behind it are well signed."""
    token = _signed(data[1:]) if data[:1] == b"\x01" else data.decode("latin-1")
    with suppress(UniqueCsError):
        assert read_identity(_INBOX, token, _NOW).subject


def _signed(claims: bytes) -> str:
    try:
        decoded = msgspec.json.decode(claims)
        key = OctKey.import_key(_INBOX.identity_secret)
        return jwt.encode({"alg": "HS256"}, decoded, key)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return ""


def _claims() -> list[bytes]:
    claims = {"aud": "key", "sub": "7", "exp": _NOW // 1000 + 60, "name": "Ann", "iat": 1, "nbf": 1}
    good = msgspec.json.encode(claims)
    lists = msgspec.json.encode({**claims, "aud": ["key"], "sub": [1]})
    return [b"\x01" + good, b"\x01" + lists, _signed(good).encode()]


TARGETS: Final = {
    "handshake": Target(handshake, _handshakes),
    "websocket": Target(websocket, _websockets),
    "json": Target(codec_json, lambda: [msgspec.json.encode(each) for each in CLIENT.values()]),
    "msgpack": Target(codec_msgpack, lambda: [msgspec.msgpack.encode(each) for each in CLIENT.values()]),
    "protobuf": Target(codec_protobuf, _protobufs),
    "mqtt": Target(mqtt, _mqtt_packets),
    "tokens": Target(tokens, lambda: [_ISSUED.encode(), b"uca_x"]),
    "identity": Target(identity, _claims),
}

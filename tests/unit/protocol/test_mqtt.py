"""The MQTT engine: what each packet is answered with, in both versions; any split of a stream is the same."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.mqtt import connect, publish, read_packets, subscribe, text
from unique_cs.protocol import mqtt_packets as packets
from unique_cs.protocol.mqtt import CLOSED, FAILED, OPEN, OVERHEAD, WINDOW, Mqtt
from unique_cs.protocol.mqtt_packets import Connect

UP, DOWN = "ucs/v1/me/up", "ucs/v1/me/down"
V311, V5 = packets.V311, packets.V5
both = pytest.mark.parametrize("version", [V311, V5])


def opened(version: int = V5, **fields: Any) -> Mqtt:
    """An engine after CONNACK, of the client `me`."""
    mqtt = Mqtt(1_000)
    [asked] = mqtt.receive(connect(version, "me", **fields))
    assert isinstance(asked, Connect)
    mqtt.accept("me", assigned=False, keep_alive=0)
    mqtt.take_output()
    return mqtt


def subscribed(version: int = V5, qos: int = 1, **fields: Any) -> Mqtt:
    """The same, subscribed to `down`."""
    mqtt = opened(version, **fields)
    mqtt.receive(subscribe(version, 1, DOWN, qos=qos))
    mqtt.take_output()
    return mqtt


def answer(mqtt: Mqtt) -> list[tuple[int, bytes]]:
    """The packets that wait to be written: first byte and body."""
    return read_packets(mqtt.take_output())


@both
def test_connect_publish_and_ping(version: int) -> None:
    mqtt = opened(version)
    assert mqtt.receive(publish(version, UP, b"one")) == [b"one"]
    assert answer(mqtt) == []
    assert mqtt.receive(publish(version, UP, b"two", packet_id=7)) == [b"two"]
    assert answer(mqtt) == [(0x40, b"\0\x07")]
    assert mqtt.receive(b"\xc0\0") == []
    assert answer(mqtt) == [(0xD0, b"")]
    assert mqtt.receive(b"\xe0\0") == []
    assert (mqtt.state, mqtt.fault) == (CLOSED, 0)


def test_connack_says_what_is_offered() -> None:
    mqtt = Mqtt(1_000)
    mqtt.receive(connect(V5, ""))
    mqtt.accept("made", assigned=True, keep_alive=25)
    [(first, body)] = answer(mqtt)
    assert (first, body[:2]) == (0x20, b"\0\0")
    for part in (
        b"\x24\x01",
        b"\x25\0",
        b"\x28\0",
        b"\x29\0",
        b"\x2a\0",
        b"\x27" + (1_000 + OVERHEAD).to_bytes(4, "big"),
        b"\x21" + WINDOW.to_bytes(2, "big"),
        b"\x12" + text("made"),
        b"\x13\0\x19",
    ):
        assert part in body
    mqtt = Mqtt(1_000)
    mqtt.receive(connect(V311, "me", clean=False))
    mqtt.accept("me", assigned=False, keep_alive=0)
    assert answer(mqtt) == [(0x20, b"\0\0")]


def test_what_follows_connect_at_once_is_kept() -> None:
    mqtt = Mqtt(1_000)
    pipelined = subscribe(V5, 1, DOWN) + publish(V5, UP, b"early", packet_id=2)
    [asked] = mqtt.receive(connect(V5, "me", password=b"secret") + pipelined[:9])
    assert isinstance(asked, Connect)
    assert asked.password == b"secret"
    assert mqtt.receive(pipelined[9:]) == []
    mqtt.accept("me", assigned=False, keep_alive=0)
    assert mqtt.receive(b"") == [b"early"]
    assert [first for first, _ in answer(mqtt)] == [0x20, 0x90, 0x40]


REFUSED_CONNECTS: dict[str, tuple[bytes, bytes | None]] = {
    "an old protocol": (packets.packet(0x10, b"\0\x06MQIsdp\x03\x02\0\0\0\x01a"), b"\x20\x02\0\x01"),
    "a version to come": (packets.packet(0x10, b"\0\x04MQTT\x06\x02\0\0\0\0\x01a"), b"\x20\x02\0\x01"),
    "another protocol": (packets.packet(0x10, b"\0\x04HTTP\x04\x02\0\0\0\x01a"), b""),
    "no id, not clean, 3.1.1": (connect(V311, "", clean=False), b"\x20\x02\0\x02"),
    "a wildcard as id": (connect(V5, "a+"), b"\x20\x03\0\x85\0"),
    "an endless id": (connect(V5, "a" * 257), b"\x20\x03\0\x85\0"),
    "a reserved flag": (connect(V5, "me", flags=1), b"\x20\x03\0\x81\0"),
    "a reserved flag, 3.1.1": (connect(V311, "me", flags=1), b""),
    "a password without a name, 3.1.1": (connect(V311, "me", user=None), b""),
    "a will of QoS 2": (connect(V5, "me", flags=0x14, will=True), b"\x20\x03\0\x9b\0"),
    "a will to retain": (connect(V5, "me", flags=0x24, will=True), b"\x20\x03\0\x9a\0"),
    "QoS of no will": (connect(V5, "me", flags=0x08), b"\x20\x03\0\x81\0"),
    "an authentication method": (connect(V5, "me", properties=b"\x15" + text("SCRAM")), b"\x20\x03\0\x8c\0"),
    "a receive maximum of 0": (connect(V5, "me", properties=b"\x21\0\0"), b"\x20\x03\0\x82\0"),
    "a property twice": (connect(V5, "me", properties=b"\x21\0\x01\x21\0\x01"), b"\x20\x03\0\x82\0"),
    "a property of others": (connect(V5, "me", properties=b"\x23\0\x01"), b"\x20\x03\0\x82\0"),
    "an id that is no UTF-8": (connect(V5, b"\xff"), b"\x20\x03\0\x81\0"),
    "an id with a null": (connect(V5, b"a\0"), b"\x20\x03\0\x81\0"),
    "too much": (connect(V5, "me") + b"x", None),
    "publish first": (publish(V5, UP, b"x"), b""),
    "no MQTT": (b"GET / HTTP/1.1\r\n\r\n", b""),
    "a length without end": (b"\x10\xff\xff\xff\xff\x01", b""),
    "a length in too many bytes": (b"\x10\x80\x00", b""),
    "a packet too large": (b"\x10\xff\xff\x03", b""),
}


@pytest.mark.parametrize("name", REFUSED_CONNECTS)
def test_connects_that_are_refused(name: str) -> None:
    raw, expected = REFUSED_CONNECTS[name]
    mqtt = Mqtt(1_000)
    found = mqtt.receive(raw)
    if expected is None:  # what follows is the next packet's
        assert len(found) == 1
        return
    assert found == []
    assert mqtt.take_output() == expected
    assert mqtt.state == CLOSED
    assert mqtt.fault
    assert mqtt.receive(connect(V5, "me")) == []


@both
@pytest.mark.parametrize("qos", [0, 1])
def test_a_will_is_read_and_never_sent(version: int, qos: int) -> None:
    mqtt = Mqtt(1_000)
    [asked] = mqtt.receive(connect(version, "me", flags=0x04 | qos << 3, will=True, password=b"secret"))
    assert isinstance(asked, Connect)
    assert asked.password == b"secret"


def test_a_password_without_a_user_name_and_an_empty_name() -> None:
    for version, user in ((V5, None), (V5, ""), (V311, "")):
        [asked] = Mqtt(1_000).receive(connect(version, "me", user=user, password=b"t"))
        assert isinstance(asked, Connect)
        assert asked.password == b"t"


FAULTS: dict[str, tuple[int, bytes, int]] = {
    "a second CONNECT": (V5, connect(V5, "me"), 0x82),
    "AUTH": (V5, b"\xf0\0", 0x82),
    "PUBREL": (V5, b"\x62\x02\0\x01", 0x81),
    "PUBREC": (V5, b"\x50\x02\0\x01", 0x82),
    "a reserved type": (V5, b"\0\0", 0x82),
    "reserved flags": (V5, b"\xc1\0", 0x81),
    "SUBSCRIBE without its flags": (V5, b"\x80\x05\0\x01\0\0\0", 0x82),
    "QoS 2": (V5, publish(V5, UP, b"x", packet_id=1, qos=2), 0x9B),
    "QoS 3": (V5, publish(V5, UP, b"x", packet_id=1, qos=3), 0x81),
    "a repeat of QoS 0": (V5, publish(V5, UP, b"x", dup=True), 0x81),
    "packet id 0": (V5, packets.packet(0x32, text(UP) + b"\0\0\0x"), 0x82),
    "retain": (V5, publish(V5, UP, b"x", retain=True), 0x9A),
    "a topic alias": (V5, publish(V5, UP, b"x", properties=b"\x23\0\x01"), 0x94),
    "a topic alias alone": (V5, publish(V5, "", b"x", properties=b"\x23\0\x01"), 0x94),
    "no topic": (V5, publish(V5, "", b"x"), 0x90),
    "a wildcard to publish to": (V5, publish(V5, "ucs/v1/+/up", b"x"), 0x90),
    "elsewhere, QoS 0": (V5, publish(V5, "ucs/v1/you/up", b"x"), 0x87),
    "elsewhere, 3.1.1": (V311, publish(V311, "ucs/v1/you/up", b"x", packet_id=1), 0x87),
    "a frame too large": (V5, publish(V5, UP, b"x" * 1_001), 0x95),
    "a packet too large": (V5, b"\x30\xff\x7f", 0x95),
    "a topic that is no UTF-8": (V5, publish(V5, b"\xc3\x28", b"x"), 0x81),
    "a topic of a surrogate": (V5, publish(V5, b"\xed\xa0\x80", b"x"), 0x81),
    "half a topic": (V5, b"\x30\x03\0\x09u", 0x81),
    "an unknown property": (V5, publish(V5, UP, b"x", properties=b"\x7f\0"), 0x82),
    "properties that end early": (V5, b"\x30\x06\0\x01u\x09\x01\0", 0x81),
    "SUBSCRIBE to nothing": (V5, packets.packet(0x82, b"\0\x01\0"), 0x82),
    "reserved options": (V5, subscribe(V5, 1, DOWN, qos=0xC1), 0x81),
    "reserved options, 3.1.1": (V311, subscribe(V311, 1, DOWN, qos=0x04), 0x81),
    "UNSUBSCRIBE from nothing": (V5, packets.packet(0xA2, b"\0\x01\0"), 0x82),
    "PINGREQ with a body": (V5, b"\xc0\x01x", 0x81),
    "PUBACK without an id": (V5, b"\x40\0", 0x81),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_a_connected_client(name: str) -> None:
    version, raw, reason = FAULTS[name]
    mqtt = subscribed(version)
    assert mqtt.receive(raw + publish(version, UP, b"late")) == []
    assert (mqtt.state, mqtt.fault) == (FAILED, reason)
    assert answer(mqtt) == []
    mqtt.publish([b"goodbye"])
    mqtt.close(reason)
    goodbye, *last = answer(mqtt)
    assert goodbye[1].endswith(b"goodbye")
    assert last == ([(0xE0, bytes((reason,)))] if version == V5 else [])
    assert mqtt.state == CLOSED


def test_publishing_elsewhere_is_refused_in_the_puback() -> None:
    mqtt = opened()
    assert mqtt.receive(publish(V5, "ucs/v1/you/up", b"x", packet_id=3)) == []
    assert answer(mqtt) == [(0x40, b"\0\x03\x87")]
    assert mqtt.state == OPEN


def test_retain_is_ignored_in_311() -> None:
    assert opened(V311).receive(publish(V311, UP, b"x", retain=True)) == [b"x"]


@both
def test_each_filter_gets_its_code(version: int) -> None:
    mqtt = opened(version)
    filters = (DOWN, "ucs/v1/you/down", UP, "ucs/v1/+/down", "#", f"$share/g/{DOWN}", DOWN)
    mqtt.receive(subscribe(version, 9, *filters, qos=2))
    [(first, body)] = answer(mqtt)
    assert (first, body[:2]) == (0x90, b"\0\x09")
    refused = [0x87, 0x87, 0xA2, 0xA2, 0x9E] if version == V5 else [0x80] * 5
    assert list(body[-7:]) == [1, *refused, 1]
    mqtt.receive(packets.packet(0xA2, b"\0\x05" + (b"\0" if version == V5 else b"") + text(DOWN) + text("x")))
    assert answer(mqtt) == [(0xB0, b"\0\x05" + (b"\0\0\x11" if version == V5 else b""))]
    mqtt.publish([b"unheard"])
    assert answer(mqtt) == []


def test_subscription_identifiers_are_refused() -> None:
    mqtt = opened()
    mqtt.receive(subscribe(V5, 1, DOWN, properties=b"\x0b\x01"))
    assert answer(mqtt)[0][1][-1] == 0xA1


@both
def test_nothing_comes_down_before_the_subscription(version: int) -> None:
    mqtt = opened(version)
    mqtt.publish([b"one", b"two"])
    assert (answer(mqtt), mqtt.waiting_bytes) == ([], 6)
    mqtt.receive(subscribe(version, 1, DOWN, qos=0))
    kinds = answer(mqtt)
    assert [first for first, _ in kinds] == [0x90, 0x30, 0x30]
    assert kinds[1][1] == text(DOWN) + (b"\0" if version == V5 else b"") + b"one"
    assert mqtt.waiting_bytes == 0


@both
def test_qos_1_keeps_to_the_window(version: int) -> None:
    properties = b"\x21\0\x02" if version == V5 else b""
    mqtt = subscribed(version, properties=properties)
    window = 2 if version == V5 else WINDOW
    mqtt.publish([b"%d" % number for number in range(window + 3)])
    sent = answer(mqtt)
    assert len(sent) == window
    assert {first for first, _ in sent} == {0x32}
    assert mqtt.waiting_bytes > 0
    start = len(text(DOWN))
    for _, body in sent:
        mqtt.receive(packets.packet(0x40, body[start : start + 2]))
    rest = answer(mqtt)
    assert [body[start + 2 + (version == V5) :] for _, body in rest] == [
        b"%d" % number for number in range(window, window + min(3, window))
    ]


def test_the_goodbye_passes_a_closed_window() -> None:
    mqtt = subscribed(V5, properties=b"\x21\0\x01")
    mqtt.publish([b"one", b"two", b"goodbye"])
    mqtt.close(0x8B)
    assert [(first, body[-3:]) for first, body in answer(mqtt)] == [
        (0x32, b"one"),
        (0x30, b"bye"),
        (0xE0, b"\x8b"),
    ]
    assert mqtt.waiting_bytes == 0


def test_a_packet_that_the_client_cannot_take_is_not_sent() -> None:
    mqtt = subscribed(V5, properties=b"\x27\0\0\0\x30")
    mqtt.publish([b"x" * 100, b"small"])
    [(_, body)] = answer(mqtt)
    assert body.endswith(b"small")


def test_packet_ids_in_use_are_passed_over() -> None:
    mqtt = subscribed(V5, properties=b"\x21\0\x02")
    start = len(text(DOWN))
    mqtt.publish([b"held"])
    [(_, held)] = answer(mqtt)
    for _ in range(0xFFFF):
        mqtt.publish([b"x"])
        [(_, body)] = answer(mqtt)
        assert body[start : start + 2] not in {held[start : start + 2], b"\0\0"}
        mqtt.receive(packets.packet(0x40, body[start : start + 2]))


STREAM = (
    connect(V5, "me", password=b"token")
    + subscribe(V5, 1, DOWN)
    + publish(V5, UP, b"one", packet_id=2)
    + b"\xc0\0"
    + publish(V5, UP, b"x" * 300)
    + publish(V5, UP, b"last", retain=True)
)


def run(chunks: list[bytes]) -> tuple[list[bytes], bytes, int, int]:
    mqtt = Mqtt(1_000)
    found: list[bytes] = []
    for chunk in chunks:
        for item in mqtt.receive(chunk):
            if isinstance(item, Connect):
                mqtt.accept(item.client_id, assigned=False, keep_alive=0)
                found += [each for each in mqtt.receive(b"") if isinstance(each, bytes)]
            else:
                found.append(item)
    return found, mqtt.take_output(), mqtt.state, mqtt.fault


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_split_of_a_stream_is_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(places)]
    assert run(chunks) == run([STREAM])
    assert run([STREAM])[2:] == (FAILED, 0x9A)


@given(st.lists(st.binary(max_size=60), max_size=5), st.sampled_from([0, V311, V5]))
def test_random_bytes_never_raise(chunks: list[bytes], version: int) -> None:
    mqtt = opened(version) if version else Mqtt(1_000)
    for chunk in chunks:
        mqtt.receive(chunk)
    mqtt.publish([b"x"])
    mqtt.close(0x82)
    mqtt.take_output()
    assert mqtt.state == CLOSED


@given(st.integers(0, 15), st.sampled_from([V311, V5]), st.binary(max_size=80))
def test_random_packets_never_raise(kind: int, version: int, body: bytes) -> None:
    mqtt = opened(version)
    flags = 2 if kind in {packets.SUBSCRIBE, packets.UNSUBSCRIBE} else 0
    mqtt.receive(packets.packet(kind << 4 | flags, body))
    mqtt.take_output()
    fresh = Mqtt(1_000)
    fresh.receive(packets.packet(0x10, text("MQTT") + bytes((version,)) + body))
    fresh.take_output()
    assert fresh.state in range(CLOSED + 1)

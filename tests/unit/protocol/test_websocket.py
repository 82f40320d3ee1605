"""The engine reads what RFC 6455 allows, whole or in pieces, and fails all else with the right code."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.speedups import apply_mask

from tests.support.client_frames import BINARY, CLOSE, PING, PONG, TEXT, close, frame, read_frames
from unique_cs.protocol.websocket import (
    CLOSED,
    CLOSING,
    OPEN,
    TOO_LARGE,
    Binary,
    WebSocket,
    frame_binary,
    frame_close,
    frame_ping,
    frame_pong,
    frame_text,
    xor_mask,
)

LIMIT = 70_000


def opened() -> WebSocket:
    return WebSocket(LIMIT)


def closed_with(ws: WebSocket) -> int:
    """The code in the close frame that the engine sent."""
    opcode, payload = read_frames(ws.take_output())[-1]
    assert opcode == CLOSE
    return int.from_bytes(payload[:2], "big")


# Messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, LIMIT])
def test_reads_text_and_binary_messages_of_every_length_form(size: int) -> None:
    ws = opened()
    payload = b"x" * size
    assert ws.receive(frame(TEXT, payload) + frame(BINARY, payload)) == [payload, payload]
    assert ws.state == OPEN
    assert ws.output is None


def test_tells_text_from_binary() -> None:
    text, binary = opened().receive(frame(TEXT, b"a") + frame(BINARY, b"\xff"))
    assert not isinstance(text, Binary)
    assert isinstance(binary, Binary)


def test_puts_fragments_together_around_control_frames() -> None:
    ws = opened()
    stream = frame(TEXT, "你".encode()[:2], fin=False) + frame(PING, b"p") + frame(0, b"", fin=False)
    stream += frame(PONG) + frame(0, "你".encode()[2:] + b"!")
    assert ws.receive(stream) == ["你!".encode()]
    assert read_frames(ws.take_output()) == [(PONG, b"p")]
    assert ws.controls == 2


def test_puts_binary_fragments_together() -> None:
    [message] = opened().receive(frame(BINARY, b"\xff", fin=False) + frame(0, b"\xfe"))
    assert isinstance(message, Binary)
    assert message == b"\xff\xfe"


def test_reads_on_with_whole_frames_after_a_split_one() -> None:
    ws = opened()
    stream = frame(TEXT, b"one") + frame(TEXT, b"two") + frame(TEXT, b"three")
    assert ws.receive(stream[:12]) + ws.receive(stream[12:]) == [b"one", b"two", b"three"]


def test_time_for_a_message_in_single_bytes_grows_with_its_size_only() -> None:
    def seconds(size: int) -> float:
        data, ws = frame(TEXT, b"x" * size), WebSocket(size)
        start = time.perf_counter()
        messages = [message for index in range(len(data)) for message in ws.receive(data[index : index + 1])]
        assert messages == [b"x" * size]
        return time.perf_counter() - start

    small = min(seconds(16_000) for _ in range(3))
    assert min(seconds(256_000) for _ in range(2)) < small * 16 * 4  # quadratic would be 256 times


# Limits


def test_a_message_at_the_limit_passes_and_one_above_is_told_apart() -> None:
    ws = WebSocket(200)
    assert ws.receive(frame(TEXT, b"x" * 200)) == [b"x" * 200]
    assert ws.receive(frame(TEXT, b"ok") + frame(TEXT, b"x" * 201)) == [b"ok"]
    assert ws.state == TOO_LARGE
    assert ws.output is None


def test_the_limit_counts_all_fragments() -> None:
    ws = WebSocket(200)
    assert ws.receive(frame(TEXT, b"x" * 125, fin=False) + frame(0, b"x" * 76)) == []
    assert ws.state == TOO_LARGE


def test_the_limit_is_known_from_the_header_alone() -> None:
    ws = WebSocket(200)
    ws.receive(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"mask")
    assert ws.state == TOO_LARGE


def test_after_too_large_the_owner_picks_the_code_and_the_closing_handshake_completes() -> None:
    ws = WebSocket(200)
    oversized = frame(TEXT, b"\xff" * 1000)
    ws.receive(oversized[:300])
    ws.close(4413, "frame too large")
    assert read_frames(ws.take_output()) == [(CLOSE, (4413).to_bytes(2, "big") + b"frame too large")]
    assert ws.receive(oversized[300:] + frame(TEXT, b"late") + close(4413)) == []
    assert (ws.state, ws.close_code, ws.close_reason) == (CLOSED, 4413, "frame too large")
    assert ws.output is None


def test_a_limit_below_a_control_frame_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="at least 125"):
        WebSocket(124)


# Violations

VIOLATIONS = {
    "RSV1": frame(TEXT, b"x", rsv=4),
    "RSV2": frame(TEXT, b"x", rsv=2),
    "RSV3 on a ping": frame(PING, b"x", rsv=1),
    "opcode 3": frame(0x3),
    "opcode 11": frame(0xB),
    "not masked": b"\x81\x01x",
    "long ping": frame(PING, b"x" * 126),
    "fragmented ping": frame(PING, b"x", fin=False),
    "continuation of nothing": frame(0, b"x"),
    "message within a message": frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
    "16-bit length of 125": b"\x81\xfe" + (125).to_bytes(2, "big") + b"mask" + b"x" * 125,
    "64-bit length of 65535": b"\x81\xff" + (65535).to_bytes(8, "big") + b"mask",
    "64-bit length with the highest bit": b"\x81\xff" + (1 << 63).to_bytes(8, "big") + b"mask",
    "close of one byte": frame(CLOSE, b"\x03"),
}


@pytest.mark.parametrize("stream", VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_violation_ends_the_connection_with_1002_and_keeps_what_came_before(stream: bytes) -> None:
    for whole in (True, False):
        ws = opened()
        data = frame(TEXT, b"before") + stream + frame(TEXT, b"after")
        reads = [data] if whole else [data[index : index + 1] for index in range(len(data))]
        assert [message for read in reads for message in ws.receive(read)] == [b"before"]
        assert (ws.state, ws.close_code) == (CLOSED, 1002)
        assert closed_with(ws) == 1002


INVALID_TEXT = [
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"ok\xce",
    b"\xe4\xbd",
]


@pytest.mark.parametrize("payload", INVALID_TEXT)
def test_text_that_is_not_utf8_ends_the_connection_with_1007(payload: bytes) -> None:
    middle = len(payload) // 2
    fragments = frame(TEXT, payload[:middle], fin=False) + frame(0, payload[middle:])
    for stream in (frame(TEXT, payload), fragments):
        for size in (1, len(stream)):
            ws = opened()
            for start in range(0, len(stream), size):
                assert ws.receive(stream[start : start + size]) == []
            assert (ws.state, closed_with(ws)) == (CLOSED, 1007)


def test_invalid_text_is_known_before_its_frame_ends() -> None:
    ws = opened()
    ws.receive(frame(TEXT, b"ab\xf4\x90" + b"x" * 50)[:9])
    assert ws.state == OPEN
    ws.receive(frame(TEXT, b"ab\xf4\x90" + b"x" * 50)[9:10])
    assert closed_with(ws) == 1007


def test_nothing_is_read_after_the_end() -> None:
    ws = opened()
    ws.receive(frame(0x3))
    assert ws.take_output()
    assert ws.receive(frame(TEXT, b"x") + frame(PING) + close(1000)) == []
    assert ws.output is None


# Pings


def test_pings_are_answered_in_order_with_their_payload() -> None:
    ws = opened()
    assert ws.receive(frame(PING, b"1") + frame(TEXT, b"x") + frame(PING, b"y" * 125)) == [b"x"]
    assert read_frames(ws.take_output()) == [(PONG, b"1"), (PONG, b"y" * 125)]
    assert ws.take_output() == b""
    assert ws.controls == 2


def test_a_pong_nobody_asked_for_is_a_sign_of_life_only() -> None:
    ws = opened()
    assert ws.receive(frame(PONG, b"hi")) == []
    assert (ws.controls, ws.output, ws.state) == (1, None, OPEN)


# Closing


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4000, 4999])
def test_answers_a_close_with_its_code(code: int) -> None:
    ws = opened()
    assert ws.receive(frame(TEXT, b"x") + close(code, "再见".encode()) + frame(TEXT, b"y")) == [b"x"]
    assert read_frames(ws.take_output()) == [(CLOSE, code.to_bytes(2, "big"))]
    assert (ws.state, ws.close_code, ws.close_reason) == (CLOSED, code, "再见")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_a_close_code_that_may_not_be_sent_is_a_violation(code: int) -> None:
    ws = opened()
    ws.receive(close(code))
    assert closed_with(ws) == 1002


def test_a_close_without_a_code_is_answered_without_one() -> None:
    ws = opened()
    ws.receive(close(None))
    assert read_frames(ws.take_output()) == [(CLOSE, b"")]
    assert (ws.state, ws.close_code) == (CLOSED, 1005)


def test_a_close_reason_must_be_utf8() -> None:
    ws = opened()
    ws.receive(close(1000, b"\xff"))
    assert closed_with(ws) == 1007


def test_a_close_may_come_within_a_message() -> None:
    ws = opened()
    assert ws.receive(frame(TEXT, b"x", fin=False) + close(1000) + frame(0, b"y")) == []
    assert (ws.state, closed_with(ws)) == (CLOSED, 1000)


def test_our_close_waits_for_the_peers_and_drops_messages() -> None:
    ws = opened()
    ws.close(4503, "draining")
    ws.close(1000)
    assert read_frames(ws.take_output()) == [(CLOSE, (4503).to_bytes(2, "big") + b"draining")]
    assert ws.state == CLOSING
    assert ws.receive(frame(TEXT, b"late") + frame(PING)) == []
    assert ws.state == CLOSING
    ws.receive(close(1000))
    assert (ws.state, ws.close_code, ws.close_reason) == (CLOSED, 4503, "draining")
    assert ws.output is None


def test_a_violation_after_our_close_sends_no_second_one() -> None:
    ws = opened()
    ws.close()
    ws.take_output()
    ws.receive(frame(0x3))
    assert (ws.state, ws.close_code, ws.output) == (CLOSED, 1000, None)


# Building


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frames_of_every_length_form(size: int) -> None:
    payload = b"x" * size
    assert read_frames(frame_text(payload) + frame_binary(payload)) == [(TEXT, payload), (BINARY, payload)]


def test_control_frames() -> None:
    stream = frame_ping(b"a") + frame_pong(b"b") + frame_close(4401, "再见")
    expected = [(PING, b"a"), (PONG, b"b"), (CLOSE, (4401).to_bytes(2, "big") + "再见".encode())]
    assert read_frames(stream) == expected


def test_a_long_close_reason_is_cut_between_characters() -> None:
    [(_, payload)] = read_frames(frame_close(1000, "字" * 100))
    assert payload[2:].decode() == "字" * 41


def test_control_frames_that_no_peer_would_take_are_refused() -> None:
    with pytest.raises(ValueError, match="1005"):
        frame_close(1005)
    with pytest.raises(ValueError, match="125"):
        frame_ping(b"x" * 126)


# Any stream, any split

texts = st.text(max_size=300) | st.just("字" * 30_000)
binaries = st.binary(max_size=300) | st.just(b"x" * 66_000)
messages: st.SearchStrategy[str | bytes] = st.one_of(texts, binaries)
masks = st.binary(min_size=4, max_size=4)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[str | bytes], list[bytes]]:
    """A lawful stream, and the messages and pings in it."""
    stream = b""
    sent: list[str | bytes] = []
    pings: list[bytes] = []
    for message in draw(st.lists(messages, max_size=4)):
        data = message.encode() if isinstance(message, str) else message
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        opcode = TEXT if isinstance(message, str) else BINARY
        for index, piece in enumerate(pieces):
            last = index == len(pieces) - 1
            stream += frame(opcode if index == 0 else 0, piece, fin=last, mask=draw(masks))
            if draw(st.booleans()):
                pings.append(draw(st.binary(max_size=125)))
                stream += frame(PING, pings[-1], mask=draw(masks))
        sent.append(message)
    return stream, sent, pings


@given(streams(), st.data())
def test_any_split_of_a_stream_gives_the_same_messages(
    stream_sent_pings: tuple[bytes, list[str | bytes], list[bytes]], data: st.DataObject
) -> None:
    stream, sent, pings = stream_sent_pings
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    ws = WebSocket(200_000)
    got: list[bytes] = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += ws.receive(stream[start:stop])
    assert [bytes(item) if isinstance(item, Binary) else item.decode() for item in got] == sent
    assert read_frames(ws.take_output()) == [(PONG, ping) for ping in pings]
    assert ws.state == OPEN


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_bytes_end_in_a_documented_state(reads: list[bytes]) -> None:
    ws = WebSocket(1000)
    for read in reads:
        for message in ws.receive(read):
            assert isinstance(message, Binary) or message.decode() is not None
    assert ws.state in (OPEN, TOO_LARGE, CLOSED)
    replies = read_frames(ws.take_output())
    assert (ws.state == CLOSED) == (CLOSE in [opcode for opcode, _ in replies])
    assert all(opcode in (PONG, CLOSE) for opcode, _ in replies)


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_lawful_frames_damaged_anywhere_end_in_a_documented_state(payload: bytes, damage: bytes) -> None:
    stream = frame(TEXT, payload) + frame(PING, payload[:125]) + close(1000)
    at = int.from_bytes(damage[:2], "big") % len(stream)
    ws = WebSocket(1000)
    ws.receive(stream[:at] + damage[2:3] + stream[at + 1 :])
    ws.receive(stream)
    assert ws.state in (OPEN, TOO_LARGE, CLOSED)
    assert ws.close_code == 0 or ws.state == CLOSED


@given(st.binary(max_size=70), masks)
def test_masking_without_the_compiled_helper_is_the_same(data: bytes, mask: bytes) -> None:
    assert xor_mask(data, mask) == bytes(byte ^ mask[index & 3] for index, byte in enumerate(data))
    assert xor_mask(data, mask) == apply_mask(data, mask)

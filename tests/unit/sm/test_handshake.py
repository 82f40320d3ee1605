"""The handshake and the records of `unique-cs.v1+sm`: what one makes the other reads, no more."""

import random
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unique_cs.sm import handshake, sm2
from unique_cs.sm.channel import BadRecord, Channel, channel
from unique_cs.sm.curve import Gmalg, N, P, curve, decode, encode
from unique_cs.sm.handshake import BadHello, Hello, answer, begin, fingerprint, finish, make_credentials
from unique_cs.sm.keyfile import read_key, read_or_make_key
from unique_cs.sm.sm2 import key_of

draw = random.Random(1).randbytes
IDENTITY = key_of(11)
PIN = fingerprint(IDENTITY.public)
CREDENTIALS = make_credentials(IDENTITY, draw)
HELLO = begin(draw)


def pair() -> tuple[Channel, Channel]:
    """A client's channel and the server's."""
    message, server = answer(CREDENTIALS, HELLO.message, draw)
    return finish(HELLO, message, PIN), server


def test_both_directions() -> None:
    client, server = pair()
    for n in range(3):
        assert server.opener.open(client.sealer.seal(b"up %d" % n)) == b"up %d" % n
        assert client.opener.open(server.sealer.seal(b"down %d" % n)) == b"down %d" % n
    assert server.opener.open(client.sealer.seal(b"")) == b""


def test_two_handshakes_have_nothing_in_common() -> None:
    """Of the same hello too: the server's one-time key is new."""
    (first, _), (_, other) = pair(), pair()
    with pytest.raises(BadRecord):
        other.opener.open(first.sealer.seal(b"x"))


def test_another_server_is_refused() -> None:
    message, _ = answer(make_credentials(key_of(12), draw), HELLO.message, draw)
    with pytest.raises(BadHello, match="another identity"):
        finish(HELLO, message, PIN)


def test_an_agreement_key_that_is_not_signed_is_refused() -> None:
    """Who knows the identity's public key only: it puts its own agreement key behind it."""
    own = make_credentials(key_of(12), draw)
    forged = own._replace(statement=encode(IDENTITY.public) + own.statement[65:])
    message, _ = answer(forged, HELLO.message, draw)
    with pytest.raises(BadHello, match="not signed"):
        finish(HELLO, message, PIN)


@pytest.mark.parametrize("at", [0, 1, 70, 140, 194, 259])
def test_a_changed_answer_is_refused(at: int) -> None:
    message, _ = answer(CREDENTIALS, HELLO.message, draw)
    changed = message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
    with pytest.raises(BadHello):
        finish(HELLO, changed, PIN)


def test_a_changed_hello_ends_in_other_keys() -> None:
    """A point in the middle that swaps the client's keys for its own gets no further."""
    message, server = answer(CREDENTIALS, begin(draw).message, draw)
    with pytest.raises(BadRecord):
        server.opener.open(finish(HELLO, message, PIN).sealer.seal(b"x"))


@pytest.mark.parametrize("point", [b"\x04" + bytes(64), b"\x04" + b"\xff" * 64, bytes(65)])
@pytest.mark.parametrize("place", [1, 66])
def test_a_point_off_the_curve_is_refused(point: bytes, place: int) -> None:
    hello = HELLO.message[:place] + point + HELLO.message[place + 65 :]
    with pytest.raises(BadHello):
        answer(CREDENTIALS, hello, draw)


@pytest.fixture(params=[curve(), Gmalg()], ids=lambda each: type(each).__name__)
def _curve(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to calculate, where there are two."""
    monkeypatch.setattr(sm2, "curve", lambda: request.param)


@pytest.mark.usefixtures("_curve")
def test_a_sum_that_is_infinite_is_refused() -> None:
    """P = −x̄·R, which would make the shared point infinite."""
    once = key_of(5)
    x, y = key_of(sm2._bar(once.public) * 5 % N).public
    hello = handshake.VERSION + encode((x, P - y)) + encode(once.public)
    with pytest.raises(BadHello):
        answer(CREDENTIALS, hello, draw)


@pytest.mark.usefixtures("_curve")
def test_a_sum_of_a_point_and_itself_is_right() -> None:
    """P = x̄·R: addition has to double."""
    once = key_of(5)
    own = key_of(sm2._bar(once.public) * 5 % N)
    hello = Hello(own, once, handshake.VERSION + encode(own.public) + encode(once.public))
    message, server = answer(CREDENTIALS, hello.message, draw)
    client = finish(hello, message, PIN)
    assert server.opener.open(client.sealer.seal(b"x")) == b"x"


def test_replay_order_loss_and_truncation_are_refused() -> None:
    client, server = pair()
    first, second = client.sealer.seal(b"first"), client.sealer.seal(b"second")
    for record in (second, first[:-1], first[:3], b"", first + b"x", server.sealer.seal(b"mirror")):
        with pytest.raises(BadRecord):
            server.opener.open(record)
    assert server.opener.open(first) == b"first"
    with pytest.raises(BadRecord):
        server.opener.open(first)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_changed_bit_is_refused(data: st.DataObject) -> None:
    plain = data.draw(st.binary(max_size=200))
    client, server = (channel(bytes(range(56)), b"bound", client=side) for side in (True, False))
    record = bytearray(client.sealer.seal(plain))
    bit = data.draw(st.integers(0, 8 * len(record) - 1))
    record[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadRecord):
        server.opener.open(bytes(record))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.binary(min_size=130, max_size=130).map(b"\x01".__add__))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(BadHello):
        answer(CREDENTIALS, data, draw)
    with pytest.raises(BadHello):
        finish(HELLO, data, PIN)
    with pytest.raises(BadRecord):
        channel(bytes(56), b"", client=True).opener.open(data)


def test_points_survive_their_bytes() -> None:
    assert decode(encode(IDENTITY.public)) == IDENTITY.public


@pytest.mark.parametrize("private", [0, N - 1, N])
def test_a_private_key_has_its_bounds(private: int) -> None:
    with pytest.raises(ValueError, match="private key"):
        key_of(private)


def test_the_key_file_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "sm" / "identity.key"
    key = read_or_make_key(path, draw)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_or_make_key(path, draw) == key == read_key(path)
    assert [file.name for file in path.parent.iterdir()] == ["identity.key"]


@pytest.mark.parametrize("text", ["", "00", "0" * 64, "g" * 64])
def test_a_file_without_a_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011  # int says it in its own words
        read_or_make_key(path, draw)

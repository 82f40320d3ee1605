"""Codecs: whatever bytes come in, only a frame or a documented refusal comes out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.golden import CLIENT
from unique_cs.domain.body import MAX_DEPTH
from unique_cs.errors import Code, UniqueCsError
from unique_cs.protocol.codec import JSON, MSGPACK, BadFrame, Codec
from unique_cs.protocol.frames import InvalidSend, Send

CODECS = [JSON, MSGPACK]
FUZZ = settings(max_examples=300, deadline=None)


def encode(codec: Codec, value: Any) -> bytes:
    """The bytes of a value in a codec's encoding."""
    return msgspec.msgpack.encode(value) if codec.binary else msgspec.json.encode(value)


def decode(codec: Codec, payload: bytes) -> object:
    """The frame, or the refusal that was raised; anything else that is raised fails the test."""
    try:
        return codec.decode(payload)
    except UniqueCsError as error:
        return error


def code_of(codec: Codec, value: Any) -> Code | None:
    """The code of the refusal of a value, if it is refused."""
    found = decode(codec, encode(codec, value))
    return found.code if isinstance(found, UniqueCsError) else None


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@FUZZ
@given(payload=st.binary(max_size=300))
def test_random_bytes(codec: Codec, payload: bytes) -> None:
    """Random bytes give a frame or a refusal."""
    decode(codec, payload)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@FUZZ
@given(data=st.data())
def test_mutated_frames(codec: Codec, data: st.DataObject) -> None:
    """Mutated frames give a frame or a refusal; a number that is read is good."""
    payload = bytearray(encode(codec, data.draw(st.sampled_from(list(CLIENT.values())))))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(payload)))
        end = data.draw(st.integers(start, min(len(payload), start + 3)))
        payload[start:end] = data.draw(st.binary(max_size=3))
    found = decode(codec, bytes(payload))
    if isinstance(found, Send | InvalidSend):
        assert 1 <= found.n < 2**53


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["n", "body", "kind", "text", "conversation", "private", "token", "since", "seq", "epoch", "on", "c"]
)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@FUZZ
@given(
    kind=st.sampled_from([*sorted({frame.__struct_config__.tag for frame in CLIENT.values()}), "x"]),  # type: ignore[type-var]  # tags are strings
    fields=st.dictionaries(FIELDS, VALUES, max_size=5),
)
def test_wrong_fields(codec: Codec, kind: str, fields: dict[str, Any]) -> None:
    """Frames of a known type with any fields give a frame or a refusal, a bad one only for `connect`."""
    try:
        payload = encode(codec, {"type": kind, **fields})
    except (OverflowError, UnicodeEncodeError):
        return
    found = decode(codec, payload)
    assert isinstance(found, BadFrame) <= (kind == "connect")
    if kind == "x":
        assert isinstance(found, UniqueCsError)
        assert found.code is Code.UNKNOWN_TYPE


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@FUZZ
@given(value=VALUES)
def test_custom_bodies_travel_everywhere(codec: Codec, value: Any) -> None:
    """A custom body that is taken can be carried by both codecs; every other one uses its number up."""
    try:
        payload = encode(codec, {"type": "send", "n": 1, "body": {"kind": "custom", "x": value}})
    except (OverflowError, UnicodeEncodeError):
        return
    found = codec.decode(payload)
    if isinstance(found, InvalidSend):
        assert found.n == 1
        return
    assert isinstance(found, Send)
    stored = msgspec.json.encode(found.body)
    assert msgspec.msgpack.decode(MSGPACK.transcode(stored)) == msgspec.json.decode(stored) == found.body


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@pytest.mark.parametrize(
    "value", [[], 2**64 - 1, -(2**63), 0.1, "x" * 60_000, {"": {}}], ids=lambda value: type(value).__name__
)
def test_what_a_custom_body_holds(codec: Codec, value: Any) -> None:
    """A custom body holds what JSON and msgpack both know."""
    found = codec.decode(encode(codec, {"type": "send", "n": 1, "body": {"kind": "custom", "x": value}}))
    assert found == Send(1, {"kind": "custom", "x": value})  # type: ignore[arg-type]  # as the codec gives it


@pytest.mark.parametrize(
    "value",
    [b"bytes", float("nan"), msgspec.msgpack.Ext(5, b"x"), {1: 2}],
    ids=lambda value: type(value).__name__,
)
def test_what_only_msgpack_knows(value: Any) -> None:
    """A custom body holds nothing that JSON does not know."""
    found = MSGPACK.decode(encode(MSGPACK, {"type": "send", "n": 1, "body": {"kind": "custom", "x": value}}))
    assert isinstance(found, InvalidSend)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, 900, 30_000])
def test_deep_custom_bodies(codec: Codec, depth: int) -> None:
    """A custom body lies at most so deep, also where a decoder would give up."""
    nested = (b"\x91" * depth + b"\x90") if codec.binary else (b"[" * depth + b"[]" + b"]" * depth)[1:-1]
    if codec.binary:
        payload = b"\x83\xa4type\xa4send\xa1n\x01\xa4body\x82\xa4kind\xa6custom\xa1x" + nested[1:]
    else:
        payload = b'{"type":"send","n":1,"body":{"kind":"custom","x":%b}}' % nested
    found = decode(codec, payload)
    if depth < MAX_DEPTH:
        assert isinstance(found, Send)
    else:
        assert isinstance(found, InvalidSend | BadFrame)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_refusals(codec: Codec) -> None:
    """No frame is a bad frame; an unknown type, a bad field and a send without a number are not."""
    assert code_of(codec, []) is Code.BAD_FRAME
    assert code_of(codec, {"n": 1}) is Code.BAD_FRAME
    assert code_of(codec, {"type": 5}) is Code.BAD_FRAME
    assert code_of(codec, {"type": "connect"}) is Code.BAD_FRAME
    assert code_of(codec, {"type": "nonsense", "n": "x"}) is Code.UNKNOWN_TYPE
    assert code_of(codec, {"type": "event"}) is Code.UNKNOWN_TYPE
    assert code_of(codec, {"type": "read", "conversation": "1"}) is Code.INVALID
    assert code_of(codec, {"type": "send", "n": 0, "body": {"kind": "text", "text": "x"}}) is Code.INVALID
    assert code_of(codec, {"type": "send", "n": "1", "body": {"kind": "text", "text": "x"}}) is Code.INVALID


def test_text_that_is_no_unicode() -> None:
    """Half a surrogate pair, as a cut emoji leaves it, costs the message and not the connection."""
    found = JSON.decode(b'{"type":"send","n":7,"body":{"kind":"text","text":"half \\ud83d"}}')
    assert isinstance(found, InvalidSend)
    assert found.n == 7
    with pytest.raises(UniqueCsError) as raised:
        JSON.decode(b'{"type":"typing","conversation":"1","preview":"half \\ud83d"}')
    assert raised.value.code is Code.INVALID

"""Frames as protobuf: the golden ones and any others go there and come back the same."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.golden import CLIENT, SERVER
from unique_cs.domain.body import MAX_DEPTH
from unique_cs.errors import Code, UniqueCsError
from unique_cs.protobuf import from_dict, to_dict
from unique_cs.protocol.codec import JSON, BadFrame
from unique_cs.protocol.frames import InvalidSend, Send
from unique_cs.protocol.protobuf import PROTOBUF
from unique_cs.v1 import messaging_pb2 as pb

Frame = dict[str, Any]
WIRE = Path(__file__).resolve().parents[2] / "wire" / "frames.json"
GOLDEN: dict[str, Frame] = {row["name"]: row["json"] for row in msgspec.json.decode(WIRE.read_bytes())}


def up(frame: Frame) -> bytes:
    """A client's frame."""
    return from_dict(pb.ClientFrame(), frame).SerializeToString()


def down(data: bytes) -> Frame:
    """A server's frame."""
    return to_dict(pb.ServerFrame.FromString(data))


@pytest.mark.parametrize("name", CLIENT)
def test_client_frames_are_read_as_from_json(name: str) -> None:
    assert PROTOBUF.decode(up(GOLDEN[name])) == CLIENT[name]


@pytest.mark.parametrize("name", SERVER)
def test_server_frames_say_what_json_says(name: str) -> None:
    data = PROTOBUF.encode(SERVER[name])
    assert down(data) == GOLDEN[name]
    assert PROTOBUF.transcode(msgspec.json.encode(GOLDEN[name])) == data


def test_every_frame_has_a_field() -> None:
    """The definition has the frames of the page, and no others."""
    for message, frames in ((pb.ClientFrame, CLIENT), (pb.ServerFrame, SERVER)):
        fields = {field.name for field in message.DESCRIPTOR.fields}
        assert fields == {GOLDEN[name]["type"] for name in frames}


# Any frames

# A double carries integers up to 2^53, and `-0.0` is no integer of JSON's.
_numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: not number.is_integer()
)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_values = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=10,
)
_ids = st.from_regex(r"[1-9][0-9]{0,18}", fullmatch=True)
_places = st.integers(0, 2**53 - 1)
_numbered = st.integers(1, 2**53 - 1)
_position = st.fixed_dictionaries({"epoch": _texts, "seq": _places})
_line = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_url = st.just("https://shop.example/1")
_bodies = st.one_of(
    st.fixed_dictionaries({"kind": st.just("text"), "text": _line}),
    st.fixed_dictionaries({"kind": st.sampled_from(["image", "file", "audio"]), "attachment": _texts}),
    st.fixed_dictionaries(
        {"kind": st.just("card"), "title": _line},
        optional={
            "description": _texts,
            "url": _url,
            "image_url": _url,
            "price": _texts,
            "actions": st.lists(
                st.fixed_dictionaries({"label": _texts}, optional={"url": _url}), min_size=1, max_size=3
            ),
        },
    ),
    st.fixed_dictionaries(
        {"kind": st.just("choices"), "text": _line, "options": st.lists(_texts, min_size=1, max_size=3)}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("rating"), "score": st.integers(1, 5)}, optional={"comment": _texts}
    ),
    st.dictionaries(_texts, _values, max_size=3).map(lambda fields: {**fields, "kind": "custom"}),
)
_sends = st.fixed_dictionaries(
    {"type": st.just("send"), "n": _numbered, "body": _bodies, "private": st.booleans()},
    optional={"conversation": _ids},
)
_connects = st.fixed_dictionaries(
    {"type": st.just("connect"), "token": _texts, "since": st.dictionaries(_ids, _position, max_size=3)},
    optional={
        "session": _texts,
        "c": _numbered,
        "acked": _places,
        "client": st.fixed_dictionaries({"name": _texts, "version": _texts}),
    },
)
_others = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("subscribe"), "conversation": _ids}, optional={"since": _position}
    ),
    st.fixed_dictionaries({"type": st.just("unsubscribe"), "conversation": _ids}),
    st.fixed_dictionaries(
        {"type": st.just("typing"), "conversation": _ids},
        optional={"on": st.booleans(), "preview": _texts, "private": st.booleans()},
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["read", "delivered"]), "conversation": _ids, "seq": _places}
    ),
    st.fixed_dictionaries(
        {"type": st.just("page")}, optional={"url": _texts, "title": _texts, "referrer": _texts}
    ),
    st.just({"type": "ping"}),
)


@given(_sends | _connects | _others)
def test_any_frame_is_the_same_as_in_json(frame: Frame) -> None:
    assert PROTOBUF.decode(up(frame)) == JSON.decode(msgspec.json.encode(frame))


@given(_bodies, st.booleans(), _places)
def test_any_message_comes_down_as_it_went_up(body: Frame, private: bool, seq: int) -> None:
    event = GOLDEN["event message.created"] | {"seq": seq, "data": {"body": body, "private": private}}
    assert down(PROTOBUF.transcode(msgspec.json.encode(event))) == event


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        PROTOBUF.decode(payload)
    except UniqueCsError as error:
        assert error.code in {Code.BAD_FRAME, Code.UNKNOWN_TYPE, Code.INVALID}  # noqa: PT017


# What is different


def nested(depth: int) -> Frame:
    """Objects in each other."""
    found: Frame = {}
    for _ in range(depth - 1):
        found = {"a": found}
    return {"kind": "custom", **found}


def test_a_custom_body_may_be_as_deep_as_in_json() -> None:
    send = {"type": "send", "n": 1, "body": nested(MAX_DEPTH)}
    assert type(PROTOBUF.decode(up(send))) is Send
    deeper = PROTOBUF.decode(up(send | {"body": nested(MAX_DEPTH + 1)}))
    assert type(deeper) is InvalidSend
    with pytest.raises(BadFrame):
        PROTOBUF.decode(up(send | {"body": nested(MAX_DEPTH + 5)}))
    event = GOLDEN["event message.created"] | {"data": {"body": nested(MAX_DEPTH), "private": False}}
    assert down(PROTOBUF.transcode(msgspec.json.encode(event))) == event


def test_a_field_out_of_range_is_refused_as_in_json() -> None:
    rating = {"type": "send", "n": 7, "body": {"kind": "rating", "score": 9}}
    assert PROTOBUF.decode(up(rating)) == InvalidSend(7, "Expected `int` <= 5 - at `$.body.score`")
    with pytest.raises(BadFrame, match=r"\$\.c"):
        PROTOBUF.decode(up({"type": "connect", "token": "T", "c": 0}))
    with pytest.raises(UniqueCsError) as caught:
        PROTOBUF.decode(up({"type": "read", "conversation": "1", "seq": -1}))
    assert caught.value.code is Code.INVALID


@pytest.mark.parametrize(("name", "data"), [("event", {"x": [1, None]}), ("signal", {"y": "z"})])
def test_names_that_the_definition_lacks_travel_as_a_struct(name: str, data: Frame) -> None:
    frame = {**GOLDEN["event conversation.labelled" if name == "event" else "signal read"]}
    frame |= {"name": "thing.of_later", "data": data}
    assert down(PROTOBUF.transcode(msgspec.json.encode(frame))) == frame


def test_fields_that_a_definition_lacks_are_left_out() -> None:
    frame = GOLDEN["sent"] | {"of_later": {"a": 1}}
    assert down(PROTOBUF.transcode(msgspec.json.encode(frame))) == GOLDEN["sent"]


def test_what_json_says_null_for_comes_back_as_none() -> None:
    views: list[tuple[Message, Frame]] = [
        (pb.Conversation(), {"assignee": None, "waiting_since": None, "last_message": None}),
        (pb.ListConversationsResponse(), {"cursor": None}),
        (pb.Contact(), {"visit": None}),
    ]
    for message, fields in views:
        assert fields.items() <= to_dict(from_dict(message, fields)).items()

"""The golden frames: what the server reads and writes is exactly what `frames.json` says."""

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tests.wire.golden import CLIENT, SERVER
from unique_cs.errors import Code
from unique_cs.protocol import close
from unique_cs.protocol.codec import JSON, MSGPACK
from unique_cs.protocol.frames import ClientFrame, ServerFrame

GOLDEN: list[dict[str, Any]] = msgspec.json.decode(Path(__file__).with_name("frames.json").read_bytes())
BY_NAME = {row["name"]: row for row in GOLDEN}


@pytest.mark.parametrize("name", CLIENT)
def test_client_frames_are_read(name: str) -> None:
    """The codecs read each golden client frame as the same frame."""
    row = BY_NAME[name]
    assert row["from"] == "client"
    assert JSON.decode(msgspec.json.encode(row["json"])) == CLIENT[name]
    assert MSGPACK.decode(bytes.fromhex(row["msgpack_hex"])) == CLIENT[name]


@pytest.mark.parametrize("name", SERVER)
def test_server_frames_are_written(name: str) -> None:
    """The codecs write each server frame as the golden bytes, field for field and in their order."""
    row = BY_NAME[name]
    assert row["from"] == "server"
    assert JSON.encode(SERVER[name]) == msgspec.json.encode(row["json"])
    assert MSGPACK.encode(SERVER[name]).hex() == row["msgpack_hex"]


@pytest.mark.parametrize("name", SERVER)
def test_stored_frames_are_transcoded(name: str) -> None:
    """A frame that is kept as JSON travels as the same msgpack bytes."""
    row = BY_NAME[name]
    assert MSGPACK.transcode(msgspec.json.encode(row["json"])).hex() == row["msgpack_hex"]


def test_every_frame_is_golden() -> None:
    """Every type of frame, every error code and every close code has a golden frame, and nothing else has."""
    assert [row["name"] for row in GOLDEN] == [*CLIENT, *SERVER]
    for frames, kinds in ((CLIENT, ClientFrame), (SERVER, ServerFrame)):
        wanted = {kind.__struct_config__.tag for kind in get_args(kinds)}
        assert {BY_NAME[name]["json"]["type"] for name in frames} == wanted
    errors = {row["json"]["code"] for row in GOLDEN if row["json"]["type"] == "error"}
    closes = {row["json"]["code"] for row in GOLDEN if row["json"]["type"] == "close"}
    assert errors == {code.value for code in Code}
    assert closes == {code.code for code in close.ALL}

"""Plug-ins are found by entry points, get their options, and stop the start where they fail."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.mqtt_client import masked
from tests.support.node import House, open_house
from tests.support.pipe import Pipe
from unique_cs.errors import SettingsError
from unique_cs.gateway.transports.coded import CodedTransport
from unique_cs.gateway.transports.subprotocols import Subprotocols
from unique_cs.plugins import Handle, Plugins, Setup, load_plugins
from unique_cs.protocol.websocket import frame_text

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "plugins.md"
MODULE = """
class Plugin:
    options = {"colour": "red", "size": "1"}
    subprotocol = "example.plain"
    binary = False
    overhead = 0

    def __init__(self, setup):
        if setup.options["colour"] == "none":
            raise RuntimeError("no colour")
        self.setup = setup
        self.said = []

    async def start(self, gateway):
        if self.setup.options["size"] == "0":
            raise OSError("too small")
        self.said.append("started")

    def stop_accepting(self):
        self.said.append("stopped")

    async def close(self):
        self.said.append("closed")
"""

POINTS = """
[unique_cs.codecs]
plain = sample_plugin:Plugin
broken = sample_plugin:Missing
twice = sample_plugin:Plugin

[unique_cs.transports]
line = sample_plugin:Plugin
"""


@pytest.fixture(autouse=True)
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with one class under several names."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sample_plugin.py").write_text(MODULE)
    install("sample", POINTS)
    install("rival", "[unique_cs.codecs]\ntwice=other_plugin:Plugin\n")


def install(name: str, points: str) -> None:
    """Make the metadata of a distribution in the current folder."""
    folder = Path(f"{name}-1.0.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(points)


def load(names: str, options: str = "") -> Plugins:
    return load_plugins(names, options, Path("data"), None)


def test_nothing_is_loaded_that_is_not_named() -> None:
    assert not load("").codecs
    assert not Path("data").exists()


def test_options_reach_their_plugin_with_defaults_for_the_rest() -> None:
    (codec,) = load(" plain ,", "plain.colour=blue=ish").codecs
    setup: Setup = codec.setup  # type: ignore[attr-defined]  # the sample's own
    assert setup == Setup({"colour": "blue=ish", "size": "1"}, Path("data/plain"), None)


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        ("nobody", "", "names 'nobody', which no installed package offers"),
        ("twice", "", "names 'twice', which several packages offer"),
        ("broken", "", "the plug-in 'broken' failed"),
        ("plain", "plain.colour=none", "the plug-in 'plain' failed: RuntimeError('no colour')"),
        ("plain", "plain.taste=sweet", "plain.taste, which the plug-in does not know"),
        ("plain", "line.size=2", "is for 'line', which UNIQUE_CS_PLUGINS does not name"),
        ("plain", "colour=blue", "write name.key=value"),
        ("plain", "plain.colour", "write name.key=value"),
    ],
)
def test_what_cannot_be_loaded_stops_the_start(names: str, options: str, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        load(names, options)


def test_two_codecs_of_one_subprotocol_are_refused() -> None:
    (codec,) = load("plain").codecs
    with pytest.raises(SettingsError, match=r"example\.plain"):
        Subprotocols([codec, codec])
    assert Subprotocols([codec]).choose(("x", "example.plain")) == "example.plain"
    assert Subprotocols().choose(("example.plain",)) is None


async def test_a_transport_starts_and_ends_with_the_server(house: House) -> None:
    plugins = load("line")
    await plugins.start(house.gateway)
    plugins.stop_accepting()
    await plugins.close()
    line: Any = plugins._transports["line"]
    assert line.said == ["started", "stopped", "closed"]


async def test_a_transport_that_cannot_start_stops_the_start(house: House) -> None:
    with pytest.raises(SettingsError, match="the plug-in 'line' failed: OSError"):
        await load("line", "line.size=0").start(house.gateway)


@pytest.fixture
async def house() -> Any:
    async with open_house(rates=True, handshakes_per_ip=1) as opened:
        yield opened


def test_a_transport_turns_away_whom_the_gateway_does(house: House) -> None:
    handle = Handle(house.gateway)
    waits = [handle.admit("10.0.0.9") for _ in range(3)]
    assert waits[:2] == [None, None]
    assert waits[2] is not None
    assert waits[2] >= 1


async def test_the_codec_of_the_guide_works(house: House) -> None:
    """What the page shows is run: a ping before `connect` is refused in hexadecimal digits."""
    (example,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    pipe = Pipe()
    pipe.attach(CodedTransport(house.gateway, names["Hex"](Setup({}, Path(), None)), "10.0.0.1"))
    connect = msgspec.json.encode({"type": "connect", "token": await house.contact()})
    pipe.feed(masked(frame_text(connect.hex().encode())))
    await house.settle()
    raw = pipe.taken()
    assert msgspec.json.decode(bytes.fromhex(raw[4:].decode()))["type"] == "connected"
    pipe.feed(masked(frame_text(b"no digits")))
    await house.settle()
    assert pipe.taken()[-2 - len("bad frame") :] == (4400).to_bytes(2, "big") + b"bad frame"

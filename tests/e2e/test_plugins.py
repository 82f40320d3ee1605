"""Plug-ins of a real server: a package that pip installed, and the shipped codec with real clients."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.sm import sealed_at
from tests.support.world import answered, inhabited, running
from unique_cs.bench.process import free_port
from unique_cs.client import Client, Connected, Disconnected, Output, Sent

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the example."""
    folder = tmp_path_factory.mktemp("packages")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-input")
    example = ROOT / "examples" / "tcp-transport"
    subprocess.run((*pip, "--no-deps", "--no-build-isolation", "--target", folder, example), check=True)
    return folder


async def read(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next frame."""
    async with asyncio.timeout(10):
        size = int.from_bytes(await reader.readexactly(4), "big")
        frame: dict[str, Any] = msgspec.json.decode(await reader.readexactly(size))
    return frame


async def until(reader: asyncio.StreamReader, kind: str) -> dict[str, Any]:
    """The next frame of that type."""
    while (frame := await read(reader))["type"] != kind:
        pass
    return frame


def line(frame: dict[str, Any]) -> bytes:
    data = msgspec.json.encode(frame)
    return len(data).to_bytes(4, "big") + data


async def test_a_transport_that_pip_installed(
    tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contact talks over it; an orderly stop sends it away with 4503."""
    monkeypatch.setenv("PYTHONPATH", str(packages))
    port = free_port()
    settings = {"plugins": "tcp", "plugin_options": f"tcp.port={port}"}
    async with running(tmp_path, **settings) as server, inhabited(server) as town:
        ann = await town.contact("ann")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(line({"type": "connect", "token": ann.token}))
        assert (await read(reader))["type"] == "connected"
        writer.write(line({"type": "send", "n": 1, "body": {"kind": "text", "text": "hello"}}))
        sent = await until(reader, "sent")
        events = (await ann.history(sent["conversation"], 0))[1]
        assert sent["id"] in {event["id"] for event in events}
        await server.stop()
        assert (await until(reader, "close"))["code"] == 4503
        writer.close()
        await server.start()


async def test_an_oversized_frame_is_refused(
    tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(packages))
    port = free_port()
    async with running(tmp_path, plugins="tcp", plugin_options=f"tcp.port={port}"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\xff\xff\xff\xff")
        assert (await until(reader, "close"))["code"] == 4413
        assert await reader.read() == b""
        writer.close()


async def test_a_client_says_nothing_to_another_server(tmp_path: Path) -> None:
    """Nor to one that does not speak the codec: it gives up, and its token stays with it."""
    for name in ("good", "other", "plain"):
        (tmp_path / name).mkdir()
    async with (
        running(tmp_path / "good", plugins="sm") as good,
        running(tmp_path / "other", plugins="sm") as other,
        running(tmp_path / "plain") as plain,
        inhabited(good) as town,
    ):
        ann = await town.contact("ann")
        pin = sealed_at(good).partition("#")[2]
        for server, words in ((other, "another identity key"), (plain, "does not speak")):
            told: asyncio.Queue[Output] = asyncio.Queue()
            at = f"{server.url}#{pin}"
            assert ann.token is not None
            async with Client(
                good.url, ann.token, roads=("sm",), addresses={"sm": at}, listener=told.put_nowait
            ):
                async with asyncio.timeout(10):
                    while not isinstance(output := await told.get(), Disconnected):
                        assert not isinstance(output, Connected)
            assert words in output.reason


def printed_fingerprint(data: Path) -> str:
    """What `unique-cs sm-key` says."""
    environ = {**os.environ, "UNIQUE_CS_DATA_DIR": str(data)}
    command = (sys.executable, "-m", "unique_cs", "sm-key")
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


async def test_the_command_prints_the_fingerprint_of_the_running_server(tmp_path: Path) -> None:
    """And a talk over the sealed road with it."""
    async with running(tmp_path, plugins="sm") as server, inhabited(server) as town:
        at = f"{server.url}#{printed_fingerprint(server.data)}"
        assert at == sealed_at(server)
        ann = await town.client("ann", await town.contact("ann"), roads=("sm",), addresses={"sm": at})
        answers = await answered([ann.say(f"m{n}") for n in range(10)])
        assert all(isinstance(answer, Sent) for answer in answers)
        assert await town.verdict() == []


@pytest.mark.parametrize("guide", ["guides/national-crypto.md", "zh-CN/guides/national-crypto.md"])
async def test_the_example_of_the_guide_talks(tmp_path: Path, guide: str) -> None:
    """What the page shows is run, at this server's address."""
    (example,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / guide).read_text(), re.MULTILINE | re.DOTALL
    )
    async with running(tmp_path, plugins="sm") as server, inhabited(server) as town:
        names: dict[str, Any] = {}
        exec(example.replace("https://chat.example.com", server.url), names)
        ann = await town.contact("ann")
        async with asyncio.timeout(10):
            await names["talk"](ann.token, sealed_at(server).partition("#")[2])
        (conversation,) = (await ann.call("GET", "/conversations"))["conversations"]
        _, events = await ann.history(conversation["id"], 0)
        assert "message.created" in {event["name"] for event in events}

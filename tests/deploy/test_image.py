"""The image: built from its Dockerfile without an engine, started read-only, and talked to."""

import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.image import ROOT, Builder, Image, debian, node
from tests.support.world import answered, inhabited, until
from unique_cs.bench.process import ServerProcess
from unique_cs.client import Sent

USER = 10001


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Built once; takes a minute or two, and another one on a machine's first run."""
    began = time.monotonic()
    build = Builder(tmp_path_factory.mktemp("buildah"))
    system, tools = debian(), node()
    python = build.base("python-stand-in", (system, "/"))
    web = build.base("node-stand-in", (system, "/"), (tools, "/opt/node"))
    made = build.image(python, web)
    sys.stdout.write(f"built in {time.monotonic() - began:.0f} s\n")
    yield made
    build("rm", "--all")
    build("rmi", "--all", "--force")


class Container(ServerProcess):
    """The image's file system with its command running in it, on a port of loopback."""

    def __init__(self, image: Image, data: Path) -> None:
        super().__init__(data)
        self._image = image
        given = {name: value for name, value in self._settings().items() if name.startswith("UNIQUE_CS_")}
        # The image says where the data lies.
        del given["UNIQUE_CS_DATA_DIR"]
        self.environ = given | {"UNIQUE_CS_RATE_LIMITS": "off"}
        command = [*image.config["Entrypoint"], *image.config["Cmd"]]
        self._command = tuple(image.command(data, command, self.environ))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another program in the same image, on the same volume."""
        command = self._image.command(self.data, words, self.environ)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@asynccontextmanager
async def started(image: Image, data: Path) -> AsyncIterator[Container]:
    """A running container, stopped in good order."""
    container = Container(image, data)
    await container.start()
    try:
        yield container
    finally:
        status = await container.stop()
    assert status == 0


def ids(pid: int) -> set[str]:
    """The real and effective users and groups of a process."""
    found = re.findall(r"^[UG]id:\s+(\d+)\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return {number for numbers in found for number in numbers}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A volume as an engine makes it: with the owner that the image's folder has."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    os.chown(folder, USER, USER)
    return folder


@pytest.mark.slow
async def test_people_talk_through_a_read_only_container(image: Image, data: Path) -> None:
    async with started(image, data) as container, inhabited(container) as town:
        visitor, owner = await town.visitor("ann"), await town.owner()
        (first,) = await answered([visitor.say("v0")])
        assert isinstance(first, Sent)
        await until(lambda: first.conversation in owner.recorder.positions())
        sends = [owner.say(f"o{i}", first.conversation) for i in range(10)]
        assert all(isinstance(answer, Sent) for answer in await answered(sends))
        await until(lambda: "o9" in visitor.texts())
        assert await town.verdict() == []
        assert ids(container.pid) == {str(USER)}
        assert container.run("sh", "-c", "echo x > /data/x").returncode == 0
        for place in ("/x", "/app/x", "/tmp/x"):
            assert container.run("sh", "-c", f"echo x > {place}").returncode != 0


@pytest.mark.slow
async def test_what_was_said_outlives_the_container(image: Image, data: Path) -> None:
    async with started(image, data) as container, inhabited(container) as town:
        (sent,) = await answered([(await town.visitor("ann")).say("kept")])
    async with started(image, data) as container, inhabited(container) as town:
        _, events = await (await town.agent()).history(sent.conversation)
        assert events[-1]["data"]["body"]["text"] == "kept"


@pytest.mark.slow
async def test_the_health_check_is_that_of_the_program(image: Image, data: Path) -> None:
    kind, *words = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    async with started(image, data) as container:
        assert container.run(*words).returncode == 0
    assert container.run(*words).returncode == 1


@pytest.mark.slow
def test_the_image_holds_what_runs_and_nothing_else(image: Image) -> None:
    assert image.config["User"] == f"{USER}:{USER}"
    assert list(image.config["Volumes"]) == ["/data"]
    app = image.root / "app"
    assert not [name for name in ("pip", "hatchling") if (app / "bin" / name).exists()]
    (package,) = app.glob("lib/python3*/site-packages/unique_cs")
    assert (package / "api" / "assets" / "loader").is_dir()
    files = [path.stat() for path in app.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [each for each in files if each.st_uid == USER]
    size = sum(each.st_size for each in files) / 1e6
    sys.stdout.write(f"/app has {size:.0f} MB\n")
    assert size < 300


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_locked_package_has_a_wheel(machine: str, tmp_path: Path) -> None:
    """Asked of the package index, without downloading: the lock knows hashes and no file names."""
    uv = Path(sys.executable).with_name("uv")
    words = ("--dry-run", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-cache-dir")
    where = (
        "--python-platform",
        f"{machine}-manylinux_2_28",
        "--python-version",
        "3.11",
        "--target",
        str(tmp_path),
    )
    done = subprocess.run(
        [str(uv), "pip", "install", *words, *where, "-r", str(ROOT / "requirements.txt")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if "error sending request" in done.stderr or "Failed to fetch" in done.stderr:
        pytest.skip(f"the package index can't be reached: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    locked = len(re.findall(r"^\w\S*==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    found = int(re.findall(r"Would install (\d+) package", done.stderr)[0])
    assert locked - 5 <= found <= locked

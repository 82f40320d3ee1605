"""A real Mosquitto, with the access rules of the guide."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.debian import program
from unique_cs.bench.process import free_port

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "mqtt.md"
BRIDGE = "unique-cs"
SECRET = "s3cr?t/@"
"""Everybody's password; in an address its special characters are escaped."""

_SECRET = "s3cr%3Ft%2F%40"


class Mosquitto:
    """A broker on a port of its own, which it keeps over restarts. Its users are the bridge and `users`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        self.more = ""  # lines of configuration
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @property
    def bridge_url(self) -> str:
        """How the server joins."""
        return self.url(BRIDGE)

    def url(self, user: str) -> str:
        """How a client joins; its `{client}` is its user name."""
        return f"mqtt://{user}:{_SECRET}@127.0.0.1:{self.port}"

    async def add(self, *users: str) -> None:
        """Let these users in; before `start`."""
        passwords = self._folder / "passwords"
        for user in users:
            create = [] if passwords.exists() else ["-c"]
            made = await asyncio.create_subprocess_exec(
                "mosquitto_passwd", "-b", *create, str(passwords), user, SECRET
            )
            assert await made.wait() == 0

    async def start(self) -> None:
        """Start, and wait until it listens."""
        (self._folder / "acl").write_text(example("unique-cs.acl"))
        config = self._folder / "mosquitto.conf"
        config.write_text(
            example("mosquitto.conf")
            .replace("listener 1883", f"listener {self.port} 127.0.0.1")
            .replace("/etc/mosquitto/passwords", str(self._folder / "passwords"))
            .replace("/etc/mosquitto/unique-cs.acl", str(self._folder / "acl"))
            # Else it gives up its rights, and may not enter the folder.
            + ("user root\n" if os.geteuid() == 0 else "")
            + self.more
        )
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                program("mosquitto", "mosquitto"), "-c", str(config), stdout=log, stderr=log
            )
        await self._listening()

    async def _listening(self) -> None:
        async with asyncio.timeout(10):
            while True:
                assert self._process is not None
                assert self._process.returncode is None, self.log.read_text()
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return

    async def kill(self) -> None:
        """`kill -9`: what it had queued is gone."""
        await self.end(signal.SIGKILL)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, if it runs."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(number)
            await process.wait()


def example(name: str) -> str:
    """A file as the guide shows it: the block that begins with its name in a comment."""
    found = re.search(
        rf"^```\w*\n(# {re.escape(name)}\n.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"the guide shows no {name}"
    return found[1]


@asynccontextmanager
async def mosquitto(
    folder: Path, *users: str, tls: tuple[int, Path] | None = None
) -> AsyncIterator[Mosquitto]:
    """A running broker that lets the bridge and these users in; `tls`: a further port and its certificate."""
    program("mosquitto", "mosquitto")
    folder.mkdir()  # noqa: ASYNC240 - before anything runs
    broker = Mosquitto(folder)
    if tls is not None:
        port, pem = tls
        broker.more = f"listener {port} 127.0.0.1\ncertfile {pem}\nkeyfile {pem}\n"
    await broker.add(BRIDGE, *users)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.end()

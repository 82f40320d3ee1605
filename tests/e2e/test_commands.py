"""The command line, as an operator uses it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.support.world import inhabited, running
from unique_cs.bench.process import OWNER_EMAIL, OWNER_PASSWORD


def command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run unique-cs and return what it printed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("UNIQUE_CS_")}
    return subprocess.run(
        [sys.executable, "-m", "unique_cs", *arguments],
        env=environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_unknown_setting_is_refused() -> None:
    """check-config and serve name the setting and end with status 2."""
    for verb in ("check-config", "serve"):
        done = command(verb, UNIQUE_CS_COLOUR="blue")
        assert done.returncode == 2
        assert "UNIQUE_CS_COLOUR" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_settings_that_serve_would_refuse_are_found_before(tmp_path: Path) -> None:
    """check-config says the same line as serve, and makes nothing."""
    wrong = (
        {"WEBHOOK_URL": "http://example.com/", "WEBHOOK_SECRET": "x" * 24},
        {"WEBHOOK_EVENTS": "message.eaten"},
        {"REDIS_URL": "redis://127.0.0.1"},
        {"DATABASE_URL": "oracle://127.0.0.1/x"},
        {"PLUGINS": "nothing"},
        {"PLUGINS": "sm", "PLUGIN_OPTIONS": "sm.colour=blue"},
        {"TLS_CERTIFICATE": str(tmp_path / "nothing.pem")},
        {"MQTT_BRIDGE_URL": "mqtt://127.0.0.1:1883/path"},
    )
    for settings in wrong:
        environ = {f"UNIQUE_CS_{name}": value for name, value in settings.items()}
        environ |= {"UNIQUE_CS_DATA_DIR": str(tmp_path / "data"), "UNIQUE_CS_HTTP_PORT": "0"}
        found = command("check-config", **environ)
        assert (found.returncode, len(found.stderr.splitlines())) == (2, 1), settings
        assert not (tmp_path / "data").exists()
        assert command("serve", **environ).stderr.splitlines()[-1:] == [found.stderr.strip()], settings
        shutil.rmtree(tmp_path / "data", ignore_errors=True)


def test_help_lists_every_command() -> None:
    """Without a command the usage is printed; asking for help is no error."""
    assert command().returncode == 2
    done = command("--help")
    assert done.returncode == 0
    for name in ("serve", "bench", "check-config", "health", "reset-password", "new-epoch", "version"):
        assert name in done.stderr


def test_an_argument_too_many_is_refused() -> None:
    """A command that takes no arguments does nothing when it is given one."""
    for verb in ("serve", "check-config", "health", "new-epoch", "version"):
        assert command(verb, "--fast").returncode == 2
    for number in ("0", "-1", "two", ""):
        assert command("serve", "--workers", number).returncode == 2


def test_workers_need_redis_and_a_database() -> None:
    """They share what only these can hold."""
    done = command("serve", "--workers", "2")
    assert done.returncode == 2
    assert "UNIQUE_CS_REDIS_URL" in done.stderr


async def test_a_restored_backup_gets_a_new_epoch(tmp_path: Path) -> None:
    """After new-epoch a client that knows the old numbering is told to read everything again."""
    data = str(tmp_path / "data")
    async with running(tmp_path) as server, inhabited(server) as world:
        token = (await world.contact("Ann")).token
        socket = await world.raw()
        await socket.connect(token)
        await socket.send({"type": "send", "n": 1, "body": {"kind": "text", "text": "hello"}})
        joined = await socket.until("subscribed")
        sent = await socket.until("sent")
    assert command("new-epoch", UNIQUE_CS_DATA_DIR=data).returncode == 0
    async with running(tmp_path) as server, inhabited(server) as world:
        socket = await world.raw()
        since = {sent["conversation"]: {"epoch": joined["epoch"], "seq": sent["seq"]}}
        await socket.connect(token, since=since)
        resync = await socket.until("resync")
        assert resync["epoch"] != joined["epoch"]
        assert resync["seq"] == sent["seq"]


async def _status(url: str, password: str) -> int:
    async with httpx2.AsyncClient(base_url=url) as http:
        body = {"email": OWNER_EMAIL, "password": password}
        return (await http.post("/api/v1/auth/login", json=body)).status_code


async def test_a_lost_password_is_reset(tmp_path: Path) -> None:
    """After reset-password only the printed password works; nobody else's name is accepted."""
    data = tmp_path / "data"
    async with running(tmp_path) as server:
        assert await _status(server.url, OWNER_PASSWORD) == 200
    missing = command("reset-password", "nobody@example.com", UNIQUE_CS_DATA_DIR=str(data))
    assert missing.returncode == 2
    done = command("reset-password", OWNER_EMAIL, UNIQUE_CS_DATA_DIR=str(data))
    assert done.returncode == 0, done.stderr
    password = done.stdout.splitlines()[0].rpartition(": ")[2]
    async with running(tmp_path) as server:
        assert await _status(server.url, OWNER_PASSWORD) == 401
        assert await _status(server.url, password) == 200


async def test_health_asks_the_running_server(tmp_path: Path) -> None:
    """Alive with status 0; nobody there, or somebody who says no such page, with status 1."""
    async with running(tmp_path) as server:
        settings = {"UNIQUE_CS_HTTP_PORT": str(server.port), "UNIQUE_CS_HOST": "0.0.0.0"}
        done = command("health", **settings)
        assert (done.returncode, done.stdout) == (0, "alive\n")
    done = command("health", **settings)
    assert done.returncode == 1
    assert f"127.0.0.1:{server.port} does not answer" in done.stdout

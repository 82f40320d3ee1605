"""compose.yaml, read as Docker reads it."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import yaml
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from tests.support.debian import program
from tests.support.tools import ask, tool
from tests.support.world import answered, inhabited, running, until
from unique_cs.bench.process import Target, free_port
from unique_cs.client import Road, Sent
from unique_cs.config import PREFIX, read_settings

ROOT = Path(__file__).resolve().parents[2]
CHECK = """
import json, sys
from compose_spec import PyCompose
try:
    PyCompose.from_json(sys.stdin.read()).validate()
except ValueError as error:
    json.dump(str(error), sys.stdout)
else:
    json.dump("", sys.stdout)
"""
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+):\?[^}]+\}")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODES = [name for name in SERVICES if name.startswith("node-")]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The variables that `deploy/make-env.sh` writes."""
    (tmp_path / "deploy").mkdir()
    script = shutil.copy(ROOT / "deploy" / "make-env.sh", tmp_path / "deploy")
    subprocess.run(["sh", script], check=True)
    return dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())


def test_it_follows_the_specification() -> None:
    assert ask(CHECK, COMPOSE) == ""
    wrong = deepcopy(COMPOSE)
    wrong["services"]["redis"]["imagee"] = "redis"
    assert "imagee" in ask(CHECK, wrong)


def test_a_linter_for_security_finds_nothing_high() -> None:
    done = subprocess.run(
        [tool("compose-lint"), "check", "--fail-on", "high", str(ROOT / "compose.yaml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_script_makes_every_secret_and_keeps_those_that_are_there(
    env: dict[str, str], tmp_path: Path
) -> None:
    assert set(VARIABLE.findall((ROOT / "compose.yaml").read_text())) == set(env)
    secrets = [value for name, value in env.items() if re.search(r"_(PASSWORD|TOKEN)$", name)]
    assert len(set(secrets)) == len(secrets) == 6
    assert all(re.fullmatch(r"[0-9a-f]{36}", secret) for secret in secrets)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / ".env").read_text()
    subprocess.run(["sh", tmp_path / "deploy" / "make-env.sh"], check=True)
    assert (tmp_path / ".env").read_text() == before


@pytest.mark.parametrize("name", NODES)
def test_a_node_has_settings_that_the_program_takes(name: str, env: dict[str, str]) -> None:
    given = {key: VARIABLE.sub(lambda found: env[found[1]], text) for key, text in environment(name).items()}
    settings = read_settings(given)
    assert all(key.startswith(PREFIX) for key in given)
    assert env["REDIS_PASSWORD"] in settings.redis_url
    assert settings.metrics_token == env["METRICS_TOKEN"]
    assert seconds(SERVICES[name]["stop_grace_period"]) > settings.drain_ms / 1000 + 5


def environment(name: str) -> dict[str, str]:
    return dict(SERVICES[name]["environment"])


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_and_a_volume_declared(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z-]+(/[a-z-]+)?:(?!latest)[\w.-]+", service["image"])
    for volume in service.get("volumes", []):
        source, target = volume.split(":")[:2]
        assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]
        assert target.startswith("/")


def test_nodes_share_no_volume_and_every_volume_is_used() -> None:
    named = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith("./")
    ]
    assert sorted(named) == sorted(COMPOSE["volumes"])


def test_only_the_chat_is_open_to_others() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    opened = {name for name, ports in published.items() if not ports[0].startswith("127.0.0.1:")}
    assert opened == {"balancer"}


def test_redis_keeps_what_it_was_given() -> None:
    words = SERVICES["redis"]["command"][-1]
    assert "--maxmemory-policy noeviction" in words
    assert "--appendonly yes" in words


@asynccontextmanager
async def balancer(folder: Path, node: int) -> AsyncIterator[str]:
    """Run nginx with its file as it is but for addresses; yields its own."""
    port, config = free_port(), folder / "nginx.conf"
    text = (ROOT / "deploy" / "nginx" / "nginx.conf").read_text().replace(" /tmp/", f" {folder}/")
    text = re.sub(r"node-[12]:8080", f"127.0.0.1:{node}", text).replace(
        "listen 8080", f"listen 127.0.0.1:{port}"
    )
    config.write_text(f"user root; daemon off;\n{text}")
    nginx = program("nginx", "nginx-light")
    process = await asyncio.create_subprocess_exec(nginx, "-c", str(config), "-e", str(folder / "error.log"))
    try:
        async with asyncio.timeout(10):
            while await Target("127.0.0.1", port).status("/healthz") != 200:
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize("road", ["websocket", "http", "poll"])
async def test_people_talk_through_the_balancer(tmp_path: Path, road: Road) -> None:
    async with (
        running(tmp_path, rate_limits="off") as server,
        balancer(tmp_path, server.port) as url,
        inhabited(server) as town,
    ):
        visitor = await town.client("ann", await town.contact("ann"), roads=(road,), url=url)
        owner = await town.client("owner", await town.agent(), contact=False, roads=(road,), url=url)
        (first,) = await answered([visitor.say("v0")])
        assert isinstance(first, Sent)
        await until(lambda: first.conversation in owner.recorder.positions())
        await answered([owner.say("o0", first.conversation)])
        await until(lambda: "o0" in visitor.texts())
        assert await town.verdict() == []


def shell(name: str, **places: str) -> list[str]:
    """Give a service's command as its container runs it, with other places."""
    text: str = SERVICES[name]["command"][-1].replace("$$", "$")
    for old, new in places.items():
        assert PLACES[old] in text
        text = text.replace(PLACES[old], new)
    return ["sh", "-c", text]


PLACES = {"dir": "--dir /data", "data": "/mosquitto/data", "config": "/mosquitto/config"}


async def test_redis_starts_as_it_is_told(tmp_path: Path) -> None:
    """With Debian's Redis: what it says of itself, and that nobody gets in without the password."""
    program("redis-server", "redis-server")
    port = free_port()
    command = shell("redis", dir=f"--dir {tmp_path} --port {port} --bind 127.0.0.1")
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | {"REDIS_PASSWORD": "secret"})
    try:
        await opened(port)
        async with Redis(port=port, password="secret") as redis:
            told = {**await redis.config_get("maxmemory-policy"), **await redis.config_get("append*")}
        assert (told["maxmemory-policy"], told["appendonly"]) == ("noeviction", "yes")
        async with Redis(port=port) as nobody:
            with pytest.raises(AuthenticationError):
                await nobody.ping()
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[int]:
    """Debian's Mosquitto, started as its service is, with a device till-7; yields the port."""
    port, path = free_port(), f"{os.environ['PATH']}:/usr/sbin"
    prepare_broker(folder, port)
    command = shell("mosquitto", data=str(folder), config=str(folder))
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | {"MQTT_PASSWORD": "secret", "PATH": path}
    )
    try:
        await opened(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


def prepare_broker(folder: Path, port: int) -> None:
    """Put the broker's files into a folder, and a device into its passwords."""
    program("mosquitto", "mosquitto")
    for file in (ROOT / "deploy" / "mosquitto").iterdir():
        text = file.read_text().replace("listener 1883", f"user root\nlistener {port} 127.0.0.1")
        (folder / file.name).write_text(re.sub("/mosquitto/(data|config)", str(folder), text))
    passwords = folder / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "till-7", "seven"], check=True)


async def test_only_who_has_the_password_gets_into_the_broker(tmp_path: Path) -> None:
    async with broker(tmp_path) as port:
        async with aiomqtt.Client("127.0.0.1", port, username="unique-cs", password="secret"):
            pass
        for password in ("wrong", None):
            with pytest.raises(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", port, username="unique-cs", password=password):
                    raise AssertionError("it got in")


async def test_a_device_has_only_its_own_topics(tmp_path: Path) -> None:
    async with (
        broker(tmp_path) as port,
        aiomqtt.Client("127.0.0.1", port, username="unique-cs", password="secret") as bridge,
        aiomqtt.Client("127.0.0.1", port, username="till-7", password="seven") as device,
    ):
        await bridge.subscribe("ucs/v1/+/up", qos=1)
        await device.subscribe("ucs/v1/+/down", qos=1)
        await device.publish("ucs/v1/till-8/up", "not mine", qos=1)
        await device.publish("ucs/v1/till-7/up", "mine", qos=1)
        await bridge.publish("ucs/v1/till-8/down", "not yours", qos=1)
        await bridge.publish("ucs/v1/till-7/down", "yours", qos=1)
        async with asyncio.timeout(10):
            assert (await anext(aiter(bridge.messages))).payload == b"mine"
            assert (await anext(aiter(device.messages))).payload == b"yours"


async def opened(port: int) -> None:
    """Wait until somebody listens."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

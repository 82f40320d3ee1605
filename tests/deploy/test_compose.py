"""compose.yaml, read as Docker reads it."""

import re
import shutil
import subprocess
from copy import deepcopy
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tests.support.compose import COMPOSE, ROOT, SERVICES, VARIABLE
from tests.support.tools import ask, tool
from unique_cs.config import PREFIX, read_settings

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


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_read_only_has_no_secret_that_is_no_file(name: str) -> None:
    """Compose copies others into the container, and refuses where it can't."""
    given = {COMPOSE["secrets"][each].keys() for each in SERVICES[name].get("secrets", [])}
    assert not SERVICES[name].get("read_only") or all("file" in each for each in given)


def test_the_balancer_finds_the_nodes_at_their_addresses() -> None:
    (front,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    fixed = [SERVICES[name]["networks"]["front"]["ipv4_address"] for name in NODES]
    config = (ROOT / "deploy" / "nginx" / "nginx.conf").read_text()
    assert re.findall(r"^ *server ([\d.]+):8080 ", config, re.MULTILINE) == fixed * len(
        re.findall(r"^ *upstream ", config, re.MULTILINE)
    )
    for address in (*fixed, front["gateway"]):
        assert ip_address(address) in ip_network(front["subnet"])
        assert ip_address(address) not in ip_network(front["ip_range"])
    assert environment("node-1")["UNIQUE_CS_TRUSTED_PROXIES"] == front["subnet"]

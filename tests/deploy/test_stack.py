"""compose.yaml at work: its services started as it says, with Debian's programs, and used by people."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import httpx2
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from tests.support.compose import ROOT, Service, Stack, StandIn
from tests.support.debian import program
from tests.support.link import Link, Side
from tests.support.world import World, answered, inhabited, until
from unique_cs.bench.process import INBOX_KEY, OWNER_EMAIL, OWNER_PASSWORD, Target
from unique_cs.client import Connected, Road, Sent
from unique_cs.client.rest import Rest

pytestmark = pytest.mark.slow

# What the entry point of the official image does on its first start.
_MYSQL = """
set -e
test -d /var/lib/mysql/mysql || mariadb-install-db --no-defaults --user=mysql --skip-test-db >&2
cat > /tmp/init.sql <<END
CREATE DATABASE IF NOT EXISTS $MYSQL_DATABASE;
CREATE USER IF NOT EXISTS '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
GRANT ALL ON $MYSQL_DATABASE.* TO '$MYSQL_USER'@'%';
END
exec mariadbd --no-defaults --user=mysql --init-file=/tmp/init.sql --socket=/tmp/socket "$@"
"""
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "unique-cs.json"


def stand_ins() -> dict[str, StandIn]:
    """Everything but Grafana, which Debian does not have."""
    for name, package in (
        ("redis-server", "redis-server"),
        ("mariadbd", "mariadb-server"),
        ("mosquitto", "mosquitto"),
        ("nginx", "nginx-light"),
        ("prometheus", "prometheus"),
        ("wget", "wget"),
    ):
        program(name, package)
    home = Path(sys.executable).parent
    dockerfile = re.findall(r"(UNIQUE_CS_\w+)=(\S+)", (ROOT / "Dockerfile").read_text())
    environ = {**dict(dockerfile), "PATH": f"{home}:/usr/bin:/bin", "UNIQUE_CS_INBOX_KEY": INBOX_KEY}
    node = StandIn(str(home / "unique-cs"), "serve", environ=environ)
    return {
        "redis": StandIn(user="redis"),
        "mysql": StandIn("sh", "-c", _MYSQL, "mysqld"),
        "mosquitto": StandIn(user="mosquitto"),
        "node-1": node,
        "node-2": node,
        "balancer": StandIn("nginx", "-e", "stderr", "-g", "daemon off; error_log stderr;", user="www-data"),
        "prometheus": StandIn(user="prometheus"),
    }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything up, as `deploy/make-env.sh` and `docker compose up` leave it."""
    if os.geteuid() != 0:
        pytest.skip("networks and mounts need root")
    folder = tmp_path_factory.mktemp("stack")
    (folder / "deploy").mkdir()
    (folder / ".env").write_text(f"OWNER_EMAIL={OWNER_EMAIL}\nOWNER_PASSWORD={OWNER_PASSWORD}\n")
    script = shutil.copy(ROOT / "deploy" / "make-env.sh", folder / "deploy")
    subprocess.run(["sh", script], check=True)
    variables = dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())
    (words,) = re.findall(r"^HEALTHCHECK .* CMD (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    check = {"test": ["CMD", *json.loads(words)]}
    made = Stack(folder, variables, stand_ins(), {"node-1": check, "node-2": check})
    try:
        made.lay()
        made.up()
        yield made
    finally:
        made.down()


@asynccontextmanager
async def published(stack: Stack, name: str) -> AsyncIterator[int]:
    """A port of this machine that leads to the one which a service publishes."""
    service = stack.services[name]
    port = int(service.facts["ports"][0].rpartition(":")[2])
    async with reached(stack, service, "front", port) as here:
        yield here


@asynccontextmanager
async def reached(stack: Stack, service: Service, network: str, port: int) -> AsyncIterator[int]:
    link = Link(port, far=Side(service.addresses[network], stack.outside.inside))
    await link.open()
    try:
        yield link.port
    finally:
        await link.close()


@asynccontextmanager
async def town(stack: Stack) -> AsyncIterator[World]:
    """People on the published port."""
    async with published(stack, "balancer") as port, inhabited(Target("127.0.0.1", port)) as world:
        yield world


@pytest.mark.parametrize("road", ["websocket", "http", "poll"])
async def test_people_talk_through_the_balancer(stack: Stack, road: Road) -> None:
    async with town(stack) as world:
        visitor = await world.client("ann", await world.contact("ann"), roads=(road,))
        owner = await world.client("owner", await world.agent(), contact=False, roads=(road,))
        (first,) = await answered([visitor.say("v0")])
        assert isinstance(first, Sent)
        await until(lambda: first.conversation in owner.recorder.positions())
        await answered([owner.say("o0", first.conversation)])
        await until(lambda: "o0" in visitor.texts())
        assert await world.verdict() == []


async def test_redis_keeps_what_it_is_given_and_wants_a_password(stack: Stack) -> None:
    redis = stack.services["redis"]
    password = redis.facts["environment"]["REDIS_PASSWORD"]
    async with reached(stack, redis, "back", 6379) as port:
        async with Redis(port=port, password=password) as known:
            told = {**await known.config_get("maxmemory-policy"), **await known.config_get("append*")}
        assert (told["maxmemory-policy"], told["appendonly"]) == ("noeviction", "yes")
        async with Redis(port=port) as nobody:
            with pytest.raises(AuthenticationError):
                await nobody.ping()


async def test_a_device_on_the_broker_has_only_its_own_topics(stack: Stack) -> None:
    """It is let in as docs/operations/docker.md says; a node has joined and answers."""
    broker = stack.services["mosquitto"]
    done = broker.run("mosquitto_passwd", "-b", "/mosquitto/data/passwords", "till-7", "seven")
    assert done.returncode == 0, done.stderr
    os.kill(broker.pid, signal.SIGHUP)
    async with published(stack, "mosquitto") as port, town(stack) as world:
        token = (await world.contact("till")).token
        async with aiomqtt.Client("127.0.0.1", port, username="till-7", password="seven") as device:
            await device.subscribe([("ucs/v1/till-7/down", 1), ("ucs/v1/till-8/down", 1)])
            frame = json.dumps({"type": "connect", "token": token})
            for name in ("till-8", "till-7"):
                await device.publish(f"ucs/v1/{name}/up", frame, qos=1)
            async with asyncio.timeout(10):
                message = await anext(aiter(device.messages))
        assert str(message.topic) == "ucs/v1/till-7/down"
        assert isinstance(message.payload, bytes)
        assert json.loads(message.payload)["type"] == "connected"
        for password in ("wrong", None):
            with pytest.raises(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", port, username="till-7", password=password):
                    raise AssertionError("it got in")


async def test_stores_are_out_of_reach_of_whoever_is_in_front(stack: Stack) -> None:
    balancer = stack.services["balancer"]
    for name in ("redis", "mysql"):
        assert balancer.run("getent", "hosts", name).returncode != 0
    assert balancer.run("getent", "hosts", "node-1").returncode == 0


async def ask_prometheus(port: int, path: str, **query: str) -> Any:
    async with httpx2.AsyncClient() as http:
        answer = (await http.get(f"http://127.0.0.1:{port}/api/v1/{path}", params=query)).json()
    assert answer["status"] == "success", answer
    return answer["data"]


async def test_prometheus_sees_both_nodes_and_draws_every_panel(stack: Stack) -> None:
    """Each expression of the dashboard finds what a running cluster counts."""
    async with published(stack, "prometheus") as port, town(stack) as world:
        await answered([(await world.visitor("ann")).say("drawn")])
        async with asyncio.timeout(60):
            while [each["health"] for each in await targets(port)] != ["up", "up"]:
                await asyncio.sleep(0.5)
        alerts = (await ask_prometheus(port, "rules"))["groups"]
        assert sum(len(group["rules"]) for group in alerts) > 10
        panels = json.loads(DASHBOARD.read_text())["panels"]
        expressions = {target["expr"] for panel in panels for target in panel.get("targets", [])}
        blank = expressions
        deadline = asyncio.get_running_loop().time() + 40
        while blank and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(1)
            blank = {each for each in blank if not await drawn(port, each)}
        assert blank == set()


async def targets(port: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await ask_prometheus(port, "targets"))["activeTargets"]
    return found


async def drawn(port: int, expression: str) -> bool:
    text = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
    return bool((await ask_prometheus(port, "query", query=text))["result"])


async def test_what_a_proxy_in_front_says_of_its_client_arrives(stack: Stack) -> None:
    """Each visitor has a rate of his own only if his address comes through both proxies."""
    async with (
        published(stack, "balancer") as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        for address in ("198.51.100.7", "198.51.100.8"):
            statuses = [await log_in(http, f"{each}@{address}.example.com", address) for each in range(15)]
            assert (statuses[0], statuses[-1]) == (401, 429)


async def log_in(http: httpx2.AsyncClient, email: str, address: str) -> int:
    """Fail to, from an address."""
    headers = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
    body = {"email": email, "password": "wrong"}
    return (await http.post("/api/v1/auth/login", json=body, headers=headers)).status_code


@asynccontextmanager
async def calling(rest: Rest) -> AsyncIterator[None]:
    """One call after the other meanwhile; the first that fails is raised."""

    async def call() -> None:
        while True:
            await rest.call("GET", "/conversations")
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(call())
        yield
        task.cancel()


async def test_both_nodes_are_replaced_one_after_the_other_unnoticed(stack: Stack) -> None:
    """As docs/operations/docker.md says; a conversation goes on, no call fails, and nothing is lost."""
    async with town(stack) as world, calling(await world.agent()):
        visitor, owner = await world.visitor("ann"), await world.owner()
        (first,) = await answered([visitor.say("v0")])
        assert isinstance(first, Sent)
        for number, name in enumerate(("node-1", "node-2"), 1):
            service = stack.services[name]
            assert await asyncio.to_thread(service.stop) == 0
            sends = [visitor.say(f"away-{number}")]
            service.start()
            await asyncio.to_thread(service.until_healthy)
            sends.append(visitor.say(f"back-{number}"))
            assert all(isinstance(each, Sent) for each in await answered(sends, 30))
        await until(lambda: "back-2" in owner.texts(first.conversation), 30)
        assert sum(isinstance(each, Connected) for each in visitor.recorder.told) > 1
        assert await world.verdict() == []


async def test_the_balancer_starts_while_a_node_is_away(stack: Stack) -> None:
    node, balancer = stack.services["node-2"], stack.services["balancer"]
    await asyncio.to_thread(node.stop)
    try:
        await asyncio.to_thread(balancer.stop)
        balancer.start()
        await asyncio.to_thread(balancer.until_healthy)
        async with town(stack) as world:
            assert isinstance((await answered([(await world.visitor("ann")).say("one node")]))[0], Sent)
    finally:
        node.start()
        await asyncio.to_thread(node.until_healthy)

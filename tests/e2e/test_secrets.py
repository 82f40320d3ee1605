"""Whatever happens, no secret is in a log line, on a page for monitoring, or in an answer."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.support.intruder import MQTT, ROADS, visit
from tests.support.mariadb import MariaDb
from tests.support.raw import RawSocket
from tests.support.redis import RedisServer
from tests.support.world import until
from unique_cs.bench.process import ServerError, ServerProcess, free_port

REDIS: Final = "redis-secret-4711"
METRICS: Final = "metrics-secret-4711"
WEBHOOK: Final = "webhook-secret-4711"
BROKER: Final = "broker-secret-4711"
WRONG: Final = "wrong-password-4711"


class Watched:
    """A server whose secrets are known, and everything that it told."""

    def __init__(self, server: ServerProcess, database: str) -> None:
        self.server = server
        password = unquote(urlsplit(database).password or "")
        self.secrets = {REDIS, METRICS, WEBHOOK, BROKER, WRONG, password, server.password}
        self.told: list[tuple[str, str]] = []
        self._client = httpx.AsyncClient(base_url=server.url, timeout=5)

    async def ask(self, method: str, path: str, body: Any = None, token: str = "") -> httpx.Response:
        """One request; what it is told has to be free of secrets that are not its own to get."""
        headers = {"Idempotency-Key": f"key-{len(self.told)}"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        answer = await self._client.request(method, path, json=body, headers=headers)
        shown = answer.text
        if answer.is_success:
            # A token is shown to whom it is made for, once.
            for name in ("token", "identity_secret", "password"):
                found = re.search(rf'"{name}":"([^"]+)"', shown)
                if found:
                    self.secrets.add(found[1])
                    shown = shown.replace(found[1], "")
        self.told.append((f"{method} {path}", shown))
        return answer

    async def leave(self) -> None:
        await self._client.aclose()

    def check(self) -> None:
        told = [*self.told, ("the log", self.server.log.read_text(errors="replace"))]
        found = [(where, secret) for where, text in told for secret in self.secrets if secret in text]
        assert found == []
        assert {secret[:4] for secret in self.secrets} >= {"ucc_", "uca_"}


@asynccontextmanager
async def watched(folder: Path, redis: RedisServer, mariadb: MariaDb) -> AsyncIterator[Watched]:
    """A node that logs all it can, among stores and receivers that want passwords."""
    redis.call("ACL", "SETUSER", "node", "on", f">{REDIS}", "~*", "&*", "+@all")
    database = mariadb.new_database()
    environ = {
        "UNIQUE_CS_LOG_LEVEL": "debug",
        "UNIQUE_CS_REDIS_URL": f"redis://node:{REDIS}@127.0.0.1:{redis.port}/0",
        "UNIQUE_CS_DATABASE_URL": database,
        "UNIQUE_CS_METRICS_TOKEN": METRICS,
        "UNIQUE_CS_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/hook",
        "UNIQUE_CS_WEBHOOK_SECRET": WEBHOOK,
        "UNIQUE_CS_WEBHOOK_ALLOW_PRIVATE": "on",
        "UNIQUE_CS_WEBHOOK_EVENTS": "message.created",
        "UNIQUE_CS_MQTT_BRIDGE_URL": f"mqtt://bridge:{BROKER}@127.0.0.1:{free_port()}",
    }
    server = ServerProcess(folder / "data", environ=environ, mqtt_port=free_port(), grpc_port=free_port())
    await server.start()
    town = Watched(server, database)
    try:
        yield town
    finally:
        await town.leave()
        await server.stop()


async def sign_in_and_talk(town: Watched) -> None:
    """Everything that takes or gives a secret, with right ones and with wrong ones."""
    server = town.server
    signing = {"email": server.email, "password": server.password}
    await town.ask("POST", "/api/v1/auth/login", signing | {"password": WRONG})
    owner = (await town.ask("POST", "/api/v1/auth/login", signing)).json()["token"]
    await town.ask("POST", "/api/v1/me/password", {"old": WRONG, "new": WRONG}, owner)
    inboxes = (await town.ask("GET", "/api/v1/inboxes", token=owner)).json()["inboxes"]
    inbox = (await town.ask("GET", f"/api/v1/inboxes/{inboxes[0]['id']}", token=owner)).json()
    added = {"email": "new@example.com", "name": "New", "role": "agent"}
    await town.ask("POST", "/api/v1/agents", added, owner)
    claims = {"aud": inbox["key"], "sub": "u-1", "exp": 2_000_000_000}
    signed = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(inbox["identity_secret"]))
    town.secrets.add(signed.rpartition(".")[2])
    for identity in (signed, signed + "x", None):
        visitor = {"inbox": inbox["key"], "identity_token": identity}
        answer = await town.ask("POST", "/api/v1/contacts/session", visitor)
        if answer.is_success:
            await _talk(town, answer.json()["token"])
    await town.ask("GET", "/api/v1/conversations", token=owner)
    for path in ("/metrics", "/readyz"):
        await town.ask("GET", path, token=METRICS)


async def _talk(town: Watched, token: str) -> None:
    server = town.server
    async with AsyncExitStack() as stack:
        socket = await stack.enter_async_context(RawSocket(server.url))
        await socket.connect(token)
        await socket.send({"type": "send", "n": 1, "body": {"kind": "text", "text": "hello"}})
        await socket.until("sent")
    for road in ROADS:
        wrong = token[:-6] + "AAAAAA"
        town.secrets.add(wrong)
        connect = b'{"type":"connect","token":"%b"}' % wrong.encode()
        heard = await visit(server, road, road.open(wrong) + road.wrap(connect, wrong))
        town.told.append((road.name, str(heard)))
    # A frame that can't be read, with a token in it.
    broken = b'{"type":"connect","token":"%b","c":"x"}' % token.encode()
    await visit(server, MQTT, MQTT.open(token) + MQTT.wrap(broken, token))
    await town.ask("POST", "/api/v1/stream", {"type": "connect", "token": token, "c": "x"})
    await town.ask("GET", f"/api/v1/conversations?q={'x' * 300}", token=token)


@pytest.mark.slow
async def test_no_secret_is_told(tmp_path: Path, own_redis: RedisServer, own_mariadb: MariaDb) -> None:
    async with watched(tmp_path, own_redis, own_mariadb) as town:
        await sign_in_and_talk(town)
        own_mariadb.stop()
        owner = {"email": town.server.email, "password": town.server.password}
        await town.ask("POST", "/api/v1/auth/login", owner)
        await town.ask("POST", "/api/v1/contacts/session", {"inbox": town.server.inbox})
        own_redis.kill()
        # What is under way when Redis is lost waits for it.
        with suppress(httpx.ReadTimeout):
            await town.ask("POST", "/api/v1/contacts/session", {"inbox": town.server.inbox})
        await until(lambda: "Redis is away" in town.server.log.read_text(errors="replace"))
        for path in ("/metrics", "/readyz"):
            await town.ask("GET", path, token=METRICS)
    town.check()


@pytest.mark.slow
async def test_no_secret_is_told_where_one_is_wrong(
    tmp_path: Path, redis_server: RedisServer, mariadb: MariaDb
) -> None:
    """The server does not start, and says why without saying what was wrong."""
    database = mariadb.new_database()
    right = unquote(urlsplit(database).password or "")
    redis_server.call("ACL", "SETUSER", "node", "on", f">{REDIS}", "~*", "&*", "+@all")
    broken = {
        "database": {"DATABASE_URL": database.replace(urlsplit(database).password or "", WRONG)},
        "redis": {
            "DATABASE_URL": database,
            "REDIS_URL": f"redis://node:{WRONG}@127.0.0.1:{redis_server.port}/0",
        },
        "no number": {"DATABASE_URL": database, "REDIS_URL": f"redis://node:{WRONG}@127.0.0.1:x/0"},
        "no address": {"DATABASE_URL": f"mysql://node:{WRONG}@"},
        "bridge": {"MQTT_BRIDGE_URL": f"mqtt://node:{WRONG}@host:x"},
        "webhook": {"WEBHOOK_URL": f"https://node:{WRONG}@host/", "WEBHOOK_SECRET": WEBHOOK},
        "hook": {"WEBHOOK_URL": "https://host/", "WEBHOOK_SECRET": f"whsec_{WRONG}"},
        "unknown": {"OWNER_PASSWORT": WRONG},
    }
    for name, settings in broken.items():
        environ = {f"UNIQUE_CS_{setting}": value for setting, value in settings.items()}
        server = ServerProcess(tmp_path / name / "data", environ=environ)
        (tmp_path / name).mkdir()
        with pytest.raises(ServerError):
            async with asyncio.timeout(25):
                await server.start()
        await server.kill()
        told = server.log.read_text(errors="replace")
        assert [name for each in (WRONG, right, WEBHOOK, REDIS) if each in told] == [], told

"""Schemathesis calls every operation with what the description allows and with what it does not."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import pytest

from tests.unit.api.harness import opened
from unique_cs.domain.origins import AllowedOrigins
from unique_cs.gateway.door import Upgrades
from unique_cs.gateway.origin import OriginPolicy, TrustedProxies
from unique_cs.gateway.server import HttpServer, listen

HOOKS = Path(__file__).parent / "schemathesis_hooks.py"


class Served(NamedTuple):
    """Where the application is, and who may call it."""

    url: str
    tokens: dict[str, str]
    ids: dict[str, str]


@contextmanager
def served() -> Iterator[Served]:
    """The application on a loopback port, in a thread with a loop of its own."""
    found: list[Served] = []
    ready, stop = Event(), Event()
    thread = Thread(target=lambda: asyncio.run(_serve(found, ready, stop)))
    thread.start()
    try:
        assert ready.wait(30)
        yield found[0]
    finally:
        stop.set()
        thread.join()


async def _serve(found: list[Served], ready: Event, stop: Event) -> None:
    sockets = listen("127.0.0.1", 0)
    async with opened() as harness:
        agent, contact = await harness.agent(), await harness.contact()
        conversation = await harness.conversation(contact)
        person = (await contact.ok("POST", "contacts/session", {"inbox": "shop"}))["contact"]
        proxies = TrustedProxies()
        upgrades = Upgrades({}, OriginPolicy(AllowedOrigins(()), proxies), proxies)
        server = HttpServer(harness.api, sockets, upgrades)
        await server.start()
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        tokens = {"agent": agent.token, "contact": contact.token}
        ids = {"conversation_id": conversation, "contact_id": person["id"], "agent_id": "2", "inbox_id": "3"}
        found.append(Served(url, tokens, ids))
        ready.set()
        await asyncio.to_thread(stop.wait)
        await server.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "known", "phases"),
    [
        ("agent", True, "coverage,fuzzing"),
        ("contact", True, "coverage,fuzzing"),
        ("agent", False, "fuzzing,stateful"),
        ("", False, "coverage"),
    ],
)
def test_every_check_of_schemathesis_holds(tmp_path: Path, token: str, known: bool, phases: str) -> None:
    """With ids that are there, and with such as it thinks of. Signing out would end the run early."""
    with served() as server:
        _configure(tmp_path, server.ids if known else {})
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/api/openapi.json"]
        command += ["--phases", phases, "--max-examples", "12", "--continue-on-failure", "--no-color"]
        command += ["--checks", "all", "--warnings", "off", "--seed", "1"]
        if token:
            command += ["--header", f"Authorization: Bearer {server.tokens[token]}"]
            command += ["--exclude-operation-id", "logout"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _configure(folder: Path, ids: dict[str, str]) -> None:
    """Write the configuration, which is read from the working directory."""
    known = "".join(f'"path.{name}" = "{value}"\n' for name, value in ids.items())
    (folder / "schemathesis.toml").write_text(f'hooks = "{HOOKS}"\n[parameters]\n{known}')

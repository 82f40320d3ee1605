"""The HTTP side over a real timeline with memory below it, and callers who are signed in."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import httpx

from unique_cs.actions import messages
from unique_cs.actions.agents import Team
from unique_cs.actions.auth import Auth
from unique_cs.actions.contacts import ContactPorts
from unique_cs.actions.passwords import Passwords, hash_password
from unique_cs.actions.tokens import ContactTokens
from unique_cs.api.app import create_api
from unique_cs.api.deps import Deps
from unique_cs.api.edge import App
from unique_cs.domain.body import TextBody
from unique_cs.domain.people import Agent, Inbox
from unique_cs.domain.permission import Principal
from unique_cs.domain.stored import Stored
from unique_cs.gateway.limits import Limits
from unique_cs.node import Node
from unique_cs.ports import Archive, Records
from unique_cs.storage.archive_memory import MemoryArchive
from unique_cs.storage.embedded import Embedded
from unique_cs.storage.hot_memory import MemoryHot
from unique_cs.storage.records_memory import MemoryRecords

DAY_MS = 86_400_000
START_MS = 1_800_000_000_000
PASSWORD = "correct horse"
PHC = hash_password(PASSWORD)
OWNER = Agent(1, "owner@example.com", "Olga", "owner", PHC)
MEI = Agent(2, "mei@example.com", "Mei", "agent", PHC)
INBOX = Inbox(3, "Website", "shop", "s" * 32)
OTHER = Inbox(4, "Other", "other", "", allowed_origins=["https://shop.example", "bad origin; script-src *"])


class Clock:
    """Time that the test moves. It starts late enough for every id."""

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


class Closed:
    """Notes which live connections were to be closed."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []

    def close_principal(self, kind: str, principal_id: int) -> None:
        self.said.append((kind, principal_id))

    def close_logins(self, logins: Collection[int]) -> None:
        self.said.extend(("login", login) for login in logins)


class Caller:
    """Somebody with a token (or without) who calls the API."""

    def __init__(self, client: httpx.AsyncClient, token: str = "") -> None:
        self._client = client
        self.token = token

    async def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """One request; `path` without a leading slash is below `/api/v1/`."""
        url = path if path.startswith("/") else f"/api/v1/{path}"
        auth = {"authorization": f"Bearer {self.token}"} if self.token else {}
        return await self._client.request(method, url, headers={**auth, **(headers or {})}, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.call("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return await self.call("POST", path, json=json, **options)

    async def ok(self, method: str, path: str, json: Any = None, **options: Any) -> Any:
        """The JSON of a call that must succeed."""
        answer = await self.call(method, path, json=json, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


class Harness:
    """One node without sockets."""

    def __init__(
        self, archive: Archive | None = None, records: Records | None = None, **changes: Any
    ) -> None:
        self.clock, self.closed = Clock(), Closed()
        self.hot = MemoryHot()
        self.records: Records = records or MemoryRecords()
        self.archive: Archive = archive or MemoryArchive()
        self.node = Node(Embedded(self.hot, self.archive, self.clock), self.clock)
        self.tokens = ContactTokens(self.node.secret, 365)
        self.passwords = Passwords()
        per_minute = changes.pop("logins_per_minute", None)
        self.auth = Auth(
            self.records,
            self.node.contacts,
            self.tokens,
            self.passwords,
            self.clock,
            self.ids,
            login_days=30,
            logins_per_minute=per_minute,
        )
        self.ports = ContactPorts(
            self.records,
            self.node.contacts,
            self.node.timeline,
            self.tokens,
            self.clock,
            self.ids,
            WeakValueDictionary(),
        )
        self.api = create_api(self._deps(changes))
        self.anyone = self.caller()
        self._keys = count(1)

    def _deps(self, changes: dict[str, Any]) -> Deps:
        node = self.node
        given: dict[str, Any] = {
            "metrics": lambda: b"metric 1\n",
            "hub": self.closed,
            "caught_up": node.relay.caught_up,
        }
        return Deps(
            timeline=node.timeline,
            contacts=node.contacts,
            records=self.records,
            archive=self.archive,
            clock=self.clock,
            auth=self.auth,
            team=Team(self.records, self.auth, self.passwords, self.ids),
            contact_ports=self.ports,
            **(given | changes),
        )

    def ids(self) -> int:
        return self.node.next_id()

    def caller(self, token: str = "", address: str = "127.0.0.1", app: App | None = None) -> Caller:
        transport = httpx.ASGITransport(app or self.api, client=(address, 1), raise_app_exceptions=False)
        return Caller(httpx.AsyncClient(transport=transport, base_url="http://chat.test"), token)

    async def open(self) -> None:
        await self.records.first_start(OWNER, INBOX)
        await self.records.add_agent(MEI)
        self.node.open_gateway(self.auth.authenticate, Limits(), random.Random(1))

    async def close(self) -> None:
        await self.node.close()
        self.passwords.close()

    async def later(self, ms: int) -> None:
        """Let time pass, as far as ids may be made then."""
        self.clock.ms += ms
        self.node.each_second()
        await self.node.group.drain()

    async def agent(self, email: str = OWNER.email) -> Caller:
        """An agent who signed in."""
        answer = await self.anyone.ok("POST", "auth/login", {"email": email, "password": PASSWORD})
        return self.caller(answer["token"])

    async def contact(self, name: str = "Ann", **fields: Any) -> Caller:
        """A visitor with a session."""
        answer = await self.anyone.ok(
            "POST", "contacts/session", {"inbox": "shop", "contact": {"name": name}, **fields}
        )
        return self.caller(answer["token"])

    async def say(
        self, caller: Caller, text: str, conversation: str | None = None, *, note: bool = False
    ) -> Stored:
        """Send a message as a live connection would: a contact's first one opens a conversation."""
        node = self.node
        principal: Principal = await self.auth.authenticate(caller.token)
        found = await messages.target(node.timeline, node.contacts, principal, conversation)
        key = f"key {next(self._keys)}"
        return await messages.post_message(node.timeline, principal, found, TextBody(text), note, key)

    async def conversation(self, caller: Caller, *texts: str) -> str:
        """The id of the contact's conversation with these messages."""
        for text in texts or ("hello",):
            await self.say(caller, text)
        principal = await self.auth.authenticate(caller.token)
        found = await self.node.timeline.newest_open(principal.id)
        assert found is not None
        return found.wire_id


@asynccontextmanager
async def opened(**changes: Any) -> AsyncIterator[Harness]:
    """A harness that is closed at the end; `changes` go to `Deps` and to `Harness`."""
    harness = Harness(**changes)
    await harness.open()
    try:
        yield harness
    finally:
        await harness.close()


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for a condition with a deadline."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    """Whether the answer is the problem document of that code (RFC 9457)."""
    found = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(found) >= {"type", "title", "status", "detail", "code"}
    return (answer.status_code, found["status"], found["code"]) == (status, status, code)


NO_ASSETS = Path(__file__).parent / "no such folder"

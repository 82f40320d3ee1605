"""Nodes of a cluster in one process: a real Redis, one cold tier, and a journal for each."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from unique_cs.actions import conversations, messages
from unique_cs.cluster.cluster import Cluster
from unique_cs.cluster.ending import end
from unique_cs.cluster.memory import tell_flushed
from unique_cs.cluster.node_numbers import NumberedIds
from unique_cs.cluster.shard import Shard
from unique_cs.domain.body import TextBody
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import Actor
from unique_cs.domain.people import Contact
from unique_cs.domain.permission import Principal
from unique_cs.opening import SystemClock
from unique_cs.ports import Entry
from unique_cs.protocol.session import Session
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.group import GroupCommit
from unique_cs.storage.hot_memory import MemoryHot
from unique_cs.storage.sql import Database
from unique_cs.storage.stores import open_cold

ANN = Principal("contact", 11, Actor("contact", "11", "Ann"))
BOB = Principal("agent", 22, Actor("agent", "22", "Bob"))
DEADLINE_S = 60.0


class ClusterNode:
    """One node without a gateway. `delivered` is what its connections would be told."""

    def __init__(self, name: str, url: str, database: Database, hot: MemoryHot) -> None:
        self.name = name
        self.hot = hot
        self.database = database
        self.shard = Shard(url)
        self.clock = SystemClock()
        self.group = GroupCommit(hot, self.clock, tell_flushed)
        self.archive = SqlArchive(database)
        self.ids = NumberedIds(self.shard, self.clock, name)
        self.cluster = Cluster(
            self.shard, database, self.archive, hot, self.group, self.ids, self.clock, session_days=30
        )
        self.timeline, self.contacts = self.cluster.timeline, self.cluster.contacts
        self.delivered: list[Entry] = []
        self.lost = 0
        self.timeline.subscriber = self.delivered.extend
        self.cluster.on_lost = self._count_loss
        self._tasks: list[asyncio.Task[None]] = []

    def _count_loss(self) -> None:
        self.lost += 1

    async def start(self) -> None:
        """Return when it serves."""
        await self.shard.open()
        self._tasks = [asyncio.create_task(self.ids.keep()), asyncio.create_task(self.cluster.run())]
        async with asyncio.timeout(DEADLINE_S):
            await self.ids.ready()
            await self.cluster.ready.wait()

    async def stop(self) -> None:
        """End it without a farewell; the journal stays."""
        await end(self._tasks)
        self._tasks = []
        self.group.close()
        await self.shard.close()

    async def ann(self) -> Contact:
        """The contact, stored."""
        contact = Contact(ANN.id, 1, "Ann")
        await self.contacts.save_contact(contact)
        return contact

    async def session(self, principal: Principal = ANN) -> Session:
        """A new session."""
        session, _ = await self.timeline.open_session(principal, None, None, 0)
        return session

    async def send(
        self, session: Session, n: int, text: str, conversation: Conversation | None = None
    ) -> Entry:
        """Send, and return the entry once it is durable."""
        target = conversation or await messages.target(self.timeline, self.contacts, session.principal, None)
        body = TextBody(text)
        entry = messages.send(self.timeline, session, target, n, body, False, None)
        return await messages.durable(entry)

    async def resolve(self, conversation: Conversation) -> None:
        """Resolve a conversation."""
        await conversations.set_status(self.timeline, BOB, conversation, "resolved", None)

    async def texts(self, conversation: Conversation) -> list[str]:
        """What was said, in order; other events by their names."""
        page = await self.timeline.events(conversation, 0, 10**9, 10**6, False)
        return [_said(each.frame) for each in page]

    def told(self) -> list[str]:
        """What was delivered, likewise."""
        return [_said(each.payload) for each in self.delivered if each.event is not None]


def _said(frame: bytes) -> str:
    event = msgspec.json.decode(frame)
    text: str = event["data"].get("body", {}).get("text", event["name"])
    return text


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition with a deadline."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.005)


@asynccontextmanager
async def nodes(count: int, url: str, folder: Path) -> AsyncIterator[list[ClusterNode]]:
    """Nodes that serve."""
    database = await open_cold(folder, "")
    made = [ClusterNode(f"node-{number}", url, database, MemoryHot()) for number in range(count)]
    try:
        for node in made:
            await node.start()
        yield made
    finally:
        for node in made:
            await node.stop()
        await database.close()

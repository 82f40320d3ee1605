"""The storage of one node without its gateway: timeline, contacts, relay and trimmer over any hot tier."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from tests.support.node import FakeClock
from unique_cs.actions import conversations, messages
from unique_cs.domain import conversation as rules
from unique_cs.domain.body import TextBody
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import Actor
from unique_cs.domain.people import Contact
from unique_cs.domain.permission import Principal
from unique_cs.errors import OutcomeUnknown
from unique_cs.ports import Entry
from unique_cs.protocol.session import Session
from unique_cs.storage.archive_memory import MemoryArchive
from unique_cs.storage.hot import Hot
from unique_cs.storage.hot_source import HotSource
from unique_cs.storage.installation import IdSource
from unique_cs.storage.people import EmbeddedContacts
from unique_cs.storage.relay import Relay
from unique_cs.storage.timeline import EmbeddedTimeline
from unique_cs.storage.trim import HOUR_MS, Trimmer

ANN = Principal("contact", 11, Actor("contact", "11", "Ann"))
BOB = Principal("agent", 22, Actor("agent", "22", "Bob"), role="agent")


class Unreliable:
    """A hot tier whose writes or flushes fail when a test says so."""

    def __init__(self, hot: Hot) -> None:
        self._hot = hot
        self.get, self.get_many, self.scan = hot.get, hot.get_many, hot.scan
        self.space, self.reopen, self.close = hot.space, hot.reopen, hot.close
        self.fails = ""

    def write(self, puts: Sequence[tuple[bytes, bytes]], deletes: Sequence[bytes] = ()) -> None:
        if self.fails == "write":
            raise OSError("no write")
        self._hot.write(puts, deletes)

    def flush(self) -> None:
        if self.fails == "flush":
            raise OSError("no flush")
        self._hot.flush()


class Tiers:
    """What a node keeps, in a test's hands."""

    def __init__(
        self, hot: Hot, archive: MemoryArchive | None = None, clock: FakeClock | None = None
    ) -> None:
        self.hot = Unreliable(hot)
        self.clock = clock or FakeClock()
        self.archive = archive or MemoryArchive()
        self.ids = IdSource(self.hot, self.clock)
        self.timeline = EmbeddedTimeline(self.hot, self.archive, self.ids, self.clock)
        self.group = self.timeline.group
        self.contacts = EmbeddedContacts(self.hot, self.group)
        self.relay = Relay(HotSource(self.hot, self.timeline, self.contacts), self.archive)
        self.delivered: list[Entry] = []
        self.timeline.subscribe(self.delivered.extend)

    async def close(self) -> None:
        """Let what is in flight end, and end the worker."""
        with suppress(OutcomeUnknown):
            await self.group.drain()
        self.group.close()

    async def again(self) -> "Tiers":
        """What the next process finds."""
        await self.close()
        return Tiers(self.hot._hot, self.archive, self.clock)

    async def recover(self) -> None:
        """Open the store again, as a node does after a failure."""
        self.hot.fails = ""
        self.hot.reopen()
        self.timeline.forget()
        self.group.recovered()

    def send(self, session: Session, conversation: Conversation, n: int, text: str = "hello") -> Entry:
        """Give a message its place."""
        return messages.send(self.timeline, session, conversation, n, TextBody(text), False, None)

    async def session(self, principal: Principal = ANN) -> Session:
        """A new session."""
        session, _ = await self.timeline.open_session(principal, None, None, 0)
        return session

    async def talk(self, count: int = 1) -> tuple[Session, Conversation]:
        """A conversation with `count` messages, and the session that sent them."""
        session = await self.session()
        conversation = await messages.target(self.timeline, self.contacts, ANN, None)
        for n in range(1, count + 1):
            self.send(session, conversation, n, f"message {n}")
            if n % 200 == 0:
                await self.group.drain()
        await self.group.drain()
        return session, conversation

    async def ann(self) -> Contact:
        """The contact, stored."""
        contact = Contact(ANN.id, 1, "Ann")
        await self.contacts.save_contact(contact)
        return contact

    async def resolve(self, conversation: Conversation) -> None:
        """Resolve a conversation."""
        await conversations.set_status(self.timeline, BOB, conversation, "resolved", None)

    async def places(self, conversation: Conversation, after: int = 0) -> list[int]:
        """Where the durable events lie."""
        found = await self.timeline.events(conversation, after, 10**9, 10**6, False)
        return [each.seq for each in found]

    async def archive_all(self) -> None:
        """Relay everything that is durable."""
        self.relay.cursor = await self.archive.cursor()
        while await self.relay.move():
            pass

    async def trim(self, hours: int = 49, session_days: int = 30) -> tuple[int, int]:
        """Let hours pass, and trim what is older than two days."""
        self.clock.wall_ms += hours * HOUR_MS
        self.ids.raise_ceiling(self.group)
        await self.group.durable()
        return await Trimmer(
            self.hot, self.group, self.archive, self.clock, 48, session_days, self.timeline.is_live
        ).run_once()


def decide_message(conversation: Conversation, text: str) -> list[rules.Draft]:
    """What an agent's message would do."""
    return rules.decide_message(conversation, BOB.actor, TextBody(text), False)


async def settled(*entries: Entry) -> list[Entry]:
    """The entries once they are durable."""
    return list(await asyncio.gather(*[messages.durable(entry) for entry in entries]))

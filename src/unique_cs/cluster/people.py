"""Contacts and cursors of a cluster: made through the log, held in Redis, kept by the cold tier."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from unique_cs.actions.messages import durable
from unique_cs.cluster import items, log
from unique_cs.cluster.commit import Answer, Committer, Item, Prepare
from unique_cs.cluster.loading import Loading
from unique_cs.cluster.log import Record, encode
from unique_cs.cluster.memory import Memory, settle
from unique_cs.cluster.shard import Failure
from unique_cs.domain import conversation as rules
from unique_cs.domain.conversation import Conversation, Cursor
from unique_cs.domain.people import Contact
from unique_cs.errors import Code, OutcomeUnknown, StorageUnavailable, UniqueCsError
from unique_cs.ports import Entry
from unique_cs.storage import rows

FLUSH_S: Final = 0.2
"""How long cursors are gathered before they are stored."""


class ClusterContacts:
    """`Contacts` over Redis and the cold tier."""

    def __init__(self, committer: Committer, memory: Memory, loading: Loading) -> None:
        self._committer = committer
        self._memory = memory
        self._loading = loading
        self._moved: dict[tuple[int, str, str], Cursor] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def contact(self, contact: int) -> Contact | None:
        """Return the contact, or None."""
        return await self._loading.contact(contact)

    async def contact_by_identifier(self, inbox: int, identifier: str) -> Contact | None:
        """Return the contact that a signed token proved to be `identifier`, or None."""
        return await self._loading.contact_named(inbox, identifier)

    async def save_contact(self, contact: Contact, known: Contact | None = None) -> None:
        """Store the contact; durable on return. `conflict` where another has its identifier, or was first."""
        self._committer.admit()
        entry = Entry(None, None, b"", 0)
        stored = durable(entry)
        self._committer.submit(_Contact(contact, known, self._memory, entry))
        await stored

    async def cursors(self, conversation: Conversation) -> tuple[Cursor, ...]:
        """Return the participants' cursors; they stay true as they grow."""
        if conversation.cursors is None:
            conversation.cursors = await self._loading.cursors(conversation.id)
        return conversation.cursors

    def advance_cursor(self, conversation: Conversation, cursor: Cursor) -> bool:
        """Let one participant's cursors grow up to the head; say whether one did."""
        own = rules.advance(conversation, cursor)
        if own is None:
            return False
        if not self._moved:
            asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
        self._moved[conversation.id, own.kind, own.actor] = own
        return True

    def _flush(self) -> None:
        moved, self._moved = self._moved, {}
        for (conversation, _, _), cursor in moved.items():
            # Nobody waits: a cursor that was not stored grows again.
            self._committer.submit(_Cursor(conversation, cursor, self._bring_back))

    def _bring_back(self, conversation: int, cursor: Cursor) -> None:
        task = asyncio.get_running_loop().create_task(self._restore(conversation, cursor))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _restore(self, conversation: int, cursor: Cursor) -> None:
        with suppress(*Failure, StorageUnavailable, OutcomeUnknown):
            await self._loading.restore(conversation)
            self._committer.submit(Item(items.cursor(conversation, cursor)))


class _Cursor(Item):
    """A cursor of a conversation that Redis may have let go of: then `absent` is called, and nobody waits."""

    __slots__ = ("_absent", "_conversation", "_cursor")

    def __init__(self, conversation: int, cursor: Cursor, absent: Callable[[int, Cursor], None]) -> None:
        super().__init__(items.cursor(conversation, cursor))
        self._conversation = conversation
        self._cursor = cursor
        self._absent = absent

    def answered(self, answer: Answer) -> Prepare | None:
        if answer.code == "absent":
            self._absent(self._conversation, self._cursor)
        return None


class _Contact(Item):
    """A contact that waits for its place; memory tells whoever waits for it."""

    __slots__ = ("_contact", "_entry", "_memory", "_origin")

    def __init__(self, contact: Contact, known: Contact | None, memory: Memory, entry: Entry) -> None:
        self._contact = contact
        self._memory = memory
        self._entry = entry
        self._origin = memory.expect(entry)
        super().__init__(items.contact(contact, self._origin, known))

    def answered(self, answer: Answer) -> Prepare | None:
        if answer.code != "ok":
            self._memory.drop(self._origin)
            reason = "the contact has changed meanwhile, or another has its identifier"
            settle(self._entry, UniqueCsError(Code.CONFLICT, reason))
        return None

    def record(self, answer: Answer) -> bytes | None:
        row = rows.encode(self._contact)
        return encode([Record(answer.place, log.CONTACT, self._contact.id, row=row)])

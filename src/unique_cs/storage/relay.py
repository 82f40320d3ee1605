"""The relay: moves what is durable in the hot tier to the cold tier, in order, in batches."""

import asyncio
import contextlib

import msgspec
from msgspec import Struct

from unique_cs.domain.body import text_of
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import MESSAGE_CREATED
from unique_cs.errors import Code, OutcomeUnknown, UniqueCsError
from unique_cs.ports import Archive, ArchivedEvent, Contact, Contacts, ConversationRow
from unique_cs.storage import keys, rows
from unique_cs.storage.hot import Hot
from unique_cs.storage.timeline import EmbeddedTimeline
from unique_cs.telemetry import log, metrics

BATCH = 5_000
"""Events of one transaction, about."""

RETRY_S = 1.0

GATHER_S = 0.2
"""How long to gather before a batch that nobody waits for: few large transactions cost least."""


class _Columns(Struct, gc=False):
    id: str
    time: int
    name: str


_columns = msgspec.json.Decoder(_Columns)


class Relay:
    """Copies group by group. A row that meets another id at its place stops it: nothing is ignored."""

    def __init__(self, hot: Hot, archive: Archive, timeline: EmbeddedTimeline, contacts: Contacts) -> None:
        self._hot = hot
        self._archive = archive
        self._timeline = timeline
        self._contacts = contacts
        self._wake = asyncio.Event()
        self._moved = asyncio.Condition()
        self._hurry = asyncio.Event()
        self.cursor = 0
        self.stopped = ""

    def wake(self) -> None:
        """Something became durable."""
        self._wake.set()

    @property
    def lag(self) -> int:
        """Groups that are durable and not archived."""
        return self._timeline.group.durable_number - self.cursor

    async def run(self) -> None:
        """Move until cancelled. A cold tier that fails is tried again; one that diverges is left alone."""
        known = False
        while not self.stopped:
            self._wake.clear()
            try:
                if not known:
                    await self._find_place()
                    known = True
                full = await self.move()
            except Exception as error:  # noqa: BLE001  # whatever it is, it is tried again
                if _is_final(error):
                    self._stop(error)
                    return
                log.warning("relay failed, trying again", error=repr(error))
                known = False
                await asyncio.sleep(RETRY_S)
                continue
            if not full:
                await self._wake.wait()
                await self._gather()

    async def _find_place(self) -> None:
        """Go on where the archive is: only it knows what became of a transaction that failed."""
        self.cursor = await self._archive.cursor()
        if self.lag < 0:
            raise UniqueCsError(Code.INTERNAL, "the hot tier is older than the archive")

    def _stop(self, error: Exception) -> None:
        self.stopped = str(error)
        metrics.relay_stopped.set(1)
        log.error("relay stopped: the tiers diverge", error=self.stopped, cursor=self.cursor)

    async def _gather(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                await self._hurry.wait()

    async def move(self) -> bool:
        """Move one batch; true if more may be waiting."""
        upto = self._timeline.group.durable_number
        groups = self._groups(upto)
        if not groups:
            self._hurry.clear()
            return False
        events, contacts = _references(groups)
        archived = await self._archived(events)
        conversations = await self._conversations(archived)
        people = [await self._contact(each) for each in sorted(contacts)]
        cursor = keys.number_at(groups[-1][0])
        await self._archive.store(cursor, archived, conversations, people)
        self.cursor = cursor
        metrics.relayed.inc(len(archived))
        async with self._moved:
            self._moved.notify_all()
        return self.cursor < upto

    def _groups(self, upto: int) -> list[tuple[bytes, bytes]]:
        taken: list[tuple[bytes, bytes]] = []
        size = 0
        for group in self._hot.scan(keys.group(self.cursor + 1), keys.group(upto + 1), 500):
            taken.append(group)
            size += len(group[1]) // 17
            if size >= BATCH:
                break
        return taken

    async def _archived(self, references: list[tuple[int, int]]) -> list[ArchivedEvent]:
        archived: list[ArchivedEvent] = []
        for start in range(0, len(references), 200):
            part = references[start : start + 200]
            found = self._hot.get_many([keys.event(*reference) for reference in part])
            archived += [_archived(reference, row) for reference, row in zip(part, found, strict=True)]
            await asyncio.sleep(0)
        return archived

    async def _conversations(self, archived: list[ArchivedEvent]) -> list[ConversationRow]:
        texts: dict[int, bytes | None] = {}
        for each in archived:
            texts[each.conversation] = (
                each.stored.frame if each.name == MESSAGE_CREATED else texts.get(each.conversation)
            )
        made: list[ConversationRow] = []
        for number, (conversation_id, frame) in enumerate(texts.items()):
            conversation = await self._timeline.conversation(conversation_id)
            if conversation is None:
                raise UniqueCsError(Code.INTERNAL, f"conversation {conversation_id} has events and no state")
            newest = frame or await self._newest_message(conversation)
            made.append(_row(conversation, newest))
            if number % 50 == 49:
                await asyncio.sleep(0)
        return made

    async def _newest_message(self, conversation: Conversation) -> bytes | None:
        """The newest message before a batch that held none of this conversation."""
        page = await self._timeline.events(conversation, 0, conversation.durable + 1, 10, True)
        frames = [each.frame for each in page if _columns.decode(each.frame).name == MESSAGE_CREATED]
        return frames[-1] if frames else None

    async def _contact(self, contact_id: int) -> Contact:
        contact = await self._contacts.contact(contact_id)
        if contact is None:
            raise UniqueCsError(Code.INTERNAL, f"contact {contact_id} was written and is not there")
        return contact

    async def move_all(self) -> None:
        """Move everything that is durable, for a node that does not serve. Raises what stops it."""
        await self._find_place()
        while await self.move():
            pass

    async def caught_up(self, timeout_s: float) -> None:
        """Return when everything durable now is archived, or after `timeout_s`."""
        target = self._timeline.group.durable_number
        self._hurry.set()
        async with self._moved:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._moved.wait_for(lambda: self.cursor >= target or bool(self.stopped))
            except TimeoutError:
                return


def _is_final(error: Exception) -> bool:
    """The tiers diverge; a store that is away, or whose answer was lost, is another matter."""
    return (
        isinstance(error, UniqueCsError)
        and error.retry_after_ms is None
        and not isinstance(error, OutcomeUnknown)
    )


def _references(groups: list[tuple[bytes, bytes]]) -> tuple[list[tuple[int, int]], set[int]]:
    events: list[tuple[int, int]] = []
    contacts: set[int] = set()
    for _, row in groups:
        more, people = rows.read_references(row)
        events += more
        contacts.update(people)
    return events, contacts


def _archived(reference: tuple[int, int], row: bytes | None) -> ArchivedEvent:
    conversation, seq = reference
    if row is None:
        raise UniqueCsError(Code.INTERNAL, f"event {seq} of {conversation} is referred to and not there")
    stored = rows.read_event(seq, row)
    columns = _columns.decode(stored.frame)
    return ArchivedEvent(conversation, int(columns.id), columns.time, columns.name, stored)


def _row(conversation: Conversation, newest_message: bytes | None) -> ConversationRow:
    return ConversationRow(
        conversation.id,
        conversation.inbox,
        int(conversation.contact.id),
        conversation.contact.name,
        conversation.status,
        int(conversation.assignee.id) if conversation.assignee else 0,
        conversation.waiting_since,
        conversation.created_at,
        conversation.updated_at,
        conversation.durable,
        _text(newest_message) if newest_message else "",
    )


def _text(frame: bytes) -> str:
    return text_of(msgspec.json.decode(frame)["data"]["body"])[:200]

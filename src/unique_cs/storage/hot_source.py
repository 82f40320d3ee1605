"""What one node's hot tier gives to the relay: its groups, in order."""

import asyncio

from unique_cs.domain.events import MESSAGE_CREATED
from unique_cs.domain.people import Contact
from unique_cs.domain.stored import ArchivedEvent, ConversationRow
from unique_cs.errors import Code, UniqueCsError
from unique_cs.ports import Contacts
from unique_cs.storage import keys, rows
from unique_cs.storage.archiving import archived_event, conversation_row, message_before
from unique_cs.storage.hot import Hot
from unique_cs.storage.relay import Batch
from unique_cs.storage.timeline import EmbeddedTimeline

BATCH = 5_000
"""Events of one transaction, about."""


class HotSource:
    """`Source` over the groups of a hot tier."""

    start = 0

    def __init__(self, hot: Hot, timeline: EmbeddedTimeline, contacts: Contacts) -> None:
        self._hot = hot
        self._timeline = timeline
        self._contacts = contacts

    @property
    def newest(self) -> int:
        """The number of the last durable group."""
        return self._timeline.group.durable_number

    def behind(self) -> UniqueCsError:
        """The archive is of another hot tier, or of a later state of this one."""
        return UniqueCsError(Code.INTERNAL, "the hot tier is older than the archive")

    async def stored(self, cursor: int) -> None:
        """Trimming goes by the clock, see `storage/trim.py`."""

    async def read(self, after: int) -> Batch | None:
        """The groups after one, up to about `BATCH` events."""
        groups = self._groups(after, self.newest)
        if not groups:
            return None
        events, contacts = _references(groups)
        archived = await self._archived(events)
        conversations = await self._conversations(archived)
        people = [await self._contact(each) for each in sorted(contacts)]
        return Batch(keys.number_at(groups[-1][0]), archived, conversations, people)

    def _groups(self, after: int, upto: int) -> list[tuple[bytes, bytes]]:
        taken: list[tuple[bytes, bytes]] = []
        size = 0
        for group in self._hot.scan(keys.group(after + 1), keys.group(upto + 1), 500):
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
            archived += [_archived(*reference, row) for reference, row in zip(part, found, strict=True)]
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
            newest = frame or await message_before(self._timeline, conversation)
            made.append(conversation_row(conversation, newest))
            if number % 50 == 49:
                await asyncio.sleep(0)
        return made

    async def _contact(self, contact_id: int) -> Contact:
        contact = await self._contacts.contact(contact_id)
        if contact is None:
            raise UniqueCsError(Code.INTERNAL, f"contact {contact_id} was written and is not there")
        return contact


def _references(groups: list[tuple[bytes, bytes]]) -> tuple[list[tuple[int, int]], set[int]]:
    events: list[tuple[int, int]] = []
    contacts: set[int] = set()
    for _, row in groups:
        more, people = rows.read_references(row)
        events += more
        contacts.update(people)
    return events, contacts


def _archived(conversation: int, seq: int, row: bytes | None) -> ArchivedEvent:
    if row is None:
        raise UniqueCsError(Code.INTERNAL, f"event {seq} of {conversation} is referred to and not there")
    return archived_event(conversation, seq, row)

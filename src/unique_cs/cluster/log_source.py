"""What the log gives to the relay, on the node that has the lease for it."""

from typing import Final

from sqlalchemy import Connection

from unique_cs.cluster import log
from unique_cs.cluster.cold import Cold
from unique_cs.cluster.commit import Generation
from unique_cs.cluster.keys import GENERATION, Keys, first_place
from unique_cs.cluster.log import Record
from unique_cs.cluster.memory import Memory, read_cursor
from unique_cs.cluster.shard import Shard, spare
from unique_cs.cluster.timeline import ClusterTimeline
from unique_cs.domain.events import MESSAGE_CREATED
from unique_cs.domain.people import Contact
from unique_cs.domain.stored import ArchivedEvent, ConversationRow
from unique_cs.errors import StorageUnavailable, UniqueCsError
from unique_cs.storage import rows
from unique_cs.storage.archiving import archived_event, conversation_row, message_before
from unique_cs.storage.people import read_contact
from unique_cs.storage.relay import Batch

LIMIT: Final = 1_000
"""Records of one transaction. All else waits on this node while they are read and written down."""

KEPT: Final = 20_000
"""Records that stay in the log behind the relay: a node that is further back has to begin anew."""

_STORED: Final = spare("""
redis.call('SET', KEYS[1], ARGV[1])
return redis.call('XTRIM', KEYS[2], 'MINID', '~', ARGV[2] .. '-0')
""")


class LogSource:
    """`Source` over the log of the open generation."""

    def __init__(self, shard: Shard, memory: Memory, timeline: ClusterTimeline, cold: Cold) -> None:
        self._shard = shard
        self._memory = memory
        self._timeline = timeline
        self._cold = cold
        self.generation: Generation | None = None

    @property
    def newest(self) -> int:
        """The last place that this node has followed the log to."""
        return self._memory.position

    @property
    def start(self) -> int:
        """The place before the generation's first."""
        return first_place(self._open().counter)

    def behind(self) -> UniqueCsError:
        """Another node relayed further than this one has followed the log: it soon will have."""
        return StorageUnavailable("this node has yet to follow the log")

    def _open(self) -> Generation:
        if self.generation is None:
            raise StorageUnavailable("no generation is open")
        return self.generation

    async def read(self, after: int) -> Batch | None:
        """The records after a place."""
        generation = self._open()
        records = await log.read(self._shard.client, Keys(generation.counter), after, LIMIT)
        if not records:
            return None
        archived = [archived_event(each.id, each.seq, each.row) for each in records if each.kind == log.EVENT]
        contacts = {each.id: read_contact(each.row) for each in records if each.kind == log.CONTACT}
        try:
            conversations = await self._conversations(records, archived)
        except UniqueCsError:
            await self._check_open(generation)
            raise
        return self._batch(generation, after, records, archived, conversations, list(contacts.values()))

    async def _check_open(self, generation: Generation) -> None:
        """What is missing is no fault of the tiers where Redis was emptied: raise `StorageUnavailable`."""
        if await self._shard.client.get(GENERATION) != generation.value.encode():
            raise StorageUnavailable("Redis is being restored")

    def _batch(
        self,
        generation: Generation,
        after: int,
        records: list[Record],
        archived: list[ArchivedEvent],
        conversations: list[ConversationRow],
        contacts: list[Contact],
    ) -> Batch:
        sent = [
            (each.stored.session, each.stored.n, each.conversation, each.stored.seq)
            for each in archived
            if each.stored.session != rows.NO_SESSION
        ]
        moved = [(each.id, read_cursor(each.key, each.row)) for each in records if each.kind == log.CURSOR]

        def also(connection: Connection) -> None:
            self._cold.check_relay(connection, generation.counter, after)
            self._cold.store(connection, sent, moved)

        return Batch(records[-1].place, archived, conversations, contacts, also)

    async def _conversations(
        self, records: list[Record], archived: list[ArchivedEvent]
    ) -> list[ConversationRow]:
        last = {each.id: each for each in records if each.kind == log.EVENT}
        texts = {each.conversation: each.stored.frame for each in archived if each.name == MESSAGE_CREATED}
        times = {each.conversation: each.time for each in archived}
        made: list[ConversationRow] = []
        for number, record in last.items():
            conversation = rows.read_state(number, record.state)
            conversation.seq = conversation.durable = record.seq
            conversation.updated_at = times[number]
            text = texts.get(number) or await message_before(self._timeline, conversation)
            made.append(conversation_row(conversation, text))
        return made

    async def stored(self, cursor: int) -> None:
        """Say what is archived, and let the log forget what lies well behind."""
        keys = Keys(self._open().counter)
        await self._shard.client.eval(_STORED, 2, keys.archived, keys.log, cursor, cursor - KEPT)

"""Opening a generation on a Redis that is new, was emptied, or lost its last writes.

Nothing that was acknowledged is lost: it lies in the cold tier, in the journal of the node that acknowledged
it, or in what the server still has of the log. One node, under a lease, raises the generation (from then on
the cold tier takes nothing of the old one), gathers these rows, and puts them back in their places. A place
that nobody knows becomes a private event without meaning, so those above it stay where they were.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from secrets import token_hex
from typing import Any, Final

import msgspec

from unique_cs.cluster import imports, items, log
from unique_cs.cluster.cold import Cold
from unique_cs.cluster.commit import SCRIPT, Generation, Word
from unique_cs.cluster.keys import GENERATION, PLACES, Keys, first_place
from unique_cs.cluster.log import Record
from unique_cs.cluster.shard import TAG, Shard
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import SYSTEM, Event, Named, Visibility
from unique_cs.ports import Archive
from unique_cs.storage import rows
from unique_cs.storage.people import read_contact
from unique_cs.telemetry import log as journal_log

WAIT_S: Final = 10.0
"""How long to wait for the journals of nodes that are not there."""

BATCH: Final = 200
"""Steps that are put back with one call."""

UPLOADED_MS: Final = 3_600_000

JOURNALS: Final = "journal:"
"""Facts of the installation that begin so name the journals that a recovery waits for."""

MISSING: Final = "missing"
"""Value of a journal that did not come to the last recovery: no other waits for it until it is back."""

OPENING: Final = f"{TAG}:opening"
"""The highest counter that anybody on this server set out to open."""

# From here on nothing more is placed under the generation that was open: what it has can be read.
_CLOSE: Final = """
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1])
return 1
"""

# Whoever was paused on the way, and finds that another node set out after it, opens nothing.
_OPEN: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""

Write = Callable[[Sequence[Word]], Awaitable[None]]

_encode = msgspec.json.Encoder().encode


class Recovery:
    """One attempt on one server. `next_id` makes the ids of gaps."""

    def __init__(
        self, shard: Shard, cold: Cold, archive: Archive, next_id: Callable[[], int], now_ms: int, ttl_ms: int
    ) -> None:
        self._client = shard.client
        self._run_id = shard.run_id
        self._cold = cold
        self._archive = archive
        self._next_id = next_id
        self._now_ms = now_ms
        self._ttl_ms = ttl_ms
        self._rows, self._journals = _offers(self._run_id)
        self.missing: set[str] = set()

    async def is_offered(self, journal_id: str) -> bool:
        """Say whether a journal's rows lie on this server for the recovery that is due."""
        return bool(await self._client.sismember(self._journals, journal_id))

    async def offer(self, journal_id: str, pages: Iterable[Sequence[Record]]) -> None:
        """Put the rows of one journal where whoever recovers finds them."""
        for page in pages:
            await self._client.rpush(self._rows, log.encode(page))
        await self._client.sadd(self._journals, journal_id)
        for name in (self._rows, self._journals):
            await self._client.pexpire(name, UPLOADED_MS)

    async def run(self, journals: Iterable[str], still_mine: Callable[[], bool]) -> Generation | None:
        """Open the next generation; None where another node was first. `journals` are those to wait for."""
        known = await self._cold.generation()
        await self._gather(set(journals))
        # A database that was restored may know less than the journals: their places stay below the new ones.
        highest = max((each.place >> PLACES for each in await self._in_journals()), default=0)
        counter = max(known, highest) + 1
        # A server that is full says so here: a generation is used up by whoever goes on.
        await self._client.set(f"{TAG}:room", counter, px=UPLOADED_MS)
        if not await self._cold.raise_generation(known, counter):
            return None
        generation = Generation(counter, self._run_id)
        if not await self._client.eval(_CLOSE, 2, GENERATION, OPENING, generation.counter):
            return None
        archived = await self._archive.cursor()
        records = await self._records(known, archived)
        await self._begin(generation, archived)
        gaps = await self._put_back(generation, records)
        # Before it opens: from then on a node that comes says itself that it is there.
        for name in self.missing:
            await self._cold.put_fact(JOURNALS + name, MISSING)
        if not still_mine():
            return None
        if not await self._client.eval(_OPEN, 2, GENERATION, OPENING, generation.counter, generation.value):
            return None
        journal_log.warning(
            "a generation was opened", counter=generation.counter, records=len(records), gaps=gaps
        )
        return generation

    async def _gather(self, wanted: set[str]) -> None:
        """Wait a bounded time until every journal was offered."""
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while asyncio.get_running_loop().time() < deadline:
            offered = await self._client.smembers(self._journals)
            self.missing = wanted - {each.decode() for each in offered}
            if not self.missing:
                return
            await asyncio.sleep(0.1)
        journal_log.warning(
            "journals are missing; they are taken in when they come", journals=sorted(self.missing)
        )

    async def _records(self, known: int, archived: int) -> list[Record]:
        """What is not archived: out of the journals, and of the old log as far as the server has it."""
        found = await self._in_journals()
        # Also what attempts put back that did not come to their end.
        for counter in range(archived >> PLACES, known + 1):
            found += await self._left_in_redis(Keys(counter), archived)
        # What lies lower was put back by a recovery before; there it may have been lost, and not archived.
        older = await imports.lacking(self._cold, (each for each in found if each.place <= archived))
        return older + [each for each in found if each.place > archived]

    async def _in_journals(self) -> list[Record]:
        """The rows that were offered."""
        offered = await self._client.lrange(self._rows, 0, -1)
        return [record for part in offered for record in log.decode(part)]

    async def _left_in_redis(self, keys: Keys, archived: int) -> list[Record]:
        found: list[Record] = []
        place = archived
        while True:
            raw = await self._client.xrange(keys.log, f"({place}-0", "+", count=log.READ)
            if not raw:
                return found
            found += log.records(raw)
            place = found[-1].place

    async def _begin(self, generation: Generation, archived: int) -> None:
        """An empty numbering with the index of what is not resolved."""
        keys = Keys(generation.counter)
        # Random, for a database that was restored knows nothing of the generations after its backup.
        await self._client.set(keys.epoch, token_hex(6))
        await self._client.set(keys.head, first_place(generation.counter))
        await self._client.set(keys.since, archived)
        listed = {
            str(number): rows.index_fields(*fields) for number, *fields in await self._cold.unresolved()
        }
        if listed:
            await self._client.hset(keys.index, mapping=listed)

    async def _put_back(self, generation: Generation, records: list[Record]) -> int:
        writer = _Writer(self._client, generation, self._ttl_ms)
        write = writer.write
        people = sorted((each for each in records if each.kind == log.CONTACT), key=attrgetter("place"))
        contacts = {each.id: each for each in people}
        for each in contacts.values():
            contact = read_contact(each.row)
            await write(items.restore_contact(contact, await self._cold.owned(contact.id)))
            await write(items.contact(contact, ""))
        events = imports.once(each for each in records if each.kind == log.EVENT)
        events.sort(key=attrgetter("id", "place"))
        gaps = 0
        for conversation, mine in groupby(events, key=attrgetter("id")):
            gaps += await self._conversation(write, conversation, list(mine))
        await writer.flush()
        return gaps

    async def _conversation(self, write: Write, number: int, records: list[Record]) -> int:
        """The conversation as the cold tier has it, then what is missing there."""
        current = await self._restored(write, number)
        kept, late = imports.arranged(records)
        gaps = 0
        for record in kept:
            if record.seq <= current.seq:
                if not await self._cold.known_events(number, [imports.event_id(record)]):
                    late.append(record)
                continue
            while current.seq + 1 < record.seq:
                current = await _put(write, current, self._gap(current))
                gaps += 1
            current = await _put(write, current, record.row)
        for record in late:
            current = await _put(write, current, record.row)
        return gaps

    async def _restored(self, write: Write, number: int) -> Conversation:
        known = await self._cold.conversation(number)
        if known is None:
            return Conversation(number, 0, Named("0", ""))
        contact = await self._cold.contact(int(known[0].contact.id))
        if contact is not None:
            await write(items.restore_contact(contact, await self._cold.owned(contact.id)))
        await write(items.restore_conversation(*known))
        return known[0]

    def _gap(self, conversation: Conversation) -> bytes:
        event = Event(
            imports.GAP,
            conversation.wire_id,
            conversation.seq + 1,
            str(self._next_id()),
            self._now_ms,
            SYSTEM,
            {},
        )
        return rows.event_row(Visibility.HIDDEN, rows.NO_SESSION, 0, _encode(event))


def _offers(run_id: str) -> tuple[str, str]:
    """Where rows, and the journals that they are of, lie on a server until it has a generation."""
    return f"{TAG}:offered:{run_id}:rows", f"{TAG}:offered:{run_id}:journals"


async def forget_offers(client: Any, run_id: str) -> None:
    """A generation is open: what was offered for it, or came too late, is not for the next one."""
    await client.delete(*_offers(run_id))


class _Writer:
    """Puts items back, many with one call, under a mark that stands for the generation which opens later."""

    def __init__(self, client: Any, generation: Generation, ttl_ms: int) -> None:
        self._client = client
        self._mark = f"{TAG}:opening:{generation.counter}"
        self._head = (generation.value, Keys(generation.counter).prefix, "recovery")
        self._ttl_ms = ttl_ms
        self._batch = 0
        self._items: list[Sequence[Word]] = []

    async def write(self, words: Sequence[Word]) -> None:
        """Put one item back, now or with those that follow."""
        self._items.append(words)
        if len(self._items) >= BATCH:
            await self.flush()

    async def flush(self) -> None:
        """Put back what was asked for."""
        written, self._items = self._items, []
        if not written:
            return
        self._batch += 1
        await self._client.set(self._mark, self._head[0], px=UPLOADED_MS)
        words = [word for each in written for word in each]
        answers = await self._client.eval(
            SCRIPT, 1, self._mark, *self._head, self._batch, self._ttl_ms, *words
        )
        for item, answer in zip(written, answers, strict=True):
            if answer[0] != b"ok":
                journal_log.error("an event can't be put back", answer=answer, item=str(item[0:4]))


async def _put(write: Write, conversation: Conversation, row: bytes) -> Conversation:
    after, words = imports.as_next(conversation, row)
    await write(words)
    return after

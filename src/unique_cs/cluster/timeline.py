"""The timeline of a cluster: Redis gives the places, each node's journal keeps what it was given.

A write is asked for here, placed by the script, kept by the journal, and told at its place in the log, on
every node in the same order. Until then nothing here has changed: the head that is shown is the log's.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from secrets import token_bytes
from typing import Any

from unique_cs.cluster import items
from unique_cs.cluster.cold import Cold
from unique_cs.cluster.commit import Committer, Item
from unique_cs.cluster.keys import Keys
from unique_cs.cluster.loading import Loading
from unique_cs.cluster.log import EVENT, Record
from unique_cs.cluster.memory import Memory, settle
from unique_cs.cluster.sends import Append, Refuse
from unique_cs.cluster.shard import Shard
from unique_cs.domain.conversation import Conversation, Draft
from unique_cs.domain.events import Actor, Named
from unique_cs.domain.people import Contact
from unique_cs.domain.permission import Principal
from unique_cs.domain.stored import Answer, Stored
from unique_cs.errors import Code, OutcomeUnknown, Replaced, UniqueCsError
from unique_cs.ports import Archive, Clock, Entry
from unique_cs.protocol.session import MAX_IN_FLIGHT, Session
from unique_cs.storage import rows
from unique_cs.storage.pages import check, page, request_key, session_key

Subscriber = Callable[[list[Entry]], None]
_BEFORE = 2
"""Events that an action may make before its message."""

_FORGOTTEN = Answer(code=Code.CONFLICT, message="this send is too old to be answered again")


class ClusterTimeline:
    """`Timeline` over Redis, a journal and a cold tier, beside other nodes."""

    def __init__(
        self,
        shard: Shard,
        committer: Committer,
        memory: Memory,
        loading: Loading,
        archive: Archive,
        cold: Cold,
        next_id: Callable[[int], int],
        clock: Clock,
    ) -> None:
        self.epoch = ""
        self.keys = Keys(0)
        self._counter = 0
        self._shard = shard
        self._committer = committer
        self._memory = memory
        self._loading = loading
        self._archive = archive
        self._cold = cold
        self._next_id = next_id
        self._clock = clock
        self._opening: dict[int, Entry] = {}
        self.subscriber: Subscriber = lambda entries: None
        self.on_resumed: Callable[[bytes, int], None] = lambda session, c: None

    # Conversations

    async def conversation(self, conversation: int) -> Conversation | None:
        """Return the conversation, or None if it was never opened."""
        return self._memory.conversations.get(conversation) or await self._loading.conversation(conversation)

    def held(self, conversation: int) -> Conversation | None:
        """Return the conversation if it is in use on this node."""
        return self._memory.conversations.get(conversation)

    def held_session(self, key: bytes) -> Session | None:
        """Return the session if it is in use on this node."""
        return self._memory.sessions.get(key)

    async def newest_open(self, contact: int) -> Conversation | None:
        """Return the contact's newest conversation that is not resolved; one that is being opened counts."""
        opening = self._opening.get(contact)
        if opening is not None and opening.session is not None:
            with suppress(OutcomeUnknown):
                await self._memory.settled(opening.session, opening.n)
        return await self.newest_elsewhere(contact)

    async def newest_elsewhere(self, contact: int) -> Conversation | None:
        """The same, as Redis has it: what is being opened here does not count."""
        for conversation in await self._loading.unresolved(contact, 1):
            return await self.conversation(conversation)
        return None

    async def conversations_of(self, contact: int, limit: int) -> list[Conversation]:
        """Return the contact's newest conversations, newest first."""
        found = [await self.conversation(each) for each in await self._loading.owned(contact, limit)]
        return [each for each in found if each is not None]

    def new_conversation(self, contact: Contact) -> Conversation:
        """A conversation that exists once its first event is appended."""
        named = Named(str(contact.id), contact.name)
        return Conversation(self._next_id(self._clock.now_ms()), contact.inbox, named)

    # Writing

    def append(
        self,
        conversation: Conversation,
        actor: Actor,
        drafts: Sequence[Draft],
        expect: int,
        *,
        session: Session | None = None,
        n: int = 0,
        sender: object = None,
    ) -> Entry:
        """Ask for the next places; the entry of the last draft is told once it has one.

        A message that conflicts with what other nodes did meanwhile is decided again; everything else
        settles its entry with `conflict`.
        """
        self._committer.admit()
        if session is not None:
            check(session, n)
        if expect != (conversation.state_seq if items.is_plain(drafts) else conversation.seq):
            raise UniqueCsError(Code.CONFLICT, "the conversation has changed meanwhile")
        time = self._clock.now_ms()
        ids = [self._next_id(time) for _ in drafts]
        entry = Entry(conversation, None, b"", 0)
        entry.session, entry.n, entry.sender = session, n, sender
        if session is not None:
            session.n = n
        if not conversation.seq:
            self._opening[int(conversation.contact.id)] = entry
        self._committer.submit(Append(self, entry, actor, drafts, ids, time))
        return entry

    def refuse(self, session: Session, n: int, error: UniqueCsError, sender: object) -> Entry:
        """Store `error` as the final answer to send `n`."""
        self._committer.admit()
        check(session, n)
        session.n = n
        return self.put_refusal(session, n, error, sender)

    def put_refusal(self, session: Session, n: int, error: UniqueCsError, sender: object) -> Entry:
        """Ask for the refusal of a send whose number is taken."""
        entry = Entry(None, None, b"", 0)
        entry.session, entry.n, entry.sender, entry.error = session, n, sender, error
        self._committer.submit(Refuse(self, entry, error))
        return entry

    # Reading

    async def events(
        self, conversation: Conversation, after: int, before: int, limit: int, newest: bool
    ) -> list[Stored]:
        """Events with after < seq < before that are durable, oldest first; see the port."""
        return await page(self._warm_events, self._archive, conversation, after, before, limit, newest)

    async def _warm_events(
        self, conversation: int, after: int, before: int, limit: int, newest: bool
    ) -> list[Stored]:
        key, client = self.keys.events(conversation), self._shard.client
        if newest:
            raw = await client.xrevrange(key, f"({before}-0", f"({after}-0", count=limit)
            raw.reverse()
        else:
            raw = await client.xrange(key, f"({after}-0", f"({before}-0", count=limit)
        return [rows.read_event(int(place[:-2]), row) for place, (_, row) in raw]

    # Sessions

    async def open_session(
        self, principal: Principal, wire_id: str | None, c: int | None, acked: int
    ) -> tuple[Session, int]:
        """Resume the session, or make one; return it with this connection's count, stored by then."""
        key = session_key(wire_id) if wire_id else rows.NO_SESSION
        if key != rows.NO_SESSION:
            found = await self._open(principal, key, c or "next", acked)
            if found is not None:
                found[0].resumed = True
                self.on_resumed(key, found[1])
                return found
        made = await self._open(principal, token_bytes(16), c or "next", 0, fresh=True)
        assert made is not None
        return made

    async def session(self, principal: Principal, wire_id: str) -> Session | None:
        """Return the actor's session, or None if there is none of that id that is the actor's."""
        key = session_key(wire_id)
        live = self._memory.sessions.get(key)
        if live is not None and live.connection is not None:
            return (
                live if (live.principal.kind, live.principal.id) == (principal.kind, principal.id) else None
            )
        found = await self._open(principal, key, "same", 0)
        return found[0] if found is not None else None

    async def request_session(self, principal: Principal, key: str) -> Session:
        """The session that is named by an actor and its Idempotency-Key; its only send is number 1."""
        digest = request_key(principal, key)
        held = self._memory.sessions.get(digest)
        if held is not None and held.n:
            return held
        found = await self._open(principal, digest, "same", 0)
        if found is None:
            found = await self._open(principal, digest, "same", 0, fresh=True)
        assert found is not None
        return found[0]

    async def _open(
        self, principal: Principal, key: bytes, count: int | str, acked: int, *, fresh: bool = False
    ) -> tuple[Session, int] | None:
        """Open it in Redis; where Redis knows nothing of it, the cold tier may."""
        self._committer.admit()
        who = (principal.kind, principal.id)
        seed: int | None = 0 if fresh else None
        answer = await self._committer.ask(items.open_session(key, *who, count, acked, seed))
        if answer[0] == "absent":
            keys = self.keys
            known = await self._cold.session(key) or self._lost_session(principal, acked)
            # Of another generation it may know more than was archived when it was asked for.
            self._committer.admit()
            if self.keys is not keys:
                raise OutcomeUnknown
            if known is None or known[:2] != who:
                return None
            answer = await self._committer.ask(items.open_session(key, *who, count, acked, known[2]))
        if answer[0] == "replaced":
            raise Replaced
        if answer[0] != "ok":
            return None
        session = self._memory.sessions.get(key)
        if session is None:
            session = self._memory.sessions.setdefault(key, Session(key, principal, n=answer[2]))
        session.c = max(session.c, answer[1])
        session.accept_acked(max(acked, answer[2]) if session.n == session.settled else acked)
        if count != "same":
            await self._take_over(key, acked, answer[2])
        return session, answer[1]

    def _lost_session(self, principal: Principal, acked: int) -> tuple[str, int, int] | None:
        """What a numbering that is gone may have known of a session: a journal that is away may know it.

        If the client began another, a send of unknown outcome would come twice once that journal is back.
        """
        return (principal.kind, principal.id, acked) if self._counter > 1 else None

    async def settled(self, session: Session, n: int) -> None:
        """Return once send `n`, which was taken, is durable."""
        await self._memory.settled(session, n)

    async def answer(self, session: Session, n: int) -> Answer:
        """The final answer to send `n`, which is settled; `conflict` if it is no longer kept."""
        raw: Any = await self._shard.client.hget(self.keys.answers(session.key), str(n))
        if raw is None:
            stored = await self._cold.answer(session.key, n)
            return Answer(*stored) if stored is not None else await self._forgotten()
        if raw[:1] == b"\0":
            return rows.read_answer(raw)
        conversation, seq, place = (int(each) for each in raw.split(b":"))
        # Whoever asks is shown the events of this node's log: the answer must not be ahead of its event.
        await self._memory.follow_to(place)
        return await self._placed(conversation, seq, place)

    async def _forgotten(self) -> Answer:
        """What is not found was let go of, unless Redis is being restored: then nobody knows yet."""
        await self._committer.check()
        return _FORGOTTEN

    async def _placed(self, conversation: int, seq: int, place: int) -> Answer:
        found = await self._answer_for(conversation, seq, place)
        if not found:
            found = await self._archive.events(conversation, seq - 1, seq + 1, 1, False)
        return Answer(conversation, seq, found[-1]) if found else await self._forgotten()

    async def _answer_for(self, conversation: int, seq: int, place: int) -> list[Stored]:
        """Keep an event here too: the node that placed it may be gone, and its journal.

        What the same action did before it, as opening the conversation, is kept with it.
        """
        found = await self._warm_events(conversation, max(0, seq - 1 - _BEFORE), seq + 1, _BEFORE + 1, False)
        if found:
            same = (Record(place, EVENT, conversation, each.seq, row=rows.row_of(each)) for each in found)
            await self._committer.keep(place, list(same))
        return found

    async def _take_over(self, session: bytes, acked: int, n: int) -> None:
        """Answer from here on for the sends that other nodes placed and their client may not know of.

        It takes the first event of its own that it is shown for the answer.
        """
        unknown = [str(each) for each in range(max(acked, n - MAX_IN_FLIGHT) + 1, n + 1)]
        if not unknown:
            return
        client = self._shard.client
        placed = [row for row in await client.hmget(self.keys.answers(session), unknown) if row]
        archived = int(await client.get(self.keys.archived) or 0)
        answers = [[int(each) for each in row.split(b":")] for row in placed if row[:1] != b"\0"]
        late = [self._answer_for(*each) for each in answers if each[2] > archived]
        await asyncio.gather(*late)

    # What the log and the items of a batch need

    @property
    def memory(self) -> Memory:
        """What this node holds."""
        return self._memory

    @property
    def loading(self) -> Loading:
        """How more comes to be held."""
        return self._loading

    async def follow_to(self, place: int) -> None:
        """Return once this node has followed the log to a place."""
        await self._memory.follow_to(place)

    def new_id(self, time: int) -> int:
        """An id of an event."""
        return self._next_id(time)

    def submit(self, item: Item) -> None:
        """Ask for one more step."""
        self._committer.submit(item)

    def take(self, records: list[Record]) -> None:
        """Let the next records of the log be known here, and tell everybody."""
        entries = self._memory.apply(records)
        for entry in entries if self._opening else ():
            self._end_opening(entry)
        self.subscriber(entries)
        self._memory.after_delivery(entries)

    def _end_opening(self, entry: Entry) -> None:
        for contact in [each for each, opening in self._opening.items() if opening is entry]:
            del self._opening[contact]

    def give_up(self, entry: Entry, error: UniqueCsError) -> None:
        """The entry got no place: tell its connection and whoever waits."""
        self._end_opening(entry)
        entry.conversation, entry.event, entry.error = None, None, error
        self.subscriber([entry])
        if entry.session is not None:
            self._memory.lose(entry.session, entry.n)
        settle(entry, error)

    def open(self, counter: int, epoch: str) -> None:
        """A generation is open: nothing of an older one is held."""
        self.epoch, self.keys, self._counter = epoch, Keys(counter), counter
        self._loading.keys = self.keys
        self._opening.clear()

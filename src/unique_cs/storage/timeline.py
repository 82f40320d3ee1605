"""The embedded timeline: this process gives the places, the hot tier keeps them.

Described in ARCHITECTURE.md and docs/decisions/0001-embedded-timeline.md. The checks of a write and the
giving of places happen without a pause in between on one event loop, so they are one atomic step; the rows of
that step go into one batch of the group commit.
"""

from collections.abc import Callable, Sequence
from secrets import token_bytes
from weakref import WeakValueDictionary

import msgspec

from unique_cs.domain import conversation as rules
from unique_cs.domain.conversation import Conversation, Draft
from unique_cs.domain.events import MESSAGE_CREATED, Actor, Event, Named, visibility
from unique_cs.domain.people import Contact
from unique_cs.domain.permission import Principal
from unique_cs.domain.stored import Answer, Stored
from unique_cs.errors import Code, Replaced, StorageUnavailable, UniqueCsError
from unique_cs.ports import Archive, Clock, Entry
from unique_cs.protocol.session import Session
from unique_cs.storage import keys, rows
from unique_cs.storage.group import GroupCommit
from unique_cs.storage.hot import Hot
from unique_cs.storage.installation import IdSource, epoch_of
from unique_cs.storage.pages import check, page, request_key, session_key

_encode = msgspec.json.Encoder().encode
_FORGOTTEN = Answer(code=Code.CONFLICT, message="this send is too old to be answered again")
Subscriber = Callable[[list[Entry]], None]


class EmbeddedTimeline:
    """`Timeline` over a hot and a cold tier in one process."""

    def __init__(self, hot: Hot, archive: Archive, ids: IdSource, clock: Clock) -> None:
        self.epoch = epoch_of(hot)
        self._hot = hot
        self._archive = archive
        self._ids = ids
        self._clock = clock
        self._subscriber: Subscriber = _nobody
        self.group = GroupCommit(hot, clock, self._durable)
        self.forget()

    def forget(self) -> None:
        """Drop what is held in memory: heads and sessions are read back from the hot tier."""
        self._conversations: WeakValueDictionary[int, Conversation] = WeakValueDictionary()
        self._sessions: WeakValueDictionary[bytes, Session] = WeakValueDictionary()
        self._opening: dict[int, Conversation] = {}

    def subscribe(self, subscriber: Subscriber) -> None:
        """Give every durable entry, in order, to `subscriber`."""
        self._subscriber = subscriber

    # Conversations

    async def conversation(self, conversation: int) -> Conversation | None:
        """Return the conversation, or None if it was never opened."""
        return self._conversations.get(conversation) or self._load(conversation)

    def held(self, conversation: int) -> Conversation | None:
        """Return the conversation if it is in use."""
        return self._conversations.get(conversation)

    def held_session(self, key: bytes) -> Session | None:
        """Return the session if it is in use."""
        return self._sessions.get(key)

    def _load(self, conversation_id: int) -> Conversation | None:
        row = self._hot.get(keys.state(conversation_id))
        if row is None:
            return None
        conversation = rows.read_state(conversation_id, row)
        prefix = keys.event(conversation_id, 0)
        last = self._hot.scan(prefix, keys.event(conversation_id, keys.LAST), 1, reverse=True)
        conversation.seq = conversation.durable = keys.number_at(last[0][0]) if last else 0
        if last:
            stored = rows.read_event(conversation.seq, last[0][1])
            conversation.updated_at = stored.id_and_time()[1]
        self._conversations[conversation_id] = conversation
        return conversation

    async def newest_open(self, contact: int) -> Conversation | None:
        """Return the contact's newest conversation that is not resolved."""
        opening = self._opening.get(contact)
        if opening is not None:
            return opening
        for conversation in self._owned(contact, 1_000):
            if conversation.status != "resolved":
                return conversation
        return None

    async def conversations_of(self, contact: int, limit: int) -> list[Conversation]:
        """Return the contact's newest conversations, newest first."""
        return list(self._owned(contact, limit))

    def _owned(self, contact: int, limit: int) -> "list[Conversation]":
        found = self._hot.scan(keys.owned(contact, 0), keys.owned(contact, keys.LAST), limit, reverse=True)
        ids = [keys.number_at(key) for key, _ in found]
        loaded = [self._conversations.get(each) or self._load(each) for each in ids]
        return [each for each in loaded if each is not None]

    def new_conversation(self, contact: Contact) -> Conversation:
        """A conversation that exists once its first event is appended."""
        return Conversation(
            self._ids.next(self._clock.now_ms()), contact.inbox, Named(str(contact.id), contact.name)
        )

    def not_resolved(self) -> list[tuple[int, int, int, int]]:
        """(conversation, inbox, assignee, waiting_since) of all that are not resolved, for the start."""
        found = self._hot.scan(b"i", b"j", 10_000_000)
        return [(keys.number_at(key), *rows.read_index(row)) for key, row in found]

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
        """Give the drafts the next places; return the entry of the last one."""
        if self.group.refusal:
            self.group.admit()
        if conversation.seq and self._conversations.get(conversation.id) is not conversation:
            raise StorageUnavailable("the store was opened again meanwhile", 100)
        if session is not None:
            check(session, n)
        plain = len(drafts) == 1 and drafts[0].name == MESSAGE_CREATED
        if expect != (conversation.state_seq if plain else conversation.seq):
            raise UniqueCsError(Code.CONFLICT, "the conversation has changed meanwhile")
        time = self._clock.now_ms()
        if plain:
            return self._place(conversation, actor, drafts[0], self._ids.next(time), time, session, n, sender)
        # All ids first: nothing may fail between the first place and the last.
        ids = [self._ids.next(time) for _ in drafts]
        for event_id, draft in zip(ids[:-1], drafts[:-1], strict=True):
            self._place(conversation, actor, draft, event_id, time, None, 0, None)
        entry = self._place(conversation, actor, drafts[-1], ids[-1], time, session, n, sender)
        self._put_state(conversation)
        return entry

    def _place(
        self,
        conversation: Conversation,
        actor: Actor,
        draft: Draft,
        event_id: int,
        time: int,
        session: Session | None,
        n: int,
        sender: object,
    ) -> Entry:
        name, data = draft
        rules.apply(conversation, name, data, time)
        seq = conversation.seq
        event = Event(name, conversation.wire_id, seq, str(event_id), time, actor, data)
        entry = Entry(conversation, event, _encode(event), visibility(name, data))
        # The key of an event is also its reference in the group's row.
        key = keys.event(conversation.id, seq)
        if session is None:
            self.group.record(entry, key, rows.event_row(entry.visibility, rows.NO_SESSION, 0, entry.payload))
            return entry
        session.n = n
        entry.session, entry.n, entry.sender = session, n, sender
        self.group.record(entry, key, rows.event_row(entry.visibility, session.key, n, entry.payload))
        self.group.put(keys.answer(session.key, n), rows.answer_row(conversation.id, seq))
        return entry

    def _put_state(self, conversation: Conversation) -> None:
        group, contact = self.group, int(conversation.contact.id)
        if conversation.id not in self._conversations:
            self._conversations[conversation.id] = conversation
            self._opening[contact] = conversation
            group.put(keys.owned(contact, conversation.id), b"")
            group.then(lambda: self._opened(contact))
        group.put(keys.state(conversation.id), rows.state_row(conversation))
        if conversation.status == "resolved":
            group.delete(keys.not_resolved(conversation.id))
        else:
            group.put(keys.not_resolved(conversation.id), rows.index_row(conversation))

    def _opened(self, contact: int) -> None:
        self._opening.pop(contact, None)

    def refuse(self, session: Session, n: int, error: UniqueCsError, sender: object) -> Entry:
        """Store `error` as the final answer to send `n`."""
        self.group.admit()
        check(session, n)
        entry = Entry(None, None, b"", 0)
        entry.session, entry.n, entry.sender, entry.error = session, n, sender, error
        session.n = n
        self.group.put(keys.answer(session.key, n), rows.error_row(error.code, error.message))
        self.group.add(entry)
        return entry

    def _durable(self, entries: list[Entry]) -> None:
        for entry in entries:
            conversation, event = entry.conversation, entry.event
            if conversation is not None and event is not None:
                conversation.durable = event.seq
            if entry.session is not None:
                entry.session.settled = entry.n
        self._subscriber(entries)
        for entry in entries:
            if entry.settle is not None:
                entry.settle(entry)

    # Reading

    async def events(
        self, conversation: Conversation, after: int, before: int, limit: int, newest: bool
    ) -> list[Stored]:
        """Events with after < seq < before that are durable, oldest first; see the port."""
        return await page(self._hot_page, self._archive, conversation, after, before, limit, newest)

    async def _hot_page(
        self, conversation: int, after: int, before: int, limit: int, newest: bool
    ) -> list[Stored]:
        return self._hot_events(conversation, after, before, limit, newest)

    def _hot_events(
        self, conversation: int, after: int, before: int, limit: int, newest: bool
    ) -> list[Stored]:
        start, end = keys.event(conversation, after + 1), keys.event(conversation, before)
        found = self._hot.scan(start, end, limit, reverse=newest)
        if newest:
            found.reverse()
        return [rows.read_event(keys.number_at(key), row) for key, row in found]

    # Sessions

    async def open_session(
        self, principal: Principal, wire_id: str | None, c: int | None, acked: int
    ) -> tuple[Session, int]:
        """Resume the session, or make one; return it with this connection's count, stored by then."""
        self.group.admit()
        session = self._resume(principal, wire_id) if wire_id else None
        if session is None:
            session = Session(token_bytes(16), principal)
            self._sessions[session.key] = session
            acked = 0
        elif c is not None and c <= session.c:
            raise Replaced
        session.c = mine = c or session.c + 1
        session.accept_acked(acked)
        self._put_session(session)
        await self.group.durable()
        return session, mine

    async def session(self, principal: Principal, wire_id: str) -> Session | None:
        """Return the actor's session, or None if there is none of that id that is the actor's."""
        return self._resume(principal, wire_id)

    def _put_session(self, session: Session) -> None:
        who, now = session.principal, self._clock.now_ms()
        row = rows.SessionRow(who.kind, who.id, session.c, session.n, now)
        self.group.put(keys.session(session.key), rows.encode(row))

    def _resume(self, principal: Principal, wire_id: str) -> Session | None:
        key = session_key(wire_id)
        live = self._sessions.get(key)
        if live is not None:
            same = (live.principal.kind, live.principal.id) == (principal.kind, principal.id)
            live.resumed = live.resumed or same
            return live if same else None
        row = self._hot.get(keys.session(key))
        if row is None:
            return None
        stored = rows.read_session(row)
        if (stored.kind, stored.actor) != (principal.kind, principal.id):
            return None
        session = Session(key, principal, c=stored.c, n=max(stored.acked, self._last_answer(key)))
        session.resumed = True
        self._sessions[key] = session
        return session

    def _last_answer(self, key: bytes) -> int:
        last = self._hot.scan(keys.answer(key, 0), keys.answer(key, keys.LAST), 1, reverse=True)
        return keys.number_at(last[0][0]) if last else 0

    async def request_session(self, principal: Principal, key: str) -> Session:
        """The session that is named by an actor and its Idempotency-Key; its only send is number 1."""
        digest = request_key(principal, key)
        session = self._sessions.get(digest)
        if session is None:
            session = Session(digest, principal, n=self._last_answer(digest))
            self._sessions[digest] = session
            if not session.n:
                self._put_session(session)
        return session

    def is_live(self, key: bytes) -> bool:
        """Say whether the session with this key has a connection."""
        session = self._sessions.get(key)
        return session is not None and session.connection is not None

    async def settled(self, session: Session, n: int) -> None:
        """Return once send `n`, which was taken, is durable."""
        while session.settled < n:
            await self.group.durable()

    async def answer(self, session: Session, n: int) -> Answer:
        """The final answer to send `n`, which is settled; `conflict` if it is no longer kept."""
        row = self._hot.get(keys.answer(session.key, n))
        answer = rows.read_answer(row) if row else _FORGOTTEN
        if not answer.conversation:
            return answer
        found = self._hot_events(answer.conversation, answer.seq - 1, answer.seq + 1, 1, False)
        if not found:
            found = await self._archive.events(answer.conversation, answer.seq - 1, answer.seq + 1, 1, False)
        return Answer(answer.conversation, answer.seq, found[0]) if found else _FORGOTTEN


def _nobody(entries: list[Entry]) -> None:
    del entries

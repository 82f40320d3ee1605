"""What this node holds: the conversations and sessions in use here, kept true by the log."""

import asyncio
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

from unique_cs.cluster import log
from unique_cs.cluster.log import Record
from unique_cs.domain.conversation import Conversation, Cursor
from unique_cs.domain.events import Actor, Event
from unique_cs.errors import OutcomeUnknown, UniqueCsError
from unique_cs.ports import Entry
from unique_cs.protocol.session import Session
from unique_cs.storage import rows


class _Frame(Struct, gc=False):
    """An event's frame, as far as its delivery needs it."""

    name: str
    conversation: str
    id: str
    time: int
    actor: Actor
    data: dict[str, Any]


_frames = msgspec.json.Decoder(_Frame)


class Memory:
    """Only what somebody holds is kept: conversations with listeners, sessions with a connection."""

    def __init__(self, process: str) -> None:
        self._serial = 0
        self._waiting: dict[int, Entry] = {}
        self._settling: list[tuple[Session, int, asyncio.Future[None]]] = []
        self._followers: list[tuple[int, asyncio.Future[None]]] = []
        self.position = 0
        self.forget(process)

    def forget(self, process: str) -> None:
        """Drop everything; whoever waits for an entry is told that its outcome is unknown.

        `process` is the name under which this one goes on.
        """
        self._process = process
        self.conversations: WeakValueDictionary[int, Conversation] = WeakValueDictionary()
        self.sessions: WeakValueDictionary[bytes, Session] = WeakValueDictionary()
        self._loading: dict[int, int] = {}
        self.stop_waiting()
        self._waiting.clear()

    def stop_waiting(self) -> None:
        """Tell whoever waits that the outcome is unknown. What comes through the log is told all the same."""
        for entry in self._waiting.values():
            settle(entry, OutcomeUnknown())
        waiters = [future for _, _, future in self._settling] + [future for _, future in self._followers]
        self._settling, self._followers = [], []
        for future in waiters:
            if not future.done():
                future.set_exception(OutcomeUnknown())

    # What waits for its place in the log

    def expect(self, entry: Entry) -> str:
        """Note an entry that will come through the log; return the origin to be written with it."""
        self._serial += 1
        self._waiting[self._serial] = entry
        return f"{self._process}:{self._serial}"

    def drop(self, origin: str) -> None:
        """The entry will not come."""
        self._waiting.pop(self._own(origin), None)

    def _own(self, origin: str) -> int:
        process, _, serial = origin.partition(":")
        return int(serial) if process == self._process else 0

    def is_own(self, record: Record) -> bool:
        """Say whether an item of this process made the step."""
        return record.origin.startswith(self._process)

    def settled(self, session: Session, n: int) -> "asyncio.Future[None]":
        """A future that ends when send `n`, which was taken here, has come through the log."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if session.settled >= n:
            future.set_result(None)
        else:
            self._settling.append((session, n, future))
        return future

    def lose(self, session: Session, n: int) -> None:
        """Send `n`, which was taken here, got no place, nor will those after it: the number is free again."""
        session.n = max(session.settled, min(session.n, n - 1))
        waiting, self._settling = self._settling, []
        for each in waiting:
            if each[0] is not session or each[1] < n:
                self._settling.append(each)
            elif not each[2].done():
                each[2].set_exception(OutcomeUnknown())

    async def follow_to(self, place: int) -> None:
        """Return once this node has followed the log to a place."""
        if self.position < place:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._followers.append((place, future))
            await future

    # Loading beside the log

    def begin_load(self, conversation: int) -> None:
        """A conversation is being read: note what the log says of it meanwhile."""
        self._loading[conversation] = 0

    def end_load(self, conversation: Conversation) -> bool:
        """Hold it, unless the log is ahead of what was read: then false, and it has to be read again."""
        if self._loading.pop(conversation.id, 0) > conversation.seq:
            return False
        self.conversations[conversation.id] = conversation
        return True

    def drop_load(self, conversation: int) -> None:
        """It is not being read any more, whatever came of it."""
        self._loading.pop(conversation, None)

    # The log

    def apply(self, records: list[Record]) -> list[Entry]:
        """Take steps of the log; return what the connections of this node have to be told, in order."""
        entries = [entry for record in records if (entry := self._apply(record)) is not None]
        self.position = records[-1].place
        for entry in entries:
            if entry.session is not None:
                entry.session.n = max(entry.session.n, entry.n)
                entry.session.settled = max(entry.session.settled, entry.n)
        return entries

    def _apply(self, record: Record) -> Entry | None:
        if record.kind == log.EVENT:
            return self._event(record)
        if record.kind == log.CURSOR:
            self._cursor(record)
            return None
        if record.kind == log.REFUSAL:
            return self._refusal(record)
        return self._waiting.pop(self._own(record.origin), None)

    def after_delivery(self, entries: list[Entry]) -> None:
        """Tell those who wait for an entry or for a session's number."""
        for entry in entries:
            settle(entry, entry)
        if self._settling:
            waiting, self._settling = self._settling, []
            for session, n, future in waiting:
                if session.settled < n:
                    self._settling.append((session, n, future))
                else:
                    _finish(future)
        if self._followers:
            following, self._followers = self._followers, []
            for place, future in following:
                if self.position < place:
                    self._followers.append((place, future))
                else:
                    _finish(future)

    def _event(self, record: Record) -> Entry | None:
        if record.id in self._loading:
            self._loading[record.id] = max(self._loading[record.id], record.seq)
        own = self._waiting.pop(self._own(record.origin), None)
        held = self.conversations.get(record.id)
        if held is None and own is None and not record.changes:
            return None
        conversation = held or self._made(record)
        stored = rows.read_event(record.seq, record.row)
        event = own.event if own is not None and own.event is not None else _read(stored.frame)
        event.seq = record.seq
        # Where it was read ahead of the log, who listens from there on has the event, and others join by it.
        if conversation.durable < record.seq:
            _move(conversation, record, event.time)
        entry = own or Entry(conversation, event, stored.frame, stored.visibility)
        entry.conversation, entry.event, entry.payload = conversation, event, stored.frame
        entry.visibility = stored.visibility
        entry.session, entry.n = self.sessions.get(stored.session), stored.n
        return entry

    def _made(self, record: Record) -> Conversation:
        conversation = rows.read_state(record.id, record.state)
        conversation.seq = conversation.durable = record.seq - 1
        self.conversations[record.id] = conversation
        return conversation

    def _cursor(self, record: Record) -> None:
        conversation = self.conversations.get(record.id)
        if conversation is None or conversation.cursors is None:
            return
        cursor = read_cursor(record.key, record.row)
        for each in conversation.cursors:
            if (each.kind, each.actor) == (cursor.kind, cursor.actor):
                each.read = max(each.read, cursor.read)
                each.delivered = max(each.delivered, cursor.delivered)
                return
        conversation.cursors = (*conversation.cursors, cursor)

    def _refusal(self, record: Record) -> Entry | None:
        entry = self._waiting.pop(self._own(record.origin), None)
        session = self.sessions.get(bytes.fromhex(record.key))
        if entry is None and session is not None:
            entry = Entry(None, None, b"", 0)
        if entry is not None:
            entry.session, entry.n = session, record.n
        return entry


def _read(payload: bytes) -> Event:
    frame = _frames.decode(payload)
    return Event(frame.name, frame.conversation, 0, frame.id, frame.time, frame.actor, frame.data)


def _move(conversation: Conversation, record: Record, time: int) -> None:
    """Let the conversation be at the record."""
    if record.changes:
        now = rows.read_state(record.id, record.state)
        conversation.status, conversation.assignee = now.status, now.assignee
        conversation.labels, conversation.waiting_since = now.labels, now.waiting_since
        conversation.created_at, conversation.contact = now.created_at, now.contact
        conversation.state_seq = record.seq
    conversation.seq = conversation.durable = record.seq
    conversation.updated_at = time


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def settle(entry: Entry, result: Entry | UniqueCsError) -> None:
    """Tell whoever waits for the entry."""
    if entry.settle is not None:
        entry.settle(result)


def tell_flushed(entries: list[Entry]) -> None:
    """What the journal's group commit calls: nothing of it is told to clients, only to whoever waits."""
    for entry in entries:
        settle(entry, entry)


def read_cursor(who: str, row: bytes) -> Cursor:
    """A participant's cursors as they lie in Redis."""
    kind, _, actor = who.partition(":")
    read, _, delivered = row.partition(b":")
    return Cursor(kind, actor, int(read), int(delivered))

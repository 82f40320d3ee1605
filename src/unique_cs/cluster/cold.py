"""What a cluster reads from and adds to the cold tier, beside the archive that every installation has."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from unique_cs.domain import conversation as rules
from unique_cs.domain import events as names
from unique_cs.domain.conversation import Conversation, Cursor
from unique_cs.domain.events import Actor, Assigned, Labelled, MessageCreated, Named, Opened, StatusChanged
from unique_cs.domain.people import Contact
from unique_cs.domain.stored import Stored
from unique_cs.errors import StorageUnavailable
from unique_cs.storage.schema import answers, contacts, conversations, cursors, events, installation, relay
from unique_cs.storage.sql import BulkInsert, Database
from unique_cs.storage.stores import put_fact

GENERATION: Final = "generation"
_DATA: Final[dict[str, type[Any]]] = {
    names.CONVERSATION_OPENED: Opened,
    names.CONVERSATION_ASSIGNED: Assigned,
    names.CONVERSATION_STATUS_CHANGED: StatusChanged,
    names.CONVERSATION_LABELLED: Labelled,
    names.MESSAGE_CREATED: MessageCreated,
}


class Frame(Struct, gc=False):
    """An event's frame with its data as they were written."""

    name: str
    conversation: str
    seq: int
    id: str
    time: int
    actor: Actor
    data: msgspec.Raw


_frames = msgspec.json.Decoder(Frame)


class Cold:
    """Reads of single things, each by its key; and the generation."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers = BulkInsert(answers, database.dialect, replace=True)
        self._cursors = BulkInsert(cursors, database.dialect, newer="delivered")

    async def fact(self, name: str, made: str) -> str:
        """The fact of the installation; `made` becomes it where there is none yet."""

        def transaction(connection: Connection) -> str:
            query = select(installation.c.value).where(installation.c.name == name)
            found: str | None = connection.scalar(query)
            if found is None:
                # Never an update: another node may have made it meanwhile, and works with it.
                connection.execute(insert(installation).values(name=name, value=made))
            return made if found is None else found

        try:
            return await self._database.write(transaction)
        except IntegrityError:
            return await self._database.write(transaction)

    async def facts(self, prefix: str) -> dict[str, str]:
        """The facts whose names begin with `prefix`, by what follows it."""
        name, value = installation.c.name, installation.c.value
        query = select(name, value).where(name.startswith(prefix, autoescape=True))
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return {each[len(prefix) :]: state for each, state in found}

    async def put_fact(self, name: str, value: str) -> None:
        """Let the fact be `value`, whatever it was."""
        await self._database.write(lambda connection: put_fact(connection, name, value))

    async def forget(self, name: str) -> None:
        """Remove a fact of the installation."""
        await self._database.write(lambda connection: put_fact(connection, name, ""))

    async def generation(self) -> int:
        """The counter of the generation that the cold tier takes rows of."""
        return int(await self.fact(GENERATION, "0"))

    async def raise_generation(self, known: int, counter: int) -> bool:
        """Let `counter` follow `known` as the generation, unless another node raised it meanwhile."""
        mine = (installation.c.name == GENERATION) & (installation.c.value == str(known))
        statement = update(installation).where(mine).values(value=str(counter))
        done = await self._database.write(lambda connection: connection.execute(statement).rowcount)
        return bool(done)

    def check_relay(self, connection: Connection, counter: int, after: int) -> None:
        """In the relay's transaction, which waits for those of other nodes: raise where it comes too late.

        Another generation was opened, or another node has relayed beyond the place that this one read from:
        contacts, cursors and the outbox would go back to what they were.
        """
        query = select(installation.c.value).where(installation.c.name == GENERATION).with_for_update()
        found = int(connection.scalar(query) or 0)
        if found != counter:
            raise StorageUnavailable(f"generation {found} is open, and not {counter}")
        if (connection.scalar(select(relay.c.position)) or 0) > after:
            raise StorageUnavailable("another node has relayed this")

    def store(
        self,
        connection: Connection,
        sent: Sequence[tuple[bytes, int, int, int]],
        moved: Sequence[tuple[int, Cursor]],
    ) -> None:
        """In the relay's transaction: (session, n, conversation, seq) of sends, and cursors."""
        self._answers.run(connection, sent)
        rows = {(conversation, each.kind, int(each.actor)): each for conversation, each in moved}
        self._cursors.run(connection, [(*key, each.read, each.delivered) for key, each in rows.items()])

    async def session(self, key: bytes) -> tuple[str, int, int] | None:
        """(kind, actor, last n) of a session that ever sent something."""
        query = (
            select(answers.c.n, events.c.frame)
            .join(events, (events.c.conversation == answers.c.conversation) & (events.c.seq == answers.c.seq))
            .where(answers.c.session == key)
            .order_by(answers.c.n.desc())
            .limit(1)
        )
        found = await self._database.read(lambda connection: connection.execute(query).first())
        if found is None:
            return None
        actor = _frames.decode(found[1]).actor
        return actor.kind, int(actor.id), found[0]

    async def answer(self, key: bytes, n: int) -> tuple[int, int, Stored] | None:
        """(conversation, seq, event) of a send."""
        query = (
            select(
                answers.c.conversation,
                events.c.seq,
                events.c.visibility,
                events.c.session,
                events.c.n,
                events.c.frame,
            )
            .join(events, (events.c.conversation == answers.c.conversation) & (events.c.seq == answers.c.seq))
            .where(answers.c.session == key, answers.c.n == n)
        )
        found = await self._database.read(lambda connection: connection.execute(query).first())
        return (found[0], found[1], Stored(*found[1:])) if found is not None else None

    async def known_events(self, conversation: int, ids: Sequence[int]) -> set[int]:
        """Which of the events a conversation has."""
        wanted = (events.c.conversation == conversation) & events.c.id.in_(ids)
        query = select(events.c.id).where(wanted)
        return set(await self._database.read(lambda connection: connection.scalars(query).all()))

    async def conversation(self, conversation: int) -> tuple[Conversation, tuple[Cursor, ...]] | None:
        """The conversation as its archived events make it, and its cursors."""

        def query(connection: Connection) -> tuple[Any, Any, Any, Any]:
            mine = events.c.conversation == conversation
            head = connection.scalar(select(func.max(events.c.seq)).where(mine))
            changes = select(events.c.seq, events.c.frame).where(mine, events.c.name != names.MESSAGE_CREATED)
            last = select(events.c.time).where(mine, events.c.seq == head)
            place = cursors.c.conversation == conversation
            return (
                head,
                connection.execute(changes.order_by(events.c.seq)).all(),
                connection.scalar(last),
                connection.execute(select(cursors).where(place)).all(),
            )

        head, changes, last, known = await self._database.read(query)
        if not head:
            return None
        made = _rebuilt(conversation, changes)
        made.seq = made.durable = head
        made.updated_at = last
        return made, tuple(Cursor(kind, str(actor), seen, got) for _, kind, actor, seen, got in known)

    async def contact(self, contact: int) -> Contact | None:
        """The contact."""
        return await self._contact(contacts.c.id == contact)

    async def contact_named(self, inbox: int, identifier: str) -> Contact | None:
        """The contact of an identifier."""
        return await self._contact((contacts.c.inbox == inbox) & (contacts.c.identifier == identifier))

    async def _contact(self, condition: Any) -> Contact | None:
        row = await self._database.read(
            lambda connection: connection.execute(select(contacts).where(condition)).first()
        )
        if row is None:
            return None
        number, inbox, name, email, identifier, attributes, visit, blocked, created_at = row
        return Contact(
            number,
            inbox,
            name,
            email,
            identifier,
            msgspec.json.decode(attributes),
            msgspec.json.decode(visit),
            bool(blocked),
            created_at,
        )

    async def owned(self, contact: int) -> list[tuple[int, bool]]:
        """(conversation, not resolved) of a contact."""
        query = select(conversations.c.id, conversations.c.status).where(conversations.c.contact == contact)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [(number, status != "resolved") for number, status in rows]

    async def unresolved(self) -> list[tuple[int, int, int, int]]:
        """(conversation, inbox, assignee, waiting since) of all that are not resolved."""
        table = conversations.c
        query = select(table.id, table.inbox, table.assignee, table.waiting_since).where(
            table.status != "resolved"
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [(row[0], row[1], row[2], row[3]) for row in rows]


def _rebuilt(conversation_id: int, changes: Sequence[Any]) -> Conversation:
    """A conversation is what its events made of it."""
    made = Conversation(conversation_id, 0, Named("0", ""))
    for seq, raw in changes:
        made = replay(made, seq, _frames.decode(raw))
    return made


def read_frame(raw: bytes) -> Frame:
    """An event's frame."""
    return _frames.decode(raw)


def replay(conversation: Conversation, seq: int, frame: Frame) -> Conversation:
    """The conversation after one more event, which lies at `seq`."""
    kind = _DATA.get(frame.name)
    if kind is Opened:
        opened = msgspec.json.decode(frame.data, type=Opened)
        conversation = Conversation(conversation.id, int(opened.inbox), opened.contact)
    conversation.seq = seq - 1
    if kind is None:
        conversation.seq = conversation.state_seq = seq
    elif kind is MessageCreated:
        conversation.seq, conversation.updated_at = seq, frame.time
    else:
        rules.apply(conversation, frame.name, msgspec.json.decode(frame.data, type=kind), frame.time)
    conversation.durable = conversation.seq
    return conversation

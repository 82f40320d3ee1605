"""Contacts and cursors in the hot tier; contacts reach the cold tier through the relay."""

import msgspec

from unique_cs.domain import conversation as rules
from unique_cs.domain.conversation import Conversation, Cursor
from unique_cs.domain.people import Contact
from unique_cs.errors import Code, UniqueCsError
from unique_cs.storage import keys, rows
from unique_cs.storage.group import GroupCommit
from unique_cs.storage.hot import Hot

_KINDS = {b"c": "contact", b"a": "agent", b"b": "bot", b"s": "system"}
_decoder = msgspec.msgpack.Decoder(Contact)


def read_contact(row: bytes) -> Contact:
    """The contact in a row."""
    return _decoder.decode(row)


class EmbeddedContacts:
    """`Contacts` over the hot tier of one process."""

    def __init__(self, hot: Hot, group: GroupCommit) -> None:
        self._hot = hot
        self._group = group
        self._saving: dict[int, Contact] = {}

    async def contact(self, contact: int) -> Contact | None:
        """Return the contact, or None."""
        return self._stored(contact)

    def _stored(self, contact: int) -> Contact | None:
        row = self._hot.get(keys.contact(contact))
        return read_contact(row) if row else None

    async def contact_by_identifier(self, inbox: int, identifier: str) -> Contact | None:
        """Return the contact that a signed token proved to be `identifier`, or None."""
        row = self._hot.get(keys.identifier(inbox, identifier))
        return self._stored(int.from_bytes(row, "big")) if row else None

    async def save_contact(self, contact: Contact, known: Contact | None = None) -> None:
        """Store the contact; durable on return. `conflict` where another save was first."""
        self._group.admit()
        if known is not None:
            newest = self._saving.get(contact.id) or self._stored(contact.id) or known
            if (newest.blocked, newest.identifier) != (known.blocked, known.identifier):
                # Whoever tries again finds what was first.
                await self._group.durable()
                raise UniqueCsError(Code.CONFLICT, "the contact has changed meanwhile")
        self._saving[contact.id] = contact
        try:
            await self._save(contact)
        finally:
            if self._saving.get(contact.id) is contact:
                del self._saving[contact.id]

    async def _save(self, contact: Contact) -> None:
        self._group.put(keys.contact(contact.id), rows.encode(contact))
        if contact.identifier:
            self._group.put(keys.identifier(contact.inbox, contact.identifier), contact.id.to_bytes(8, "big"))
        self._group.refer(rows.contact_reference(contact.id))
        await self._group.durable()

    async def cursors(self, conversation: Conversation) -> tuple[Cursor, ...]:
        """Return the participants' cursors; they stay true as they grow."""
        if conversation.cursors is None:
            start, end = keys.cursors(conversation.id), keys.cursors(conversation.id + 1)
            found = self._hot.scan(start, end, 10_000, reverse=True)
            conversation.cursors = tuple(_read(key, row) for key, row in reversed(found))
        return conversation.cursors

    def advance_cursor(self, conversation: Conversation, cursor: Cursor) -> bool:
        """Let one participant's cursors grow up to the durable head; say whether one did."""
        own = rules.advance(conversation, cursor)
        if own is None:
            return False
        self._group.put(
            keys.cursor(conversation.id, own.kind, own.actor), rows.cursor_row(own.read, own.delivered)
        )
        return True


def cursor_page(hot: Hot, start: bytes, limit: int) -> tuple[list[tuple[int, Cursor]], bytes]:
    """At most `limit` (conversation, cursor) from a key on, over all conversations; and the next key."""
    found = hot.scan(start, b"s", limit)
    page = [(int.from_bytes(key[1:9], "big"), _read(key, row)) for key, row in found]
    return page, found[-1][0] + b"\0" if found else start


def _read(key: bytes, row: bytes) -> Cursor:
    read, delivered = rows.read_cursor(row)
    return Cursor(_KINDS[key[9:10]], str(keys.number_at(key)), read, delivered)

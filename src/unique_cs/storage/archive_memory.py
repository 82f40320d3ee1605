"""The cold tier in memory, for tests and simulation."""

from collections.abc import Callable, Sequence
from typing import Any

from unique_cs.domain.people import Contact
from unique_cs.domain.stored import ArchivedEvent, ConversationQuery, ConversationRow, Stored
from unique_cs.errors import Code, UniqueCsError


class MemoryArchive:
    """`Archive` in memory."""

    def __init__(self) -> None:
        self._cursor = 0
        self._events: dict[int, dict[int, ArchivedEvent]] = {}
        self._conversations: dict[int, ConversationRow] = {}
        self._contacts: dict[int, Contact] = {}

    async def cursor(self) -> int:
        """How far the relay is; 0 at first."""
        return self._cursor

    async def store(
        self,
        cursor: int,
        events: Sequence[ArchivedEvent],
        conversations: Sequence[ConversationRow],
        contacts: Sequence[Contact],
        also: Callable[[Any], None] | None = None,
    ) -> None:
        """Write everything or nothing; see the port."""
        self._check(events)
        if also is not None:
            also(None)
        for event in events:
            self._events.setdefault(event.conversation, {}).setdefault(event.stored.seq, event)
        for row in conversations:
            if row.seq >= self._conversations.get(row.id, row).seq:
                self._conversations[row.id] = row
        self._contacts.update({contact.id: contact for contact in contacts})
        self._cursor = max(self._cursor, cursor)

    def _check(self, events: Sequence[ArchivedEvent]) -> None:
        places: dict[tuple[int, int], int] = {}
        for event in events:
            place = (event.conversation, event.stored.seq)
            lies = self._events.get(place[0], {}).get(place[1])
            if places.setdefault(place, lies.id if lies else event.id) != event.id:
                raise UniqueCsError(Code.CONFLICT, f"another event than {event.id} lies at its place")

    async def events(
        self, conversation: int, after: int, before: int, limit: int, newest: bool
    ) -> list[Stored]:
        """Events with after < seq < before, oldest first; the last `limit` of them if `newest`."""
        kept = self._events.get(conversation, {})
        found = [kept[seq].stored for seq in sorted(kept) if after < seq < before]
        return found[max(0, len(found) - limit) :] if newest else found[:limit]

    async def find(self, query: ConversationQuery) -> list[ConversationRow]:
        """Conversations that match, newest activity first."""
        found = [row for row in self._conversations.values() if self._matches(row, query)]
        return sorted(found, key=lambda row: (row.updated_at, row.id), reverse=True)[: query.limit]

    def _matches(self, row: ConversationRow, query: ConversationQuery) -> bool:
        pairs = (
            (query.contact, row.contact),
            (query.status, row.status),
            (query.assignee, row.assignee),
            (query.inbox, row.inbox),
        )
        return (
            all(wanted in (None, value) for wanted, value in pairs)
            and (query.before is None or (row.updated_at, row.id) < query.before)
            and self._contains(row, query)
        )

    def _contains(self, row: ConversationRow, query: ConversationQuery) -> bool:
        text = _lower(query.text)
        contact = self._contacts.get(row.contact) or Contact(0, 0)
        fields = (
            contact.name,
            contact.email,
            contact.identifier,
            row.contact_name,
            row.last_text if query.contact is None else "",
        )
        return text == str(row.id) or any(text in _lower(field) for field in fields)


def _lower(text: str) -> str:
    """ASCII letters only."""
    return text.encode().lower().decode()

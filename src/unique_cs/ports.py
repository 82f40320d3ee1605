"""The outside, on one screen: what the use cases need from clocks, stores and records.

Every port has an adapter for real use and one in memory; one contract suite runs on both.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from unique_cs.domain.conversation import Conversation, Cursor, Draft
from unique_cs.domain.events import Actor, Event
from unique_cs.domain.people import Agent, Contact, Inbox, Login
from unique_cs.domain.permission import Principal
from unique_cs.domain.stored import Answer, ArchivedEvent, ConversationQuery, ConversationRow, Stored
from unique_cs.errors import UniqueCsError
from unique_cs.protocol.notices import Notice
from unique_cs.protocol.session import Session


class Clock(Protocol):
    """Time. `now_ms` is Unix time in milliseconds and may be set back; `monotonic` (s) never is."""

    def now_ms(self) -> int: ...
    def monotonic(self) -> float: ...


class Entry:
    """One durable step of the timeline: an event in its place, or the final error of a send.

    `sender` is the connection that made the send, if any. `settle` is called once with the entry
    when it is durable, or with the error when its outcome is unknown.
    """

    __slots__ = (
        "conversation",
        "error",
        "event",
        "n",
        "payload",
        "sender",
        "session",
        "settle",
        "visibility",
    )

    def __init__(
        self, conversation: Conversation | None, event: Event | None, payload: bytes, visibility: int
    ) -> None:
        self.conversation = conversation
        self.event = event
        self.payload = payload
        self.visibility = visibility
        self.session: Session | None = None
        self.n = 0
        self.sender: object = None
        self.error: UniqueCsError | None = None
        self.settle: Callable[[Entry | UniqueCsError], None] | None = None


class Timeline(Protocol):
    """The ordered durable events of every conversation, and the sessions that made them.

    `append` and `refuse` give places at once and store later, in one atomic write with the session's
    number; entries come to the subscriber in order once they are durable. Both raise `UniqueCsError`
    with nothing stored: `out_of_order`, `conflict` (the optimistic lock on `expect`), `overloaded`.
    `events` gives those with after < seq < before, oldest first, the last `limit` of them if `newest`.
    `held` and `held_session` give what this node has in use, without looking further.
    `open_session` raises `Replaced` where `c` is not higher than the highest seen.
    """

    epoch: str

    async def conversation(self, conversation: int) -> Conversation | None: ...
    def held(self, conversation: int) -> Conversation | None: ...
    def held_session(self, key: bytes) -> Session | None: ...
    async def newest_open(self, contact: int) -> Conversation | None: ...
    async def conversations_of(self, contact: int, limit: int) -> list[Conversation]: ...
    def new_conversation(self, contact: Contact) -> Conversation: ...
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
    ) -> Entry: ...
    def refuse(self, session: Session, n: int, error: UniqueCsError, sender: object) -> Entry: ...
    async def events(
        self, conversation: Conversation, after: int, before: int, limit: int, newest: bool
    ) -> list[Stored]: ...
    async def open_session(
        self, principal: Principal, wire_id: str | None, c: int | None, acked: int
    ) -> tuple[Session, int]: ...
    async def session(self, principal: Principal, wire_id: str) -> Session | None: ...
    async def request_session(self, principal: Principal, key: str) -> Session: ...
    async def settled(self, session: Session, n: int) -> None: ...
    async def answer(self, session: Session, n: int) -> Answer: ...


class Peers(Protocol):
    """The other nodes. What they are told is kept by nobody, and may be lost.

    `came` and `went` tell of a contact's connection on this node, its only one here, under a `key` that no
    other has. They call back if it is the contact's first, or was its last, on all nodes. That a node died is
    found out within a minute.
    """

    def tell(self, notice: Notice) -> None: ...
    def came(self, contact: int, key: str, first: Callable[[], None]) -> None: ...
    def went(self, contact: int, key: str, last: Callable[[], None]) -> None: ...


class Contacts(Protocol):
    """The people who ask for help, and how far everybody is in their conversations.

    `save_contact` returns once it is durable; with `known`, which was read before, it is `conflict` where the
    contact has got another identifier, or was blocked or unblocked, since then. `advance_cursor` needs
    `cursors` to have been called once; it merges, says whether anything grew, and is durable within 1 s.
    """

    async def contact(self, contact: int) -> Contact | None: ...
    async def contact_by_identifier(self, inbox: int, identifier: str) -> Contact | None: ...
    async def save_contact(self, contact: Contact, known: Contact | None = None) -> None: ...
    async def cursors(self, conversation: Conversation) -> tuple[Cursor, ...]: ...
    def advance_cursor(self, conversation: Conversation, cursor: Cursor) -> bool: ...


class Records(Protocol):
    """What the company configures: inboxes, agents, and agents' logins. Inboxes and agents are cached.

    `add_agent` says whether it was done: not where the e-mail is taken, without regard to case.
    `change_agent` and `change_inbox` store what `change` makes of what is stored, atomically; it may
    run in a thread, and where it raises nothing is stored. `touch_login` sets when a login was seen last, and
    says whether it is there. `delete_logins` returns those that it deleted.
    """

    def inbox(self, inbox: int) -> Inbox | None: ...
    def inbox_by_key(self, key: str) -> Inbox | None: ...
    def inboxes(self) -> list[Inbox]: ...
    def agent(self, agent: int) -> Agent | None: ...
    def agent_by_email(self, email: str) -> Agent | None: ...
    def agents(self) -> list[Agent]: ...
    async def add_agent(self, agent: Agent) -> bool: ...
    async def change_agent(self, agent: int, change: Callable[[Agent], Agent]) -> Agent | None: ...
    async def change_inbox(self, inbox: int, change: Callable[[Inbox], Inbox]) -> Inbox | None: ...
    async def first_start(self, owner: Agent, inbox: Inbox) -> bool: ...
    async def add_login(self, login: Login) -> None: ...
    async def touch_login(self, login: int, now_ms: int) -> bool: ...
    async def login_by_hash(self, token_hash: str) -> Login | None: ...
    async def logins(self, agent: int) -> list[Login]: ...
    async def delete_login(self, login: int) -> None: ...
    async def delete_logins(self, agent: int, keep: int) -> list[Login]: ...


class Archive(Protocol):
    """The cold tier: the record of all events, in SQL. Only the relay writes to it.

    `store` moves the cursor, which never goes back, and writes everything in one transaction, in which `also`
    is called first with the connection; repeating it changes nothing. It raises `UniqueCsError` (`conflict`)
    when another event lies at the place of one of `events`: nothing is ignored.
    """

    async def cursor(self) -> int: ...
    async def store(
        self,
        cursor: int,
        events: Sequence[ArchivedEvent],
        conversations: Sequence[ConversationRow],
        contacts: Sequence[Contact],
        also: Callable[[Any], None] | None = None,
    ) -> None: ...
    async def events(
        self, conversation: int, after: int, before: int, limit: int, newest: bool
    ) -> list[Stored]: ...
    async def find(self, query: ConversationQuery) -> list[ConversationRow]: ...

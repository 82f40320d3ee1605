"""The items that make events and answers: what becomes of them when the script says no."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from unique_cs.actions import access
from unique_cs.cluster import items, log
from unique_cs.cluster.commit import Answer, Item, Prepare
from unique_cs.cluster.loading import Loading
from unique_cs.cluster.log import Record, encode
from unique_cs.cluster.memory import Memory
from unique_cs.domain import conversation as rules
from unique_cs.domain.conversation import Conversation, Draft
from unique_cs.domain.events import MESSAGE_CREATED, Actor, MessageCreated
from unique_cs.errors import Code, OutcomeUnknown, Replaced, StorageUnavailable, UniqueCsError
from unique_cs.ports import Entry
from unique_cs.storage import rows

RESTORE_S: Final = 1.0
"""How long a message may wait for what Redis let go of, before its connection has to come back."""

MAX_TRIES: Final = 32
"""How often a message is decided again before its connection has to come back."""


class Places(Protocol):
    """What an item needs of the timeline that it is for.

    `follow_to` returns once this node has followed the log to a place; `give_up` tells whoever waits for an
    entry that it got no place.
    """

    @property
    def memory(self) -> Memory: ...
    @property
    def loading(self) -> Loading: ...
    async def follow_to(self, place: int) -> None: ...
    async def newest_elsewhere(self, contact: int) -> Conversation | None: ...
    def new_id(self, time: int) -> int: ...
    def give_up(self, entry: Entry, error: UniqueCsError) -> None: ...


class Append(Item):
    """Events that wait for their places.

    Refusals of the script: `conflict` (another node was first), `absent` (Redis does not hold the
    conversation), `fenced`, `gone` and `order` (the session is elsewhere, or must be opened again).
    """

    __slots__ = (
        "_actor",
        "_count",
        "_drafts",
        "_entry",
        "_ids",
        "_instead",
        "_origin",
        "_time",
        "_timeline",
        "_tries",
    )

    def __init__(
        self,
        timeline: Places,
        entry: Entry,
        actor: Actor,
        drafts: Sequence[Draft],
        ids: Sequence[int],
        time: int,
    ) -> None:
        session = entry.session
        super().__init__((), session.key.hex() if session is not None else "")
        self._timeline = timeline
        self._entry = entry
        self._actor = actor
        self._drafts = drafts
        self._ids = ids
        self._time = time
        self._tries = 0
        self._count = session.c if session is not None else 0
        self._origin = timeline.memory.expect(entry)
        self._instead: Item | None = None
        self._say()

    @property
    def _conversation(self) -> Conversation:
        assert self._entry.conversation is not None
        return self._entry.conversation

    def _say(self) -> None:
        entry = self._entry
        self.words, entry.event = items.append(
            self._conversation,
            self._actor,
            self._drafts,
            self._ids,
            self._time,
            entry.session,
            self._count,
            entry.n,
            self._origin,
        )

    def answered(self, answer: Answer) -> Prepare | None:
        """Decide again where another node was first."""
        if self._instead is not None:
            return self._instead.answered(answer)
        if answer.code == "ok":
            return None
        self._tries += 1
        if answer.code in ("conflict", "absent") and self._tries < MAX_TRIES:
            return self._decide_again(answer)
        if answer.code == "conflict" and self._entry.session is None:
            self._give_up(UniqueCsError(Code.CONFLICT, "the conversation has changed meanwhile"))
        else:
            self._give_up(Replaced() if answer.code == "fenced" else OutcomeUnknown())
        return None

    def _give_up(self, error: UniqueCsError) -> None:
        self._timeline.memory.drop(self._origin)
        self._timeline.give_up(self._entry, error)

    async def _decide_again(self, answer: Answer) -> None:
        """Let the node know what it missed. A message is decided again here, all else by its action."""
        try:
            conversation = await self._current(answer)
            if self._entry.session is not None:
                self._decide_message(conversation)
            elif answer.code == "conflict":
                self._cancel(UniqueCsError(Code.CONFLICT, "the conversation has changed meanwhile"))
                return
            self._say()
        except (StorageUnavailable, OutcomeUnknown):
            # The cold tier is away, and the answer lies there: the client keeps it and sends it again.
            self._cancel(OutcomeUnknown())
        except UniqueCsError as error:
            self._refuse(error)

    async def _current(self, answer: Answer) -> Conversation:
        timeline, conversation = self._timeline, self._conversation
        contact = int(conversation.contact.id)
        if answer.code == "absent":
            await self._put_back(contact)
            return conversation
        await timeline.follow_to(answer.place)
        if conversation.seq:
            return conversation
        return await timeline.newest_elsewhere(contact) or conversation

    async def _put_back(self, contact: int) -> None:
        """Put back what Redis let go of. All other items of this node wait meanwhile."""
        loading = self._timeline.loading
        try:
            async with asyncio.timeout(RESTORE_S):
                await loading.contact(contact)
                await loading.restore(self._conversation.id)
        except TimeoutError:
            raise StorageUnavailable("the cold tier does not answer") from None

    def _decide_message(self, conversation: Conversation) -> None:
        session, message = self._entry.session, self._drafts[-1].data
        assert session is not None
        assert isinstance(message, MessageCreated)
        access.check(session.principal, conversation)
        self._entry.conversation = conversation
        self._drafts = rules.decide_message(conversation, self._actor, message.body, message.private)
        missing = len(self._drafts) - len(self._ids)
        self._ids = [*(self._timeline.new_id(self._time) for _ in range(missing)), *self._ids]
        self._ids = self._ids[-len(self._drafts) :]

    def _refuse(self, error: UniqueCsError) -> None:
        """It is decided: no. A send's number is used up by it, in its turn."""
        session = self._entry.session
        if session is None:
            self._cancel(error)
            return
        self._timeline.memory.drop(self._origin)
        entry = self._entry
        entry.conversation, entry.event, entry.error = None, None, error
        self._instead = Refuse(self._timeline, entry, error)
        self.words = self._instead.words

    def _cancel(self, error: UniqueCsError) -> None:
        """Nothing is stored; an item that does nothing takes its turn."""
        self._give_up(error)
        self._instead = Item(["skip"])
        self.words = self._instead.words

    def record(self, answer: Answer) -> bytes | None:
        """The journal keeps every event of the action, in one row at the place of the last."""
        if self._instead is not None:
            return self._instead.record(answer)
        words, count = self.words, len(self._drafts)
        parts = words[len(words) - 3 * count :]
        records: list[Record] = []
        for number in range(count):
            before, after = parts[3 * number], parts[3 * number + 1]
            back = count - 1 - number
            assert isinstance(before, bytes)
            assert isinstance(after, bytes)
            records.append(self._event(answer, back, before + str(answer.seq - back).encode() + after))
        return encode(records)

    def _event(self, answer: Answer, back: int, row: bytes) -> Record:
        conversation, name = self._conversation, self._drafts[len(self._drafts) - 1 - back].name
        state = b"" if items.is_plain(self._drafts) else self._state()
        return Record(
            answer.place - back,
            log.EVENT,
            conversation.id,
            answer.seq - back,
            int(conversation.contact.id),
            name != MESSAGE_CREATED,
            state=state,
            row=row,
        )

    def _state(self) -> bytes:
        state = self.words[9]
        assert isinstance(state, bytes)
        return state


class Refuse(Item):
    """The final error of a send, which waits for its place."""

    __slots__ = ("_entry", "_origin", "_row", "_timeline")

    def __init__(self, timeline: Places, entry: Entry, error: UniqueCsError) -> None:
        session = entry.session
        assert session is not None
        row = rows.error_row(error.code, error.message)
        origin = timeline.memory.expect(entry)
        super().__init__(items.refuse(session, session.c, entry.n, origin, row), session.key.hex())
        self._timeline = timeline
        self._entry = entry
        self._row = row
        self._origin = origin

    def answered(self, answer: Answer) -> Prepare | None:
        """Tell where it got no place."""
        if answer.code != "ok":
            self._timeline.memory.drop(self._origin)
            self._timeline.give_up(self._entry, Replaced() if answer.code == "fenced" else OutcomeUnknown())
        return None

    def record(self, answer: Answer) -> bytes | None:
        """The journal keeps it as it keeps events."""
        return encode([Record(answer.place, log.REFUSAL, key=self.session, n=self._entry.n, row=self._row)])

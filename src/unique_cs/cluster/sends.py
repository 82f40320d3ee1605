"""The items that make events and answers: what becomes of them when the script says no."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from unique_cs.actions import access
from unique_cs.cluster import items, log
from unique_cs.cluster.commit import Answer, Item, Prepare
from unique_cs.cluster.log import Record, encode
from unique_cs.domain import conversation as rules
from unique_cs.domain.conversation import Conversation, Draft
from unique_cs.domain.events import MESSAGE_CREATED, Actor, MessageCreated
from unique_cs.errors import Code, OutcomeUnknown, Replaced, StorageUnavailable, UniqueCsError
from unique_cs.ports import Entry
from unique_cs.storage import rows

if TYPE_CHECKING:
    from unique_cs.cluster.timeline import ClusterTimeline

MAX_TRIES: Final = 32
"""How often a message is decided again before its connection has to come back."""


class Append:
    """Events that wait for their places.

    Refusals of the script: `conflict` (another node was first), `absent` (Redis does not hold the
    conversation), `fenced`, `gone` and `order` (the session is elsewhere, or must be opened again).
    """

    def __init__(
        self,
        timeline: "ClusterTimeline",
        entry: Entry,
        actor: Actor,
        drafts: Sequence[Draft],
        ids: Sequence[int],
        time: int,
    ) -> None:
        self._timeline = timeline
        self._entry = entry
        self._actor = actor
        self._drafts = drafts
        self._ids = ids
        self._time = time
        self._tries = 0
        self._count = entry.session.c if entry.session is not None else 0
        self._origin = timeline.memory.expect(entry)
        session = entry.session.key.hex() if entry.session is not None else ""
        self.item = Item(self._words(), self._answered, _nothing, session=session, record=self._record)

    @property
    def _conversation(self) -> Conversation:
        assert self._entry.conversation is not None
        return self._entry.conversation

    def _words(self) -> Sequence[bytes | str | int]:
        entry = self._entry
        return items.append(
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

    def _answered(self, answer: Answer) -> Prepare | None:
        if answer.code == "ok":
            return None
        self._tries += 1
        if answer.code in ("conflict", "absent") and self._tries < MAX_TRIES:
            return self._decide_again(answer)
        if answer.code == "conflict":
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
            self.item.words = self._words()
        except (StorageUnavailable, OutcomeUnknown):
            # The cold tier is away, and the answer lies there: the client keeps it and sends it again.
            self._cancel(OutcomeUnknown())
        except UniqueCsError as error:
            self._refuse(error)

    async def _current(self, answer: Answer) -> Conversation:
        timeline, conversation = self._timeline, self._conversation
        contact = int(conversation.contact.id)
        if answer.code == "absent":
            await timeline.loading.contact(contact)
            await timeline.loading.conversation(conversation.id)
            return conversation
        await timeline.follow_to(answer.place)
        if conversation.seq:
            return conversation
        return await timeline.newest_elsewhere(contact) or conversation

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
        self._entry.conversation, self._entry.error = None, error
        refusal = Refuse(self._timeline, self._entry, error)
        self.item.words, self.item.answered = refusal.item.words, refusal.item.answered
        self.item.record = refusal.item.record

    def _cancel(self, error: UniqueCsError) -> None:
        """Nothing is stored; an item that does nothing takes its turn."""
        self._give_up(error)
        self.item.words, self.item.answered, self.item.record = ["skip"], _done, None

    def _record(self, answer: Answer) -> bytes:
        """The journal keeps every event of the action, in one row at the place of the last."""
        words, count = self.item.words, len(self._drafts)
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
        state = self.item.words[9]
        assert isinstance(state, bytes)
        return state


class Refuse:
    """The final error of a send, which waits for its place."""

    def __init__(self, timeline: "ClusterTimeline", entry: Entry, error: UniqueCsError) -> None:
        assert entry.session is not None
        self._timeline = timeline
        self._entry = entry
        self._session = entry.session
        self._row = rows.error_row(error.code, error.message)
        self._origin = timeline.memory.expect(entry)
        words = items.refuse(entry.session, entry.session.c, entry.n, self._origin, self._row)
        key = entry.session.key.hex()
        self.item = Item(words, self._answered, _nothing, session=key, record=self._record)

    def _answered(self, answer: Answer) -> Prepare | None:
        if answer.code != "ok":
            self._timeline.memory.drop(self._origin)
            self._timeline.give_up(self._entry, Replaced() if answer.code == "fenced" else OutcomeUnknown())
        return None

    def _record(self, answer: Answer) -> bytes:
        session, entry = self._session, self._entry
        return encode([Record(answer.place, log.REFUSAL, key=session.key.hex(), n=entry.n, row=self._row)])


def _nothing() -> None:
    """Memory tells whoever waits."""


def _done(answer: Answer) -> Prepare | None:
    del answer
    return None

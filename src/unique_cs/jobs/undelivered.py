"""Counts conversations whose newest message, a contact's, has reached no agent's device for long."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from unique_cs.domain.events import MESSAGE_CREATED
from unique_cs.domain.stored import Stored
from unique_cs.ports import Clock, Contacts, Timeline

MOST: Final = 1_000
"""Conversations that are looked into in one round: more are not counted."""

LATE_MS: Final = 600_000
"""An event may be archived so long after it happened, and is seen still."""

WHOLE: Final = 40
"""In each round of so many all that is listed is looked for, whenever it was archived."""

_NEWEST: Final = 10

Quiet = Callable[[Sequence[int], int, int], Awaitable[list[tuple[int, int]]]]
"""(conversation, head) of those listed in which the last thing happened from one time to another (ms)."""


class _Actor(Struct, gc=False):
    kind: str


class _Frame(Struct, gc=False):
    name: str
    actor: _Actor


_frames: Final = msgspec.json.Decoder(_Frame)


class Undelivered:
    """What was once seen to be delivered is looked into again only when something happens there."""

    def __init__(
        self,
        timeline: Timeline,
        contacts: Contacts,
        listed: Callable[[], list[int]],
        quiet: Quiet,
        clock: Clock,
        minutes: int,
    ) -> None:
        """`listed` gives the conversations that wait or are assigned; `minutes` are for how long."""
        self._timeline = timeline
        self._contacts = contacts
        self._listed = listed
        self._quiet = quiet
        self._clock = clock
        self._patience_ms = minutes * 60_000
        self._looked = self._rounds = 0
        self._delivered: dict[int, int] = {}
        self._behind: dict[int, int] = {}

    async def count(self) -> float:
        """Look, and count."""
        listed = self._listed()
        suspects = await self._suspects(listed, set(listed))
        self._behind = dict(suspects[MOST:])
        behind = 0
        for number, (conversation, seq) in enumerate(suspects[:MOST]):
            if await self._is_behind(conversation, seq):
                self._behind[conversation] = seq
                behind += 1
            if number % 20 == 19:
                await asyncio.sleep(0)
        return behind

    async def _suspects(self, listed: Sequence[int], held: set[int]) -> list[tuple[int, int]]:
        """Those that were behind before, and those that have been quiet for long enough since then."""
        since = self._looked - LATE_MS if self._rounds % WHOLE else 0
        before = self._clock.now_ms() - self._patience_ms
        found = dict(await self._quiet(listed, max(0, since), before))
        self._looked, self._rounds = before, self._rounds + 1
        self._delivered = {each: seq for each, seq in self._delivered.items() if each in held}
        suspects = {each: seq for each, seq in self._behind.items() if each in held} | found
        return [(each, seq) for each, seq in suspects.items() if self._delivered.get(each) != seq]

    async def _is_behind(self, conversation_id: int, seq: int) -> bool:
        conversation = await self._timeline.conversation(conversation_id)
        if conversation is None or conversation.durable != seq:
            return False
        page = await self._timeline.events(conversation, 0, seq + 1, _NEWEST, True)
        asked = _newest_of_contact(page)
        cursors = await self._contacts.cursors(conversation) if asked else ()
        if any(each.kind != "contact" and each.delivered >= asked for each in cursors) or not asked:
            self._delivered[conversation_id] = seq
            return False
        return True


def _newest_of_contact(page: list[Stored]) -> int:
    """The place of the newest message, if a contact wrote it and nobody did anything later; else 0."""
    for stored in reversed(page):
        frame = _frames.decode(stored.frame)
        if frame.actor.kind != "contact":
            return 0
        if frame.name == MESSAGE_CREATED:
            return stored.seq
    return 0

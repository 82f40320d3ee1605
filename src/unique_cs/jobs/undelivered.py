"""Counts conversations whose newest message, a contact's, has reached no agent's device for long."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from unique_cs.domain.events import MESSAGE_CREATED
from unique_cs.ports import Clock, Contacts, Stored, Timeline

MOST: Final = 1_000
"""Conversations that are looked into in one round: more are not counted."""

_NEWEST: Final = 10

Quiet = Callable[[Sequence[int], int], Awaitable[list[tuple[int, int]]]]
"""(conversation, head) of those listed in which nothing happened since a time (ms)."""


class _Actor(Struct, gc=False):
    kind: str


class _Frame(Struct, gc=False):
    name: str
    actor: _Actor


_frames: Final = msgspec.json.Decoder(_Frame)


class Undelivered:
    """What was once seen to be delivered is looked at again only when something happens there."""

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
        self._settled: dict[int, int] = {}

    async def count(self) -> float:
        """Look, and count."""
        found = await self._quiet(self._listed(), self._clock.now_ms() - self._patience_ms)
        known = self._settled
        self._settled = {each: seq for each, seq in found if known.get(each) == seq}
        unknown = [(each, seq) for each, seq in found if each not in self._settled]
        behind = 0
        for number, (conversation, seq) in enumerate(unknown[:MOST]):
            behind += await self._is_behind(conversation, seq)
            if number % 20 == 19:
                await asyncio.sleep(0)
        return behind

    async def _is_behind(self, conversation_id: int, seq: int) -> bool:
        conversation = await self._timeline.conversation(conversation_id)
        if conversation is None or conversation.durable != seq:
            return False
        page = await self._timeline.events(conversation, 0, seq + 1, _NEWEST, True)
        asked = _newest_of_contact(page)
        cursors = await self._contacts.cursors(conversation) if asked else ()
        if any(each.kind != "contact" and each.delivered >= asked for each in cursors) or not asked:
            self._settled[conversation_id] = seq
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

"""Opens snoozed conversations when their time has come."""

import asyncio
from typing import Final, Protocol

from unique_cs.actions import conversations
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import CONVERSATION_STATUS_CHANGED
from unique_cs.errors import UniqueCsError
from unique_cs.ports import Clock, Timeline
from unique_cs.telemetry import log

PERIOD_S: Final = 5.0
MOST: Final = 100
"""Conversations of one round; the rest follow in the next."""

PAGE: Final = 200


class Snoozes(Protocol):
    """(conversation, place of the event that snoozed it) of those due, as far as the archive knows."""

    async def due(self, now_ms: int, limit: int) -> list[tuple[int, int]]: ...
    async def remove(self, conversation: int, seq: int) -> None: ...


class Waker:
    """Runs on one node of an installation. A conversation wakes within seconds of its time."""

    def __init__(self, timeline: Timeline, snoozes: Snoozes, clock: Clock) -> None:
        self._timeline = timeline
        self._snoozes = snoozes
        self._clock = clock

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001  # whatever it is, the next round may do better
                log.warning("snoozed conversations can't be woken", error=repr(error))
            await asyncio.sleep(PERIOD_S)

    async def look(self) -> None:
        """Wake whatever is due now. One that can't be woken keeps no other asleep."""
        failed: list[UniqueCsError] = []
        for conversation, seq in await self._snoozes.due(self._clock.now_ms(), MOST):
            try:
                await self._wake(conversation, seq)
            except UniqueCsError as error:
                failed.append(error)
        if failed:
            log.warning("snoozed conversations can't be woken", count=len(failed), error=repr(failed[0]))

    async def _wake(self, number: int, seq: int) -> None:
        conversation = await self._timeline.conversation(number)
        if conversation is None or conversation.status != "snoozed":
            await self._snoozes.remove(number, seq)
            return
        state = conversation.state_seq
        if await self._is_latest(conversation, seq):
            await conversations.wake(self._timeline, conversation, state)

    async def _is_latest(self, conversation: Conversation, seq: int) -> bool:
        """Whether nobody has snoozed it anew since: the archive comes to know that later."""
        while page := await self._timeline.events(conversation, seq, conversation.durable + 1, PAGE, False):
            if any(each.name() == CONVERSATION_STATUS_CHANGED for each in page):
                return False
            seq = page[-1].seq
        return True

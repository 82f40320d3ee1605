"""What of this node's journal the record has; and rows that come late, because a recovery went without them.

A journal's rows are settled up to a place if all of them are in the cold tier. Above it they are offered to
whoever recovers. A node that was away then, or stood still, looks itself for what of older numberings is
nowhere, and gives it new places at the end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Final

from unique_cs.cluster import imports, items, log
from unique_cs.cluster.cold import Cold
from unique_cs.cluster.commit import Committer
from unique_cs.cluster.journal import Journal
from unique_cs.cluster.keys import first_place
from unique_cs.cluster.loading import Loading
from unique_cs.cluster.log import Record
from unique_cs.cluster.memory import Memory
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import Named
from unique_cs.errors import OutcomeUnknown, StorageUnavailable
from unique_cs.ports import Archive
from unique_cs.storage.people import read_contact
from unique_cs.telemetry import log as journal_log

EACH_S: Final = 2.0
TRIES: Final = 100


class Settling:
    """Runs on every node while a numbering is open."""

    def __init__(
        self,
        journal: Journal,
        cold: Cold,
        archive: Archive,
        committer: Committer,
        loading: Loading,
        memory: Memory,
    ) -> None:
        self._journal = journal
        self._cold = cold
        self._archive = archive
        self._committer = committer
        self._loading = loading
        self._memory = memory

    async def run(
        self, counter: int, begun: int, since: int, register: Callable[[], Awaitable[None]]
    ) -> None:
        """Work until cancelled, in the generation that this node has followed since `begun`.

        `since` is the place up to which the cold tier had older numberings when this one was opened; that is
        less than what is settled here, if it was restored from a backup. `register` lets recoveries wait for
        this journal again.
        """
        first = first_place(counter)
        due, registered, searched = begun, False, False
        while True:
            try:
                if not registered:
                    await register()
                    registered = True
                archived = await self._archive.cursor()
                if not searched and (archived >= due or due == first):
                    searched = not await self._take_late(min(self._journal.settled, since), first)
                    due = self._memory.position
                if searched:
                    self._journal.settle(max(archived, first))
            except (StorageUnavailable, OutcomeUnknown) as error:
                journal_log.debug("the journal can't be settled", error=repr(error))
            except Exception as error:  # noqa: BLE001  # it is tried again, and serving goes on meanwhile
                journal_log.error("settling the journal failed", error=repr(error))
            await asyncio.sleep(EACH_S)

    async def _take_late(self, after: int, first: int) -> int:
        """Take in what lies above a place, below the generation's first, and is nowhere; return how much."""
        mine = self._journal.between(after, first)
        late = await imports.lacking(self._cold, chain.from_iterable(mine))
        people = [each for each in late if each.kind == log.CONTACT]
        events = imports.once(each for each in late if each.kind == log.EVENT)
        taken = [await self._add(each) for each in people]
        taken += [await self._import(each) for each in events]
        if taken:
            journal_log.warning("rows that came late were taken in", rows=sum(taken), seen=len(taken))
        return sum(taken)

    async def _add(self, record: Record) -> bool:
        """Store the contact, unless it is known by now."""
        contact = read_contact(record.row)
        if await self._loading.contact(contact.id) is not None:
            return False
        code, *_ = await self._committer.ask(items.contact(contact, ""))
        return bool(code == "ok")

    async def _import(self, record: Record) -> bool:
        """Give the event the next place of its conversation, unless its send was repeated meanwhile."""
        for _ in range(TRIES):
            held = await self._loading.conversation(record.id)
            current = items.copy(held) if held is not None else Conversation(record.id, 0, Named("0", ""))
            _, words = imports.as_next(current, record.row)
            code, *rest = await self._committer.ask(words)
            if code != "conflict":
                return bool(code == "ok")
            await self._memory.follow_to(rest[-1])
        raise StorageUnavailable("the conversation changes faster than an event can be put back")

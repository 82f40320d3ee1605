"""Bringing into memory what is asked for: from Redis, and where Redis let it go, from the cold tier.

One reader fills for many: who asks for what is being read waits for that reading.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from unique_cs.cluster import items
from unique_cs.cluster.cold import Cold
from unique_cs.cluster.commit import Committer
from unique_cs.cluster.keys import Keys
from unique_cs.cluster.memory import Memory, read_cursor
from unique_cs.cluster.shard import Shard
from unique_cs.domain.conversation import Conversation, Cursor
from unique_cs.domain.people import Contact
from unique_cs.errors import StorageUnavailable
from unique_cs.storage import rows
from unique_cs.storage.people import read_contact

T = TypeVar("T")
MAX_TRIES = 20

# The lists of a contact are whole where the contact is.
_LIST: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('ZREVRANGE', KEYS[2], 0, ARGV[1])
"""

# Together, for they must be of one moment.
_READ: Final = """
return {
  redis.call('HMGET', KEYS[1], 'q', 's', 'd'),
  redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1),
  redis.call('HGETALL', KEYS[3]),
}
"""


class Loading:
    """Reads conversations and contacts; `keys` are those of the open generation."""

    def __init__(self, shard: Shard, committer: Committer, memory: Memory, cold: Cold) -> None:
        self._shard = shard
        self._committer = committer
        self._memory = memory
        self._cold = cold
        self._running: dict[tuple[str, int], asyncio.Task[Any]] = {}
        self.keys = Keys(0)

    async def _once(self, kind: str, number: int, work: Callable[[int], Coroutine[Any, Any, T]]) -> T:
        task = self._running.get((kind, number))
        if task is None:
            task = self._running[kind, number] = asyncio.get_running_loop().create_task(work(number))
            task.add_done_callback(lambda _: self._running.pop((kind, number), None))
        found: T = await asyncio.shield(task)
        return found

    async def conversation(self, conversation: int) -> Conversation | None:
        """The conversation as Redis has it, which this node may have yet to follow; None if there is none."""
        return await self._once("conversation", conversation, self._load)

    async def _load(self, conversation: int) -> Conversation | None:
        for _ in range(MAX_TRIES):
            held = self._memory.conversations.get(conversation)
            if held is not None:
                return held
            self._memory.begin_load(conversation)
            try:
                found = await self._read(conversation) or await self._restored(conversation)
                if found is None:
                    await self._committer.check()
                    return None
                held = self._memory.conversations.get(conversation)
                if held is not None:
                    return held
                if self._memory.end_load(found):
                    return found
            finally:
                self._memory.drop_load(conversation)
        raise StorageUnavailable("the conversation changes faster than it can be read", 200)

    async def _restored(self, conversation: int) -> Conversation | None:
        """Put it back into Redis as the cold tier knows it, and read it there."""
        keys = self.keys
        known = await self._cold.conversation(conversation)
        if known is None:
            return None
        await self.contact(int(known[0].contact.id))
        self._check_same(keys)
        await self._committer.at_once(items.restore_conversation(*known))
        return await self._read(conversation)

    def _check_same(self, keys: Keys) -> None:
        """What was read before another generation was opened may be older than what is archived by now."""
        if self.keys is not keys:
            raise StorageUnavailable("the order of messages is being restored")

    async def restore(self, conversation: int) -> None:
        """Put a conversation back into Redis which this node holds and Redis let go of."""
        await self._restored(conversation)

    async def _read(self, conversation: int) -> Conversation | None:
        keys = self.keys
        named = keys.conversation(conversation), keys.events(conversation), keys.cursors(conversation)
        (seq, state_seq, state), newest, cursors = await self._shard.client.eval_ro(_READ, 3, *named)
        if seq is None:
            return None
        found = rows.read_state(conversation, state)
        found.seq = found.durable = int(seq)
        found.state_seq = int(state_seq)
        found.updated_at = found.created_at
        if newest:
            found.updated_at = rows.read_event(found.seq, newest[0][1][1]).id_and_time()[1]
        pairs = zip(cursors[::2], cursors[1::2], strict=True)
        found.cursors = tuple(read_cursor(who.decode(), row) for who, row in pairs)
        return found

    async def cursors(self, conversation: int) -> tuple[Cursor, ...]:
        """The participants' cursors."""
        found = await self._shard.client.hgetall(self.keys.cursors(conversation))
        return tuple(read_cursor(who.decode(), row) for who, row in found.items())

    async def contact(self, contact: int) -> Contact | None:
        """The contact, or None."""
        return await self._once("contact", contact, self._load_contact)

    async def _load_contact(self, contact: int) -> Contact | None:
        keys = self.keys
        row = await self._shard.client.get(keys.contact(contact))
        if row is not None:
            return read_contact(row)
        known = await self._cold.contact(contact)
        if known is not None:
            owned = await self._cold.owned(contact)
            self._check_same(keys)
            await self._committer.at_once(items.restore_contact(known, owned))
            row = await self._shard.client.get(self.keys.contact(contact))
        if row is None:
            await self._committer.check()
            return None
        return read_contact(row)

    async def contact_named(self, inbox: int, identifier: str) -> Contact | None:
        """The contact of an identifier, or None."""
        number = await self._shard.client.get(self.keys.name(inbox, identifier))
        if number is None:
            known = await self._cold.contact_named(inbox, identifier)
            number = known.id if known is not None else None
        if number is None:
            await self._committer.check()
            return None
        return await self.contact(int(number))

    async def owned(self, contact: int, limit: int) -> list[int]:
        """A contact's newest conversations, newest first."""
        return await self._listed(contact, self.keys.owned(contact), limit)

    async def unresolved(self, contact: int, limit: int) -> list[int]:
        """Those that are not resolved, newest first."""
        return await self._listed(contact, self.keys.unresolved(contact), limit)

    async def _listed(self, contact: int, listed: str, limit: int) -> list[int]:
        question = (_LIST, 2, self.keys.contact(contact), listed, limit - 1)
        found = await self._shard.client.eval_ro(*question)
        if found is None and await self.contact(contact) is not None:
            found = await self._shard.client.eval_ro(*question)
        return [int(each) for each in found or ()]

"""The other nodes: what is told to all, and which contacts are there.

Notices go over one channel, those of a tick together. Presence is a lease for each connection: a set of
connections with the times at which they end, renewed in batches. A connection that is not renewed, because
its node died, is taken out by whoever comes first, and its contact's end is told by that one.
"""

import asyncio
import contextlib
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import msgspec

from unique_cs.cluster.loading import Loading
from unique_cs.cluster.shard import TAG, Failure, Shard
from unique_cs.domain.events import Actor
from unique_cs.errors import OutcomeUnknown, StorageUnavailable
from unique_cs.ports import Clock
from unique_cs.protocol.frames import Signal
from unique_cs.protocol.notices import Missed, Notice, Resumed, Signalled
from unique_cs.telemetry import log

CHANNEL: Final = f"{TAG}:notices"
PRESENT: Final = f"{TAG}:present"
COUNTS: Final = f"{TAG}:present:contacts"
LIFE_MS: Final = 45_000
RENEW_S: Final = 15.0
BATCH: Final = 500
RENEWED: Final = 100
"""Connections that are renewed at once. The parts are spread evenly, for all others wait meanwhile."""

MAX_TOLD: Final = 10_000
"""Notices that wait while Redis is away; beyond that the oldest are lost."""

_COME: Final = """
local first = {}
for i = 2, #ARGV, 2 do
  if redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i + 1]) == 1 then
    if redis.call('HINCRBY', KEYS[2], ARGV[i], 1) == 1 then first[#first + 1] = ARGV[i] end
  end
end
return first
"""

_GO: Final = """
local last = {}
for i = 1, #ARGV, 2 do
  if redis.call('ZREM', KEYS[1], ARGV[i + 1]) == 1 then
    if redis.call('HINCRBY', KEYS[2], ARGV[i], -1) <= 0 then
      redis.call('HDEL', KEYS[2], ARGV[i])
      last[#last + 1] = ARGV[i]
    end
  end
end
return last
"""

Call = Callable[[], None]
_decoder: Final = msgspec.msgpack.Decoder(list[Notice])
_encode: Final = msgspec.msgpack.Encoder().encode


class ClusterPeers:
    """`Peers` over Redis. `heard` gets what other nodes tell, or `Missed`; `name` is this process.

    Signals are told once; everything else again, until Redis has taken it.
    """

    def __init__(self, shard: Shard, clock: Clock, loading: Loading, name: str) -> None:
        self._shard = shard
        self._clock = clock
        self._loading = loading
        self._name = name.encode()
        self.heard: Callable[[Notice], None] = lambda notice: None
        self._told: list[Notice] = []
        self._here: dict[str, int] = {}
        self._calls: list[tuple[bool, int, str, Call]] = []
        self._wake = asyncio.Event()
        self._has_listened = False

    # What this node tells

    def tell(self, notice: Notice) -> None:
        """Let the other nodes know."""
        self._told.append(notice)
        del self._told[:-MAX_TOLD]
        self._wake.set()

    def resumed(self, session: bytes, c: int) -> None:
        """A session was opened here."""
        self.tell(Resumed(session, c))

    def came(self, contact: int, key: str, first: Call) -> None:
        """A contact's connection is here."""
        self._here[key] = contact
        self._change(True, contact, key, first)

    def went(self, contact: int, key: str, last: Call) -> None:
        """It is gone."""
        self._here.pop(key, None)
        self._change(False, contact, key, last)

    def _change(self, came: bool, contact: int, key: str, call: Call) -> None:
        self._calls.append((came, contact, key, call))
        self._wake.set()

    # What runs

    async def run(self) -> None:
        """Tell, listen and renew until cancelled."""
        works = (self._forever(each) for each in (self._speak, self._listen, self._renew))
        await asyncio.gather(*works)

    async def _forever(self, work: Callable[[], Any]) -> None:
        while True:
            try:
                await work()
            except (*Failure, StorageUnavailable, OutcomeUnknown) as error:
                log.debug("the other nodes can't be reached", error=repr(error))
            await asyncio.sleep(0.5)

    async def _speak(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._move_presence()
            told, self._told = self._told, []
            if told:
                await self._publish(told)

    async def _publish(self, told: list[Notice]) -> None:
        message = self._name + b"\n" + _encode(told)
        try:
            await self._shard.client.execute_command("SPUBLISH", CHANNEL, message)
        except Failure:
            self._told[:0] = [each for each in told if not isinstance(each, Signalled)]
            self._wake.set()
            raise

    async def _move_presence(self) -> None:
        """Comings and goings, in their order as far as one contact is concerned."""
        calls, self._calls = self._calls, []
        for came, run in groupby(calls, key=itemgetter(0)):
            alike = list(run)
            for start in range(0, len(alike), BATCH):
                with contextlib.suppress(*Failure):
                    await self._move(came, alike[start : start + BATCH])

    async def _move(self, came: bool, calls: list[tuple[bool, int, str, Call]]) -> None:
        # Of a contact that came twice the first says so, of one that went twice the last.
        tell = {contact: call for _, contact, _, call in (reversed(calls) if came else calls)}
        words: list[int | str] = [self._end()] if came else []
        for _, contact, key, _ in calls:
            words += (contact, _member(contact, key))
        script = _COME if came else _GO
        for contact in await self._shard.client.eval(script, 2, PRESENT, COUNTS, *words):
            tell[int(contact)]()

    def _end(self) -> int:
        return self._clock.now_ms() + LIFE_MS

    async def _listen(self) -> None:
        client = self._shard.client
        with client.answering():
            async with client.pubsub() as subscription:
                await subscription.ssubscribe(CHANNEL)
                while True:
                    message = await subscription.get_message(timeout=5)
                    if message is None:
                        continue
                    if message["type"] == "sunsubscribe":
                        # The keys are on another server of a Redis Cluster now.
                        return
                    if message["type"] == "ssubscribe":
                        self._subscribed()
                    else:
                        self._take(message["data"])

    def _subscribed(self) -> None:
        """From now on all is heard. Unless this is the first time, something may have been told before."""
        if self._has_listened:
            self.heard(Missed())
        self._has_listened = True

    def _take(self, data: bytes) -> None:
        name, _, raw = data.partition(b"\n")
        if name == self._name:
            return
        for notice in _decoder.decode(raw):
            self.heard(notice)

    # Presence of all nodes

    async def _renew(self) -> None:
        """Let what is here go on, and take out what ended: nobody else will."""
        while True:
            here = list(self._here.items())
            parts = [here[start : start + RENEWED] for start in range(0, len(here), RENEWED)]
            for part in parts:
                await self._go_on(part)
                await asyncio.sleep(RENEW_S / len(parts))
            await self._sweep()
            if not parts:
                await asyncio.sleep(RENEW_S)

    async def _go_on(self, here: list[tuple[str, int]]) -> None:
        end, members = self._end(), self._members(here)
        renewed = [word for _, member in members for word in (end, member)]
        if renewed and await self._shard.client.execute_command("ZADD", PRESENT, "XX", "CH", *renewed) < len(
            members
        ):
            # Some were taken out meanwhile, or Redis is another. Who has gone since then must not come again.
            pairs = [word for pair in self._members(here) for word in pair]
            await self._shard.client.eval(_COME, 2, PRESENT, COUNTS, end, *pairs)

    def _members(self, here: list[tuple[str, int]]) -> list[tuple[int, str]]:
        """(contact, member) of those that are still here."""
        return [(contact, _member(contact, key)) for key, contact in here if key in self._here]

    async def _sweep(self) -> None:
        ended = await self._shard.client.zrangebyscore(
            PRESENT, "-inf", self._clock.now_ms(), start=0, num=BATCH
        )
        pairs = [word for member in ended for word in (member.partition(b":")[0], member)]
        if not pairs:
            return
        for contact in await self._shard.client.eval(_GO, 2, PRESENT, COUNTS, *pairs):
            await self._tell_gone(int(contact))

    async def _tell_gone(self, contact: int) -> None:
        known = await self._loading.contact(contact)
        actor = Actor("contact", str(contact), known.name if known is not None else "")
        for conversation in await self._loading.unresolved(contact, BATCH):
            signal = Signal("presence", {"online": False}, str(conversation), actor)
            notice = Signalled(conversation, signal, agents_only=True, to_own=False)
            self.heard(notice)
            self.tell(notice)


def _member(contact: int, key: str) -> str:
    return f"{contact}:{key}"

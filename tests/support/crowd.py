"""Load by recorded clients, for tests in which things are killed meanwhile."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.support.world import Person, World, answered, until
from unique_cs.client import Sent

_TICK = 0.005


class Talkers:
    """Visitors that each open a conversation, and an owner that answers now and then."""

    def __init__(self, owner: Person, visitors: Sequence[Person]) -> None:
        self.owner = owner
        self.visitors = visitors
        self.sends: list[asyncio.Future[object]] = []
        self._conversations: list[str] = []
        self._numbers = itertools.count()

    async def begin(self) -> None:
        """Everybody's first message; the owner sees them all."""
        answers = await answered([visitor.say(f"hello {i}") for i, visitor in enumerate(self.visitors)], 30)
        self._conversations = [answer.conversation for answer in answers]
        known = set(self._conversations)
        await until(lambda: known <= set(self.owner.recorder.positions()))

    async def talk(self, rate: int) -> None:
        """Send that many messages a second, in open loop, until cancelled; every tenth is the owner's."""
        loop = asyncio.get_running_loop()
        start, done = loop.time(), 0
        while True:
            due = int((loop.time() - start) * rate)
            for _ in range(done, due):
                self._say(next(self._numbers))
            done = due
            await asyncio.sleep(_TICK)

    def _say(self, number: int) -> None:
        turn = number % len(self.visitors)
        if number % 10 == 0:
            self.sends.append(self.owner.say(f"o{number}", self._conversations[turn]))
        else:
            self.sends.append(self.visitors[turn].say(f"v{number}"))

    async def finish(self, deadline: float) -> int:
        """Wait for every answer. Returns how many were `sent`."""
        answers = await answered(self.sends, deadline)
        return sum(isinstance(answer, Sent) for answer in answers)


@asynccontextmanager
async def talking(town: World, visitors: int, rate: int) -> AsyncIterator[Talkers]:
    """Load at `rate` messages a second while the block runs."""
    made = [await town.visitor(f"visitor {i}") for i in range(visitors)]
    talkers = Talkers(await town.owner(), made)
    await talkers.begin()
    work = asyncio.create_task(talkers.talk(rate))
    try:
        yield talkers
    finally:
        work.cancel()
    await asyncio.wait([work])
    if not work.cancelled():
        work.result()

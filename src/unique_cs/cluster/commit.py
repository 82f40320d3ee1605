"""One call a tick: everything asked for meanwhile is one batch, run by one script, in one atomic step.

A batch that failed on the way is repeated identically: the script knows the batches that it has done. What it
placed in the log is put into this node's journal and flushed before anybody is told.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from importlib.resources import files
from secrets import token_hex
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError

from unique_cs.cluster.keys import GENERATION, Keys
from unique_cs.cluster.log import Record, encode
from unique_cs.cluster.pace import Pace
from unique_cs.cluster.shard import RedisFull, Shard
from unique_cs.errors import OutcomeUnknown, StorageUnavailable
from unique_cs.storage.group import GroupCommit
from unique_cs.telemetry import log, metrics

MAX_BATCH: Final = 500
"""Items of one call: while a script runs, nobody else is served."""

PACE_S: Final = 0.005
"""The time from one call to the next is at least this: under load a call of one item costs most."""

FULL_S: Final = 0.5
"""How soon a batch is tried again for which Redis had no room."""

JOURNAL: Final = b"j"
"""First byte of a journal row's key; the rest is the place in the log."""

SCRIPT: Final = files("unique_cs.cluster").joinpath("lua/commit.lua").read_text("utf-8")

Word = bytes | str | int
Prepare = Coroutine[Any, Any, None]


class Generation(NamedTuple):
    """Which numbering is open: its counter, and the `run_id` of the server on which it was opened."""

    counter: int
    run_id: str

    @property
    def value(self) -> str:
        """As it lies under `gen`."""
        return f"{self.counter}:{self.run_id}"


class GenerationChanged(Exception):
    """Another generation is open: what this node holds in memory means nothing."""


class Answer(NamedTuple):
    """What the script says: `ok` with the last place in the timeline and in the log, or why not."""

    code: str
    seq: int = 0
    place: int = 0


class Item:
    """One line of a batch; as it is, one of which nobody wants to hear.

    `answered` is called once for each try with the script's answer; a coroutine returned by it is awaited,
    and then the item is tried again, before everything that came after it. `unknown` is called where nobody
    can wait for that any longer. `record` makes the journal's row, if there is one, from the answer.
    """

    __slots__ = ("session", "words")

    def __init__(self, words: Sequence[Word], session: str = "") -> None:
        self.words = words
        self.session = session

    def answered(self, answer: Answer) -> Prepare | None:
        """The script's answer."""

    def unknown(self) -> None:
        """There will be none."""

    def record(self, answer: Answer) -> bytes | None:
        """What the journal keeps."""


class Question(Item):
    """An item that keeps nothing in the journal; `future` is its answer."""

    __slots__ = ("future",)

    def __init__(self, words: Sequence[Word], session: str = "") -> None:
        super().__init__(words, session)
        self.future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def answered(self, answer: Answer) -> Prepare | None:
        """Tell whoever asks."""
        if not self.future.done():
            self.future.set_result(list(answer))
        return None

    def unknown(self) -> None:
        """Tell that it can't be known."""
        if not self.future.done():
            self.future.set_exception(OutcomeUnknown())


class Committer:
    """The queue of this process, and the one call in flight."""

    def __init__(self, shard: Shard, journal: GroupCommit, session_ttl_ms: int) -> None:
        self._shard = shard
        self._journal = journal
        self._ttl = session_ttl_ms
        self._queue: deque[Item] = deque()
        self._batch: list[Item] = []
        self._number = 0
        self._generation: Generation | None = None
        self._wake = asyncio.Event()
        self._pace = Pace(PACE_S)
        self._moved = asyncio.Event()
        self.process = token_hex(6)
        self._full = ""
        self.refusal = "Redis is not connected yet"
        self.journalled = 0

    def admit(self) -> None:
        """Raise `StorageUnavailable` while nothing can be accepted."""
        if self.refusal or self._full:
            raise StorageUnavailable(self.refusal or self._full)
        self._journal.admit()

    def submit(self, item: Item) -> None:
        """Put an item into the next batch."""
        self._queue.append(item)
        self._wake.set()

    @property
    def pending(self) -> int:
        """Items that wait for their batch or for its answer."""
        return len(self._queue) + len(self._batch)

    async def run(self, generation: Generation) -> None:
        """Work until it fails: with `GenerationChanged`, or with a `Failure` after which it can go on."""
        client = self._shard.client
        script = await client.script_load(SCRIPT)
        self._generation = generation
        while True:
            if not self._batch:
                await self._gather()
            words: list[Word] = [word for item in self._batch for word in item.words]
            head = (generation.value, Keys(generation.counter).prefix, self.process, self._number, self._ttl)
            try:
                answers = await client.evalsha(script, 1, GENERATION, *head, *words)
            except RedisFull as error:
                await self._wait_for_memory(error)
                continue
            except ResponseError as error:
                if "UCSGEN" in str(error):
                    raise GenerationChanged from error
                raise
            self._full = ""
            await self._answer([_answer(each) for each in answers])

    async def _wait_for_memory(self, error: RedisFull) -> None:
        """Keep the batch, and take nothing more meanwhile: the relay and the eviction make room."""
        if not self._full:
            log.warning("Redis is full: sends are refused")
        self._full = error.message
        await asyncio.sleep(FULL_S)

    async def _gather(self) -> None:
        await self._pace.turn()
        while not self._queue:
            self._wake.clear()
            await self._wake.wait()
        size = min(MAX_BATCH, len(self._queue))
        self._batch = [self._queue.popleft() for _ in range(size)]
        self._number += 1
        metrics.batch_size.observe(size)

    async def _answer(self, answers: list[Answer]) -> None:
        batch, self._batch = self._batch, []
        again: list[Item] = []
        waits: list[Prepare] = []
        held: set[str] = set()
        last = 0
        for item, answer in zip(batch, answers, strict=True):
            if answer.code == "order" and item.session in held:
                again.append(item)
                continue
            wait = item.answered(answer)
            if wait is not None:
                waits.append(wait)
                again.append(item)
                held.add(item.session)
            elif answer.code == "ok" and (row := item.record(answer)) is not None:
                last = answer.place
                self._journal.put(JOURNAL + last.to_bytes(8, "big"), row)
        if last:
            self._journal.then(lambda: self._kept(last))
        if again:
            self._queue.extendleft(reversed(again))
            await asyncio.gather(*waits)

    async def keep(self, place: int, records: list[Record]) -> None:
        """Put a step that another process made into this journal; flushed on return."""
        self._journal.put(JOURNAL + place.to_bytes(8, "big"), encode(records))
        await self._journal.durable()

    def _kept(self, place: int) -> None:
        self.journalled = max(self.journalled, place)
        self._moved.set()

    async def wait_journalled(self, place: int) -> None:
        """Return once everything of this process up to `place` is in its journal, or is forgotten."""
        while self.journalled < place:
            self._moved.clear()
            await self._moved.wait()

    def forget(self) -> None:
        """The outcome of everything asked for is unknown, and nobody will ever know it here.

        What was sent may still come to Redis. So this is another process from here on: such a step is
        nobody's, and no reader of the log waits until this journal has it.
        """
        self.process = token_hex(6)
        self.stop_waiting()
        self._batch, self.journalled, self._full = [], 1 << 62, ""
        self._queue.clear()
        self._moved.set()

    def stop_waiting(self) -> None:
        """Tell whoever asked that the outcome is unknown. What was asked for keeps its turn."""
        for item in (*self._batch, *self._queue):
            item.unknown()

    def begin(self) -> None:
        """A generation is open: accept."""
        self.refusal = ""

    async def check(self) -> None:
        """Return if the generation is still open: what was not found is not there."""
        await self.at_once(["skip"])

    async def at_once(self, words: Sequence[Word]) -> None:
        """Run one item beside the queue, which may wait for it: one that does no harm twice.

        Raises `StorageUnavailable` where another generation is open, and a `Failure`.
        """
        generation = self._generation
        if generation is None:
            raise StorageUnavailable(self.refusal or "no numbering is open")
        head = (generation.value, Keys(generation.counter).prefix, self.process, "", self._ttl)
        try:
            await self._shard.client.eval(SCRIPT, 1, GENERATION, *head, *words)
        except ResponseError as error:
            if "UCSGEN" in str(error):
                raise StorageUnavailable("the order of messages is being restored") from error
            raise

    async def ask(self, words: Sequence[Word], session: str = "") -> list[Any]:
        """Run one item that keeps nothing in the journal; return the script's whole answer."""
        question = Question(words, session)
        self.submit(question)
        return await question.future


def _answer(raw: list[Any]) -> Answer:
    return Answer(raw[0].decode(), *raw[1:])

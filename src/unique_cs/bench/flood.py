"""Far more than a node can take: visitors who are told "later", wait as told, and send again."""

import asyncio
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import msgspec

from unique_cs.bench.histogram import Histogram
from unique_cs.bench.http import HttpConnection
from unique_cs.bench.load import TEXT, attach
from unique_cs.bench.peers import Peer, PeerError
from unique_cs.bench.people import agent_token, contact_tokens
from unique_cs.bench.process import Target
from unique_cs.bench.report import Progress, Row
from unique_cs.bench.rows import fsync_p99
from unique_cs.bench.wire import SendTable

TIMES = 10
BOUND_MS = 50.0
SETTLE_S = 10.0
OUTBOX = 32
"""Messages that one visitor has in hand; what would be more is never written."""

VISITORS = 500
RUNS = 6
"""It lasts as long as so many other runs: a minute."""

_SUSTAINED_S = 3.0
_ALL = 1_000_000.0
_TICK = 0.002
_PATIENCE = 60.0
_REORDER_S = 0.05
_AT_ONCE = 64

ENVIRON = {
    f"UNIQUE_CS_{name}": "1000000"
    for name in (
        "HANDSHAKES_PER_IP",
        "SENDS_PER_SECOND",
        "SENDS_PER_CONTACT",
        "SENDS_PER_IP",
        "SENDS_PER_INBOX",
        "REQUESTS_PER_IP",
    )
}
"""No token bucket is in the way: what is refused is refused for load."""


class _Answer(msgspec.Struct, gc=False):
    type: str
    n: int = 0
    seq: int = 0
    code: str | int = ""
    conversation: str = ""
    expected: int = 0
    retry_after_ms: int | None = None


_read = msgspec.json.Decoder(_Answer).decode


class Visitor(Peer):
    """A contact in a conversation of its own, as a client is: numbers, a window, waits as told, resends.

    Every answer is judged: `sent` comes in the order of `n`, each in the place that follows the one before.
    `latency` is that of the try that was taken, from its writing to its `sent`.
    """

    __slots__ = (
        "_held",
        "_loop",
        "_table",
        "_written",
        "answered",
        "conversation",
        "due",
        "latency",
        "n",
        "refused",
        "tries",
    )

    def __init__(self, token: str, loop: asyncio.AbstractEventLoop, table: SendTable) -> None:
        super().__init__(token, loop)
        self._loop = loop
        self._table = table
        self._written: deque[float] = deque()
        self._held: asyncio.TimerHandle | None = None
        self.answered = self.due = self.n = 0
        self.refused = self.tries = 0
        self.conversation = ""
        self.latency = Histogram()

    def told(self, frame: dict[str, Any]) -> None:
        super().told(frame)
        if frame["type"] == "connected":
            self._feed = self.scan
            self.offer()

    def offer(self) -> None:
        """One more message, if there is room for it."""
        if self.due < self.answered + OUTBOX:
            self.due += 1
            if self._held is None:
                self._write()

    def _write(self) -> None:
        if self.due > self.n and self.failure is None:
            now = self._loop.time()
            self._written.extend([now] * (self.due - self.n))
            self.tries += self.due - self.n
            self.write(self._table.run(self.n, self.due))
            self.n = self.due

    def scan(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            if payload[:1] == b"{":
                answer = _read(payload)
                if answer.type == "sent":
                    self._sent(answer)
                elif answer.type == "error":
                    self._not_taken(answer)
                elif answer.type == "close":
                    self.fail(PeerError(f"closed with {answer.code}"))

    def _sent(self, answer: _Answer) -> None:
        if answer.n <= self.answered:
            return  # to a send that was repeated
        if answer.n != self.answered + 1 or answer.seq != answer.n + 1:
            self.fail(PeerError(f"sent {answer.n} at {answer.seq} where {self.answered + 1} is due"))
        self.answered, self.conversation = answer.n, answer.conversation
        if self._written:
            self.latency.record(int((self._loop.time() - self._written.popleft()) * 1e6))
        self.n = max(self.n, self.answered)

    def _not_taken(self, answer: _Answer) -> None:
        wait = answer.retry_after_ms
        if wait is None and answer.code != "out_of_order":
            self.fail(PeerError(f"{answer.n} was refused with {answer.code}"))
        if self._held is not None or not self.answered < answer.expected <= self.n:
            return
        self.refused += 1
        while self.n >= answer.expected:
            self._written.pop()
            self.n -= 1
        # What an earlier burst is told may come late: then the same is sent twice, and answered twice.
        self._held = self._loop.call_later(_REORDER_S if wait is None else wait / 1000, self._again)

    def _again(self) -> None:
        self._held = None
        self._write()


@dataclass(slots=True)
class Flooded:
    """What a flood came to. `settle` is how long what was in hand at its end took, in seconds."""

    offered: int
    accepted: int
    tries: int
    refused: int
    seconds: float
    settle: float
    grown: int
    latency: Histogram = field(default_factory=Histogram)

    @property
    def rate(self) -> float:
        """Messages acknowledged a second while it lasted."""
        return self.accepted / self.seconds


class Flood:
    """Visitors who came in, each with a conversation."""

    def __init__(self, server: Target, visitors: list[Visitor]) -> None:
        self.server = server
        self.visitors = visitors
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def gather(cls, server: Target, tokens: list[str]) -> "Flood":
        """Connect everybody and let each open its conversation."""
        table, loop = SendTable(TEXT), asyncio.get_running_loop()
        table.reserve(20_000)
        visitors: list[Visitor] = []
        for at in range(0, len(tokens), _AT_ONCE):
            some = (attach(server, Visitor(token, loop, table)) for token in tokens[at : at + _AT_ONCE])
            visitors += await asyncio.gather(*some)
        made = cls(server, visitors)
        await made.settled()
        return made

    def check(self) -> None:
        """Raise what any visitor failed with."""
        for visitor in self.visitors:
            if visitor.failure is not None:
                raise visitor.failure

    async def settled(self) -> float:
        """Wait until everything in hand is acknowledged; return the seconds."""
        began = self._loop.time()
        async with asyncio.timeout(_PATIENCE):
            # Frames fill what it polls.
            while any(visitor.answered < visitor.due for visitor in self.visitors):
                self.check()
                await asyncio.sleep(_TICK)
        return self._loop.time() - began

    async def sustained(self, progress: Progress, seconds: float = _SUSTAINED_S) -> float:
        """Messages a second that are acknowledged where all that visitors can have in hand is offered."""
        return (await self.pour(_ALL, seconds, progress)).rate

    async def pour(self, rate: float, seconds: float, progress: Progress) -> Flooded:
        """Open loop: message k is meant to be written at k / rate, whatever the server does."""
        for visitor in self.visitors:
            visitor.latency, visitor.tries, visitor.refused = Histogram(), 0, 0
        before, resident, done = self._answered(), self.server.resident(), 0
        start = self._loop.time()
        with progress.stage(
            f"{rate:,.0f}/s for {seconds:.0f} s", lambda: f"{self._answered() - before:,} sent"
        ):
            while (now := self._loop.time()) < start + seconds:
                self._offer(done, upto := int((now - start) * rate))
                done = upto
                self.check()
                await asyncio.sleep(_TICK)
            spent, accepted = self._loop.time() - start, self._answered() - before
            settle = await self.settled()
        visitors = self.visitors
        found = Flooded(
            done,
            accepted,
            sum(visitor.tries for visitor in visitors),
            sum(visitor.refused for visitor in visitors),
            spent,
            settle,
            self.server.resident() - resident,
        )
        for visitor in visitors:
            found.latency.merge(visitor.latency)
        return found

    def _offer(self, done: int, upto: int) -> None:
        """More than fills every outbox would be thrown away one by one."""
        count = len(self.visitors)
        for k in range(max(done, upto - OUTBOX * count), upto):
            self.visitors[k % count].offer()

    def _answered(self) -> int:
        return sum(visitor.answered for visitor in self.visitors)

    async def stored(self) -> bool:
        """Whether every conversation ends with the visitor's last message, at the place that it was told."""
        http = await HttpConnection.open(self.server)
        http.token = await agent_token(self.server)
        for visitor in self.visitors:
            page = await http.call("GET", f"/api/v1/conversations/{visitor.conversation}/events?limit=2")
            if page["events"][-1]["seq"] != visitor.answered + 1:
                return False
        http.close()
        return True

    def leave(self) -> None:
        """Everybody hangs up, together."""
        for visitor in self.visitors:
            visitor.close()


async def overload(server: Target, seconds: float, progress: Progress) -> list[Row]:
    """Ten times what the node takes; then everybody leaves together. The server has `ENVIRON`."""
    flood = await Flood.gather(server, await contact_tokens(server, VISITORS, progress))
    sustained = await flood.sustained(progress)
    before = await server.metrics()
    found = await flood.pour(TIMES * sustained, seconds, progress)
    flushed = fsync_p99(before, await server.metrics())
    kept = await flood.stored()
    flood.leave()
    latency = found.latency.summary()
    details = asdict(replace(found, latency=Histogram())) | latency | {"sustained": sustained, "stored": kept}
    details["fsync_p99"] = flushed
    del details["latency"]
    value = (
        f"{found.rate:,.0f}/s, p50 {latency['p50']:.1f}, p99 {latency['p99']:.1f} ms, "
        f"{found.refused:,} told to wait"
    )
    name = f"accepted at {TIMES} x {sustained:,.0f}/s, {seconds:.0f} s"
    held = latency["p99"] <= BOUND_MS and kept
    return [
        Row(name, f"p99 <= {BOUND_MS:.0f} ms", value, held, details),
        Row("all served after it", f"<= {SETTLE_S:.0f} s", f"{found.settle:.1f} s", found.settle <= SETTLE_S),
    ]

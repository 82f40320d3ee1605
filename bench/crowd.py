"""A generator: one process that holds thousands of contacts and lets some of them talk with an agent.

`python -m bench.crowd HOST PORT INDEX` reads commands from its standard input, a JSON array of a name and its
arguments in each line, and answers each with a line of JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import resource
import sys
import time
from collections import deque
from typing import Any

import uvloop

from unique_cs.bench.histogram import Histogram
from unique_cs.bench.load import attach
from unique_cs.bench.peers import PING, Peer, PeerError
from unique_cs.bench.people import agent_token, contact_tokens
from unique_cs.bench.process import Target
from unique_cs.bench.report import Progress
from unique_cs.bench.rows import open_conversations
from unique_cs.bench.wire import json_frame

AT_ONCE = 64
PERIOD_S = 25.0
PER_ADDRESS = 5_000
TICK_S = 0.001
_STAMP = re.compile(rb'"text":"at (\d{19})')
_QUIET = Progress(quiet=True)

Found = tuple[Histogram, Histogram]
"""Send to sent, and send to delivery."""


class Talker(Peer):
    """A contact or an agent. Texts hold the moment at which they were meant to start."""

    __slots__ = ("_unanswered", "found", "n", "subscribed")

    def __init__(
        self, token: str, loop: asyncio.AbstractEventLoop, found: tuple[Histogram, Histogram]
    ) -> None:
        super().__init__(token, loop)
        self._unanswered: deque[int] = deque()
        self.found = found
        self.n = self.subscribed = 0

    def told(self, frame: dict[str, Any]) -> None:
        super().told(frame)
        self.subscribed += frame["type"] == "subscribed"

    def say(self, start: int, conversation: str | None = None) -> None:
        """Send one message, meant to start then."""
        self.n += 1
        self._unanswered.append(start)
        body = {"kind": "text", "text": f"at {start:019} Hello, my order has not arrived yet."}
        where = {"conversation": conversation} if conversation else {}
        self.write(json_frame({"type": "send", "n": self.n, **where, "body": body}))

    def scan(self, data: bytes) -> None:
        now = time.monotonic_ns()
        for payload in self._frames.feed(data):
            if payload.startswith(b'{"type":"event"'):
                if stamp := _STAMP.search(payload):
                    self.found[1].record((now - int(stamp[1])) // 1_000)
            elif payload.startswith(b'{"type":"sent"'):
                self.found[0].record((now - self._unanswered.popleft()) // 1_000)
            elif payload.startswith((b'{"type":"error"', b'{"type":"close"')):
                self.fail(PeerError(payload.decode()))


class Crowd:
    """The commands; each is a method of its name."""

    def __init__(self, target: Target, index: int) -> None:
        self._target = target
        self._index = index
        self._tokens: list[str] = []
        self._peers: list[Peer] = []
        self._beating: asyncio.Task[None] | None = None
        self._talkers: list[tuple[Talker, str]] = []
        self._agents: list[Talker] = []
        self._found = Histogram(), Histogram()

    async def contacts(self, count: int) -> int:
        """Make contacts, each with a conversation."""
        self._tokens = await contact_tokens(self._target, count, _QUIET)
        await open_conversations(self._target, self._tokens, _QUIET)
        return len(self._tokens)

    async def warm(self, count: int) -> int:
        """Come and go: what a process needs once is there afterwards."""
        loop = asyncio.get_running_loop()
        for token in self._tokens[:count]:
            (await attach(self._target, Peer(token, loop))).close()
        return count

    async def connect(self, talking: int) -> float:
        """Let everybody connect, and stay; the last `talking` are to talk. Returns the seconds it took."""
        began = time.monotonic()
        # Who says nothing for long is sent away, also while others still come.
        self._beating = asyncio.get_running_loop().create_task(self._beat())
        turns = iter(enumerate(self._tokens))
        await asyncio.gather(*(self._connect(turns, len(self._tokens) - talking) for _ in range(AT_ONCE)))
        seconds = time.monotonic() - began
        gc.collect()
        gc.freeze()
        return seconds

    async def _connect(self, turns: Any, first: int) -> None:
        loop = asyncio.get_running_loop()
        greeted: asyncio.Future[dict[str, Any]] = loop.create_future()
        greeted.set_result({})
        for number, token in turns:
            source = f"127.0.{self._index}.{2 + number // PER_ADDRESS}"
            peer = Talker(token, loop, self._found) if number >= first else Peer(token, loop)
            await attach(self._target, peer, source)
            self._peers.append(peer)
            if isinstance(peer, Talker):
                self._talkers.append((peer, peer.connected.result()["conversations"][0]["id"]))
                peer.go_live()
            else:
                # What a generator holds for an idle session is not to fill the machine.
                peer.connected = greeted

    async def agents(self, count: int) -> int:
        """Agents come and follow those who are to talk, each its share."""
        token, loop = await agent_token(self._target), asyncio.get_running_loop()
        for number in range(count):
            agent = await attach(self._target, Talker(token, loop, self._found))
            mine = [conversation for _, conversation in self._talkers[number::count]]
            for conversation in mine:
                agent.write(json_frame({"type": "subscribe", "conversation": conversation}))
            async with asyncio.timeout(60):
                while agent.subscribed < len(mine):  # noqa: ASYNC110 - it polls what frames fill
                    await asyncio.sleep(0.01)
            agent.go_live()
            self._agents.append(agent)
            self._peers.append(agent)
        return len(self._talkers)

    async def _beat(self) -> None:
        """Each connection pings every 25 s, spread evenly."""
        due, at = 0.0, 0
        began = time.monotonic()
        while True:
            await asyncio.sleep(0.02)
            now = time.monotonic()
            due, began = due + (now - began) / PERIOD_S * len(self._peers), now
            for _ in range(int(due)):
                at = (at + 1) % len(self._peers)
                self._peers[at].write(PING)
            due -= int(due)

    async def talk(self, rate: int, seconds: float) -> dict[str, Any]:
        """Open loop: message k is meant to start at k / rate; contact and agent in turn."""
        self._found = Histogram(), Histogram()
        for peer in (*self._agents, *(peer for peer, _ in self._talkers)):
            peer.found = self._found
        start, done, total = time.monotonic_ns(), 0, int(rate * seconds)
        while done < total:
            upto = min(total, (time.monotonic_ns() - start) * rate // 1_000_000_000)
            for k in range(done, upto):
                talker = k // 2 % len(self._talkers)
                contact, conversation = self._talkers[talker]
                at = start + k * 1_000_000_000 // rate
                if k % 2:
                    self._agents[talker % len(self._agents)].say(at, conversation)
                else:
                    contact.say(at)
            done = upto
            await asyncio.sleep(TICK_S)
        await self._settled(total)
        acknowledged, delivered = self._found
        return {"sent": total, "acknowledged": acknowledged.counts, "delivered": delivered.counts}

    async def _settled(self, total: int) -> None:
        deadline = time.monotonic() + 30
        while min(each.count for each in self._found) < total:
            if time.monotonic() > deadline:
                counts = ", ".join(str(each.count) for each in self._found)
                raise PeerError(f"of {total} messages {counts} were answered, delivered; {await self.lost()}")
            await asyncio.sleep(0.01)

    async def lost(self) -> list[str]:
        """What connections failed with."""
        return [repr(peer.failure) for peer in self._peers if peer.failure is not None]


async def main() -> None:
    """Do what is asked for until the input ends."""
    host, port, index = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd(Target(host, port), index)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        name, *arguments = json.loads(line)
        answer = await getattr(crowd, name)(*arguments)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())

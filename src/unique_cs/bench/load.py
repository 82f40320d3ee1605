"""Load on one server: contacts that send, an agent that follows them all."""

import asyncio
import gc
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from unique_cs.bench.histogram import Histogram
from unique_cs.bench.peers import PING, WINDOW, Observer, Peer, PeerError, Probe, Sender
from unique_cs.bench.people import agent_token, contact_tokens
from unique_cs.bench.process import Target, cpu_seconds
from unique_cs.bench.report import Progress
from unique_cs.bench.wire import SendTable

TEXT = "Hello, my order has not arrived yet. Could you have a look?"
_PROBES = 8
_TICK = 0.001
_CATCH_UP = 60.0
_HEARTBEAT = 20.0
_BIND_ADDRESS_NO_PORT = 24  # of linux/in.h; Python 3.11 does not name it


@dataclass(slots=True)
class Load:
    """What a run of load came to."""

    messages: int
    seconds: float
    server_cpu: float
    client_cpu: float
    acknowledged: Histogram = field(default_factory=Histogram)
    delivered: Histogram = field(default_factory=Histogram)

    @property
    def rate(self) -> float:
        """Messages a second: durable, answered and delivered."""
        return self.messages / self.seconds

    def details(self) -> dict[str, object]:
        return {
            "messages": self.messages,
            "seconds": round(self.seconds, 3),
            "messages_per_second": round(self.rate),
            "server_cpu": round(self.server_cpu / self.seconds, 3),
            "client_cpu": round(self.client_cpu / self.seconds, 3),
        }


class Crowd:
    """Senders, each in its own conversation, and the observer of all of them."""

    def __init__(self, server: Target, senders: list[Sender], observer: Observer, in_flight: int) -> None:
        self._in_flight = in_flight
        self._server = server
        self._senders = senders
        self._observer = observer
        self._loop = asyncio.get_running_loop()

    @property
    def conversations(self) -> list[str]:
        return [sender.conversation for sender in self._senders]

    @property
    def answered(self) -> int:
        return sum(sender.answered for sender in self._senders)

    @property
    def delivered(self) -> int:
        return self._observer.events

    def check(self) -> None:
        """Raise what any connection failed with."""
        for peer in (self._observer, *self._senders):
            if peer.failure is not None:
                raise peer.failure

    async def offer(self, rate: int, seconds: float, progress: Progress) -> Load:
        """Open loop: message k is meant to start at k / rate, whatever the server does."""
        answered, delivered = self.answered, self.delivered
        total = int(rate * seconds)
        for probe in self._probes():
            probe.acknowledged, probe.delivered = Histogram(), Histogram()
        with progress.stage(f"{rate:,}/s for {seconds:.0f} s", lambda: f"{self.answered - answered:,} sent"):
            load = await self._measured(self._schedule(rate, total), answered, delivered, total)
        for probe in self._probes():
            load.acknowledged.merge(probe.acknowledged)
            load.delivered.merge(probe.delivered)
        return load

    async def press(self, seconds: float, progress: Progress) -> Load:
        """Closed loop: every sender keeps so many sends in flight. Counts what was answered in time."""
        answered, delivered = self.answered, self.delivered
        with progress.stage(f"full speed for {seconds:.0f} s", lambda: f"{self.answered - answered:,} sent"):
            return await self._measured(self._flood(seconds), answered, delivered, None)

    async def _measured(
        self, work: Awaitable[None], answered: int, delivered: int, total: int | None
    ) -> Load:
        gc.collect()
        gc.disable()
        try:
            server, client, began = self._server.cpu(), cpu_seconds(os.getpid()), self._loop.time()
            await work
            if total is not None:
                await self._caught_up(answered + total, delivered + total)
            seconds = self._loop.time() - began
            done = min(self.answered - answered, self.delivered - delivered)
            cpu = self._server.cpu() - server, cpu_seconds(os.getpid()) - client
            ends = sum(sender.n for sender in self._senders)
            await self._caught_up(ends, delivered + ends - answered)
        finally:
            gc.enable()
        return Load(done, seconds, *cpu)

    async def _schedule(self, rate: int, total: int) -> None:
        senders, start, done = self._senders, self._loop.time(), 0
        while done < total:
            self.check()
            upto = min(total, int((self._loop.time() - start) * rate))
            for k in range(done, upto):
                sender = senders[k % len(senders)]
                if type(sender) is Probe:
                    sender.intend(start + k / rate)
                else:
                    sender.due += 1
            for k in range(max(done, upto - len(senders)), upto):
                senders[k % len(senders)].pump()
            done = upto
            await asyncio.sleep(_TICK)

    async def _flood(self, seconds: float) -> None:
        for sender in self._senders:
            sender.due, sender.window = 1 << 40, self._in_flight
            sender.pump()
        end = self._loop.time() + seconds
        while self._loop.time() < end:
            self.check()
            await asyncio.sleep(min(0.05, max(0.0, end - self._loop.time())))
        for sender in self._senders:
            sender.due, sender.window = sender.n, WINDOW

    async def _caught_up(self, answered: int, delivered: int) -> None:
        """Wait until every message has its answer and was delivered."""
        deadline = self._loop.time() + _CATCH_UP
        while self.answered < answered or self.delivered < delivered:
            self.check()
            if self._loop.time() > deadline:
                raise PeerError(
                    f"answers to {answered - self.answered} and deliveries of "
                    f"{delivered - self.delivered} messages are missing"
                )
            await asyncio.sleep(_TICK)

    def _probes(self) -> list[Probe]:
        return [sender for sender in self._senders if isinstance(sender, Probe)]

    async def beat(self) -> None:
        """Keep the connections alive between the runs."""
        while True:
            await asyncio.sleep(_HEARTBEAT)
            for peer in (self._observer, *self._senders):
                peer.write(PING)

    def close(self) -> None:
        for peer in (self._observer, *self._senders):
            peer.close()


@asynccontextmanager
async def crowd(server: Target, size: int, in_flight: int, progress: Progress) -> AsyncIterator[Crowd]:
    """Connect new contacts that open a conversation each, and an agent that follows them."""
    loop = asyncio.get_running_loop()
    table = SendTable(TEXT)
    table.reserve(10_000)
    tokens = await contact_tokens(server, size, progress)
    made = Crowd(server, *await _connected(server, tokens, table, loop), in_flight)
    heartbeat = loop.create_task(made.beat())
    try:
        yield made
    finally:
        heartbeat.cancel()
        made.close()


async def _connected(
    server: Target, tokens: list[str], table: SendTable, loop: asyncio.AbstractEventLoop
) -> tuple[list[Sender], Observer]:
    senders = []
    for number, token in enumerate(tokens):
        kind = Probe if number < _PROBES else Sender
        senders.append(await attach(server, kind(token, loop, table)))
    await asyncio.gather(*(sender.opened for sender in senders))
    observer = await attach(server, Observer(await agent_token(server), loop))
    await _follow(observer, {sender.conversation for sender in senders})
    for sender in senders:
        if isinstance(sender, Probe):
            observer.time(sender)
    observer.go_live()
    return senders, observer


async def _follow(observer: Observer, conversations: set[str]) -> None:
    for conversation in conversations - observer.followed:
        observer.follow(conversation)
    async with asyncio.timeout(10):
        while not conversations <= observer.followed:  # noqa: ASYNC110 - it polls a set that frames fill
            await asyncio.sleep(0.01)


PeerT = TypeVar("PeerT", bound=Peer)


async def attach(server: Target, peer: PeerT, source: str = "") -> PeerT:
    """Connect a peer, from `source` where it is given, and wait until it is greeted or refused."""
    await dial(server, peer, source)
    await peer.connected
    return peer


ProtocolT = TypeVar("ProtocolT", bound=asyncio.Protocol)


async def dial(server: Target, protocol: ProtocolT, source: str = "", port: int = 0) -> ProtocolT:
    """Connect a protocol to the server's HTTP port, or another `port` of it."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    # Closing resets: thousands of ports in TIME-WAIT would be missing for the next row (RFC 9293 3.6).
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if source:
        # The port is chosen by `connect`, which looks at both ends: `bind` would search long.
        sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
    try:
        await loop.sock_connect(sock, (server.host, port or server.port))
    except BaseException:
        sock.close()
        raise
    await loop.create_connection(lambda: protocol, sock=sock)
    return protocol

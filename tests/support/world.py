"""A real server with people in it, every client recorded for the checker."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.checker import Final, View, check
from tests.support.raw import RawSocket
from tests.support.recording import Recorder, RecordingClient, final_history
from unique_cs.bench.process import INBOX_KEY, OWNER_EMAIL, OWNER_PASSWORD, ServerProcess, Target
from unique_cs.client import Connected, Fault, MemoryStore, Rest, Road, Settings
from unique_cs.client.roads import Choice

DEADLINE = 10.0


class World:
    """Makes contacts, agents and their clients; ends them all with itself."""

    def __init__(self, server: Target, stack: AsyncExitStack) -> None:
        self.server = server
        self.recorders: list[Recorder] = []
        self._stack = stack
        self._rng = random.Random(len(server.url))

    async def contact(self, name: str) -> Rest:
        """A new contact's REST client."""
        rest = await self._rest()
        await rest.contact_session(INBOX_KEY, {"name": name})
        return rest

    async def agent(self) -> Rest:
        """The owner's REST client."""
        rest = await self._rest()
        await rest.login(OWNER_EMAIL, OWNER_PASSWORD)
        return rest

    async def _rest(self) -> Rest:
        return await self._stack.enter_async_context(Rest(self.server.url))

    async def client(
        self,
        name: str,
        rest: Rest,
        *,
        contact: bool = True,
        store: MemoryStore | None = None,
        roads: Sequence[Road] | Choice = ("websocket",),
        url: str | None = None,
        addresses: Mapping[Road, str] | None = None,
    ) -> "Person":
        """A recorded client, connected by now, for whoever `rest` is signed in as."""
        assert rest.token is not None
        recorder = Recorder(name, contact=contact)
        self.recorders.append(recorder)
        settings = Settings(rng=random.Random(self._rng.random()), backoff_base=0.1, backoff_cap=0.5)
        client = Person(
            url or self.server.url,
            rest.token,
            recorder,
            store=store or MemoryStore(),
            settings=settings,
            roads=roads,
            addresses=addresses,
        )
        await self._stack.enter_async_context(client)
        await until(lambda: any(isinstance(item, Connected) for item in recorder.told))
        return client

    async def visitor(self, name: str) -> "Person":
        """A new contact's client."""
        return await self.client(name, await self.contact(name))

    async def owner(self, name: str = "owner") -> "Person":
        """A client of the owner, who sees everything that waits."""
        return await self.client(name, await self.agent(), contact=False)

    async def raw(
        self, rest: Rest | None = None, receive_buffer: int | None = None, **fields: Any
    ) -> RawSocket:
        """A bare socket; with `rest` it is connected, with `fields` in its `connect`."""
        socket = await self._stack.enter_async_context(RawSocket(self.server.url, receive_buffer))
        if rest is not None:
            await socket.connect(rest.token, **fields)
        return socket

    async def verdict(self, *, converged: bool = True) -> list[str]:
        """What the checker says of the contacts' conversations until now, against what is stored."""
        views = [recorder.view for recorder in self.recorders]
        names = {step.conversation for view in views if view.contact for step in view.steps}
        final = await final_history(await self.agent(), sorted(names))
        if converged:
            await until(lambda: all(caught_up(recorder, final) for recorder in self.recorders))
        problems = check([_about(view, names) for view in views], final, converged=converged)
        faults = [item for recorder in self.recorders for item in recorder.told if isinstance(item, Fault)]
        return problems + [f"the protocol was broken: {fault.reason}" for fault in faults]


def _about(view: View, names: set[str]) -> View:
    """An agent follows conversations of others too."""
    return replace(view, steps=[step for step in view.steps if step.conversation in names])


class Person(RecordingClient):
    """A recorded client that sends keyed messages."""

    def say(self, key: str, conversation: str | None = None, *, private: bool = False) -> asyncio.Future[Any]:
        """Send a message whose text is its key."""
        self.recorder.sending(key)
        return self.send({"kind": "text", "text": key}, conversation, private=private)

    def texts(self, conversation: str | None = None) -> list[str]:
        """The messages of others that it was shown, in order."""
        return [
            frame["data"]["body"]["text"]
            for frame in self.recorder.delivered
            if frame["name"] == "message.created" and conversation in {None, frame["conversation"]}
        ]


def caught_up(recorder: Recorder, final: Final) -> bool:
    """Whether a client's positions reach the heads."""
    heads = {name: len(timeline.rows) for name, timeline in final.items()}
    return all(seq >= heads.get(name, 0) for name, seq in recorder.positions().items())


async def until(found: Callable[[], object], deadline: float = DEADLINE) -> None:
    """Wait for a condition, at most `deadline` seconds."""
    async with asyncio.timeout(deadline):
        while not found():
            await asyncio.sleep(0.01)


async def answered(answers: Iterable[Awaitable[Any]], deadline: float = DEADLINE) -> list[Any]:
    """The final answers, in order."""
    # `wait_for` may lose a cancel that comes as it ends.
    async with asyncio.timeout(deadline):
        return list(await asyncio.gather(*answers))


@asynccontextmanager
async def running(folder: Path, **settings: str) -> AsyncIterator[ServerProcess]:
    """A server with a new data folder; `settings` are environment variables without their prefix."""
    environ = {f"UNIQUE_CS_{name.upper()}": value for name, value in settings.items()}
    server = ServerProcess(folder / "data", environ=environ)
    await server.start()
    try:
        yield server
    finally:
        status = await server.stop()
    assert status == 0, f"the server ended with {status}:\n{server.tail()}"


@asynccontextmanager
async def inhabited(server: Target) -> AsyncIterator[World]:
    """A world on a running server; whoever was made in it leaves with it."""
    async with AsyncExitStack() as stack:
        yield World(server, stack)

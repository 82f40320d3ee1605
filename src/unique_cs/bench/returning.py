"""Many who lost their connection together, and come back at once, as clients do."""

import asyncio
import random
from typing import Any

from unique_cs.bench.load import attach
from unique_cs.bench.peers import Peer, PeerError
from unique_cs.bench.people import contact_tokens
from unique_cs.bench.process import Target
from unique_cs.bench.report import Progress, Row

CROWD = 5_000
BOUND_S = 30.0
_PER_ADDRESS = 2_000
_JITTER_S = 0.5
_LOST_S = 1.0
_AT_ONCE = 64


class Returner(Peer):
    """Resumes a session."""

    __slots__ = ("_again",)

    def __init__(self, token: str, loop: asyncio.AbstractEventLoop, again: dict[str, Any]) -> None:
        super().__init__(token, loop)
        self._again = again

    def hello(self) -> dict[str, Any]:
        return super().hello() | self._again


class Returning:
    """Sessions that are connected, or not; `refused` counts those who were told to come later."""

    def __init__(self, server: Target, tokens: list[str]) -> None:
        self._server = server
        self._tokens = tokens
        self._sessions: dict[str, dict[str, Any]] = {}
        self._peers: dict[str, Returner] = {}
        self._loop = asyncio.get_running_loop()
        self._rng = random.Random(len(tokens))  # noqa: S311 - chance for a load, not for secrets
        self.refused = 0

    @property
    def here(self) -> int:
        """How many are connected."""
        return sum(peer.failure is None for peer in self._peers.values())

    @property
    def told(self) -> list[float]:
        """When those who were sent away may come back, in seconds, as the server told them."""
        failures = (peer.failure for peer in self._peers.values())
        return [failure.after for failure in failures if isinstance(failure, PeerError)]

    async def arrive(self) -> None:
        """Everybody comes for the first time, a few at once."""
        for at in range(0, len(self._tokens), _AT_ONCE):
            some = range(at, min(at + _AT_ONCE, len(self._tokens)))
            await asyncio.gather(*(self._come(number) for number in some))

    def leave(self) -> None:
        """Everybody hangs up, together."""
        for peer in self._peers.values():
            peer.close()
        self._peers = {}

    async def come_back(self) -> float:
        """Everybody resumes at once, or as told. Returns the seconds until all are in."""
        began = self._loop.time()
        await asyncio.gather(*(self._come(number) for number in range(len(self._tokens))))
        return self._loop.time() - began

    async def _come(self, number: int) -> None:
        token, source = self._tokens[number], f"127.0.0.{2 + number // _PER_ADDRESS}"
        before = self._peers.pop(token, None)
        if before is not None and isinstance(before.failure, PeerError):
            await asyncio.sleep(before.failure.after)
        while True:
            peer = Returner(token, self._loop, self._sessions.get(token, {}))
            try:
                found = await attach(self._server, peer, source)
                break
            except PeerError as error:
                self.refused += 1
                wait = error.after
            except OSError:
                wait = _LOST_S
            peer.close()
            await asyncio.sleep(wait + self._rng.uniform(0, _JITTER_S))
        self._peers[token] = found
        frame = await found.connected
        self._sessions[token] = {"session": frame["session"], "c": frame["c"] + 1}


async def returning(server: Target, progress: Progress) -> Row:
    """All of a crowd lose their connections and come back at once."""
    crowd = Returning(server, await contact_tokens(server, CROWD, progress))
    await crowd.arrive()
    crowd.leave()
    with progress.stage(f"{CROWD:,} come back", lambda: f"{crowd.here:,}"):
        seconds = await crowd.come_back()
    crowd.leave()
    details = {"seconds": seconds, "refused": crowd.refused, "sessions": CROWD}
    value = f"{seconds:.1f} s, {crowd.refused:,} told to wait"
    return Row(f"{CROWD:,} come back at once", f"<= {BOUND_S:.0f} s", value, seconds <= BOUND_S, details)

"""The HTTP fallback: a stream or polls down, requests up, one at a time."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Any, Final

import httpx2
import msgspec

from unique_cs.client.frames import judging, read_frame, read_frames
from unique_cs.client.places import Places
from unique_cs.client.roads import Ends
from unique_cs.client.state import Frame

PATH: Final = "/api/v1/stream"

FIRST_S: Final = 5.0
"""How long the first event of a stream may take; a proxy that collects the response takes longer."""

SILENCE_S: Final = 40.0
"""How long a response may say nothing: a stream has a comment every 15 s, others are answered within 25 s."""

QUIET_S: Final = 1.0
"""The shortest time from one poll to the next where a poll brought no event."""

MAX_FRAMES: Final = 256

_CODES: Final = {400: 4400, 401: 4401, 403: 4403, 409: 4409, 413: 4413, 429: 4529, 503: 4529}
_NEWS: Final = frozenset({"event", "advance", "resync", "subscribed", "close"})


class _RefusedError(Exception):
    """The server answered with a problem."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__(f"HTTP {answer.status_code}")
        # What a proxy refuses in its own name is no verdict of the server.
        ours = answer.headers.get("Content-Type", "").startswith("application/problem+json")
        self.code = _CODES.get(answer.status_code, 4500) if ours else 4500
        wait = answer.headers.get("Retry-After", "")
        self.after_ms = int(wait) * 1000 if wait.isdecimal() else 0


_LOST: Final = (_RefusedError, httpx2.HTTPError, httpx2.StreamError, OSError, TimeoutError, ValueError)


class HttpWire:
    """A connection over HTTP: the response to `connect` is the stream, other requests carry frames up."""

    def __init__(self, ends: Ends, url: str) -> None:
        """`url` is the server's HTTP address."""
        self._ends = ends
        self._http = httpx2.AsyncClient(base_url=url, timeout=SILENCE_S, trust_env=False)
        self._connect: Frame = {}
        self._session = ""
        self._max_frame = 65_536
        self._queue: deque[bytes] = deque()
        self._work = asyncio.Event()
        self._places = Places()
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = False

    def write(self, frame: Frame) -> None:
        self._places.sending(frame)
        if frame["type"] == "connect":
            self._connect = frame
            return
        self._queue.append(msgspec.json.encode(frame))
        self._work.set()

    def close(self) -> None:
        self._ended = True
        for task in self._tasks:
            task.cancel()

    def abort(self) -> None:
        self.close()

    async def run(self) -> None:
        ways: list[Awaitable[None]] = [self._down(), self._up()]
        self._tasks = [asyncio.ensure_future(way) for way in ways]
        if self._ended:
            self.close()
        done, rest = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self._http.aclose()
        self._report(next(iter(done)))

    def _report(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, _RefusedError):
            goodbye = {"type": "close", "code": error.code, "reason": str(error), "after_ms": error.after_ms}
            self._ends.wire_received(self, goodbye)
        self._ends.wire_closed(self, None, repr(error) if error else "the response ended")
        if error is not None and not isinstance(error, _LOST):
            raise error

    # Down

    async def _down(self) -> None:
        self._ends.wire_opened(self)
        async with (
            asyncio.timeout(FIRST_S) as patience,
            self._http.stream("POST", PATH, **self._request(self._connect)) as answer,
        ):
            if answer.is_error:
                raise _RefusedError(answer)
            async for line in answer.aiter_lines():
                patience.reschedule(None)
                if line.startswith("data:"):
                    self._came(read_frame(line[5:]))

    def _came(self, frame: Frame) -> None:
        if frame["type"] == "connected":
            with judging(frame):
                self._session, self._max_frame = frame["session"], int(frame["max_frame"])
        self._places.came(frame)
        self._ends.wire_received(self, frame)
        self._release()

    def _release(self) -> None:
        for frame in self._places.ready():
            self._ends.wire_received(self, frame)

    # Up

    async def _up(self) -> None:
        while True:
            await self._work.wait()
            if not self._queue:
                self._work.clear()
                continue
            batch = self._batch()
            body = batch[0] if len(batch) == 1 else b"[" + b",".join(batch) + b"]"
            answers = await self._ask(f"{PATH}/{self._session}", body)
            self._places.answered(answers)
            self._release()

    def _batch(self) -> list[bytes]:
        """What one request may carry: an array is bounded as a frame is."""
        batch = [self._queue.popleft()]
        size = len(batch[0]) + 2
        while self._queue and len(batch) < MAX_FRAMES and size + len(self._queue[0]) < self._max_frame:
            batch.append(self._queue.popleft())
            size += len(batch[-1]) + 1
        return batch

    async def _ask(self, path: str, body: bytes | Frame) -> list[Frame]:
        answer = await self._http.post(path, **self._request(body))
        if answer.is_error:
            raise _RefusedError(answer)
        return read_frames(answer.content)

    def _request(self, body: bytes | Frame) -> dict[str, Any]:
        content = body if isinstance(body, bytes) else msgspec.json.encode({**body, "token": ""})
        headers = {"Authorization": f"Bearer {self._connect['token']}", "Content-Type": "application/json"}
        return {"content": content, "headers": headers}


class PollWire(HttpWire):
    """The same with polls in the stream's place; each is a new `connect` of the session."""

    async def _down(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self._ends.wire_opened(self)
            # The first one tells the session that it is connected, news or not.
            query = "?poll=1" if self._session else "?poll=1&now=1"
            frames = await self._ask(PATH + query, self._connect)
            for frame in frames:
                self._came(frame)
            if not any(frame["type"] in _NEWS for frame in frames):
                await asyncio.sleep(began + QUIET_S - loop.time())

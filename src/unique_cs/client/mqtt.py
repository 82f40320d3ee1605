"""The road over MQTT 5: to the server's own endpoint, or through a broker that the server's bridge joins."""

import asyncio
import ssl
from collections import deque
from functools import partial
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import msgspec
from aiomqtt import Client, MqttError, ProtocolVersion, Will
from aiomqtt.exceptions import MqttConnectError

from unique_cs.client.frames import Unreadable, judging, read_frame
from unique_cs.client.roads import Ends
from unique_cs.client.state import Frame

WINDOW: Final = 20
"""PUBLISH packets without a PUBACK."""

KEEP_ALIVE_S: Final = 20
TIMEOUT_S: Final = 5.0

ANSWER_S: Final = 20.0
"""How long a send may go without any answer through a broker, which may drop what its queue can't hold."""

GOODBYE_S: Final = 2.0

_CODES: Final = {0x86: 4401, 0x87: 4401, 0x88: 4529, 0x89: 4529, 0x97: 4529, 0x9F: 4529}
"""What the server's own endpoint says in CONNACK, as close codes."""


class _EndedError(Exception):
    """This connection is over."""


_LOST: Final = (_EndedError, MqttError, OSError, TimeoutError, Unreadable)


class MqttAddress(NamedTuple):
    """Where to connect. `client` is the `{client}` of the topics; with `user` it is a broker."""

    host: str
    port: int
    tls: bool
    over_websocket: bool
    client: str
    user: str | None = None
    password: str | None = None


def read_address(url: str) -> MqttAddress:
    """Read `http(s)://…` (the server's `/mqtt`), `mqtt(s)://host:port` (its MQTT port), or a broker's
    `mqtt(s)://user:password@host:port/client`, where `client` is the user if it is left out.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    tls, over_websocket = parts.scheme in {"https", "mqtts"}, parts.scheme in {"http", "https"}
    usual = (443 if tls else 80) if over_websocket else 8883 if tls else 1883
    where = MqttAddress(
        parts.hostname, parts.port or usual, tls, over_websocket, f"unique-cs-{uuid4().hex[:16]}"
    )
    if parts.username is None:
        return where
    user = unquote(parts.username)
    client = unquote(parts.path.strip("/")) or user
    return where._replace(client=client, user=user, password=unquote(parts.password or ""))


class MqttWire:
    """One MQTT connection with one session's frames: `up` and `down` of a client id."""

    def __init__(self, ends: Ends, url: str) -> None:
        """`url` is as `read_address` takes it."""
        self._ends = ends
        self._address = read_address(url)
        self._topic = f"ucs/v1/{self._address.client}/"
        self._connect: Frame = {}
        self._connected = self._ended = False
        self._queue: deque[bytes] = deque()
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._n = 0  # the highest that was sent and is not answered
        self._heard = 0.0

    def write(self, frame: Frame) -> None:
        if frame["type"] == "connect":
            self._connect = frame
        elif frame["type"] == "send":
            self._heard = self._heard if self._n else asyncio.get_running_loop().time()
            self._n = max(self._n, frame["n"])
        self._queue.append(msgspec.json.encode(frame))
        self._work.set()

    def close(self) -> None:
        self._ended = True
        self._work.set()
        if self._client is None:
            self.abort()
        elif self._address.user is not None:
            self._queue.append(self._goodbye())

    def abort(self) -> None:
        self._ended = True
        if self._task is not None:
            self._task.cancel()

    async def run(self) -> None:
        if not self._ended:
            self._ends.wire_opened(self)
        self._task = asyncio.ensure_future(self._talk())
        if self._ended:
            self._task.cancel()
        await asyncio.wait([self._task])
        error = None if self._task.cancelled() else self._task.exception()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self._ends.wire_closed(self, self._code(error), str(error or "the connection ended"))
        if error is not None and not isinstance(error, _LOST):
            raise error

    def _code(self, error: BaseException | None) -> int | None:
        # A broker's verdict on its user is none on the token.
        if not isinstance(error, MqttConnectError) or self._address.user is not None:
            return None
        return _CODES.get(getattr(error.rc, "value", 0))

    async def _talk(self) -> None:
        async with self._open() as client, asyncio.TaskGroup() as tasks:
            client.pending_calls_threshold = WINDOW
            codes = await client.subscribe(self._topic + "down", qos=1)
            if any(getattr(code, "value", code) >= 0x80 for code in codes):
                raise _EndedError("the subscription was refused")
            self._client = client
            tasks.create_task(self._up(client, tasks))
            if self._address.user is not None:
                tasks.create_task(self._watch())
            async for message in client.messages:
                self._came(read_frame(bytes(message.payload)))

    def _open(self) -> Client:
        where = self._address
        options: dict[str, Any] = {"clean_start": True}
        if where.over_websocket:
            options |= {"transport": "websockets", "websocket_path": "/mqtt"}
        else:
            options["socket_options"] = [(IPPROTO_TCP, TCP_NODELAY, 1)]
        if where.tls:
            options["tls_context"] = ssl.create_default_context()
        is_ours = where.user is None
        return Client(
            where.host,
            where.port,
            username="token" if is_ours else where.user,
            password=self._connect.get("token") if is_ours else where.password,
            identifier=where.client,
            protocol=ProtocolVersion.V5,
            will=None if is_ours else Will(self._topic + "up", self._goodbye(), qos=1),
            timeout=TIMEOUT_S,
            keepalive=KEEP_ALIVE_S,
            max_inflight_messages=WINDOW,
            **options,
        )

    def _goodbye(self) -> bytes:
        """What tells the bridge that this connection is over, and no later one."""
        named = {"c": self._connect["c"]} if "c" in self._connect else {}
        return msgspec.json.encode({"type": "close", **named})

    # Down

    def _came(self, frame: Frame) -> None:
        if self._connected and frame["type"] == "connected":
            raise _EndedError("connected twice")
        with judging(frame):
            if not self._connected and not self._is_answer(frame):
                return
            if frame["type"] in {"sent", "error"}:
                self._answered(frame.get("n") or 0)
        self._ends.wire_received(self, frame)

    def _is_answer(self, frame: Frame) -> bool:
        """Whether the frame answers our `connect`: through a broker, others may be an older connection's."""
        if frame["type"] == "connected":
            self._connected = frame["c"] == self._connect.get("c", frame["c"])
            return self._connected
        if self._address.user is None:
            return True
        is_goodbye = frame["type"] == "close" and frame["code"] != 4409
        return is_goodbye or (frame["type"] == "error" and "n" not in frame)

    def _answered(self, n: int) -> None:
        self._heard = asyncio.get_running_loop().time()
        if n >= self._n:
            self._n = 0

    async def _watch(self) -> None:
        """End the connection where a send gets no answer: only a new `connect` brings it on its way again."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(ANSWER_S / 10)
            if self._n and loop.time() >= self._heard + ANSWER_S:
                raise _EndedError("no answer to a send")

    # Up

    async def _up(self, client: Client, tasks: asyncio.TaskGroup) -> None:
        """Publish in order, as many at once as the window lets."""
        window = asyncio.Semaphore(WINDOW)
        while self._queue or not self._ended:
            if not self._queue:
                self._work.clear()
                await self._work.wait()
                continue
            await window.acquire()
            task = tasks.create_task(client.publish(self._topic + "up", self._queue.popleft(), qos=1))
            task.add_done_callback(partial(_release, window))
        async with asyncio.timeout(GOODBYE_S):
            for _ in range(WINDOW):
                await window.acquire()
        raise _EndedError("closed")


def _release(window: asyncio.Semaphore, _: asyncio.Task[None]) -> None:
    window.release()

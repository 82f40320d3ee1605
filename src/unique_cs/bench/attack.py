"""What hostile clients cost the others: latency of a quiet server, then of one that is under attack."""

import asyncio
import contextlib
import struct
from itertools import cycle
from typing import Final, cast

from unique_cs.bench.lines import Line
from unique_cs.bench.load import dial
from unique_cs.bench.process import ServerProcess, Target
from unique_cs.bench.report import Row
from unique_cs.bench.road_rows import offer
from unique_cs.bench.roads import ROADS, enter
from unique_cs.bench.rows import Plan
from unique_cs.bench.wire import masked
from unique_cs.protocol import mqtt_packets

HOSTILE_RATE: Final = 500  # connections a second
LOITERERS: Final = 200  # connections that never finish their first request
_RATE: Final = 400  # lawful sends a second
_LINES: Final = 4  # of each road
_SECONDS: Final = 5.0
_STAY: Final = 0.5  # seconds for the server to refuse
_UPGRADE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_POST: Final = b"POST /api/v1/stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer x\r\n"
_OVERSIZED: Final = b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"\0\0\0\0" + b"x" * 65_536
_MQTT_LOGIN: Final = b"\0\x04MQTT\x04\xc2\0\x3c\0\2me\0\1x\0\5wrong"

HALF_HEAD: Final = b"GET /ws HTTP/1.1\r\nHost: localhost\r\nX-"

TO_HTTP: Final = (
    b"\0\1\2 no protocol at all\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nX: " + b"a" * 20_000,
    _UPGRADE + b"\xff\xff\xff\xff\xff\xff\xff\xff",
    _UPGRADE + _OVERSIZED,
    _UPGRADE + masked(b'{"type":"connect","token":"wrong"}'),
    _UPGRADE + masked(b'{"type":"send","n":1}'),
    _POST + b"Content-Length: 18\r\n\r\n" + b'{"type":"connect"}',
    _POST + b"Content-Length: 99999999\r\n\r\n" + b"x" * 70_000,
)
"""First bytes that end in a refusal on the HTTP port."""

TO_MQTT: Final = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x10\xff\xff\xff\x7f" + b"x" * 10_000,
    mqtt_packets.packet(0x10, _MQTT_LOGIN),
    mqtt_packets.packet(0x30, b"\0\1axx"),
)
"""The same on the MQTT port."""


class Intruder(asyncio.Protocol):
    """Says something wrong, and keeps what it hears until the server hangs up."""

    def __init__(self, words: bytes) -> None:
        self._words = words
        self.heard = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._words)

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def leave(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


async def intrude(server: Target, words: bytes, source: str, *, over_mqtt: bool, stay: float = _STAY) -> bool:
    """Say `words` from `source`; true if the server hung up within `stay` seconds."""
    try:
        intruder = await dial(server, Intruder(words), source, port=server.mqtt_port if over_mqtt else 0)
    except OSError:
        return True
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(intruder.ended), stay)
        return intruder.ended.done()
    finally:
        intruder.leave()


async def attack(server: Target) -> None:
    """Until cancelled: wrong connections at a steady rate, and some that never say what they want."""
    words = cycle([*((each, False) for each in TO_HTTP), *((each, True) for each in TO_MQTT)])
    sources = cycle(f"127.0.1.{number}" for number in range(1, 251))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(LOITERERS):
            tasks.create_task(intrude(server, HALF_HEAD, next(sources), over_mqtt=False, stay=60))
        while True:
            for _ in range(HOSTILE_RATE // 50):
                said, over_mqtt = next(words)
                tasks.create_task(intrude(server, said, next(sources), over_mqtt=over_mqtt))
            await asyncio.sleep(0.02)


async def under_attack(server: ServerProcess, tokens: list[str], plan: Plan) -> Row:
    """The p99 of lawful sends on every road, first alone and then under attack."""
    seconds = min(_SECONDS, plan.seconds)
    lines = await _lawful(server, tokens)
    await offer(lines, _RATE, 1, plan.progress)
    quiet = (await offer(lines, _RATE, seconds, plan.progress)).summary()
    before, cpu = server.resident(), server.cpu()
    hostile = asyncio.ensure_future(attack(server))
    attacked = (await offer(lines, _RATE, seconds, plan.progress)).summary()
    grown, busy = server.resident() - before, (server.cpu() - cpu) / seconds
    hostile.cancel()
    await asyncio.gather(hostile, return_exceptions=True)
    for line in lines:
        line.close()
    bound = 3 * quiet["p99"] + 20
    details = {"quiet": quiet, "attacked": attacked, "grown_bytes": grown, "server_cpu": busy}
    value = f"{attacked['p99']:.2f} ms, quiet {quiet['p99']:.2f} ms"
    name = f"p99 under attack, {HOSTILE_RATE} wrong connections/s"
    return Row(name, f"p99 <= {bound:.1f} ms", value, attacked["p99"] <= bound, details)


async def _lawful(server: Target, tokens: list[str]) -> list[Line]:
    lines: list[Line] = []
    for road in ROADS:
        mine = tokens[len(lines) : len(lines) + _LINES]
        lines += [await enter(road, server, token) for token in mine]
    return lines

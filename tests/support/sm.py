"""A client of `unique-cs.v1+sm` over a pipe, and a server's codec that works on handshakes at once."""

import functools
import random
from collections.abc import Callable
from typing import Any

from tests.support.mqtt_client import masked
from tests.support.node import House
from tests.support.pipe import Pipe
from unique_cs.bench.process import ServerProcess
from unique_cs.gateway.sm import SmCodec
from unique_cs.gateway.transports.coded import CodedTransport
from unique_cs.protocol.websocket import frame_binary
from unique_cs.sm.channel import Channel
from unique_cs.sm.handshake import begin, fingerprint, finish, make_credentials
from unique_cs.sm.keyfile import read_key
from unique_cs.sm.sm2 import key_of

IDENTITY = key_of(0x1234567)
PIN = fingerprint(IDENTITY.public)
draw = random.Random(7).randbytes


def sealed_at(server: ServerProcess) -> str:
    """The address of the sealed road to a server that has begun with a key of its own."""
    key = read_key(server.data / "plugins" / "sm" / "identity.key")
    return f"{server.url}#{fingerprint(key.public)}"


class InlineSm(SmCodec):
    """No thread: tests in which no time passes cannot wait for one."""

    def __init__(self) -> None:
        self._credentials = make_credentials(IDENTITY, draw)
        self._waiting = 0

    async def _run(self, work: Callable[[], Any]) -> Any:
        return work()


@functools.cache
def codec() -> InlineSm:
    """One for all tests: its key takes a while to make where there is no libcrypto."""
    return InlineSm()


class SmClient:
    """Shakes hands, then seals what it sends and opens what comes."""

    def __init__(self, house: House, served: SmCodec | None = None) -> None:
        self.house = house
        self.pipe = Pipe()
        self.pipe.attach(CodedTransport(house.gateway, served or codec(), "10.0.0.1"))
        self.channel: Channel | None = None
        self.code = 0

    async def shake(self) -> "SmClient":
        """Begin, and check the server's key."""
        hello = begin(draw)
        self.say(hello.message)
        await self.house.settle()
        (answer,) = self.messages()
        self.channel = finish(hello, answer, PIN)
        return self

    def say(self, message: bytes) -> None:
        """Send a message as it is."""
        self.pipe.feed(masked(frame_binary(message)))

    def seal(self, frame: bytes) -> bytes:
        """The next record."""
        assert self.channel is not None
        return self.channel.sealer.seal(frame)

    def take(self) -> list[bytes]:
        """The frames that came."""
        assert self.channel is not None
        return [self.channel.opener.open(message) for message in self.messages()]

    def messages(self) -> list[bytes]:
        """The binary messages that came since; `code` keeps that of the server's close."""
        raw, found = self.pipe.taken(), []
        while raw:
            extra = {126: 2, 127: 8}.get(raw[1], 0)
            size = int.from_bytes(raw[2 : 2 + extra], "big") if extra else raw[1]
            payload = raw[2 + extra : 2 + extra + size]
            if raw[0] == 0x82:
                found.append(payload)
            elif raw[0] == 0x88:
                self.code = int.from_bytes(payload[:2], "big")
            raw = raw[2 + extra + size :]
        return found

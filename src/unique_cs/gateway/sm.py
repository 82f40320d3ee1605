"""The shipped private codec: SM2 key agreement, then every frame in SM4-GCM."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_bytes
from typing import Any, ClassVar, Final

from unique_cs.errors import Code, SettingsError, UniqueCsError
from unique_cs.gateway.plugin import Frames, Setup
from unique_cs.protocol.codec import BadFrame
from unique_cs.sm.channel import OVERHEAD, BadRecord, Channel
from unique_cs.sm.handshake import SUBPROTOCOL, BadHello, answer, make_credentials
from unique_cs.sm.keyfile import read_or_make_key
from unique_cs.sm.sm2 import Key

MAX_WAITING: Final = 128
"""Handshakes at a time; with gmalg alone, the last of them waits three seconds."""


class SmCodec:
    """`unique-cs.v1+sm`. Handshakes are worked on by one thread; beyond its queue they are `overloaded`."""

    options: ClassVar = {"key": ""}
    subprotocol = SUBPROTOCOL
    binary = True
    overhead = OVERHEAD

    def __init__(self, setup: Setup) -> None:
        self._credentials = make_credentials(identity_key(setup), token_bytes)
        self._pool = ThreadPoolExecutor(1, "sm")
        self._waiting = 0

    def open(self, write: Callable[[bytes], None]) -> "SmCoding":
        return SmCoding(self, write)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    async def shake(self, hello: bytes) -> tuple[bytes, Channel]:
        """Answer a client's first message. Raises `bad_frame`, and `overloaded` where too many wait."""
        if self._waiting >= MAX_WAITING:
            raise UniqueCsError(Code.OVERLOADED, "too many handshakes", retry_after_ms=1000)
        self._waiting += 1
        try:
            return await self._run(lambda: answer(self._credentials, hello, token_bytes))
        except BadHello as error:
            raise BadFrame(str(error)) from error
        finally:
            self._waiting -= 1

    async def _run(self, work: Callable[[], tuple[bytes, Channel]]) -> tuple[bytes, Channel]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


class SmCoding:
    """One connection: the first message is the client's hello, all others are records."""

    __slots__ = ("_channel", "_codec", "_write")

    def __init__(self, codec: SmCodec, write: Callable[[bytes], None]) -> None:
        self._codec = codec
        self._write = write
        self._channel: Channel | None = None

    def receive(self, message: bytes) -> Frames | Coroutine[Any, Any, Frames]:
        if self._channel is None:
            return self._begin(message)
        try:
            return (self._channel.opener.open(message),)
        except BadRecord as error:
            raise BadFrame(str(error)) from error

    def send(self, frame: bytes) -> bytes | None:
        return None if self._channel is None else self._channel.sealer.seal(frame)

    async def _begin(self, hello: bytes) -> Frames:
        message, channel = await self._codec.shake(hello)
        self._write(message)
        self._channel = channel
        return ()


def identity_key(setup: Setup) -> Key:
    """The key in the file of the option `key`; without it, one in the plug-in's folder, made if need be."""
    given = setup.options["key"]
    path = Path(given) if given else setup.folder / "identity.key"
    if given and not path.is_file():
        raise SettingsError(f"the option sm.key names no file: {given}")
    try:
        return read_or_make_key(path, token_bytes)
    except (OSError, ValueError) as error:
        raise SettingsError(f"the key in {path} can't be used: {error}") from error

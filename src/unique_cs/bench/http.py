"""HTTP/1.1 over one kept connection: so little that the time seen is the server's."""

import asyncio
import json
from typing import Any, Self

from unique_cs.bench.process import Target


class HttpError(Exception):
    """The server answered with an error."""


class HttpConnection:
    """One request at a time. The server must say `Content-Length`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.token = ""

    @classmethod
    async def open(cls, server: Target) -> Self:
        return cls(*await asyncio.open_connection(server.host, server.port))

    def close(self) -> None:
        self._writer.close()

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer; raises `HttpError` for a status of 400 and more."""
        status, answer = await self.raw(method, path, body)
        if status >= 400:
            raise HttpError(f"{method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer)

    async def raw(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body as they came."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}"]
        if content:
            lines.append("Content-Type: application/json")
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        self._writer.write("\r\n".join((*lines, "", "")).encode() + content)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        at = head.index(b"content-length:") + 15
        size = int(head[at : head.index(b"\r\n", at)])
        return int(head.split(b" ", 2)[1]), await self._reader.readexactly(size)

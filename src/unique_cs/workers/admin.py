"""What all workers have counted, on a port of loopback."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

from unique_cs.config import PREFIX, Settings
from unique_cs.errors import SettingsError
from unique_cs.gateway.server import listen
from unique_cs.workers.worker import Worker

TIMEOUT_S: Final = 5.0
Away: Final = (OSError, EOFError, ValueError, IndexError, asyncio.TimeoutError)


class Admin:
    """`GET /metrics` on 127.0.0.1: the samples of every worker, with its number in the label `worker`."""

    def __init__(self, settings: Settings, workers: Callable[[], Sequence[Worker]]) -> None:
        """Takes the port, if there is one. Raises `SettingsError`."""
        self._sockets = _take(settings.admin_port)
        self._tls = _unchecked() if settings.tls_certificate else None
        self._workers = workers
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Answer, if there is a port."""
        for sock in self._sockets:
            self._servers.append(await asyncio.start_server(self._answer, sock=sock))

    def close(self) -> None:
        """Listen no longer."""
        for server in self._servers:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*Away):
            async with asyncio.timeout(2 * TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                found = head.startswith(b"GET /metrics ")
                writer.write(_response(await self.page() if found else None))
                await writer.drain()
        writer.close()

    async def page(self) -> bytes:
        """The samples of all workers that answer, in the text format of Prometheus."""
        workers = self._workers()
        pages = await asyncio.gather(*(self._page_of(worker) for worker in workers))
        known = {str(worker.index): page for worker, page in zip(workers, pages, strict=True)}
        registry = CollectorRegistry()
        registry.register(_Merged(known))
        return generate_latest(registry)

    async def _page_of(self, worker: Worker) -> str:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", worker.inside, ssl=self._tls)
                try:
                    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
                finally:
                    writer.close()
        except Away:
            return ""
        return body.decode() if b" 200 " in head[:16] else ""


class _Merged(Collector):
    """Pages of several processes as one, a family at a time."""

    def __init__(self, pages: Mapping[str, str]) -> None:
        self._pages = pages

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for worker, page in self._pages.items():
            for family in _families(page):
                merged = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    merged.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
        return families.values()


def _families(page: str) -> Iterator[Metric]:
    yield from text_string_to_metric_families(page)


def _take(port: int) -> list[socket.socket]:
    try:
        return listen("127.0.0.1", port) if port else []
    except OSError as error:
        raise SettingsError(f"{PREFIX}ADMIN_PORT {port} can't be had: {error.strerror}") from error


def _response(page: bytes | None) -> bytes:
    status = HTTPStatus.NOT_FOUND if page is None else HTTPStatus.OK
    body = status.phrase.encode() if page is None else page
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _unchecked() -> ssl.SSLContext:
    """For loopback: the certificate is of the public name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

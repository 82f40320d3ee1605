"""A real HTTP server behind the door, on a free loopback port, and raw clients for it."""

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from unique_cs.domain.origins import AllowedOrigins
from unique_cs.gateway.door import Admit, Upgrades, unbounded
from unique_cs.gateway.echo import admit_echo
from unique_cs.gateway.origin import OriginPolicy, TrustedProxies
from unique_cs.gateway.server import DEFAULT_LIMITS, HttpLimits, HttpServer, listen

PATIENCE = 10.0  # seconds after which a test gives up


class App:
    """An ASGI application that tells what it got: `METHOD path body`.

    `/slow` waits for `release`, `/early` for no body.
    """

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.running = asyncio.Event()
        self.stopped = False
        self.calls: list[str] = []
        self.starts = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.calls.append(scope["path"])
        body, more = b"", scope["path"] != "/early"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["path"] == "/slow":
            self.running.set()
            await self.release.wait()
        answer = f"{scope['method']} {scope['path']} ".encode() + body
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": f"lifespan.startup.{'complete' if self.starts else 'failed'}"})
        if self.starts:
            await receive()
            self.stopped = True
            await send({"type": "lifespan.shutdown.complete"})


class Served:
    """A running server and what a client needs to reach it."""

    def __init__(self, server: HttpServer, app: App, port: int, trust: ssl.SSLContext | None) -> None:
        self.server = server
        self.app = app
        self.port = port
        self.trust = trust

    @property
    def host(self) -> str:
        """What a browser writes into `Host`."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        """The WebSocket address of a path."""
        return f"{'wss' if self.trust else 'ws'}://{self.host}{path}"

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator["Raw"]:
        """Open a raw connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust)
        try:
            yield Raw(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()


class Raw:
    """Bytes out and bytes in, each read with a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Write pieces, each of which leaves on its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def head(self) -> str:
        """The next response's head."""
        async with asyncio.timeout(PATIENCE):
            return (await self._reader.readuntil(b"\r\n\r\n")).decode()

    async def exactly(self, size: int) -> bytes:
        """The next bytes."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readexactly(size)

    async def response(self) -> tuple[int, bytes]:
        """The status and content of the next response, which tells its length."""
        head = await self.head()
        length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length:"))
        return int(head.split()[1]), await self.exactly(int(length.split(":")[1]))

    async def rest(self) -> bytes:
        """All until the server closes."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read()


@contextlib.asynccontextmanager
async def serve(
    routes: Mapping[str, Admit] | None = None,
    *,
    certificate: Path | None = None,
    origins: Collection[str] = (),
    trusted: Collection[str] = (),
    limits: HttpLimits = DEFAULT_LIMITS,
    places: Callable[[], int] = unbounded,
) -> AsyncIterator[Served]:
    """Run a server; `certificate` turns TLS on."""
    proxies = TrustedProxies(trusted)
    policy = OriginPolicy(AllowedOrigins(origins), proxies)
    upgrades = Upgrades(routes or {"/ws": admit_echo}, policy, proxies)
    app = App()
    [sock] = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    tls = trust = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
        trust = ssl.create_default_context(cafile=certificate)
    server = HttpServer(app, [sock], upgrades, trusted_proxies=trusted, tls=tls, limits=limits, places=places)
    await server.start()
    try:
        yield Served(server, app, port, trust)
    finally:
        app.release.set()
        await server.close()


def make_certificate(path: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1 that sign themselves."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path

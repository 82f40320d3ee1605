"""`unique-cs health` against servers of every kind."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.door import make_certificate
from unique_cs.config import Settings
from unique_cs.probe import probe


class Handler(BaseHTTPRequestHandler):
    """Knows one page."""

    def do_GET(self) -> None:
        """Answer as the server does while it is alive."""
        self.send_response(200 if self.path == self.server.page else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(page: str, certificate: Path | None = None) -> Iterator[int]:
    """A server with one page; yields its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.page = page  # type: ignore[attr-defined]
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", ""])
def test_alive(host: str) -> None:
    with serving("/healthz") as port:
        assert probe(Settings(host=host, http_port=port)) == ""


def test_alive_over_tls_whatever_name_the_certificate_bears(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "server.pem")
    with serving("/healthz", certificate) as port:
        assert probe(Settings(http_port=port, tls_certificate=str(certificate))) == ""
        assert "does not answer" in probe(Settings(http_port=port))


def test_another_server_has_the_port() -> None:
    with serving("/") as port:
        assert probe(Settings(http_port=port)) == f"127.0.0.1:{port} answers 404"

"""Asks a running server whether it is alive; for container engines, which have no curl in the image."""

import http.client
import ssl
from typing import Final

from unique_cs.config import Settings

TIMEOUT_S: Final = 2.0
_ANY: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared only


def probe(settings: Settings) -> str:
    """What is wrong with the server that has these settings, on this machine; empty: it is alive."""
    host = _ANY.get(settings.host, settings.host)
    connection = _connection(host, settings.http_port, tls=bool(settings.tls_certificate))
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{host}:{settings.http_port} does not answer: {error}"
    finally:
        connection.close()
    return "" if status == http.client.OK else f"{host}:{settings.http_port} answers {status}"


def _connection(host: str, port: int, *, tls: bool) -> http.client.HTTPConnection:
    if not tls:
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    # The certificate names the public address, not this one; nothing secret is said.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)

"""Cross-origin requests (the Fetch standard, section 3.3): which other sites' scripts may read our answers.

No cookies are involved, so this grants nothing that a token does not. It is for a contact's client.
"""

import re
from typing import Final

from unique_cs.api.edge import App, Message, Receive, Scope, Send
from unique_cs.domain.origins import AllowedOrigins

_ROUTES: Final = re.compile(
    r"/api/v1/(contacts/session|conversations(/[^/]+(/(events|messages))?)?|stream(/[^/]+)?)/?"
)
_VARY: Final = (b"vary", b"origin")
_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, idempotency-key"),
    (b"access-control-max-age", b"600"),
    (b"cache-control", b"no-store"),
)
_EXPOSED: Final = (b"access-control-expose-headers", b"retry-after")


class Cors:
    """Wraps the application: an allowed origin is echoed on the routes that pages of others may call."""

    def __init__(self, app: App, allowed: AllowedOrigins) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or pass the request on and mark its answer."""
        if scope["type"] != "http" or not _ROUTES.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"")
        is_allowed = bool(origin) and self._allowed.admits(origin.decode("latin-1"))
        granted = [(b"access-control-allow-origin", origin)] if is_allowed else []
        if granted and scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _preflight(send, [_VARY, *granted, *_PREFLIGHT])
            return
        marks = [_VARY, *granted, _EXPOSED] if granted else [_VARY]
        await self._app(scope, receive, _marked(send, marks))


async def _preflight(send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _marked(send: Send, marks: list[tuple[bytes, bytes]]) -> Send:
    async def mark(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *marks]}
        await send(message)

    return mark

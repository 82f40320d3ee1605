"""The outermost layer, raw ASGI: requests a second by address, HEAD, headers that every answer carries."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec

from unique_cs.api import problems
from unique_cs.domain.flow import Buckets
from unique_cs.errors import Code, UniqueCsError
from unique_cs.ports import Clock

_INNER: Final = {"HEAD": "GET", "OPTIONS": problems.ANY_METHOD}
"""HEAD is GET without the content (RFC 9110 9.3.2). OPTIONS asks for a method that no resource has."""

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    # The inbox key and the conversation of a page's address are nobody else's.
    (b"referrer-policy", b"same-origin"),
)
_UNLESS_SET: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Edge:
    """Wraps the application. `requests` has a bucket for each address; None is no limit."""

    def __init__(self, app: App, clock: Clock, requests: Buckets | None) -> None:
        self._app = app
        self._clock = clock
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass other scopes on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wrapped = _dressed(send, scope["method"] == "HEAD")
        wait_ms = self._wait(scope)
        if wait_ms:
            await _refuse(wrapped, wait_ms)
            return
        method = _INNER.get(scope["method"])
        await self._app({**scope, "method": method} if method else scope, receive, wrapped)

    def _wait(self, scope: Scope) -> int:
        if self._requests is None:
            return 0
        host = scope["client"][0] if scope.get("client") else ""
        return self._requests.take(host, self._clock.monotonic())


def _dressed(send: Send, head: bool) -> Send:
    async def dress(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            names = {name for name, _ in headers}
            headers += _ALWAYS
            headers += (pair for pair in _UNLESS_SET if pair[0] not in names)
            message["headers"] = headers
        elif head:
            message = {**message, "body": b""}
        await send(message)

    return dress


async def _refuse(send: Send, wait_ms: int) -> None:
    error = UniqueCsError(Code.RATE_LIMITED, "too many requests from this address", retry_after_ms=wait_ms)
    problem = problems.describe(error)
    body = msgspec.json.encode(problem)
    fields = {
        "content-type": problems.MEDIA_TYPE,
        "content-length": str(len(body)),
        **problems.headers_of(problem),
    }
    headers = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

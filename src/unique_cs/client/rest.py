"""The REST calls that a client of the messaging core needs."""

from types import TracebackType
from typing import Any, Self

import httpx2

from unique_cs.client.state import Frame

PAGE = 200


class RestError(Exception):
    """The server answered with a problem document (RFC 9457), or not with JSON at all."""

    def __init__(self, status: int, code: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.retry_after = retry_after


class Rest:
    """JSON over one pool of connections, under one bearer token.

    Every call raises `RestError` for an error answer, and `httpx2.TransportError` where none came.
    """

    def __init__(self, base_url: str, token: str | None = None, timeout: float = 10.0) -> None:
        self.token = token
        self._http = httpx2.AsyncClient(base_url=base_url, timeout=timeout, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """One call below `/api/v1`; `options` may hold `params` and `headers`."""
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            options["json"] = body
        answer = await self._http.request(method, f"/api/v1{path}", headers=headers, **options)
        if answer.is_error:
            raise _error(answer)
        return answer.json() if answer.content else None

    async def contact_session(
        self, inbox: str, contact: Frame | None = None, identity_token: str | None = None
    ) -> Frame:
        """Begin or go on as a contact of the inbox; the token is used from now on."""
        body: Frame = {"inbox": inbox, "contact": contact or {}}
        if identity_token is not None:
            body["identity_token"] = identity_token
        answer: Frame = await self.call("POST", "/contacts/session", body)
        self.token = answer["token"]
        return answer

    async def login(self, email: str, password: str) -> Frame:
        """Sign in as an agent; the token is used from now on."""
        answer: Frame = await self.call("POST", "/auth/login", {"email": email, "password": password})
        self.token = answer["token"]
        return answer

    async def conversation(self, conversation: str) -> Frame:
        answer: Frame = await self.call("GET", f"/conversations/{conversation}")
        return answer

    async def conversations(self, **filters: str) -> Frame:
        answer: Frame = await self.call("GET", "/conversations", params=filters)
        return answer

    async def events(self, conversation: str, **page: int) -> Frame:
        """One page; `page` may hold `before`, `after` and `limit`."""
        answer: Frame = await self.call("GET", f"/conversations/{conversation}/events", params=page)
        return answer

    async def history(self, conversation: str, upto: int | None = None) -> tuple[str, list[Frame]]:
        """Epoch and events, oldest first, to the end or until `upto` is passed.

        Raises:
            RestError: 409, the epoch changed between two pages.
        """
        events: list[Frame] = []
        after, epoch = 0, None
        while True:
            page = await self.events(conversation, after=after, limit=PAGE)
            if epoch not in {None, page["epoch"]}:
                raise RestError(409, "conflict", "the epoch changed while the history was read")
            epoch = page["epoch"]
            events += page["events"]
            after = events[-1]["seq"] if events else after
            if not page["more"] or (upto is not None and after >= upto):
                return epoch, events

    async def post_message(self, conversation: str, body: Frame, key: str, *, private: bool = False) -> Frame:
        """Send over REST; the same `key` again stores nothing again and gives the same event."""
        answer: Frame = await self.call(
            "POST",
            f"/conversations/{conversation}/messages",
            {"body": body, "private": private},
            headers={"Idempotency-Key": key},
        )
        return answer

    async def assign(self, conversation: str, agent: str | None) -> Frame:
        answer: Frame = await self.call("POST", f"/conversations/{conversation}/assign", {"agent": agent})
        return answer

    async def set_status(self, conversation: str, status: str) -> Frame:
        answer: Frame = await self.call("POST", f"/conversations/{conversation}/status", {"status": status})
        return answer


def _error(answer: httpx2.Response) -> RestError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    wait = answer.headers.get("Retry-After")
    retry_after = float(wait) if wait is not None and wait.isdecimal() else None
    detail = problem.get("detail") or answer.reason_phrase
    return RestError(answer.status_code, problem.get("code", "internal"), detail, retry_after)

"""What the HTTP side is given: ports, use cases with state, and limits."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from litestar import Request
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation
from msgspec import Struct

from unique_cs.actions.agents import Team
from unique_cs.actions.auth import Auth
from unique_cs.actions.contacts import ContactPorts
from unique_cs.domain.flow import Buckets
from unique_cs.domain.permission import Principal
from unique_cs.errors import Code, UniqueCsError
from unique_cs.ports import Archive, Clock, Contacts, Records, Timeline

ASSETS = Path(__file__).parent / "assets"

Part = tuple[str, Callable[[], Awaitable[None]]]
"""A part of the process by name, and a check that raises when it does not work."""


class Connections(Protocol):
    """The live connections, on every node."""

    def close_principal(self, kind: str, principal_id: int) -> None: ...
    def close_logins(self, logins: Collection[int]) -> None: ...


def _let_in(*_: object) -> None:
    """There is no load."""


class Deps(Struct, frozen=True):
    """Everything that routes need.

    `caught_up` waits until what is durable now can be found in the archive, at most so many seconds.
    `metrics` gives the page of Prometheus, to whoever has `metrics_token` too; empty: no such token.
    `requests` has a bucket for each address; None is no limit. `admit_sender` gets an actor, its address and
    an inbox; it raises `overloaded` or `rate_limited` where its message is not taken now, as `admit_visitor`
    does where a visitor is not.
    """

    timeline: Timeline
    contacts: Contacts
    records: Records
    archive: Archive
    clock: Clock
    auth: Auth
    team: Team
    contact_ports: ContactPorts
    hub: Connections
    caught_up: Callable[[float], Awaitable[None]]
    metrics: Callable[[], bytes]
    parts: Sequence[Part] = ()
    metrics_token: str = ""
    max_body: int = 65_536
    max_text: int = 8_000
    requests: Buckets | None = None
    admit_sender: Callable[[Principal, str, int], None] = _let_in
    admit_visitor: Callable[[], None] = _let_in
    assets: Path = ASSETS


Injected = NamedDependency[SkipValidation[Deps]]
Asking = NamedDependency[SkipValidation[Principal]]
T = TypeVar("T")
Sent = JSONBody[SkipValidation[T]]
"""A body as it was sent: the framework would take `0` for false and `"7"` for 7; `strict` does not."""

AnyRequest = Request[Any, Any, Any]


def strict(kind: type[T], data: T) -> T:
    """The body as what it was declared to be. Raises `msgspec.ValidationError`, answered with `invalid`."""
    return msgspec.convert(data, kind)


def bearer(request: AnyRequest) -> str:
    """The token of the request (RFC 6750 2.1); empty if it has none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def principal(request: AnyRequest, deps: Injected) -> Principal:
    """Who is asking. Raises `unauthorized` or `forbidden`."""
    token = bearer(request)
    if not token:
        raise UniqueCsError(Code.UNAUTHORIZED, "a bearer token is needed")
    return await deps.auth.authenticate(token)


async def acting(principal: Asking) -> Principal:
    """The agent who is asking. Raises `forbidden` for a contact."""
    if principal.is_contact:
        raise UniqueCsError(Code.FORBIDDEN, "this is for agents")
    return principal


def address(request: AnyRequest) -> str:
    """The client's address, as the nearest trusted proxy saw it."""
    return request.client.host if request.client else ""

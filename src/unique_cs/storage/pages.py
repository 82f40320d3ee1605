"""What every timeline does the same way: numbers, names of sessions, and pages out of two tiers."""

from collections.abc import Awaitable, Callable
from hashlib import blake2b

from unique_cs.domain.conversation import Conversation
from unique_cs.domain.permission import Principal
from unique_cs.domain.stored import Stored
from unique_cs.errors import Code, UniqueCsError
from unique_cs.ports import Archive
from unique_cs.protocol.session import Session, Verdict
from unique_cs.storage import rows

Read = Callable[[int, int, int, int, bool], Awaitable[list[Stored]]]
"""As `Archive.events`: conversation, after, before, limit, newest."""


def session_key(wire_id: str) -> bytes:
    """The key of an id that the server made; anything else gets one that was never stored."""
    try:
        key = bytes.fromhex(wire_id.removeprefix("s_"))
    except ValueError:
        return rows.NO_SESSION
    return key if len(key) == 16 else rows.NO_SESSION


def request_key(principal: Principal, key: str) -> bytes:
    """The key of the session that an actor's Idempotency-Key names."""
    named = f"{principal.kind}:{principal.id}:{key}".encode()
    return blake2b(named, digest_size=16, person=b"idempotency").digest()


def check(session: Session, n: int) -> None:
    """Raise unless `n` is the number that can be taken now."""
    verdict = session.check(n)
    if verdict is Verdict.TAKE:
        return
    if verdict is Verdict.FULL:
        raise UniqueCsError(Code.RATE_LIMITED, "too many sends without an answer", retry_after_ms=50)
    raise UniqueCsError(Code.OUT_OF_ORDER, f"expected {session.expected}")


async def page(
    upper: Read,
    archive: Archive,
    conversation: Conversation,
    after: int,
    before: int,
    limit: int,
    newest: bool,
) -> list[Stored]:
    """A page of `Timeline.events`: the newest part from the upper tier, the rest from the archive."""
    before = min(before, conversation.durable + 1)
    if after + 1 >= before or limit <= 0:
        return []
    found = await upper(conversation.id, after, before, limit, newest)
    first = found[0].seq if found else before
    if first > after + 1 and not (newest and len(found) == limit):
        wanted = limit - len(found) if newest else limit
        older = await archive.events(conversation.id, after, first, wanted, newest)
        found = (older + found)[-limit:] if newest else (older + found)[:limit]
    _must_meet(found, last=before - 1) if newest else _must_meet(found, first=after + 1)
    return found


def _must_meet(page: list[Stored], first: int = 0, last: int = 0) -> None:
    """The tiers' parts of one page must meet, and begin or end where they were asked to."""
    start = first or last - len(page) + 1
    if not page or [each.seq for each in page] != list(range(start, start + len(page))):
        raise UniqueCsError(Code.INTERNAL, "the tiers do not meet: an event is missing")

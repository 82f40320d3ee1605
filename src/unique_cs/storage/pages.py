"""What every timeline needs: the key of a session's id, and pages that are whole."""

from unique_cs.errors import Code, UniqueCsError
from unique_cs.ports import Stored
from unique_cs.storage import rows


def session_key(wire_id: str) -> bytes:
    """The key of an id that the server made; anything else gets one that was never stored."""
    try:
        key = bytes.fromhex(wire_id.removeprefix("s_"))
    except ValueError:
        return rows.NO_SESSION
    return key if len(key) == 16 else rows.NO_SESSION


def must_meet(page: list[Stored], first: int = 0, last: int = 0) -> None:
    """The tiers' parts of one page must meet, and begin or end where they were asked to."""
    start = first or last - len(page) + 1
    if not page or [each.seq for each in page] != list(range(start, start + len(page))):
        raise UniqueCsError(Code.INTERNAL, "the tiers do not meet: an event is missing")

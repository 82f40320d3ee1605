"""The one gate: nobody gets a conversation except through here.

"No access" and "no such id" are the same refusal, so ids tell nothing.
"""

from unique_cs.domain.conversation import Conversation
from unique_cs.domain.ids import parse
from unique_cs.domain.permission import Principal, may_see
from unique_cs.errors import not_found
from unique_cs.ports import Timeline


async def conversation(timeline: Timeline, principal: Principal, wire_id: str) -> Conversation:
    """Return the conversation that `wire_id` names; raises `not_found` if the actor may not see it."""
    number = parse(wire_id)
    found = await timeline.conversation(number) if number else None
    return check(principal, found)


def check(principal: Principal, found: Conversation | None) -> Conversation:
    """Return `found` if the actor may see it; raises `not_found` if not, or if there is none."""
    if found is None or not may_see(principal, found):
        raise not_found()
    return found

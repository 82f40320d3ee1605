"""What agents do with a conversation: assign it, change its status, label it."""

from unique_cs.actions.messages import decide_and_append
from unique_cs.domain import conversation as rules
from unique_cs.domain.conversation import Conversation, Draft
from unique_cs.domain.events import SYSTEM, Named
from unique_cs.domain.permission import Principal
from unique_cs.errors import Code, UniqueCsError
from unique_cs.ports import Timeline


async def assign(
    timeline: Timeline, principal: Principal, conversation: Conversation, assignee: Named | None
) -> None:
    """Give the conversation to an agent, or to nobody. Durable on return; agents only."""
    _agents_only(principal)
    await decide_and_append(
        timeline, principal, conversation, lambda current: rules.decide_assign(current, assignee)
    )


async def transfer(
    timeline: Timeline, principal: Principal, conversation: Conversation, assignee: Named
) -> None:
    """Give a conversation that the actor has to another agent. Durable on return; agents only.

    Raises `conflict` where the actor has it no longer.
    """
    _agents_only(principal)

    def decide(current: Conversation) -> list[Draft]:
        if current.assignee is None or current.assignee.id != principal.actor.id:
            raise UniqueCsError(Code.CONFLICT, "the conversation is not yours any more")
        return rules.decide_assign(current, assignee)

    await decide_and_append(timeline, principal, conversation, decide)


async def set_status(
    timeline: Timeline, principal: Principal, conversation: Conversation, status: str, until: int | None
) -> None:
    """Change the status; `until` (ms) goes with snoozed. Durable on return; agents only."""
    _agents_only(principal)
    await decide_and_append(
        timeline, principal, conversation, lambda current: rules.decide_status(current, status, until)
    )


async def wake(timeline: Timeline, conversation: Conversation, state_seq: int) -> None:
    """Open a snoozed conversation, unless its state has changed since. Durable on return."""

    def decide(current: Conversation) -> list[Draft]:
        same = current.status == "snoozed" and current.state_seq == state_seq
        return rules.decide_status(current, "open") if same else []

    await decide_and_append(timeline, Principal("system", 0, SYSTEM), conversation, decide)


async def set_labels(
    timeline: Timeline, principal: Principal, conversation: Conversation, labels: list[str]
) -> None:
    """Replace the labels. Durable on return; agents only."""
    _agents_only(principal)
    await decide_and_append(
        timeline, principal, conversation, lambda current: rules.decide_labels(current, labels)
    )


def _agents_only(principal: Principal) -> None:
    if principal.is_contact:
        raise UniqueCsError(Code.FORBIDDEN, "this is for agents")

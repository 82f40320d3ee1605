"""Conversations: lists, one, and what agents change."""

from typing import Annotated, Final

from litestar import Router, get, post
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from unique_cs.actions import access
from unique_cs.actions import conversations as use_cases
from unique_cs.api.deps import Asking, Deps, Injected, Sent, strict
from unique_cs.api.views import ConversationView, Id, Status, Time, view_conversation
from unique_cs.domain.conversation import STATUSES
from unique_cs.domain.events import Named
from unique_cs.domain.ids import parse
from unique_cs.domain.permission import Principal
from unique_cs.domain.stored import ConversationQuery, ConversationRow
from unique_cs.errors import UniqueCsError, invalid, not_found

CATCH_UP_S = 0.5
"""How long a list waits until what was durable when it was asked for can be found."""

Cursor = Annotated[
    str,
    QueryParameter(
        pattern=r"^([1-9][0-9]{0,18}-[1-9][0-9]{0,18})?$(?!\n)", description="The `cursor` of the page before"
    ),
]
_ID: Final = "[1-9][0-9]{0,18}"
_MAX_ID: Final = 2**63 - 1
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


class Conversations(Struct):
    """A page of conversations, newest activity first; `cursor` leads to the next, null at the end."""

    conversations: list[ConversationView]
    cursor: str | None


class AssignRequest(Struct):
    """Whom to give the conversation to, one of the two; null is nobody."""

    agent: Id | UnsetType | None = UNSET
    team: Id | UnsetType | None = UNSET


class StatusRequest(Struct):
    """The new status; `until` goes with `snoozed`: at that time (ms) the system opens the conversation."""

    status: Status
    until: Time | None = None


class LabelsRequest(Struct):
    """The whole new set of labels."""

    labels: Annotated[list[Annotated[str, Meta(pattern=r"\S", max_length=50)]], Meta(max_length=50)]


@get("/conversations", operation_id="list_conversations")
async def list_conversations(
    principal: Asking,
    deps: Injected,
    status: Annotated[str, QueryParameter(pattern=rf"^({'|'.join(STATUSES)})?$(?!\n)")] = "",
    assignee: Annotated[
        str,
        QueryParameter(
            pattern=rf"^(me|none|{_ID})?$(?!\n)", description="`me`, `none` or the id of an agent"
        ),
    ] = "",
    inbox: Annotated[
        str, QueryParameter(pattern=rf"^({_ID})?$(?!\n)", description="The id of an inbox")
    ] = "",
    q: Annotated[
        str,
        QueryParameter(
            max_length=200,
            description="Part of the contact's name, e-mail, identifier, or, for agents, of the last message",
        ),
    ] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Conversations:
    """List conversations, newest activity first. A contact sees its own only."""
    return await find_page(deps, principal, status, assignee, inbox, q, cursor, limit)


async def find_page(
    deps: Deps, principal: Principal, status: str, assignee: str, inbox: str, q: str, cursor: str, limit: int
) -> Conversations:
    """A page of those that the caller may see and that fit what it asked for, each part empty or usable."""
    query = ConversationQuery(
        contact=principal.id if principal.is_contact else None,
        status=status or None,
        assignee=_assignee(principal, assignee),
        inbox=_number(inbox) if inbox else None,
        text=q.strip(),
        limit=limit,
    )
    return await list_page(deps, principal, query, cursor)


def _assignee(principal: Principal, wanted: str) -> int | None:
    if not wanted:
        return None
    if wanted == "me":
        return principal.id
    return 0 if wanted == "none" else _number(wanted)


def _number(text: str) -> int:
    """The id in digits; what is too large for one becomes one that was never issued."""
    number = parse(text)
    if not number:
        raise invalid("an id is 1 to 19 digits")
    return min(number, _MAX_ID)


async def list_page(deps: Deps, principal: Principal, query: ConversationQuery, cursor: str) -> Conversations:
    """A page of what `query` finds, after `cursor`, each shown as it is now."""
    await deps.caught_up(CATCH_UP_S)
    if cursor:
        query = replace(query, before=_read_cursor(cursor))
    rows = await deps.archive.find(query)
    shown = [await _show(deps, principal, row, query) for row in rows]
    last = rows[-1] if len(rows) == query.limit else None
    return Conversations([each for each in shown if each], f"{last.updated_at}-{last.id}" if last else None)


def _read_cursor(cursor: str) -> tuple[int, int]:
    time, _, last = cursor.partition("-")
    return _number(time), _number(last)


async def _show(
    deps: Deps, principal: Principal, row: ConversationRow, query: ConversationQuery
) -> ConversationView | None:
    """The conversation, unless it has changed meanwhile and is not wanted any more."""
    try:
        conversation = await access.conversation(deps.timeline, principal, str(row.id))
    except UniqueCsError:
        return None
    assignee = int(conversation.assignee.id) if conversation.assignee else 0
    if query.status not in (None, conversation.status) or query.assignee not in (None, assignee):
        return None
    return await view_conversation(deps, principal, conversation)


@get("/conversations/{conversation_id:str}", operation_id="get_conversation")
async def get_conversation(
    conversation_id: FromPath[str], principal: Asking, deps: Injected
) -> ConversationView:
    """Show a conversation."""
    conversation = await access.conversation(deps.timeline, principal, conversation_id)
    return await view_conversation(deps, principal, conversation)


@post("/conversations/{conversation_id:str}/assign", operation_id="assign_conversation", status_code=200)
async def assign(
    conversation_id: FromPath[str], data: Sent[AssignRequest | None], principal: Asking, deps: Injected
) -> ConversationView:
    """Give the conversation to an agent, or to nobody. Agents only; durable with the answer."""
    wanted = _wanted(data)
    conversation = await access.conversation(deps.timeline, principal, conversation_id)
    assignee = agent_named(deps, wanted) if wanted is not None else None
    await use_cases.assign(deps.timeline, principal, conversation, assignee)
    return await view_conversation(deps, principal, conversation)


def _wanted(data: AssignRequest | None) -> str | None:
    """The id of the agent who is to have it, None for nobody. Raises `not_found`, `invalid`."""
    if data is None:
        return None
    request = strict(AssignRequest, data)
    if isinstance(request.team, str):
        raise not_found("no team has this id")
    if request.agent is UNSET:
        if request.team is UNSET:
            raise invalid("an agent, a team or null is needed")
        return None
    return request.agent


def agent_named(deps: Deps, wire_id: str) -> Named:
    """The agent that may be given conversations. Raises `not_found`."""
    agent = deps.records.agent(parse(wire_id))
    if agent is None or agent.disabled:
        raise not_found("no agent with this id can take conversations")
    return Named(str(agent.id), agent.name)


@post("/conversations/{conversation_id:str}/status", operation_id="set_conversation_status", status_code=200)
async def set_status(
    conversation_id: FromPath[str], data: Sent[StatusRequest], principal: Asking, deps: Injected
) -> ConversationView:
    """Change the status. Agents only; durable with the answer."""
    wanted = strict(StatusRequest, data)
    conversation = await access.conversation(deps.timeline, principal, conversation_id)
    await use_cases.set_status(deps.timeline, principal, conversation, wanted.status, wanted.until)
    return await view_conversation(deps, principal, conversation)


@post("/conversations/{conversation_id:str}/labels", operation_id="set_conversation_labels", status_code=200)
async def set_labels(
    conversation_id: FromPath[str], data: Sent[LabelsRequest], principal: Asking, deps: Injected
) -> ConversationView:
    """Replace the labels. Agents only; durable with the answer."""
    labels = strict(LabelsRequest, data).labels
    conversation = await access.conversation(deps.timeline, principal, conversation_id)
    await use_cases.set_labels(deps.timeline, principal, conversation, labels)
    return await view_conversation(deps, principal, conversation)


router = Router(
    "/api/v1",
    route_handlers=[list_conversations, get_conversation, assign, set_status, set_labels],
    tags=["Conversations"],
)

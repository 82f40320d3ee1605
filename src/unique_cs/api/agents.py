"""Agents and inboxes."""

from litestar import Router, get, patch
from litestar.params import FromPath
from msgspec import Struct

from unique_cs.actions import agents as use_cases
from unique_cs.api.deps import Asking, Injected, Sent, strict
from unique_cs.api.views import AgentView, InboxSecretsView, InboxView, view_agent, view_inbox
from unique_cs.domain.ids import parse
from unique_cs.domain.permission import may_administer
from unique_cs.errors import Code, UniqueCsError, not_found


class Agents(Struct):
    """Every agent of the account."""

    agents: list[AgentView]


class Inboxes(Struct):
    """Every inbox of the account."""

    inboxes: list[InboxView]


class AgentChange(Struct):
    """What to change of an agent."""

    disabled: bool


@get("/agents", operation_id="list_agents")
async def list_agents(acting: Asking, deps: Injected) -> Agents:
    """List the agents."""
    return Agents([view_agent(each) for each in deps.records.agents()])


@patch("/agents/{agent_id:str}", operation_id="change_agent")
async def change_agent(
    agent_id: FromPath[str], data: Sent[AgentChange], acting: Asking, deps: Injected
) -> AgentView:
    """Disable an agent, which closes its connections, or enable it again. Owners and administrators only."""
    disabled = strict(AgentChange, data).disabled
    changed = await use_cases.set_disabled(deps.records, acting, parse(agent_id), disabled)
    if changed.disabled:
        deps.hub.close_principal("agent", changed.id)
    return view_agent(changed)


@get("/inboxes", operation_id="list_inboxes")
async def list_inboxes(acting: Asking, deps: Injected) -> Inboxes:
    """List the inboxes."""
    return Inboxes([view_inbox(each) for each in deps.records.inboxes()])


@get("/inboxes/{inbox_id:str}", operation_id="get_inbox")
async def get_inbox(inbox_id: FromPath[str], acting: Asking, deps: Injected) -> InboxSecretsView:
    """Show an inbox with the secret that signs its identity tokens. Owners and administrators only."""
    if not may_administer(acting):
        raise UniqueCsError(Code.FORBIDDEN, "this is for owners and administrators")
    inbox = deps.records.inbox(parse(inbox_id))
    if inbox is None:
        raise not_found()
    return InboxSecretsView(
        str(inbox.id),
        inbox.name,
        inbox.key,
        inbox.identity_algorithm,
        inbox.identity_secret,
        inbox.allowed_origins,
    )


router = Router(
    "/api/v1", route_handlers=[list_agents, change_agent, list_inboxes, get_inbox], tags=["Account"]
)

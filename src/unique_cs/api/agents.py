"""Agents and inboxes."""

from typing import Annotated, Literal

from litestar import Router, get, patch, post
from litestar.params import FromPath
from msgspec import UNSET, Meta, Struct, UnsetType

from unique_cs.actions import inboxes as use_cases
from unique_cs.actions.agents import Change, require_administrator
from unique_cs.api.auth import NewPassword
from unique_cs.api.deps import Asking, Injected, Sent, strict
from unique_cs.api.views import AgentView, Id, InboxSecretsView, InboxView, view_agent, view_inbox
from unique_cs.domain.ids import parse
from unique_cs.domain.people import Inbox
from unique_cs.errors import not_found

Name = Annotated[str, Meta(pattern=r"\S", max_length=300)]
Role = Literal["agent", "admin"]
Email = Annotated[
    str, Meta(pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$(?!\n)", max_length=320, description="As `a@b`")
]
Origin = Annotated[
    str,
    Meta(
        pattern=r"^(\*|[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._:\[\]-]+/?)$(?!\n)",
        max_length=300,
        description="`https://host[:port]`, or `*` for all",
    ),
]


class Agents(Struct):
    """Every agent of the account."""

    agents: list[AgentView]


class Inboxes(Struct):
    """Every inbox of the account."""

    inboxes: list[InboxView]


class AgentRequest(Struct):
    """A new agent. Without a password a random one is made."""

    email: Email
    name: Name
    role: Role
    password: NewPassword | UnsetType = UNSET


class NewAgentView(Struct):
    """An agent who was made; a random password is shown only here."""

    id: Id
    name: str
    email: str
    role: str
    disabled: bool
    password: str | UnsetType = UNSET


class AgentChange(Struct):
    """What to change of an agent; what is left out stays."""

    name: Name | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class PasswordAnswer(Struct):
    """An agent's new password. It is shown only here."""

    password: str


class InboxChange(Struct):
    """What to change of an inbox; what is left out stays."""

    name: Name | UnsetType = UNSET
    allowed_origins: Annotated[list[Origin], Meta(max_length=100)] | UnsetType = UNSET


@get("/agents", operation_id="list_agents")
async def list_agents(acting: Asking, deps: Injected) -> Agents:
    """List the agents."""
    return Agents([view_agent(each) for each in deps.records.agents()])


@post("/agents", operation_id="add_agent", status_code=201)
async def add_agent(data: Sent[AgentRequest], acting: Asking, deps: Injected) -> NewAgentView:
    """Make an agent. Owners and administrators only; an administrator is made by an owner."""
    given = strict(AgentRequest, data)
    agent, password = await deps.team.add(
        acting, email=given.email, name=given.name.strip(), role=given.role, password=given.password or ""
    )
    shown = view_agent(agent)
    return NewAgentView(shown.id, shown.name, shown.email, shown.role, shown.disabled, password or UNSET)


@patch("/agents/{agent_id:str}", operation_id="change_agent")
async def change_agent(
    agent_id: FromPath[str], data: Sent[AgentChange], acting: Asking, deps: Injected
) -> AgentView:
    """Rename an agent, change its role, or disable it, which closes its connections, or enable it again.

    Owners and administrators only; roles are an owner's to give. Nobody disables an owner or itself.
    """
    given = strict(AgentChange, data)
    change = _change(given)
    changed = await deps.team.change(acting, parse(agent_id), change)
    if changed.disabled:
        deps.hub.close_principal("agent", changed.id)
    return view_agent(changed)


@post("/agents/{agent_id:str}/password", operation_id="reset_password", status_code=200)
async def reset_password(agent_id: FromPath[str], acting: Asking, deps: Injected) -> PasswordAnswer:
    """Give an agent a random password, end its logins and close their connections.

    Owners and administrators only; an administrator's password is an owner's to reset, an owner's nobody's.
    """
    password, ended = await deps.team.reset_password(acting, parse(agent_id))
    deps.hub.close_logins(ended)
    return PasswordAnswer(password)


def _change(given: AgentChange) -> Change:
    return Change(
        None if given.name is UNSET else given.name.strip(),
        None if given.role is UNSET else given.role,
        None if given.disabled is UNSET else given.disabled,
    )


@get("/inboxes", operation_id="list_inboxes")
async def list_inboxes(acting: Asking, deps: Injected) -> Inboxes:
    """List the inboxes."""
    return Inboxes([view_inbox(each) for each in deps.records.inboxes()])


@get("/inboxes/{inbox_id:str}", operation_id="get_inbox")
async def get_inbox(inbox_id: FromPath[str], acting: Asking, deps: Injected) -> InboxSecretsView:
    """Show an inbox with the secret that signs its identity tokens. Owners and administrators only."""
    require_administrator(acting)
    inbox = deps.records.inbox(parse(inbox_id))
    if inbox is None:
        raise not_found()
    return _view_secrets(inbox)


@patch("/inboxes/{inbox_id:str}", operation_id="change_inbox")
async def change_inbox(
    inbox_id: FromPath[str], data: Sent[InboxChange], acting: Asking, deps: Injected
) -> InboxSecretsView:
    """Rename an inbox, or say which sites may use it. Owners and administrators only."""
    given = strict(InboxChange, data)
    name = None if given.name is UNSET else given.name.strip()
    origins = None if given.allowed_origins is UNSET else given.allowed_origins
    return _view_secrets(await use_cases.change(deps.records, acting, parse(inbox_id), name, origins))


def _view_secrets(inbox: Inbox) -> InboxSecretsView:
    return InboxSecretsView(
        str(inbox.id),
        inbox.name,
        inbox.key,
        inbox.identity_algorithm,
        inbox.identity_secret,
        inbox.allowed_origins,
    )


router = Router(
    "/api/v1",
    route_handlers=[
        list_agents,
        add_agent,
        change_agent,
        reset_password,
        list_inboxes,
        get_inbox,
        change_inbox,
    ],
    tags=["Account"],
)

"""Signing in and out."""

from typing import Annotated

from litestar import Router, delete, get, post
from litestar.params import FromPath
from msgspec import Meta, Struct

from unique_cs.actions.passwords import MAX_LENGTH, MIN_LENGTH
from unique_cs.api.deps import AnyRequest, Asking, Injected, Sent, address, strict
from unique_cs.api.views import AgentView, Id, Time, view_agent
from unique_cs.domain.ids import parse
from unique_cs.domain.people import Login
from unique_cs.errors import Code, UniqueCsError


class LoginRequest(Struct):
    """An agent's credentials."""

    email: Annotated[str, Meta(max_length=320)]
    password: Annotated[str, Meta(max_length=MAX_LENGTH)]


NewPassword = Annotated[str, Meta(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]


class PasswordChange(Struct):
    """An agent's own password, old and new."""

    old: Annotated[str, Meta(max_length=MAX_LENGTH)]
    new: NewPassword


class LoginAnswer(Struct):
    """A new login. The token is shown only here."""

    token: str
    agent: AgentView


class Me(Struct):
    """The agent who is asking."""

    agent: AgentView


class LoginView(Struct):
    """One of an agent's logins; `current` is the one of this request."""

    id: Id
    created_at: Time
    last_seen_at: Time
    user_agent: str
    ip: str
    current: bool


class Logins(Struct):
    """The agent's logins, newest first."""

    sessions: list[LoginView]


@post("/auth/login", operation_id="login", status_code=200, security=[{}])
async def login(data: Sent[LoginRequest], request: AnyRequest, deps: Injected) -> LoginAnswer:
    """Sign an agent in. Attempts are limited by address and by e-mail."""
    given = strict(LoginRequest, data)
    made = await deps.auth.login(
        given.email,
        given.password,
        ip=address(request),
        user_agent=request.headers.get("user-agent", ""),
    )
    return LoginAnswer(made.token, view_agent(made.agent))


@post("/auth/logout", operation_id="logout", status_code=204)
async def logout(acting: Asking, deps: Injected) -> None:
    """End this login and close its connections."""
    await deps.auth.revoke(acting, acting.login)
    deps.hub.close_logins([acting.login])


@get("/auth/sessions", operation_id="list_logins")
async def sessions(acting: Asking, deps: Injected) -> Logins:
    """List the agent's own logins."""
    return Logins([_view(each, acting.login) for each in await deps.auth.logins(acting)])


@delete("/auth/sessions/{session_id:str}", operation_id="revoke_login", status_code=204)
async def revoke(session_id: FromPath[str], acting: Asking, deps: Injected) -> None:
    """End one of the agent's own logins and close its connections."""
    number = parse(session_id)
    await deps.auth.revoke(acting, number)
    deps.hub.close_logins([number])


@get("/me", operation_id="me")
async def me(acting: Asking, deps: Injected) -> Me:
    """Say who is asking."""
    found = deps.records.agent(acting.id)
    if found is None:
        raise UniqueCsError(Code.UNAUTHORIZED, "the token is not valid")
    return Me(view_agent(found))


@post("/me/password", operation_id="change_own_password", status_code=204)
async def change_password(
    data: Sent[PasswordChange], request: AnyRequest, acting: Asking, deps: Injected
) -> None:
    """Change the agent's own password and end its other logins. Attempts are limited as those to sign in."""
    given = strict(PasswordChange, data)
    ended = await deps.team.change_password(acting, given.old, given.new, ip=address(request))
    deps.hub.close_logins(ended)


def _view(login: Login, current: int) -> LoginView:
    return LoginView(
        str(login.id), login.created_at, login.last_seen_at, login.user_agent, login.ip, login.id == current
    )


router = Router(
    "/api/v1", route_handlers=[login, logout, sessions, revoke, me, change_password], tags=["Signing in"]
)

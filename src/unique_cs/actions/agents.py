"""The team: what owners and administrators do with agents, and agents with their own passwords."""

from collections.abc import Callable
from secrets import token_urlsafe

from msgspec import Struct
from msgspec.structs import replace

from unique_cs.actions.auth import Auth
from unique_cs.actions.passwords import Passwords
from unique_cs.domain.people import Agent
from unique_cs.domain.permission import Principal, may_administer
from unique_cs.errors import Code, UniqueCsError, not_found
from unique_cs.ports import Records


class Change(Struct, frozen=True):
    """What to change of an agent; None leaves it."""

    name: str | None = None
    role: str | None = None
    disabled: bool | None = None


class Team:
    """The agents of the account. Closing connections is the caller's.

    Everything but `change_password` is for owners and administrators and raises `forbidden` for others.
    """

    def __init__(self, records: Records, auth: Auth, passwords: Passwords, ids: Callable[[], int]) -> None:
        self._records = records
        self._auth = auth
        self._passwords = passwords
        self._ids = ids

    async def add(
        self, principal: Principal, *, email: str, name: str, role: str, password: str
    ) -> tuple[Agent, str]:
        """Make an agent; durable on return. An empty password becomes a random one, which is returned.

        Only an owner makes administrators. Raises `conflict` where the e-mail is taken.
        """
        require_administrator(principal)
        if role != "agent":
            _require_owner(principal)
        made = "" if password else _random_password()
        phc = await self._passwords.hash(password or made)
        agent = Agent(self._ids(), email, name, role, phc)
        if not await self._records.add_agent(agent):
            raise UniqueCsError(Code.CONFLICT, "another agent has this e-mail")
        return agent, made

    async def change(self, principal: Principal, agent_id: int, change: Change) -> Agent:
        """Rename an agent, change its role, disable it or enable it again; durable on return.

        Nobody disables an owner or itself, or changes their roles; roles are an owner's to give.
        """
        require_administrator(principal)
        changed = await self._records.change_agent(agent_id, lambda agent: _changed(principal, agent, change))
        return _found(changed)

    async def reset_password(self, principal: Principal, agent_id: int) -> tuple[str, list[int]]:
        """Give an agent a random password and end its logins; return it and the logins' ids.

        An administrator does this to agents, an owner to administrators too; nobody to owners or itself.
        """
        require_administrator(principal)
        _require_below(principal, _found(self._records.agent(agent_id)))
        password = _random_password()
        phc = await self._passwords.hash(password)
        changed = await self._records.change_agent(
            agent_id, lambda agent: replace(_require_below(principal, agent), password=phc)
        )
        return password, await self._auth.end_logins(_found(changed).id)

    async def change_password(self, principal: Principal, old: str, new: str, *, ip: str) -> list[int]:
        """Change the agent's own password and end its other logins, whose ids are returned.

        Raises `forbidden` if `old` is wrong, `rate_limited`, and `conflict` if it was changed meanwhile.
        """
        checked = await self._auth.check_own_password(principal, old, ip=ip)
        phc = await self._passwords.hash(new)

        def change(agent: Agent) -> Agent:
            if agent.password != checked.password:
                raise UniqueCsError(Code.CONFLICT, "the password was changed meanwhile")
            return replace(agent, password=phc)

        await self._records.change_agent(checked.id, change)
        return await self._auth.end_logins(checked.id, keep=principal.login)


def require_administrator(principal: Principal) -> None:
    """Raise `forbidden` unless it is an owner or an administrator."""
    if not may_administer(principal):
        raise UniqueCsError(Code.FORBIDDEN, "this is for owners and administrators")


def _require_owner(principal: Principal) -> None:
    if principal.role != "owner":
        raise UniqueCsError(Code.FORBIDDEN, "only an owner gives roles")


def _require_below(principal: Principal, agent: Agent) -> Agent:
    """The agent, if its password is the principal's to reset: whoever has it can act as that agent."""
    if agent.role == "owner" or agent.id == principal.id:
        raise UniqueCsError(Code.FORBIDDEN, "owners change their own passwords, and so do you")
    if agent.role == "admin" and principal.role != "owner":
        raise UniqueCsError(Code.FORBIDDEN, "only an owner resets an administrator's password")
    return agent


def _changed(principal: Principal, agent: Agent, change: Change) -> Agent:
    is_protected = agent.role == "owner" or agent.id == principal.id
    if change.disabled is not None and is_protected:
        raise UniqueCsError(Code.FORBIDDEN, "an owner can't be disabled, nor can you disable yourself")
    if change.role is not None and is_protected:
        raise UniqueCsError(Code.FORBIDDEN, "an owner's role can't be changed, nor your own")
    if (change.name is not None and agent.role == "owner") or change.role not in (None, agent.role):
        _require_owner(principal)
    return Agent(
        agent.id,
        agent.email,
        agent.name if change.name is None else change.name,
        agent.role if change.role is None else change.role,
        agent.password,
        agent.disabled if change.disabled is None else change.disabled,
    )


def _found(agent: Agent | None) -> Agent:
    if agent is None:
        raise not_found()
    return agent


def _random_password() -> str:
    return token_urlsafe(12)

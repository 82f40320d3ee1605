"""Inboxes, agents and their logins in memory, for tests and simulation."""

from collections.abc import Callable

from msgspec.structs import replace

from unique_cs.domain.people import Agent, Inbox, Login


class MemoryRecords:
    """`Records` in memory."""

    def __init__(self) -> None:
        self._inboxes: dict[int, Inbox] = {}
        self._agents: dict[int, Agent] = {}
        self._logins: dict[int, Login] = {}

    def inbox(self, inbox: int) -> Inbox | None:
        """Return the inbox, or None."""
        return self._inboxes.get(inbox)

    def inbox_by_key(self, key: str) -> Inbox | None:
        """Return the inbox with that public key, or None."""
        return next((inbox for inbox in self._inboxes.values() if inbox.key == key), None)

    def inboxes(self) -> list[Inbox]:
        """Every inbox, oldest first."""
        return sorted(self._inboxes.values(), key=lambda inbox: inbox.id)

    def agent(self, agent: int) -> Agent | None:
        """Return the agent, or None."""
        return self._agents.get(agent)

    def agent_by_email(self, email: str) -> Agent | None:
        """Return the agent with that e-mail, without regard to case, or None."""
        wanted = email.casefold()
        return next((agent for agent in self._agents.values() if agent.email.casefold() == wanted), None)

    def agents(self) -> list[Agent]:
        """Every agent, oldest first."""
        return sorted(self._agents.values(), key=lambda agent: agent.id)

    async def add_agent(self, agent: Agent) -> bool:
        """Add an agent unless its e-mail is taken, without regard to case; say whether it was done."""
        if self.agent_by_email(agent.email) is not None:
            return False
        self._agents[agent.id] = agent
        return True

    async def change_agent(self, agent: int, change: Callable[[Agent], Agent]) -> Agent | None:
        """Store what `change` makes of the agent and return it; None if there is no such agent."""
        if agent not in self._agents:
            return None
        changed = self._agents[agent] = change(self._agents[agent])
        return changed

    async def change_inbox(self, inbox: int, change: Callable[[Inbox], Inbox]) -> Inbox | None:
        """Store what `change` makes of the inbox and return it; None if there is no such inbox."""
        if inbox not in self._inboxes:
            return None
        changed = self._inboxes[inbox] = change(self._inboxes[inbox])
        return changed

    async def first_start(self, owner: Agent, inbox: Inbox) -> bool:
        """Insert both if there is no agent; say whether it was done."""
        if self._agents:
            return False
        self._agents[owner.id] = owner
        self._inboxes[inbox.id] = inbox
        return True

    async def add_login(self, login: Login) -> None:
        """Add a login."""
        self._logins[login.id] = login

    async def touch_login(self, login: int, now_ms: int) -> bool:
        """Set when the login was seen last; False if there is no such login."""
        if login in self._logins:
            self._logins[login] = replace(self._logins[login], last_seen_at=now_ms)
        return login in self._logins

    async def login_by_hash(self, token_hash: str) -> Login | None:
        """Return the login whose token has that hash, or None."""
        return next((login for login in self._logins.values() if login.token_hash == token_hash), None)

    async def logins(self, agent: int) -> list[Login]:
        """The agent's logins, newest first."""
        found = [login for login in self._logins.values() if login.agent == agent]
        return sorted(found, key=lambda login: login.id, reverse=True)

    async def delete_login(self, login: int) -> None:
        """Delete the login if it exists."""
        self._logins.pop(login, None)

    async def delete_logins(self, agent: int, keep: int) -> list[Login]:
        """Delete the agent's logins except `keep`, and return them, newest first."""
        deleted = [each for each in await self.logins(agent) if each.id != keep]
        for each in deleted:
            del self._logins[each.id]
        return deleted

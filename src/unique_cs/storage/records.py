"""Inboxes, agents and their logins in SQL. Inboxes and agents are held in memory: all requests need them."""

import asyncio
from collections.abc import Callable

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from unique_cs.domain.people import Agent, Inbox, Login
from unique_cs.storage.schema import agents as agents_table
from unique_cs.storage.schema import inboxes as inboxes_table
from unique_cs.storage.schema import installation as installation_table
from unique_cs.storage.schema import logins as logins_table
from unique_cs.storage.sql import Database

_FIRST_START = "first_start"
# Locked while an agent is added: no unique key knows of two spellings of one e-mail.
_ADDING = select(installation_table).where(installation_table.c.name == "agents").with_for_update()


class SqlRecords:
    """`Records` in SQL. Make it with `open`. `on_change` is called when something was changed here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # What is held in memory changes in the order in which it was committed.
        self._changing = asyncio.Lock()
        self._inboxes: dict[int, Inbox] = {}
        self._agents: dict[int, Agent] = {}
        self.on_change: Callable[[], None] = lambda: None

    @classmethod
    async def open(cls, database: Database) -> "SqlRecords":
        """Read inboxes and agents."""
        records = cls(database)
        await records.reload()
        return records

    async def reload(self) -> None:
        """Read inboxes and agents again."""
        read = self._database.read
        async with self._changing:
            inboxes = await read(lambda connection: connection.execute(select(inboxes_table)).all())
            agents = await read(lambda connection: connection.execute(select(agents_table)).all())
            self._inboxes = {row.id: _inbox(*row) for row in inboxes}
            self._agents = {row.id: Agent(*row) for row in agents}

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
        wanted = agent.email.casefold()

        def transaction(connection: Connection) -> bool:
            connection.execute(_ADDING).all()
            taken = connection.execute(select(agents_table.c.email)).scalars()
            if any(email.casefold() == wanted for email in taken):
                return False
            connection.execute(insert(agents_table).values(asdict(agent)))
            return True

        async with self._changing:
            added = await self._database.write(transaction)
            if added:
                self._agents[agent.id] = agent
                self.on_change()
        return added

    async def change_agent(self, agent: int, change: Callable[[Agent], Agent]) -> Agent | None:
        """Store what `change` makes of the agent and return it; None if there is no such agent."""

        def transaction(connection: Connection) -> Agent | None:
            mine = agents_table.c.id == agent
            row = connection.execute(select(agents_table).where(mine).with_for_update()).first()
            if row is None:
                return None
            changed = change(Agent(*row))
            connection.execute(update(agents_table).where(mine).values(asdict(changed)))
            return changed

        async with self._changing:
            changed = await self._database.write(transaction)
            if changed is not None:
                self._agents[agent] = changed
                self.on_change()
        return changed

    async def change_inbox(self, inbox: int, change: Callable[[Inbox], Inbox]) -> Inbox | None:
        """Store what `change` makes of the inbox and return it; None if there is no such inbox."""

        def transaction(connection: Connection) -> Inbox | None:
            mine = inboxes_table.c.id == inbox
            row = connection.execute(select(inboxes_table).where(mine).with_for_update()).first()
            if row is None:
                return None
            changed = change(_inbox(*row))
            connection.execute(update(inboxes_table).where(mine).values(_inbox_values(changed)))
            return changed

        async with self._changing:
            changed = await self._database.write(transaction)
            if changed is not None:
                self._inboxes[inbox] = changed
                self.on_change()
        return changed

    async def first_start(self, owner: Agent, inbox: Inbox) -> bool:
        """Insert both if there is no agent; say whether it was done. Of many nodes one does it."""
        if self._agents:
            return False

        def transaction(connection: Connection) -> None:
            # The row that only one transaction can make.
            mark = insert(installation_table).values(name=_FIRST_START, value=str(owner.id))
            connection.execute(mark)
            connection.execute(insert(agents_table).values(asdict(owner)))
            connection.execute(insert(inboxes_table).values(_inbox_values(inbox)))

        try:
            await self._database.write(transaction)
            done = True
        except IntegrityError:
            done = False
        await self.reload()
        return done

    async def add_login(self, login: Login) -> None:
        """Add a login."""
        statement = insert(logins_table).values(asdict(login))
        await self._database.write(lambda connection: connection.execute(statement))

    async def touch_login(self, login: int, now_ms: int) -> bool:
        """Set when the login was seen last; False if there is no such login."""
        statement = update(logins_table).where(logins_table.c.id == login).values(last_seen_at=now_ms)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount > 0)

    async def login_by_hash(self, token_hash: str) -> Login | None:
        """Return the login whose token has that hash, or None."""
        query = select(logins_table).where(logins_table.c.token_hash == token_hash)
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return Login(*row) if row else None

    async def logins(self, agent: int) -> list[Login]:
        """The agent's logins, newest first."""
        query = select(logins_table).where(logins_table.c.agent == agent).order_by(logins_table.c.id.desc())
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [Login(*row) for row in rows]

    async def delete_login(self, login: int) -> None:
        """Delete the login if it exists."""
        statement = delete(logins_table).where(logins_table.c.id == login)
        await self._database.write(lambda connection: connection.execute(statement))

    async def delete_logins(self, agent: int, keep: int) -> list[Login]:
        """Delete the agent's logins except `keep`, and return them, newest first."""
        theirs = (logins_table.c.agent == agent) & (logins_table.c.id != keep)

        def transaction(connection: Connection) -> list[Login]:
            found = select(logins_table).where(theirs).order_by(logins_table.c.id.desc()).with_for_update()
            rows = connection.execute(found).all()
            connection.execute(delete(logins_table).where(theirs))
            return [Login(*row) for row in rows]

        return await self._database.write(transaction)


def _inbox(
    inbox_id: int, name: str, key: str, identity_secret: str, identity_algorithm: str, allowed_origins: str
) -> Inbox:
    origins = msgspec.json.decode(allowed_origins, type=list[str])
    return Inbox(inbox_id, name, key, identity_secret, identity_algorithm, origins)


def _inbox_values(inbox: Inbox) -> dict[str, object]:
    origins = msgspec.json.encode(inbox.allowed_origins).decode()
    return {**asdict(inbox), "allowed_origins": origins}

"""Who is asking: agents' logins, and the principal behind a token."""

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from unique_cs.actions.passwords import Passwords
from unique_cs.actions.tokens import AGENT_PREFIX, ContactTokens, hash_of, new_agent_token
from unique_cs.domain.events import Actor
from unique_cs.domain.flow import MakeBuckets, network_of, own_buckets
from unique_cs.domain.people import Agent, Login
from unique_cs.domain.permission import Principal
from unique_cs.errors import Code, StorageUnavailable, UniqueCsError, not_found
from unique_cs.ports import Clock, Contacts, Records
from unique_cs.protocol.notices import Ended

CACHED_S: Final = 5.0
"""For how long a login is believed without asking the store, where that answers."""

ANSWER_S: Final = 2.0
"""How long the store has to answer for a login that is remembered; a store that is cut off says nothing."""

_TOUCH_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000
_MAX_CACHED: Final = 100_000


class LoggedIn(Struct, frozen=True):
    """A new login: its token is shown once and kept as a hash only."""

    token: str
    agent: Agent


class Auth:
    """Logins of agents and checks of tokens.

    `logins_per_minute` limits attempts by IP and by e-mail; None is no limit. A login ends `login_days` after
    it was last used.
    """

    def __init__(
        self,
        records: Records,
        contacts: Contacts,
        tokens: ContactTokens,
        passwords: Passwords,
        clock: Clock,
        ids: Callable[[], int],
        *,
        login_days: int,
        logins_per_minute: int | None,
        make_buckets: MakeBuckets = own_buckets,
    ) -> None:
        self._records = records
        self._contacts = contacts
        self._tokens = tokens
        self._passwords = passwords
        self._clock = clock
        self._ids = ids
        self._valid_ms = login_days * _DAY_MS
        per_minute = logins_per_minute
        self._attempts = per_minute and make_buckets("login", per_minute / 60, per_minute)
        self._cache: dict[str, tuple[Login, float]] = {}

    async def login(self, email: str, password: str, *, ip: str, user_agent: str) -> LoggedIn:
        """Log an agent in.

        Raises `unauthorized` for a wrong e-mail or password alike, `forbidden` for a disabled agent,
        `rate_limited` and `overloaded`.
        """
        agent = await self._matching(email, password, ip)
        if agent is None:
            raise UniqueCsError(Code.UNAUTHORIZED, "wrong e-mail or password")
        if agent.disabled:
            raise UniqueCsError(Code.FORBIDDEN, "this agent is disabled")
        token, now = new_agent_token(), self._clock.now_ms()
        login = Login(self._ids(), agent.id, hash_of(token), now, now, user_agent[:300], ip)
        await self._records.add_login(login)
        return LoggedIn(token, agent)

    async def check_own_password(self, principal: Principal, password: str, *, ip: str) -> Agent:
        """Return the agent if this is its password; attempts count as those of `login` do.

        Raises `forbidden` if it is not, `rate_limited` and `overloaded`.
        """
        agent = self._records.agent(principal.id)
        found = await self._matching(agent.email, password, ip) if agent else None
        if found is None:
            raise UniqueCsError(Code.FORBIDDEN, "the old password is wrong")
        return found

    async def _matching(self, email: str, password: str, ip: str) -> Agent | None:
        self._admit(f"ip:{network_of(ip)}")
        # Who is turned away already must not use up what there is for the rightful owner of the e-mail.
        self._admit(f"email:{email.casefold()}")
        agent = self._records.agent_by_email(email)
        matches = await self._passwords.check(password, agent.password if agent else None)
        # The password may have been changed while the thread was at work: then the old one matched.
        now = self._records.agent_by_email(email)
        return now if matches and agent and now and now.password == agent.password else None

    def _admit(self, key: str) -> None:
        wait_ms = self._attempts.take(key, self._clock.monotonic()) if self._attempts else 0
        if wait_ms:
            raise UniqueCsError(Code.RATE_LIMITED, "too many login attempts", retry_after_ms=wait_ms)

    async def authenticate(self, token: str) -> Principal:
        """Return who holds the token.

        Raises `unauthorized` where it was not issued here, has expired or was revoked, and `forbidden` for a
        blocked contact or a disabled agent.
        """
        if token.startswith(AGENT_PREFIX):
            return await self._agent(token)
        return await self._contact(token)

    async def _contact(self, token: str) -> Principal:
        claim = self._tokens.read(token, self._clock.now_ms())
        contact = await self._contacts.contact(claim.contact) if claim else None
        if contact is None:
            raise _unauthorized()
        if contact.blocked:
            raise UniqueCsError(Code.FORBIDDEN, "this contact is blocked")
        actor = Actor("contact", str(contact.id), contact.name)
        return Principal("contact", contact.id, actor)

    async def _agent(self, token: str) -> Principal:
        login = await self._login(hash_of(token))
        agent = self._records.agent(login.agent)
        if agent is None:
            raise _unauthorized()
        if agent.disabled:
            raise UniqueCsError(Code.FORBIDDEN, "this agent is disabled")
        actor = Actor("agent", str(agent.id), agent.name)
        return Principal("agent", agent.id, actor, role=agent.role, login=login.id)

    async def _login(self, token_hash: str) -> Login:
        login, until = self._cache.get(token_hash, (None, 0.0))
        if login is None or self._clock.monotonic() >= until:
            login = await self._stored(token_hash, login)
        if login is None or self._is_over(login):
            self._cache.pop(token_hash, None)
            raise _unauthorized()
        self._keep(login, until)
        return login

    def _is_over(self, login: Login) -> bool:
        return self._clock.now_ms() - login.last_seen_at >= self._valid_ms

    async def _stored(self, token_hash: str, known: Login | None) -> Login | None:
        """The login as the store has it; while that is away, who was let in here before gets in."""
        try:
            async with asyncio.timeout(None if known is None else ANSWER_S):
                return await self._used(await self._records.login_by_hash(token_hash))
        except (StorageUnavailable, TimeoutError) as error:
            # Its end may have been heard of meanwhile.
            if known is None or token_hash not in self._cache:
                raise StorageUnavailable("the database is away") from error
            return known

    async def _used(self, login: Login | None) -> Login | None:
        """Let the store know now and then that the login is used; None if there is none."""
        now = self._clock.now_ms()
        if login is None or self._is_over(login) or now - login.last_seen_at < _TOUCH_MS:
            return login
        try:
            there = await self._records.touch_login(login.id, now)
        except StorageUnavailable:
            return login
        return replace(login, last_seen_at=now) if there else None

    def _keep(self, login: Login, until: float) -> None:
        now = self._clock.monotonic()
        self._cache[login.token_hash] = (login, until if until > now else now + CACHED_S)
        if len(self._cache) > _MAX_CACHED:
            del self._cache[next(iter(self._cache))]

    async def logins(self, principal: Principal) -> list[Login]:
        """The agent's own logins that are still valid, newest first."""
        oldest = self._clock.now_ms() - self._valid_ms
        return [each for each in await self._records.logins(principal.id) if each.last_seen_at > oldest]

    async def revoke(self, principal: Principal, login_id: int) -> None:
        """End one of the agent's own logins. Raises `not_found`. Closing its connections is the caller's."""
        login = next((each for each in await self._records.logins(principal.id) if each.id == login_id), None)
        if login is None:
            raise not_found()
        self._cache.pop(login.token_hash, None)
        await self._records.delete_login(login_id)
        # A check that began before the deletion may have put it back.
        self._cache.pop(login.token_hash, None)

    def forget(self, ended: Ended) -> None:
        """These were ended on another node: nobody gets in by what is remembered of them."""
        agent = ended.id if ended.kind == "agent" else 0
        for token_hash, (login, _) in list(self._cache.items()):
            if login.id in ended.logins or login.agent == agent:
                del self._cache[token_hash]

    def doubt(self) -> None:
        """Some may have been ended unheard: the store is asked again before anybody gets in."""
        for token_hash, (login, _) in self._cache.items():
            self._cache[token_hash] = login, 0.0

    async def end_logins(self, agent: int, *, keep: int = 0) -> list[int]:
        """End an agent's logins except `keep`, and return their ids. Closing connections is the caller's."""
        ended = await self._records.delete_logins(agent, keep)
        for login in ended:
            self._cache.pop(login.token_hash, None)
        return [login.id for login in ended]


def _unauthorized() -> UniqueCsError:
    return UniqueCsError(Code.UNAUTHORIZED, "the token is not valid")

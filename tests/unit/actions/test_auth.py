"""Logins and the check of tokens, without HTTP."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import pytest
from msgspec.structs import replace

from unique_cs.actions import auth, passwords
from unique_cs.actions.auth import CACHED_S, Auth
from unique_cs.actions.passwords import Passwords, hash_password
from unique_cs.actions.tokens import ContactTokens, hash_of
from unique_cs.domain.events import Actor
from unique_cs.domain.people import Agent, Contact, Inbox, Login
from unique_cs.domain.permission import Principal
from unique_cs.errors import Code, StorageUnavailable, UniqueCsError
from unique_cs.ports import Contacts
from unique_cs.protocol.notices import Ended
from unique_cs.storage.records_memory import MemoryRecords

DAY = 86_400_000
MEI = Agent(2, "mei@example.com", "Mei", "agent", hash_password("correct horse"))


class Clock:
    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


async def _nothing() -> None:
    return


class CountingRecords(MemoryRecords):
    """Counts what goes to the store."""

    def __init__(self) -> None:
        super().__init__()
        self.read = self.written = 0
        self.before_touch: Callable[[], Awaitable[None]] = _nothing
        self.before_read: Callable[[], Awaitable[object]] = _nothing
        self.away = False

    def _ask(self) -> None:
        if self.away:
            raise StorageUnavailable("the database is away")

    async def login_by_hash(self, token_hash: str) -> Login | None:
        await self.before_read()
        self._ask()
        self.read += 1
        return await super().login_by_hash(token_hash)

    async def add_login(self, login: Login) -> None:
        self.written += 1
        await super().add_login(login)

    async def touch_login(self, login: int, now_ms: int) -> bool:
        self._ask()
        self.written += 1
        await self.before_touch()
        return await super().touch_login(login, now_ms)


class People:
    """Two contacts."""

    def __init__(self) -> None:
        self.kept = {5: Contact(5, 3, "Ann"), 6: Contact(6, 3, "Eve", blocked=True)}

    async def contact(self, contact: int) -> Contact | None:
        return self.kept.get(contact)


class Bench:
    """An `Auth` with what lies below it."""

    def __init__(self) -> None:
        self.clock, self.records, self.passwords = Clock(), CountingRecords(), Passwords()
        self.tokens = ContactTokens(b"secret", 365)
        numbers = iter(range(100, 10_000))
        self.auth = Auth(
            self.records,
            cast("Contacts", People()),
            self.tokens,
            self.passwords,
            self.clock,
            lambda: next(numbers),
            login_days=30,
            logins_per_minute=None,
        )

    async def token(self) -> str:
        made = await self.auth.login(MEI.email, "correct horse", ip="192.0.2.1", user_agent="test")
        self.records.read = self.records.written = 0
        return made.token

    async def refusal(self, token: str) -> Code:
        with pytest.raises(UniqueCsError) as raised:
            await self.auth.authenticate(token)
        return raised.value.code


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    await made.records.first_start(MEI, Inbox(3, "Website", "shop"))
    yield made
    made.passwords.close()


async def test_an_agent_is_who_signed_in(bench: Bench) -> None:
    principal = await bench.auth.authenticate(await bench.token())
    assert principal == Principal("agent", 2, Actor("agent", "2", "Mei"), role="agent", login=100)


async def test_a_contact_is_who_its_token_names(bench: Bench) -> None:
    principal = await bench.auth.authenticate(bench.tokens.issue(3, 5, bench.clock.ms))
    assert principal == Principal("contact", 5, Actor("contact", "5", "Ann"))
    assert await bench.refusal(bench.tokens.issue(3, 6, bench.clock.ms)) is Code.FORBIDDEN
    assert await bench.refusal(bench.tokens.issue(3, 7, bench.clock.ms)) is Code.UNAUTHORIZED


async def test_the_store_holds_no_token(bench: Bench) -> None:
    token = await bench.token()
    [login] = await bench.records.logins(2)
    assert login.token_hash == hash_of(token)
    assert token not in repr(login)
    assert await bench.refusal(hash_of(token)) is Code.UNAUTHORIZED


async def test_a_storm_of_reconnects_asks_the_store_once(bench: Bench) -> None:
    token = await bench.token()
    for _ in range(1_000):
        await bench.auth.authenticate(token)
    assert (bench.records.read, bench.records.written) == (1, 0)


async def test_a_login_that_another_node_revoked_is_out_after_a_few_seconds(bench: Bench) -> None:
    token = await bench.token()
    await bench.auth.authenticate(token)
    await bench.records.delete_login(100)
    await bench.auth.authenticate(token)
    bench.clock.ms += int(CACHED_S * 1000)
    assert await bench.refusal(token) is Code.UNAUTHORIZED


async def test_who_was_here_gets_in_while_the_store_is_away(bench: Bench) -> None:
    """Long after what is remembered was read; a login of which nothing is remembered has to wait."""
    here, elsewhere = await bench.token(), await bench.token()
    await bench.auth.authenticate(here)
    bench.records.away = True
    bench.clock.ms += DAY
    assert (await bench.auth.authenticate(here)).id == 2
    assert await bench.refusal(elsewhere) is Code.OVERLOADED
    bench.auth.forget(Ended(logins=[100]))
    assert await bench.refusal(here) is Code.OVERLOADED
    bench.records.away = False
    await bench.records.delete_login(100)
    assert await bench.refusal(here) is Code.UNAUTHORIZED
    assert (await bench.auth.authenticate(elsewhere)).id == 2


async def test_a_store_that_is_cut_off_keeps_nobody_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing at all; a client that connects gives up after seconds, and comes again."""
    token = await bench.token()
    await bench.auth.authenticate(token)
    monkeypatch.setattr(auth, "ANSWER_S", 0.01)
    bench.records.before_read = asyncio.Event().wait
    bench.clock.ms += DAY
    assert (await bench.auth.authenticate(token)).id == 2


async def test_nobody_gets_in_whose_end_is_heard_of_while_the_store_is_asked(bench: Bench) -> None:
    token = await bench.token()
    login = (await bench.auth.authenticate(token)).login

    async def heard() -> None:
        bench.auth.forget(Ended(logins=[login]))

    bench.records.before_read, bench.records.away = heard, True
    bench.clock.ms += DAY
    assert [await bench.refusal(token) for _ in range(2)] == [Code.OVERLOADED] * 2


async def test_nobody_gets_in_who_was_disabled_elsewhere_while_the_store_is_away(bench: Bench) -> None:
    """This node can't read who is disabled, and is told."""
    token = await bench.token()
    await bench.auth.authenticate(token)
    bench.records.away = True
    bench.auth.forget(Ended("contact", 2))
    assert (await bench.auth.authenticate(token)).id == 2
    bench.auth.forget(Ended("agent", 2))
    assert await bench.refusal(token) is Code.OVERLOADED


async def test_a_node_that_is_told_of_it_remembers_no_revoked_login(bench: Bench) -> None:
    token, other = await bench.token(), await bench.token()
    login = (await bench.auth.authenticate(token)).login
    await bench.auth.authenticate(other)
    await bench.records.delete_login(login)
    bench.auth.forget(Ended(logins=[login]))
    assert await bench.refusal(token) is Code.UNAUTHORIZED
    await bench.auth.authenticate(other)


async def test_a_node_that_may_have_missed_it_asks_the_store(bench: Bench) -> None:
    token, other = await bench.token(), await bench.token()
    login = (await bench.auth.authenticate(token)).login
    await bench.auth.authenticate(other)
    await bench.records.delete_login(login)
    bench.auth.doubt()
    assert await bench.refusal(token) is Code.UNAUTHORIZED
    bench.records.away = True
    await bench.auth.authenticate(other)


async def test_use_does_not_bring_back_a_login_that_is_being_revoked(bench: Bench) -> None:
    token = await bench.token()
    bench.clock.ms += DAY
    bench.records.before_touch = lambda: bench.records.delete_login(100)
    assert await bench.refusal(token) is Code.UNAUTHORIZED
    assert await bench.records.logins(MEI.id) == []
    assert await bench.refusal(token) is Code.UNAUTHORIZED


async def test_a_revoked_login_is_out_here_at_once(bench: Bench) -> None:
    token = await bench.token()
    principal = await bench.auth.authenticate(token)
    await bench.auth.revoke(principal, principal.login)
    assert await bench.refusal(token) is Code.UNAUTHORIZED
    with pytest.raises(UniqueCsError):
        await bench.auth.revoke(principal, principal.login)


async def test_an_agent_who_was_disabled_or_is_gone(bench: Bench) -> None:
    token = await bench.token()
    await bench.records.change_agent(MEI.id, lambda agent: replace(agent, disabled=True))
    assert await bench.refusal(token) is Code.FORBIDDEN
    bench.records._agents.clear()
    assert await bench.refusal(token) is Code.UNAUTHORIZED


async def test_use_is_noted_now_and_then_and_prolongs_a_login(bench: Bench) -> None:
    token = await bench.token()
    bench.clock.ms += DAY
    for _ in range(3):
        await bench.auth.authenticate(token)
    assert bench.records.written == 1
    bench.clock.ms += 29 * DAY
    await bench.auth.authenticate(token)
    bench.clock.ms += 30 * DAY
    assert await bench.refusal(token) is Code.UNAUTHORIZED
    principal = Principal("agent", 2, Actor("agent", "2", "Mei"))
    assert await bench.auth.logins(principal) == []


async def test_an_unknown_e_mail_costs_as_much_as_a_wrong_password(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    matches = passwords._matches

    def count(password: str, phc: str) -> bool:
        checked.append(phc.rpartition("$")[0].rpartition("$")[0])
        return matches(password, phc)

    monkeypatch.setattr(passwords, "_matches", count)
    for email in (MEI.email, "nobody@example.com"):
        with pytest.raises(UniqueCsError) as raised:
            await bench.auth.login(email, "wrong", ip="192.0.2.1", user_agent="")
        assert raised.value.code is Code.UNAUTHORIZED
    # The same work: the same algorithm with the same parameters.
    assert checked == ["$argon2id$v=19$m=19456,t=3,p=1"] * 2


async def test_logins_wait_in_a_bounded_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def wait(password: str, phc: str) -> bool:
        return release.wait(10)

    monkeypatch.setattr(passwords, "_matches", wait)
    made = Passwords()
    waiting = [asyncio.create_task(made.check("x", "phc")) for _ in range(50)]
    await asyncio.sleep(0)
    with pytest.raises(UniqueCsError) as raised:
        await made.check("x", "phc")
    assert (raised.value.code, raised.value.retry_after_ms) == (Code.OVERLOADED, 2_000)
    release.set()
    assert all(await asyncio.gather(*waiting))
    made.close()


async def test_passwords_are_salted_and_strange_ones_work() -> None:
    made = Passwords()
    assert hash_password("x") != hash_password("x")
    for password in ("", "密码 🔑", "x" * 1_000, "nul\0inside"):
        phc = hash_password(password)
        assert await made.check(password, phc)
        assert not await made.check(password + "x", phc)
    assert not await made.check("", None)
    made.close()

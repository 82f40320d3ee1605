"""Signing in and out over REST."""

from msgspec.structs import replace

from tests.unit.api.harness import DAY_MS, MEI, OWNER, PASSWORD, Harness, is_problem, opened


async def test_an_agent_signs_in_and_says_who_it_is(harness: Harness) -> None:
    answer = await harness.anyone.ok(
        "POST", "auth/login", {"email": "OWNER@example.com", "password": PASSWORD}
    )
    agent = {
        "id": "1",
        "email": OWNER.email,
        "name": "Olga",
        "role": "owner",
        "disabled": False,
    }
    assert answer["agent"] == agent
    assert await harness.caller(answer["token"]).ok("GET", "me") == {"agent": agent}


async def test_a_wrong_password_and_an_unknown_e_mail_look_alike(harness: Harness) -> None:
    wrong = await harness.anyone.post("auth/login", {"email": OWNER.email, "password": "x"})
    unknown = await harness.anyone.post("auth/login", {"email": "nobody@example.com", "password": "x"})
    assert is_problem(wrong, 401, "unauthorized")
    assert wrong.json() == unknown.json()
    assert wrong.headers["www-authenticate"] == "Bearer"


async def test_without_a_valid_token_nothing_is_shown(harness: Harness) -> None:
    for token in ("", "x", "uca_x", "ucc_x", "ucc_", "uca_" + "A" * 43):
        assert is_problem(await harness.caller(token).get("me"), 401, "unauthorized")
    basic = {"authorization": "Basic b3duZXI6cGFzc3dvcmQ="}
    assert is_problem(await harness.anyone.get("me", headers=basic), 401, "unauthorized")


async def test_a_token_in_the_address_is_not_looked_at(harness: Harness) -> None:
    agent = await harness.agent()
    for name in ("token", "access_token", "authorization"):
        answer = await harness.anyone.get("me", params={name: agent.token})
        assert is_problem(answer, 401, "unauthorized")
        assert agent.token not in answer.text


async def test_signing_out_ends_the_login_and_its_connections(harness: Harness) -> None:
    agent = await harness.agent()
    [session] = (await agent.ok("GET", "auth/sessions"))["sessions"]
    assert session["current"]
    assert (await agent.post("auth/logout")).status_code == 204
    assert harness.closed.said == [("login", int(session["id"]))]
    assert is_problem(await agent.get("me"), 401, "unauthorized")


async def test_logins_are_listed_and_revoked(harness: Harness) -> None:
    first, second = await harness.agent(), await harness.agent()
    sessions = (await second.ok("GET", "auth/sessions"))["sessions"]
    assert [each["current"] for each in sessions] == [True, False]
    assert set(sessions[0]) == {"id", "created_at", "last_seen_at", "user_agent", "ip", "current"}
    other = sessions[1]["id"]
    assert (await second.call("DELETE", f"auth/sessions/{other}")).status_code == 204
    assert is_problem(await first.get("me"), 401, "unauthorized")
    assert (await second.get("me")).status_code == 200
    assert harness.closed.said == [("login", int(other))]


async def test_nobody_revokes_another_agents_login(harness: Harness) -> None:
    owner, mei = await harness.agent(), await harness.agent(MEI.email)
    [session] = (await mei.ok("GET", "auth/sessions"))["sessions"]
    assert is_problem(await owner.call("DELETE", f"auth/sessions/{session['id']}"), 404, "not_found")
    assert is_problem(await owner.call("DELETE", "auth/sessions/abc"), 404, "not_found")
    assert (await mei.get("me")).status_code == 200


async def test_a_disabled_agent_is_out_at_once(harness: Harness) -> None:
    owner, mei = await harness.agent(), await harness.agent(MEI.email)
    changed = await owner.ok("PATCH", "agents/2", {"disabled": True})
    assert changed["disabled"]
    assert harness.closed.said == [("agent", 2)]
    assert is_problem(await mei.get("me"), 403, "forbidden")
    again = await harness.anyone.post("auth/login", {"email": MEI.email, "password": PASSWORD})
    assert is_problem(again, 403, "forbidden")
    wrong = await harness.anyone.post("auth/login", {"email": MEI.email, "password": "x"})
    assert is_problem(wrong, 401, "unauthorized")
    await owner.ok("PATCH", "agents/2", {"disabled": False})
    assert (await mei.get("me")).status_code == 200


async def test_only_owners_and_administrators_disable_and_never_an_owner(harness: Harness) -> None:
    owner, mei = await harness.agent(), await harness.agent(MEI.email)
    assert is_problem(await mei.call("PATCH", "agents/1", json={"disabled": True}), 403, "forbidden")
    assert is_problem(await owner.call("PATCH", "agents/1", json={"disabled": True}), 403, "forbidden")
    assert is_problem(await owner.call("PATCH", "agents/77", json={"disabled": True}), 404, "not_found")
    assert harness.closed.said == []


async def test_a_login_ends_when_it_is_not_used_for_long(harness: Harness) -> None:
    agent = await harness.agent()
    for days in (29, 29):
        await harness.later(days * DAY_MS)
        assert (await agent.get("me")).status_code == 200
    await harness.later(31 * DAY_MS)
    assert is_problem(await agent.get("me"), 401, "unauthorized")


async def test_login_attempts_are_limited_by_address_and_by_e_mail() -> None:
    async with opened(logins_per_minute=2) as harness:
        for number in range(2):
            caller = harness.caller(address=f"192.0.2.{number}")
            answer = await caller.post("auth/login", {"email": "A@x.example", "password": "x"})
            assert is_problem(answer, 401, "unauthorized")
        third = harness.caller(address="192.0.2.77")
        limited = await third.post("auth/login", {"email": "a@X.example", "password": "x"})
        assert is_problem(limited, 429, "rate_limited")
        assert limited.json()["retry_after_ms"] > 0
        assert limited.headers["retry-after"] == "31"
        await third.post("auth/login", {"email": "b@x.example", "password": "x"})
        by_address = await third.post("auth/login", {"email": "c@x.example", "password": "x"})
        assert is_problem(by_address, 429, "rate_limited")
        harness.clock.ms += 31_000
        assert is_problem(
            await third.post("auth/login", {"email": "c@x.example", "password": "x"}), 401, "unauthorized"
        )


async def test_who_is_turned_away_uses_up_nobodys_attempts() -> None:
    """A stranger who tries on and on from one address does not keep the e-mail's owner out."""
    async with opened(logins_per_minute=2) as harness:
        stranger, owner = harness.caller(address="2001:db8::1"), harness.caller(address="192.0.2.1")
        wrong = {"email": "nobody@x.example", "password": "x"}
        for _ in range(2):
            assert (await stranger.post("auth/login", wrong)).status_code == 401
        neighbour = harness.caller(address="2001:db8::2")
        for _ in range(5):
            answer = await neighbour.post("auth/login", {"email": OWNER.email, "password": "x"})
            assert is_problem(answer, 429, "rate_limited")
        assert (await owner.post("auth/login", {"email": OWNER.email, "password": PASSWORD})).is_success


async def test_agents_and_inboxes_are_for_agents(harness: Harness) -> None:
    owner, contact = await harness.agent(), await harness.contact()
    assert [each["name"] for each in (await owner.ok("GET", "agents"))["agents"]] == ["Olga", "Mei"]
    assert await owner.ok("GET", "inboxes") == {"inboxes": [{"id": "3", "name": "Website", "key": "shop"}]}
    for path in ("agents", "inboxes", "inboxes/3", "me", "auth/sessions"):
        assert is_problem(await contact.get(path), 403, "forbidden")
    assert is_problem(await contact.post("auth/logout"), 403, "forbidden")


async def test_an_inboxes_secret_is_for_owners_and_administrators(harness: Harness) -> None:
    owner, mei = await harness.agent(), await harness.agent(MEI.email)
    shown = await owner.get("inboxes/3")
    assert shown.json()["identity_secret"] == "s" * 32
    assert shown.headers["cache-control"] == "no-store"
    assert is_problem(await mei.get("inboxes/3"), 403, "forbidden")
    assert is_problem(await owner.get("inboxes/99"), 404, "not_found")
    await harness.records.change_agent(2, lambda agent: replace(agent, role="admin"))
    assert (await mei.get("inboxes/3")).status_code == 200

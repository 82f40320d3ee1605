"""Agents are made, changed and given passwords; inboxes are changed."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.api.harness import MEI, OWNER, PASSWORD, PHC, Caller, Harness, is_problem, opened

BO: dict[str, Any] = {"email": "bo@example.com", "name": "Bo 李", "role": "agent"}
NEW = "a longer password"


async def sign_in(harness: Harness, email: str, password: str) -> Caller:
    answer = await harness.anyone.ok("POST", "auth/login", {"email": email, "password": password})
    return harness.caller(answer["token"])


async def admin(harness: Harness) -> Caller:
    await harness.records.change_agent(2, lambda agent: replace(agent, role="admin"))
    return await harness.agent(MEI.email)


# Making agents


async def test_a_new_agent_signs_in_with_the_password_that_is_shown_once(harness: Harness) -> None:
    owner = await harness.agent()
    answer = await owner.post("agents", BO)
    made = answer.json()
    assert answer.status_code == 201
    assert {key: made[key] for key in (*BO, "disabled")} == {**BO, "disabled": False}
    assert len(made["password"]) >= 16
    bo = await sign_in(harness, "BO@example.com", made.pop("password"))
    assert (await bo.ok("GET", "me"))["agent"] == made
    assert made in (await bo.ok("GET", "agents"))["agents"]


async def test_a_given_password_is_not_sent_back(harness: Harness) -> None:
    answer = await (await harness.agent()).post("agents", {**BO, "password": NEW})
    assert answer.status_code == 201
    assert NEW not in answer.text
    assert "password" not in answer.json()
    await sign_in(harness, BO["email"], NEW)


async def test_two_random_passwords_differ(harness: Harness) -> None:
    owner = await harness.agent()
    first = await owner.ok("POST", "agents", BO)
    second = await owner.ok("POST", "agents", {**BO, "email": "cy@example.com"})
    assert first["password"] != second["password"]


async def test_an_e_mail_is_taken_without_regard_to_case(harness: Harness) -> None:
    owner = await harness.agent()
    assert is_problem(await owner.post("agents", {**BO, "email": "MEI@Example.com"}), 409, "conflict")
    twins = [owner.post("agents", {**BO, "email": email}) for email in ("bo@x.example", "BO@x.example")]
    answers = await asyncio.gather(*twins)
    assert sorted(answer.status_code for answer in answers) == [201, 409]


@pytest.mark.parametrize(
    "fault",
    [
        {"email": "no at"},
        {"email": "a@b@c"},
        {"email": "a@b\n"},
        {"email": f"a@{'b' * 320}"},
        {"name": " "},
        {"name": "n" * 301},
        {"role": "owner"},
        {"role": ""},
        {"password": "nine char"},
        {"password": None},
        {"password": "x" * 1_025},
    ],
)
async def test_what_is_no_agent_is_refused(harness: Harness, fault: dict[str, Any]) -> None:
    owner = await harness.agent()
    assert is_problem(await owner.post("agents", {**BO, **fault}), 422, "invalid")
    assert len(harness.records.agents()) == 2


async def test_only_an_owner_makes_administrators(harness: Harness) -> None:
    owner, mei = await harness.agent(), await admin(harness)
    assert is_problem(await mei.post("agents", {**BO, "role": "admin"}), 403, "forbidden")
    assert (await mei.post("agents", BO)).status_code == 201
    assert (await owner.post("agents", {**BO, "email": "c@x.example", "role": "admin"})).status_code == 201


# Changing agents


async def test_a_name_and_a_role_are_changed(harness: Harness) -> None:
    owner, mei = await harness.agent(), await harness.agent(MEI.email)
    assert is_problem(await mei.get("inboxes/3"), 403, "forbidden")
    changed = await owner.ok("PATCH", "agents/2", {"name": " Mei Lin ", "role": "admin"})
    assert (changed["name"], changed["role"], changed["disabled"]) == ("Mei Lin", "admin", False)
    assert (await mei.get("inboxes/3")).status_code == 200
    assert await owner.ok("PATCH", "agents/2", {}) == changed
    assert (await owner.ok("PATCH", "agents/1", {"name": "Olga B"}))["name"] == "Olga B"
    assert harness.closed.said == []


async def test_roles_are_an_owners_to_give(harness: Harness) -> None:
    owner, mei = await harness.agent(), await admin(harness)
    bo = (await mei.ok("POST", "agents", BO))["id"]
    for path, change in (
        (f"agents/{bo}", {"role": "admin"}),
        ("agents/2", {"role": "agent"}),
        ("agents/1", {"name": "Mine"}),
        ("agents/1", {"disabled": True}),
        ("agents/2", {"disabled": True}),
    ):
        assert is_problem(await mei.call("PATCH", path, json=change), 403, "forbidden"), (path, change)
    for change in ({"role": "agent"}, {"role": "admin"}):
        assert is_problem(await owner.call("PATCH", "agents/1", json=change), 403, "forbidden")
    assert (await mei.ok("PATCH", f"agents/{bo}", {"name": "Bo", "role": "agent"}))["name"] == "Bo"
    assert is_problem(await owner.call("PATCH", "agents/2", json={"role": "owner"}), 422, "invalid")


async def test_a_part_that_is_not_allowed_leaves_the_rest_undone(harness: Harness) -> None:
    mei = await admin(harness)
    bo = (await mei.ok("POST", "agents", BO))["id"]
    refused = await mei.call(
        "PATCH", f"agents/{bo}", json={"name": "Boss", "role": "admin", "disabled": True}
    )
    assert is_problem(refused, 403, "forbidden")
    found = harness.records.agent(int(bo))
    assert found is not None
    assert (found.name, found.role, found.disabled) == (BO["name"], "agent", False)


# Passwords


async def test_a_reset_ends_the_agents_logins_and_its_password(harness: Harness) -> None:
    owner, first, second = await harness.agent(), *[await harness.agent(MEI.email) for _ in range(2)]
    logins = {int(each["id"]) for each in (await first.ok("GET", "auth/sessions"))["sessions"]}
    answer = await owner.ok("POST", "agents/2/password")
    assert list(answer) == ["password"]
    for caller in (first, second):
        assert is_problem(await caller.get("me"), 401, "unauthorized")
    assert {login for _, login in harness.closed.said} == logins
    old = await harness.anyone.post("auth/login", {"email": MEI.email, "password": PASSWORD})
    assert is_problem(old, 401, "unauthorized")
    await sign_in(harness, MEI.email, answer["password"])
    assert (await owner.get("me")).status_code == 200


async def test_whose_password_may_be_reset_by_whom(harness: Harness) -> None:
    owner, mei = await harness.agent(), await admin(harness)
    bo = (await mei.ok("POST", "agents", BO))["id"]
    cy = (await owner.ok("POST", "agents", {**BO, "email": "cy@x.example", "role": "admin"}))["id"]
    for path in ("agents/1/password", "agents/2/password", f"agents/{cy}/password"):
        assert is_problem(await mei.post(path), 403, "forbidden"), path
    assert is_problem(await owner.post("agents/1/password"), 403, "forbidden")
    assert is_problem(await owner.post("agents/77/password"), 404, "not_found")
    assert is_problem(await owner.post("agents/abc/password"), 404, "not_found")
    assert (await mei.post(f"agents/{bo}/password")).status_code == 200
    assert (await owner.post(f"agents/{cy}/password")).status_code == 200
    assert (await owner.get("me")).status_code == (await mei.get("me")).status_code == 200


async def test_an_agents_own_new_password_ends_its_other_logins(harness: Harness) -> None:
    here, there = await harness.agent(MEI.email), await harness.agent(MEI.email)
    sessions = (await here.ok("GET", "auth/sessions"))["sessions"]
    [other] = [int(each["id"]) for each in sessions if not each["current"]]
    answer = await here.post("me/password", {"old": PASSWORD, "new": NEW})
    assert (answer.status_code, answer.content) == (204, b"")
    assert harness.closed.said == [("login", other)]
    assert is_problem(await there.get("me"), 401, "unauthorized")
    assert (await here.get("me")).status_code == 200
    old = await harness.anyone.post("auth/login", {"email": MEI.email, "password": PASSWORD})
    assert is_problem(old, 401, "unauthorized")
    await sign_in(harness, MEI.email, NEW)


async def test_a_wrong_old_password_or_a_short_new_one_changes_nothing(harness: Harness) -> None:
    mei = await harness.agent(MEI.email)
    wrong = await mei.post("me/password", {"old": "x" * 12, "new": NEW})
    assert is_problem(wrong, 403, "forbidden")
    short = await mei.post("me/password", {"old": PASSWORD, "new": "nine char"})
    assert is_problem(short, 422, "invalid")
    assert "nine char" not in short.text
    await sign_in(harness, MEI.email, PASSWORD)
    assert harness.closed.said == []


async def test_tries_of_the_old_password_count_as_tries_to_sign_in() -> None:
    async with opened(logins_per_minute=3) as harness:
        mei = await harness.agent(MEI.email)
        for _ in range(2):
            answer = await mei.post("me/password", {"old": "wrong", "new": NEW})
            assert is_problem(answer, 403, "forbidden")
        limited = await mei.post("me/password", {"old": PASSWORD, "new": NEW})
        assert is_problem(limited, 429, "rate_limited")
        elsewhere = harness.caller(address="192.0.2.9")
        by_e_mail = await elsewhere.post("auth/login", {"email": MEI.email, "password": PASSWORD})
        assert is_problem(by_e_mail, 429, "rate_limited")


async def test_of_two_changes_at_once_one_is_done(harness: Harness) -> None:
    first, second = await harness.agent(MEI.email), await harness.agent(MEI.email)
    answers = await asyncio.gather(
        first.post("me/password", {"old": PASSWORD, "new": NEW}),
        second.post("me/password", {"old": PASSWORD, "new": NEW + "!"}),
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 204
    assert statuses[1] in (401, 403, 409)


async def test_a_login_with_the_old_password_does_not_outlive_a_reset(harness: Harness) -> None:
    owner = await harness.agent()
    credentials = {"email": MEI.email, "password": PASSWORD}
    _, *signed_in = await asyncio.gather(
        owner.ok("POST", "agents/2/password"),
        *(harness.anyone.post("auth/login", credentials) for _ in range(8)),
    )
    for answer in signed_in:
        if answer.status_code == 200:
            assert is_problem(await harness.caller(answer.json()["token"]).get("me"), 401, "unauthorized")


# Who may


CALLS: list[tuple[str, str, Any]] = [
    ("POST", "agents", BO),
    ("PATCH", "agents/2", {"role": "admin"}),
    ("PATCH", "agents/1", {"disabled": True}),
    ("POST", "agents/1/password", None),
    ("PATCH", "inboxes/3", {"allowed_origins": ["*"]}),
]


async def test_it_is_not_for_agents_contacts_and_strangers(harness: Harness) -> None:
    mei, contact = await harness.agent(MEI.email), await harness.contact()
    password_change = ("POST", "me/password", {"old": PASSWORD, "new": NEW})
    for method, path, body in CALLS:
        assert is_problem(await mei.call(method, path, json=body), 403, "forbidden"), path
    for method, path, body in (*CALLS, password_change):
        assert is_problem(await contact.call(method, path, json=body), 403, "forbidden"), path
        assert is_problem(await harness.anyone.call(method, path, json=body), 401, "unauthorized"), path
    assert harness.records.agents() == [OWNER, MEI]
    assert [each.allowed_origins for each in harness.records.inboxes()] == [[]]


async def test_no_password_is_listed_or_logged(harness: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    owner = await harness.agent()
    made = await owner.ok("POST", "agents", BO)
    reset = await owner.ok("POST", f"agents/{made['id']}/password")
    bo = await sign_in(harness, BO["email"], reset["password"])
    await bo.ok("POST", "me/password", {"old": reset["password"], "new": NEW})
    changed = await owner.call("PATCH", f"agents/{made['id']}", json={"name": "Bo"})
    shown = changed.text
    for path in ("agents", "me", "auth/sessions", "inboxes", "conversations"):
        shown += (await owner.get(path)).text
    logged = capsys.readouterr()
    for text in (shown, logged.out, logged.err):
        assert "argon2" not in text
        for secret in (PASSWORD, PHC, NEW, made["password"], reset["password"]):
            assert secret not in text


# Inboxes


async def test_an_inbox_is_renamed_and_its_sites_are_listed(harness: Harness) -> None:
    owner = await harness.agent()
    changed = await owner.ok("PATCH", "inboxes/3", {"allowed_origins": ["https://shop.example:8443", "*"]})
    assert changed == await owner.ok("GET", "inboxes/3")
    assert changed["allowed_origins"] == ["https://shop.example:8443", "*"]
    assert (changed["name"], changed["key"], changed["identity_secret"]) == ("Website", "shop", "s" * 32)
    renamed = await owner.ok("PATCH", "inboxes/3", {"name": " Shop "})
    assert (renamed["name"], renamed["allowed_origins"]) == ("Shop", changed["allowed_origins"])
    assert is_problem(await owner.call("PATCH", "inboxes/77", json={"name": "x"}), 404, "not_found")


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "shop.example",
        "https://",
        "https://a.example/path",
        "https://a.example; script-src *",
        "https://a\n",
    ],
)
async def test_what_is_no_origin_is_refused(harness: Harness, origin: str) -> None:
    owner = await harness.agent()
    answer = await owner.call("PATCH", "inboxes/3", json={"allowed_origins": [origin]})
    assert is_problem(answer, 422, "invalid")

"""Scripts of other sites: who may call what, and that a change holds at once."""

from itertools import chain

import httpx
import pytest

from tests.unit.api.harness import Caller, Harness
from unique_cs.api.cors import Cors
from unique_cs.domain.origins import AllowedOrigins

SHOP = "https://shop.example"


def calling(harness: Harness, configured: list[str], token: str = "") -> Caller:
    """Somebody who calls through the check of origins."""

    def of_inboxes() -> chain[str]:
        return chain.from_iterable(inbox.allowed_origins for inbox in harness.records.inboxes())

    return harness.caller(token, app=Cors(harness.api, AllowedOrigins(configured, of_inboxes)))


async def preflight(caller: Caller, path: str, origin: str = SHOP) -> httpx.Response:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    return await caller.call("OPTIONS", path, headers=headers)


def granted(answer: httpx.Response) -> str | None:
    found: str | None = answer.headers.get("access-control-allow-origin")
    return found


@pytest.mark.parametrize(
    "path",
    [
        "contacts/session",
        "conversations",
        "conversations/7",
        "conversations/7/events",
        "conversations/7/messages",
        "stream",
        "stream/s_1",
    ],
)
async def test_a_preflight_of_an_allowed_site_is_granted(harness: Harness, path: str) -> None:
    answer = await preflight(calling(harness, [SHOP]), path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert granted(answer) == SHOP
    assert answer.headers["vary"] == "origin"
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    allowed = answer.headers["access-control-allow-headers"]
    assert allowed == "authorization, content-type, idempotency-key"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "auth/login",
        "me",
        "agents",
        "inboxes/3",
        "contacts/7",
        "conversations/7/assign",
        "/healthz",
        "/console/",
    ],
)
async def test_what_is_for_agents_is_for_no_other_site(harness: Harness, path: str) -> None:
    caller = calling(harness, ["*"])
    assert granted(await preflight(caller, path)) is None
    assert granted(await caller.get(path, headers={"origin": SHOP})) is None


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://shop.example", "null", f"{SHOP}.evil.example"]
)
async def test_other_sites_are_told_nothing(harness: Harness, origin: str) -> None:
    caller = calling(harness, [SHOP])
    for answer in (
        await preflight(caller, "contacts/session", origin),
        await caller.post("contacts/session", {"inbox": "shop"}, headers={"origin": origin}),
    ):
        assert granted(answer) is None
        assert answer.headers["vary"] == "origin"


async def test_answers_and_problems_can_be_read_by_an_allowed_site(harness: Harness) -> None:
    caller = calling(harness, [SHOP])
    good = await caller.post("contacts/session", {"inbox": "shop"}, headers={"origin": SHOP})
    bad = await caller.post("contacts/session", {"inbox": "none"}, headers={"origin": SHOP})
    assert good.is_success
    assert bad.is_client_error
    for answer in (good, bad):
        assert granted(answer) == SHOP
        assert answer.headers["vary"] == "origin"
        assert answer.headers["access-control-expose-headers"] == "retry-after"
    without = await caller.post("contacts/session", {"inbox": "shop"})
    assert granted(without) is None
    assert without.headers["vary"] == "origin"


async def test_a_star_admits_every_site_by_name(harness: Harness) -> None:
    caller = calling(harness, ["*"])
    assert granted(await preflight(caller, "conversations", "https://any.example")) == "https://any.example"


async def test_an_inboxes_sites_hold_as_soon_as_they_are_changed(harness: Harness) -> None:
    owner, caller = await harness.agent(), calling(harness, [])
    assert granted(await preflight(caller, "contacts/session")) is None
    await owner.ok("PATCH", "inboxes/3", {"allowed_origins": [SHOP.upper() + "/"]})
    assert granted(await preflight(caller, "contacts/session")) == SHOP
    await owner.ok("PATCH", "inboxes/3", {"allowed_origins": []})
    assert granted(await preflight(caller, "contacts/session")) is None


async def test_a_request_for_options_that_is_no_preflight_is_answered_as_ever(harness: Harness) -> None:
    answer = await calling(harness, [SHOP]).call("OPTIONS", "conversations", headers={"origin": SHOP})
    assert answer.status_code == 204
    assert "GET" in answer.headers["allow"]
    assert granted(answer) == SHOP

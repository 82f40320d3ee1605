"""Contact sessions and contacts over REST."""

import asyncio
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from msgspec.structs import replace

from tests.unit.api.harness import DAY_MS, INBOX, START_MS, Harness, is_problem, opened
from unique_cs.errors import Code, UniqueCsError
from unique_cs.storage.records_memory import MemoryRecords

NOW_S = START_MS // 1000


def identity(subject: str = "u-1", *, key: str = "s" * 32, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {"aud": "shop", "sub": subject, "exp": NOW_S + 60} | changes
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": algorithm}, given, OctKey.import_key(key), algorithms=[algorithm])


def escaped(text: str, written: str, **changes: Any) -> str:
    """An identity token in whose JSON a text is written in another way, as other libraries do."""
    head, claims, _ = identity(**changes).split(".")
    payload = urlsafe_b64decode(claims + "==").replace(text.encode(), written.encode())
    signed = f"{head}.{urlsafe_b64encode(payload).decode().rstrip('=')}"
    signature = hmac.digest(b"s" * 32, signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


async def session(harness: Harness, token: str = "", **fields: Any) -> Any:
    return await harness.caller(token).ok("POST", "contacts/session", {"inbox": "shop"} | fields)


async def test_a_visitor_becomes_a_contact(harness: Harness) -> None:
    visit = {
        "url": "https://shop.example/cart",
        "title": "Cart",
        "language": "zh-CN",
        "time_zone": "Asia/Shanghai",
    }
    contact = {"name": "Ann", "email": "ann@example.com", "attributes": {"plan": "pro", "orders": 3}}
    answer = await harness.anyone.ok(
        "POST",
        "contacts/session",
        {"inbox": "shop", "contact": contact, "visit": visit},
        headers={"user-agent": "Browser/1"},
    )
    shown = answer["contact"]
    assert answer["conversation"] is None
    assert {name: shown[name] for name in ("name", "email", "attributes")} == contact
    assert (shown["identifier"], shown["verified"], shown["created_at"]) == ("", False, START_MS)
    assert shown["visit"] == {"referrer": "", "user_agent": "Browser/1"} | visit
    assert await harness.caller(answer["token"]).ok("GET", f"contacts/{shown['id']}") == shown


async def test_an_unknown_inbox_is_not_found(harness: Harness) -> None:
    answer = await harness.anyone.post("contacts/session", {"inbox": "nope"})
    assert is_problem(answer, 404, "not_found")


async def test_the_old_token_keeps_the_contact_and_adds_to_it(harness: Harness) -> None:
    first = await session(harness, contact={"name": "Ann", "attributes": {"a": 1, "b": 2}})
    again = await session(
        harness, first["token"], contact={"email": "ann@example.com", "attributes": {"b": 3}}
    )
    assert again["contact"]["id"] == first["contact"]["id"]
    assert again["contact"]["name"] == "Ann"
    assert again["contact"]["email"] == "ann@example.com"
    assert again["contact"]["attributes"] == {"a": 1, "b": 3}


async def test_a_token_that_is_no_longer_valid_counts_as_none(harness: Harness) -> None:
    first = await session(harness)
    for stale in ("garbage", first["token"][:-2] + "AA", "ucc_" + "A" * 76):
        assert (await session(harness, stale))["contact"]["id"] != first["contact"]["id"]
    await harness.later(365 * DAY_MS)
    assert (await session(harness, first["token"]))["contact"]["id"] != first["contact"]["id"]


async def test_e_mail_and_identifier_match_nobody(harness: Harness) -> None:
    known = await session(harness, identity_token=identity(email="ann@example.com"))
    claimed = {"identifier": "u-1", "email": "ann@example.com"}
    other = await session(harness, contact=claimed)
    assert other["contact"]["id"] != known["contact"]["id"]
    assert (other["contact"]["identifier"], other["contact"]["verified"]) == ("", False)


async def test_an_anonymous_contact_becomes_a_new_subject(harness: Harness) -> None:
    anonymous = await session(harness, contact={"name": "Guest"})
    known = await session(harness, anonymous["token"], identity_token=identity(name="Ann"))
    assert known["contact"]["id"] == anonymous["contact"]["id"]
    assert (known["contact"]["identifier"], known["contact"]["verified"]) == ("u-1", True)
    assert known["contact"]["name"] == "Ann"


async def test_an_existing_subjects_contact_is_returned(harness: Harness) -> None:
    known = await session(harness, identity_token=identity())
    guest = await session(harness)
    again = await session(harness, guest["token"], identity_token=identity())
    assert again["contact"]["id"] == known["contact"]["id"]
    assert again["contact"]["id"] != guest["contact"]["id"]


async def test_an_identified_contact_is_never_carried_over(harness: Harness) -> None:
    first = await session(harness, identity_token=identity("u-1"))
    second = await session(harness, first["token"], identity_token=identity("u-2"))
    assert second["contact"]["id"] != first["contact"]["id"]
    assert second["contact"]["identifier"] == "u-2"
    assert (await session(harness, identity_token=identity("u-1")))["contact"] == first["contact"]


async def test_without_an_identity_token_nobody_renames_a_verified_contact(harness: Harness) -> None:
    known = await session(harness, identity_token=identity(name="Ann"))
    again = await session(harness, known["token"], contact={"name": "Eve", "email": "eve@example.com"})
    assert again["contact"] == known["contact"]


async def test_first_visits_of_one_subject_at_once_make_one_contact(harness: Harness) -> None:
    answers = await asyncio.gather(*(session(harness, identity_token=identity()) for _ in range(8)))
    assert len({answer["contact"]["id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    "token",
    [
        identity(key="x" * 32),
        identity(algorithm="HS512", key="s" * 64),
        identity(aud="other"),
        identity(aud=None),
        identity(sub=None),
        identity(sub=""),
        identity(sub=7),
        escaped("u-1", "u-\\ud83d"),
        identity(exp=None),
        identity(exp=NOW_S),
        identity(exp="never"),
        identity(nbf=NOW_S + 60),
        identity() + "x",
        "eyJhbGciOiJub25lIn0." + identity().split(".")[1] + ".",
        "a.b.c",
        "x",
    ],
)
async def test_identity_tokens_that_prove_nothing(harness: Harness, token: str) -> None:
    answer = await harness.anyone.post("contacts/session", {"inbox": "shop", "identity_token": token})
    assert is_problem(answer, 401, "unauthorized")


async def test_an_identity_token_may_name_several_audiences_and_a_fast_clock(harness: Harness) -> None:
    token = identity(aud=["shop", "else"], iat=NOW_S + 30)
    assert (await session(harness, identity_token=token))["contact"]["verified"]


async def test_a_name_with_half_an_emoji_is_taken(harness: Harness) -> None:
    """A site's server may cut names to a length."""
    known = await session(harness, identity_token=escaped("Ann", "Ann \\ud83d", name="Ann"))
    assert known["contact"]["name"] == "Ann ?"


async def test_an_inbox_without_a_secret_takes_no_identity_tokens(harness: Harness) -> None:
    assert isinstance(harness.records, MemoryRecords)
    harness.records._inboxes[3] = replace(INBOX, identity_secret="")
    answer = await harness.anyone.post("contacts/session", {"inbox": "shop", "identity_token": identity()})
    assert is_problem(answer, 401, "unauthorized")


async def test_an_inbox_with_a_public_key_takes_that_algorithm_only(harness: Harness) -> None:
    key = ECKey.generate_key("P-256")
    public = key.as_pem(private=False).decode()
    assert isinstance(harness.records, MemoryRecords)
    harness.records._inboxes[3] = replace(INBOX, identity_secret=public, identity_algorithm="ES256")
    claims = {"aud": "shop", "sub": "u-9", "exp": NOW_S + 60}
    good = jwt.encode({"alg": "ES256"}, claims, key)
    assert (await session(harness, identity_token=good))["contact"]["identifier"] == "u-9"
    # The public key as an HMAC secret: the old confusion of algorithms.
    confused = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(b"x" * 32))
    answer = await harness.anyone.post("contacts/session", {"inbox": "shop", "identity_token": confused})
    assert is_problem(answer, 401, "unauthorized")


async def test_a_blocked_contact_is_out_until_it_is_let_in(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    [number] = {(await session(harness, ann.token))["contact"]["id"]}
    assert (await agent.ok("PATCH", f"contacts/{number}", {"blocked": True}))["blocked"]
    assert harness.closed.said == [("contact", int(number))]
    assert is_problem(await ann.get("conversations"), 403, "forbidden")
    assert is_problem(await ann.post("contacts/session", {"inbox": "shop"}), 403, "forbidden")
    await agent.ok("PATCH", f"contacts/{number}", {"blocked": False})
    assert (await ann.get("conversations")).status_code == 200


async def test_a_blocked_contact_does_not_come_back_as_somebody_else(harness: Harness) -> None:
    agent = await harness.agent()
    known = await session(harness, identity_token=identity())
    await agent.ok("PATCH", f"contacts/{known['contact']['id']}", {"blocked": True})
    for token, body in ((known["token"], identity("u-2")), ("", identity("u-1"))):
        answer = await harness.caller(token).post(
            "contacts/session", {"inbox": "shop", "identity_token": body}
        )
        assert is_problem(answer, 403, "forbidden")


async def test_attributes_are_bounded(harness: Harness) -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    for value in ("x" * 9_000, 2**64, deep):
        body = {"inbox": "shop", "contact": {"attributes": {"a": value}}}
        assert is_problem(await harness.anyone.post("contacts/session", body), 422, "invalid")


async def test_the_session_shows_the_newest_conversation_that_is_not_resolved(harness: Harness) -> None:
    agent, ann = await harness.agent(), await harness.contact()
    number = await harness.conversation(ann, "hello", "are you there?")
    shown = (await session(harness, ann.token))["conversation"]
    assert (shown["id"], shown["seq"], shown["status"]) == (number, 3, "open")
    assert shown["last_message"]["data"]["body"]["text"] == "are you there?"
    await agent.ok("POST", f"conversations/{number}/status", {"status": "resolved"})
    assert (await session(harness, ann.token))["conversation"] is None


async def test_contacts_see_themselves_only_and_agents_all(harness: Harness) -> None:
    agent, ann, bo = await harness.agent(), await harness.contact(), await harness.contact("Bo")
    number = (await session(harness, ann.token))["contact"]["id"]
    assert (await agent.ok("GET", f"contacts/{number}"))["name"] == "Ann"
    assert (await ann.ok("GET", f"contacts/{number}"))["name"] == "Ann"
    for path in (f"contacts/{number}", f"contacts/{number}/conversations", "contacts/1", "contacts/x"):
        assert is_problem(await bo.get(path), 404, "not_found")
    for path in ("contacts/1", "contacts/abc", "contacts/99999999999999999999"):
        assert is_problem(await agent.get(path), 404, "not_found")
    assert is_problem(
        await ann.call("PATCH", f"contacts/{number}", json={"blocked": False}), 403, "forbidden"
    )


async def test_a_contacts_conversations(harness: Harness) -> None:
    agent, ann, bo = await harness.agent(), await harness.contact(), await harness.contact("Bo")
    first = await harness.conversation(ann)
    await agent.ok("POST", f"conversations/{first}/status", {"status": "resolved"})
    harness.clock.ms += 5
    await harness.conversation(bo)
    number = (await session(harness, ann.token))["contact"]["id"]
    listed = await agent.ok("GET", f"contacts/{number}/conversations")
    assert [each["id"] for each in listed["conversations"]] == [first]


async def test_under_load_no_visitor_is_let_in() -> None:
    def admit() -> None:
        raise UniqueCsError(Code.OVERLOADED, "busy", retry_after_ms=4_000)

    async with opened(admit_visitor=admit) as harness:
        refused = await harness.anyone.post("contacts/session", {"inbox": "shop"})
        assert is_problem(refused, 503, "overloaded")
        assert refused.headers["retry-after"] == "4"

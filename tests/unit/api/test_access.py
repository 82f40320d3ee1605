"""Who may do what: every operation of the description, and every call over gRPC, for every kind of caller.

What is not in the tables fails: a new route gets its rule here.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from google.protobuf.message import Message
from msgspec.structs import replace

from tests.unit.api.harness import DAY_MS, INBOX, MEI, OTHER, OWNER, PASSWORD, PHC, Caller, Harness, opened
from unique_cs.actions.tokens import AGENT_PREFIX, CONTACT_PREFIX, ContactTokens, hash_of, new_agent_token
from unique_cs.api.grpc_desk import Desk
from unique_cs.domain.people import Agent, Login
from unique_cs.errors import HTTP_STATUS, UniqueCsError
from unique_cs.protobuf import from_dict
from unique_cs.v1 import messaging_pb2 as pb

ADMIN: Final = Agent(5, "adam@example.com", "Adam", "admin", PHC)
GONE: Final = Agent(6, "gone@example.com", "Gone", "owner", PHC, disabled=True)
SECRET: Final = "only Ann's"
REMOTE: Final = "192.0.2.9"

ACTORS: Final = ("ann", "eve", "zoe", "agent", "admin", "owner")
"""Ann's own contact, one of the same inbox, one of another inbox, and the roles."""


class Rule(NamedTuple):
    """A request that is right in every way, and the status that each of `ACTORS` gets."""

    statuses: tuple[int, ...]
    json: Any = None
    open: bool = False  # also for callers without a token

    def of(self, actor: str) -> int:
        return self.statuses[ACTORS.index(actor)]


def _everybody(status: int = 200) -> tuple[int, ...]:
    return (status,) * len(ACTORS)


AGENTS: Final = (403, 403, 403, 200, 200, 200)
ADMINISTRATORS: Final = (403, 403, 403, 403, 200, 200)
WHO_SEES_IT: Final = (200, 404, 404, 200, 200, 200)
AGENTS_WHO_SEE_IT: Final = (403, 404, 404, 200, 200, 200)
BODY: Final = {"kind": "text", "text": "hello"}


def _made(statuses: tuple[int, ...], status: int) -> tuple[int, ...]:
    return tuple(status if each == 200 else each for each in statuses)


RULES: Final = {
    "healthz": Rule(_everybody(), open=True),
    "readyz": Rule(_everybody(), open=True),
    "metrics": Rule((401, 401, 401, 200, 200, 200)),
    "login": Rule(_everybody(), {"email": OWNER.email, "password": PASSWORD}, open=True),
    "open_contact_session": Rule(_everybody(), {"inbox": "shop"}, open=True),
    "logout": Rule(_made(AGENTS, 204)),
    "list_logins": Rule(AGENTS),
    "revoke_login": Rule((403, 403, 403, 404, 404, 404)),  # it is somebody else's
    "me": Rule(AGENTS),
    "change_own_password": Rule(_made(AGENTS, 204), {"old": PASSWORD, "new": PASSWORD}),
    "get_contact": Rule(WHO_SEES_IT),
    "change_contact": Rule(AGENTS, {"blocked": False}),
    "list_contact_conversations": Rule(WHO_SEES_IT),
    "list_conversations": Rule(_everybody()),
    "get_conversation": Rule(WHO_SEES_IT),
    "assign_conversation": Rule(AGENTS_WHO_SEE_IT, {"agent": None}),
    "set_conversation_status": Rule(AGENTS_WHO_SEE_IT, {"status": "resolved"}),
    "set_conversation_labels": Rule(AGENTS_WHO_SEE_IT, {"labels": ["new"]}),
    "list_events": Rule(WHO_SEES_IT),
    "send_message": Rule(_made(WHO_SEES_IT, 201), {"body": BODY}),
    "list_agents": Rule(AGENTS),
    "add_agent": Rule(_made(ADMINISTRATORS, 201), {"email": "", "name": "New", "role": "agent"}),
    "change_agent": Rule(ADMINISTRATORS, {"name": "Mei Lin"}),
    "reset_password": Rule(ADMINISTRATORS),
    "list_inboxes": Rule(AGENTS),
    "get_inbox": Rule(ADMINISTRATORS),
    "change_inbox": Rule(ADMINISTRATORS, {"name": "Shop"}),
}

CALLS: Final = {
    "ListConversations": Rule(_everybody()),
    "AssignConversation": Rule(AGENTS_WHO_SEE_IT),
    "TransferConversation": Rule((403, 404, 404, 409, 409, 409)),  # it is nobody's
    "SetConversationStatus": Rule(AGENTS_WHO_SEE_IT, {"status": "resolved"}),
    "ListEvents": Rule(WHO_SEES_IT),
}


class Town(NamedTuple):
    """A harness, the tokens of its people by name, and those of Ann's things that paths name."""

    harness: Harness
    tokens: dict[str, str]
    places: dict[str, str]

    def caller(self, token: str) -> Caller:
        return self.harness.caller(token, REMOTE)


@asynccontextmanager
async def inhabited() -> AsyncIterator[Town]:
    """Everybody of `ACTORS`; Ann has said something."""
    async with opened() as harness:
        harness.records._inboxes[OTHER.id] = OTHER  # type: ignore[attr-defined]  # the twin in memory
        for agent in (ADMIN, GONE):
            await harness.records.add_agent(agent)
        tokens = {"ann": (await harness.contact(SECRET)).token, "eve": (await harness.contact("Eve")).token}
        tokens["zoe"] = (await harness.contact("Zoe", inbox="other")).token
        staff = {"agent": MEI, "admin": ADMIN, "owner": OWNER, "disabled": GONE}
        logins = {name: await _sign_in(harness, agent) for name, agent in staff.items()}
        tokens |= {name: token for name, (token, _) in logins.items()}
        ann = harness.caller(tokens["ann"])
        conversation = await harness.conversation(ann, SECRET)
        principal = await harness.auth.authenticate(ann.token)
        places = {
            "conversation_id": conversation,
            "contact_id": str(principal.id),
            "agent_id": str(MEI.id),
            "inbox_id": str(INBOX.id),
            "session_id": str(logins["disabled"][1]),
        }
        yield Town(harness, tokens, places)


async def _sign_in(harness: Harness, agent: Agent) -> tuple[str, int]:
    """A login, without the time that a password takes."""
    token, now, number = new_agent_token(), harness.clock.now_ms(), harness.ids()
    await harness.records.add_login(Login(number, agent.id, hash_of(token), now, now, "test", REMOTE))
    return token, number


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with inhabited() as made:
        yield made


Operation = tuple[str, str, str]


async def operations(harness: Harness) -> list[Operation]:
    """Operation id, method and path of everything that the description names."""
    spec = await harness.anyone.ok("GET", "/api/openapi.json")
    return [
        (str(operation["operationId"]), method.upper(), path)
        for path, item in spec["paths"].items()
        for method, operation in item.items()
    ]


async def call(town: Town, operation: Operation, token: str, number: int = 0) -> Any:
    """The answer to the operation's own request about what is Ann's."""
    name, method, path = operation
    body = RULES[name].json
    if name == "add_agent":
        body = {**body, "email": f"new-{number}@example.com"}
    headers = {"Idempotency-Key": f"key-{number}"} if name == "send_message" else {}
    return await town.caller(token).call(method, path.format(**town.places), json=body, headers=headers)


async def test_every_operation_has_a_rule(harness: Harness) -> None:
    assert {name for name, _, _ in await operations(harness)} == set(RULES)


@pytest.mark.parametrize("name", RULES)
async def test_what_each_actor_may_do(town: Town, name: str) -> None:
    """And nobody but Ann and the agents is told anything of hers."""
    (operation,) = [each for each in await operations(town.harness) if each[0] == name]
    for number, actor in enumerate(ACTORS):
        token = town.tokens[actor]
        answer = await call(town, operation, token, number)
        assert (actor, answer.status_code) == (actor, RULES[name].of(actor)), answer.text
        if actor in {"eve", "zoe"}:
            assert SECRET not in answer.text


def bad_tokens(town: Town) -> Iterator[tuple[str, str]]:
    """Tokens that are nobody's, by what is wrong with them."""
    harness, now = town.harness, town.harness.clock.now_ms()
    contact = int(town.places["contact_id"])
    ann, agent = town.tokens["ann"], town.tokens["agent"]
    yield "none", ""
    yield "no token", "x"
    yield "of another installation", ContactTokens(b"another secret", 365).issue(INBOX.id, contact, now)
    yield "expired", harness.tokens.issue(INBOX.id, contact, now - 366 * DAY_MS)
    yield "of a contact who is not there", harness.tokens.issue(INBOX.id, contact + 1_000, now)
    yield "cut off", ann[:-1]
    yield "with another end", ann[:-4] + ("AAAA" if ann[-4:] != "AAAA" else "BBBB")
    yield "with another beginning", ann.replace(CONTACT_PREFIX, AGENT_PREFIX)
    yield "of an agent, changed", agent[:-1] + ("A" if agent[-1] != "A" else "B")
    yield "the hash that is stored", AGENT_PREFIX + hash_of(agent)
    yield "signed for a page", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."


async def test_a_token_that_is_nobodys_opens_nothing(town: Town) -> None:
    for operation in await operations(town.harness):
        for fault, token in bad_tokens(town):
            answer = await call(town, operation, token)
            expected = 200 if RULES[operation[0]].open else 401
            assert (operation[0], fault, answer.status_code) == (operation[0], fault, expected)
            assert SECRET not in answer.text


async def test_who_was_shut_out_gets_nothing(town: Town) -> None:
    """A blocked contact and a disabled owner, whose tokens are right."""
    ann = await town.harness.node.contacts.contact(int(town.places["contact_id"]))
    assert ann is not None
    await town.harness.node.contacts.save_contact(replace(ann, blocked=True))
    for operation in await operations(town.harness):
        for actor in ("ann", "disabled"):
            name, answer = operation[0], await call(town, operation, town.tokens[actor])
            if name == "open_contact_session" and actor == "ann":
                assert answer.status_code == 403
            elif name == "metrics":
                assert answer.status_code == 401
            else:
                assert (name, answer.status_code) == (name, 200 if RULES[name].open else 403)
            assert SECRET not in answer.text


async def test_details_of_the_machine_are_for_agents(town: Town) -> None:
    for actor in ACTORS:
        shown = await town.caller(town.tokens[actor]).ok("GET", "/readyz")
        assert ("parts" in shown) == (actor in {"agent", "admin", "owner"})


async def ask(town: Town, method: str, token: str) -> tuple[int, bytes]:
    """The status, as over REST, and the answer of a call over gRPC about what is Ann's."""
    described = pb.DESCRIPTOR.services_by_name["Desk"].methods_by_name[method]
    request: Message = getattr(pb, described.input_type.name)()
    fields = {"conversation": town.places["conversation_id"], "agent": town.places["agent_id"]}
    payload = from_dict(request, fields | (CALLS[method].json or {})).SerializeToString()
    try:
        return 200, await Desk(town.harness._deps({})).calls()[method](payload, token, REMOTE)
    except UniqueCsError as error:
        return HTTP_STATUS[error.code], msgspec.json.encode(error.message)


@pytest.mark.parametrize("method", [each.name for each in pb.DESCRIPTOR.services_by_name["Desk"].methods])
async def test_what_each_actor_may_ask_for_over_grpc(town: Town, method: str) -> None:
    for _, token in bad_tokens(town):
        assert (await ask(town, method, token))[0] == 401
    assert (await ask(town, method, town.tokens["disabled"]))[0] == 403
    for actor in ACTORS:
        status, answer = await ask(town, method, town.tokens[actor])
        assert (actor, status) == (actor, CALLS[method].of(actor))
        assert actor not in {"eve", "zoe"} or SECRET.encode() not in answer

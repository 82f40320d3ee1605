"""Contacts of a cluster: who a visitor is, whichever nodes are asked at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from weakref import WeakValueDictionary

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.support.cluster import ClusterNode, nodes
from tests.support.redis import RedisServer
from unique_cs.actions.contacts import ContactPorts, Visitor, open_contact_session, set_blocked
from unique_cs.actions.tokens import ContactTokens
from unique_cs.domain.people import Contact, Inbox
from unique_cs.errors import Code, UniqueCsError
from unique_cs.ports import Records

SECRET = "of the site, and long enough for its algorithm"
INBOX = Inbox(1, "Website", "shop", SECRET)
# As deep as attributes may lie, and numbers as large as they may be.
DEEP: dict[str, Any] = {"max": 2**64 - 1, "min": -(2**63), "half": 0.5, "none": None}
for _ in range(28):
    DEEP = {"in": [DEEP]} if "in" not in DEEP else {"in": DEEP}


@pytest.fixture
async def pair(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[list[ClusterNode]]:
    async with nodes(2, redis_server.url, tmp_path) as made:
        yield made


def desk_of(node: ClusterNode) -> ContactPorts:
    """What a node needs to know visitors."""
    records = cast(Records, SimpleNamespace(inbox_by_key={INBOX.key: INBOX}.get))
    next_id = node.timeline.new_id
    return ContactPorts(
        records=records,
        contacts=node.contacts,
        timeline=node.timeline,
        tokens=ContactTokens(b"secret", 1),
        clock=node.clock,
        ids=lambda: next_id(node.clock.now_ms()),
        subjects=WeakValueDictionary(),
    )


def visitor(node: ClusterNode, subject: str) -> Visitor:
    """Somebody whom the site knows."""
    claims = {"aud": INBOX.key, "sub": subject, "exp": node.clock.now_ms() // 1000 + 600}
    header = {"alg": INBOX.identity_algorithm}
    return Visitor(INBOX.key, jwt.encode(header, claims, OctKey.import_key(SECRET)))


async def test_a_new_subject_on_two_nodes_is_one_contact(pair: list[ClusterNode]) -> None:
    desks = [desk_of(node) for node in pair] * 3
    first = visitor(pair[0], "user-1")
    opened = await asyncio.gather(*(open_contact_session(desk, first, "") for desk in desks))
    assert len({each.contact.id for each in opened}) == 1
    assert {each.contact.identifier for each in opened} == {"user-1"}


async def test_an_anonymous_contact_becomes_one_subject_only(pair: list[ClusterNode]) -> None:
    """Also where several prove at the same moment that they are somebody, with the same old token."""
    desks = [desk_of(node) for node in pair] * 2
    anonymous = await open_contact_session(desks[0], Visitor(INBOX.key, attributes=DEEP), "")
    names = ["user-1", "user-2", "user-3", "user-4"]
    visitors = [visitor(pair[0], name) for name in names]
    opened = await asyncio.gather(
        *(open_contact_session(*each, anonymous.token) for each in zip(desks, visitors, strict=True))
    )
    assert [each.contact.identifier for each in opened] == names
    assert len({each.contact.id for each in opened}) == 4
    assert [each.contact.id for each in opened].count(anonymous.contact.id) == 1
    for each, known in zip(visitors, opened, strict=True):
        again = await open_contact_session(desks[1], each, "")
        assert again.contact.id == known.contact.id


async def test_a_block_is_not_undone_by_a_visit(pair: list[ClusterNode]) -> None:
    """What was read before the block does not replace it; an agent that was late is not refused."""
    here, there = pair
    before = Contact(7, 1, "Ann")
    await here.contacts.save_contact(before)
    blocked = await set_blocked(here.contacts, before, True)
    with pytest.raises(UniqueCsError) as refused:
        await there.contacts.save_contact(Contact(7, 1, "Anna"), before)
    assert refused.value.code is Code.CONFLICT
    assert await there.contacts.contact(7) == blocked
    assert not (await set_blocked(there.contacts, before, False)).blocked

"""Contacts and cursors, on every hot tier."""

import asyncio

import pytest

from tests.support.tiers import ANN, Tiers
from unique_cs.domain.conversation import Cursor
from unique_cs.domain.people import Contact
from unique_cs.errors import Code, OutcomeUnknown, StorageUnavailable, UniqueCsError


async def test_contacts(tiers: Tiers) -> None:
    """A contact is durable when `save_contact` returns, and replaces what was known."""
    contact = Contact(5, 1, "Ann", "a@b.cn", attributes={"plan": ["pro", 1]}, created_at=7)
    assert await tiers.contacts.contact(5) is None
    await tiers.contacts.save_contact(contact)
    again = await tiers.again()
    assert await again.contacts.contact(5) == contact
    await again.contacts.save_contact(Contact(5, 1, "Anna"))
    assert await again.contacts.contact(5) == Contact(5, 1, "Anna")
    await again.close()


async def test_identifier(tiers: Tiers) -> None:
    """A proven identifier finds its contact, in its inbox only."""
    await tiers.contacts.save_contact(Contact(5, 1, "Ann", identifier="user-1"))
    await tiers.contacts.save_contact(Contact(6, 2, "Ben", identifier="user-1"))
    found = await tiers.contacts.contact_by_identifier(1, "user-1")
    assert found is not None
    assert found.id == 5
    found = await tiers.contacts.contact_by_identifier(2, "user-1")
    assert found is not None
    assert found.id == 6
    assert await tiers.contacts.contact_by_identifier(3, "user-1") is None
    assert await tiers.contacts.contact_by_identifier(1, "") is None


async def test_who_a_contact_is_changes_by_one_save_at_a_time(tiers: Tiers) -> None:
    """Of two that both know what it was the first is stored, and the other gets `conflict`."""
    save, ann = tiers.contacts.save_contact, Contact(5, 1, "Ann")
    await save(ann)
    named, blocked = Contact(5, 1, "Ann", identifier="user-1"), Contact(5, 1, "Ann", blocked=True)
    outcomes = await asyncio.gather(save(named, ann), save(blocked, ann), return_exceptions=True)
    assert [getattr(each, "code", None) for each in outcomes] == [None, Code.CONFLICT]
    assert await tiers.contacts.contact(5) == named
    with pytest.raises(UniqueCsError) as refused:
        await save(Contact(5, 1, "Anna"), ann)
    assert refused.value.code is Code.CONFLICT
    await save(Contact(5, 1, "Anna", identifier="user-1"), named)


async def test_contacts_reach_the_archive(tiers: Tiers) -> None:
    """A contact that was saved is relayed."""
    await tiers.contacts.save_contact(Contact(5, 1, "Ann", "a@b.cn"))
    await tiers.archive_all()
    assert tiers.archive._contacts[5].email == "a@b.cn"


async def test_cursors(tiers: Tiers) -> None:
    """Cursors grow, never pass the durable head, merge, and outlive the process."""
    await tiers.ann()
    _, conversation = await tiers.talk(3)
    assert not await tiers.contacts.cursors(conversation)
    advance = tiers.contacts.advance_cursor
    assert advance(conversation, Cursor("agent", "22", read=2, delivered=3))
    assert not advance(conversation, Cursor("agent", "22", read=1, delivered=3))
    assert advance(conversation, Cursor("contact", "11", delivered=99))
    assert not advance(conversation, Cursor("contact", "11", delivered=100))
    await tiers.group.drain()
    again = await tiers.again()
    found = await again.timeline.conversation(conversation.id)
    assert found is not None
    cursors = {
        (each.kind, each.actor): (each.read, each.delivered) for each in await again.contacts.cursors(found)
    }
    assert cursors == {("agent", "22"): (2, 3), ("contact", "11"): (0, 4)}
    await again.close()


async def test_reading_is_delivery(tiers: Tiers) -> None:
    """What was read was delivered."""
    await tiers.ann()
    _, conversation = await tiers.talk(3)
    await tiers.contacts.cursors(conversation)
    tiers.contacts.advance_cursor(conversation, Cursor("agent", "22", read=3))
    (cursor,) = await tiers.contacts.cursors(conversation)
    assert (cursor.read, cursor.delivered) == (3, 3)


async def test_failure(tiers: Tiers) -> None:
    """A contact whose write failed is not said to be saved, and none is accepted until the store is open."""
    tiers.hot.fails = "flush"
    with pytest.raises(OutcomeUnknown):
        await tiers.contacts.save_contact(Contact(ANN.id, 1, "Ann"))
    with pytest.raises(StorageUnavailable):
        await tiers.contacts.save_contact(Contact(ANN.id, 1, "Ann"))
    await tiers.recover()
    await tiers.contacts.save_contact(Contact(ANN.id, 1, "Ann"))

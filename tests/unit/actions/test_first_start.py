"""The first start makes one owner and one inbox."""

from itertools import count

from unique_cs.actions.first_start import DEFAULT_EMAIL, first_start
from unique_cs.actions.passwords import Passwords
from unique_cs.storage.records_memory import MemoryRecords


async def test_random_values_are_told_once() -> None:
    records = MemoryRecords()
    numbers = count(1)
    made = await first_start(records, lambda: next(numbers))
    assert made is not None
    assert made.email == DEFAULT_EMAIL
    assert len(made.password) >= 16
    [owner], [inbox] = records.agents(), records.inboxes()
    assert (owner.role, inbox.key) == ("owner", made.inbox_key)
    assert len(inbox.identity_secret) == 64
    passwords = Passwords()
    assert await passwords.check(made.password, owner.password)
    passwords.close()
    assert made.password not in repr(owner)
    assert await first_start(records, lambda: next(numbers)) is None


async def test_given_values_are_used_and_a_given_password_is_not_told() -> None:
    records = MemoryRecords()
    numbers = count(1)
    made = await first_start(
        records, lambda: next(numbers), email="o@example.com", password="given", inbox_key="shop"
    )
    assert made is not None
    assert (made.email, made.password, made.inbox_key) == ("o@example.com", "", "shop")
    owner = records.agent_by_email("o@example.com")
    assert owner is not None
    passwords = Passwords()
    assert await passwords.check("given", owner.password)
    passwords.close()

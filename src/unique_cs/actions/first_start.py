"""First start: with no agent in the store, one owner and one inbox are made."""

import asyncio
from collections.abc import Callable
from secrets import token_hex, token_urlsafe
from typing import Final

from msgspec import Struct

from unique_cs.actions.passwords import hash_password
from unique_cs.domain.people import Agent, Inbox
from unique_cs.ports import Records

DEFAULT_EMAIL: Final = "owner@localhost"


class FirstStart(Struct, frozen=True):
    """What was made. `password` is set where it was random: it is printed once and kept nowhere."""

    email: str
    password: str
    inbox_key: str


async def first_start(
    records: Records, ids: Callable[[], int], *, email: str = "", password: str = "", inbox_key: str = ""
) -> FirstStart | None:
    """Make owner and inbox with what is given, and the rest at random; None if there are agents already."""
    if records.agents():
        return None
    chosen = password or token_urlsafe(12)
    phc = await asyncio.to_thread(hash_password, chosen)
    owner = Agent(ids(), email or DEFAULT_EMAIL, "Owner", "owner", phc)
    inbox = Inbox(ids(), "Website", inbox_key or token_hex(8), identity_secret=token_hex(32))
    if not await records.first_start(owner, inbox):
        return None
    return FirstStart(owner.email, "" if password else chosen, inbox.key)

"""Whose messages a token bucket counts."""

import pytest

from tests.support.node import Peer, open_house
from unique_cs.errors import UniqueCsError
from unique_cs.gateway.sending import admit_request


def answers(peer: Peer) -> list[tuple[int, str]]:
    """Number and outcome of each answer: `sent`, or the code of the error."""
    return [(frame["n"], frame.get("code", "sent")) for frame in peer.take("sent", "error")]


async def test_a_session_that_comes_back_finds_its_bucket_as_it_left_it() -> None:
    """To reconnect is no way round the limit."""
    async with open_house(rates=True, sends_per_second=1) as house:
        peer, _ = await house.talk("1", "2", "3", "4", "5")
        peer.hang_up()
        again = await house.peer().connect("ann", session=peer.connected["session"])
        again.say(6)
        await house.settle()
        assert answers(again) == [(6, "rate_limited")]
        await house.advance(1.1)
        again.say(6)
        await house.settle()
        assert answers(again) == [(6, "sent")]


async def test_all_sessions_of_a_contact_share_a_bucket() -> None:
    """Not so those of an agent: each of its tabs and programs has its own."""
    async with open_house(rates=True, sends_per_contact=1) as house:
        _, conversation = await house.talk("1", "2", "3", "4", "5")
        two = await house.peer().connect("ann")
        two.say(1)
        await house.settle()
        assert answers(two) == [(1, "rate_limited")]
        ben = await house.visitor("ben")
        ben.say(1)
        staff = await house.staff()
        for n in range(1, 8):
            staff.say(n, conversation=conversation)
        await house.settle()
        assert answers(ben) == [(1, "sent")]
        assert answers(staff) == [(n, "sent") for n in range(1, 8)]


async def test_an_inbox_that_is_flooded_holds_contacts_off_and_no_agent() -> None:
    """A send that was held off can be repeated: its number was not used up."""
    async with open_house(rates=True, sends_per_inbox=1) as house:
        _, conversation = await house.talk("1", "2")
        ben, staff = await house.visitor("ben"), await house.staff()
        ben.say(1)
        for n in range(1, 5):
            staff.say(n, conversation=conversation)
        await house.settle()
        assert answers(staff) == [(n, "sent") for n in range(1, 5)]
        (held,) = ben.take("error")
        assert (held["code"], held["expected"]) == ("rate_limited", 1)
        await house.advance(held["retry_after_ms"] / 1000)
        ben.say(1)
        await house.settle()
        assert answers(ben) == [(1, "sent")]


async def test_messages_over_rest_count_with_those_of_connections() -> None:
    """Another road is no way round the limit of a contact, of an address, or of an inbox."""
    async with open_house(rates=True, sends_per_contact=1) as house:
        await house.talk("1", "2", "3", "4", "5")
        ann = house.principals["ann"]
        with pytest.raises(UniqueCsError, match="too many") as refused:
            admit_request(house.gateway, ann, "10.0.0.2", 1)
        assert (refused.value.code, refused.value.retry_after_ms) == ("rate_limited", 1_001)
        await house.contact("ben")
        admit_request(house.gateway, house.principals["ben"], "10.0.0.2", 1)
    for limits in ({"sends_per_ip": 1}, {"sends_per_inbox": 1}):
        async with open_house(rates=True, **limits) as house:
            await house.talk("1", "2")
            await house.contact("ben")
            with pytest.raises(UniqueCsError, match="too many"):
                admit_request(house.gateway, house.principals["ben"], "10.0.0.1", 1)


async def test_an_address_that_names_conversations_of_others_is_held_off() -> None:
    """Each may have to be looked for in the archive; those that one is in are at hand."""
    async with open_house(rates=True, sends_per_ip=1) as house:
        _, theirs = await house.talk(name="eve")
        await house.advance(10)
        ann, own = await house.talk()
        await house.advance(10)
        for frame in ({"type": "subscribe"}, {"type": "read", "seq": 1}):
            assert [each["type"] for each in await ann.ask(**frame, conversation=theirs)] != []
        for frame in ({"type": "subscribe"}, {"type": "read", "seq": 1}, {"type": "typing"}):
            (refused,) = await ann.ask(**frame, conversation=theirs)
            assert (refused["code"], refused["retry_after_ms"]) == ("rate_limited", 1_001)
        assert [each["type"] for each in await ann.ask("subscribe", conversation=own)] == ["subscribed"]
        assert await ann.ask("read", conversation=own, seq=1) == []

"""What a node under load sheds, in which order, and what it tells those whom it turns away."""

from collections.abc import AsyncIterator

import pytest

from tests.support.node import House, Peer, open_house, turns
from unique_cs.domain.pressure import ENTER, Kind
from unique_cs.gateway.pressure import MAX_SPAN_MS, MIN_WAIT_MS
from unique_cs.protocol import close
from unique_cs.telemetry import metrics

MB = 1 << 20
BOUND_MB = 1_000


@pytest.fixture
async def busy() -> AsyncIterator[House]:
    """A node that sheds by memory, which a test sets; its other measures are at rest."""
    async with open_house(rates=True, max_memory_mb=BOUND_MB, max_lag_ms=60_000) as house:
        yield house


async def load(house: House, level: int) -> None:
    """Strain the node up to this level."""
    part = 1.0 + (ENTER[level] + 0.001 - 1.0) * 0.2 if level else 0.1
    house.gateway.pressure.resident = int(BOUND_MB * MB * part)
    await house.advance(0.1)
    assert house.gateway.pressure.level == level


def shed(kind: Kind) -> float:
    name = kind.name.lower()
    return metrics.registry.get_sample_value("unique_cs_shed_total", {"kind": name}) or 0.0


async def overloaded(house: House, peer: Peer, n: int, conversation: str | None = None) -> bool:
    """Whether a send is held off; if so, it can be repeated after a while that it is told."""
    peer.say(n, conversation=conversation)
    await house.settle()
    (answer,) = peer.take("sent", "error")
    if answer["type"] == "sent":
        return False
    assert (answer["code"], answer["n"], answer["expected"]) == ("overloaded", n, n)
    assert MIN_WAIT_MS <= answer["retry_after_ms"] <= MIN_WAIT_MS + MAX_SPAN_MS
    return True


async def comes_in(house: House, name: str) -> bool:
    """Whether a connection that was let in before may say `connect`."""
    peer = house.peer()
    peer.send("connect", token=await house.contact(name))
    await house.settle()
    if peer.code is None:
        peer.hang_up()
        return True
    error, goodbye = peer.take()
    assert (error["code"], goodbye["code"], peer.code) == ("overloaded", 4529, 4529)
    assert 0 < goodbye["after_ms"] == error["retry_after_ms"]
    return False


@pytest.mark.parametrize("level", range(6))
async def test_the_order_of_shedding(busy: House, level: int) -> None:
    """Signals, connects, new conversations, contacts' messages, agents' replies: each level one more."""
    ann, conversation = await busy.talk()
    new, staff = await busy.visitor("new"), await busy.staff()
    staff.take()
    before = {kind: shed(kind) for kind in Kind}
    await load(busy, level)
    ann.send("typing", conversation=conversation, on=True)
    await busy.settle()
    taken = [
        bool(staff.take("signal")),
        busy.gateway.admit("10.0.0.7") is None,
        not await overloaded(busy, new, 1),
        not await overloaded(busy, ann, 2),
        not await overloaded(busy, staff, 1, conversation),
    ]
    assert taken == [kind > level for kind in Kind]
    counted = {kind for kind in Kind if kind <= level}
    if level >= Kind.CONTACTS:
        counted.remove(Kind.CONVERSATIONS)  # its opener is a contact: it gets no further
    assert {kind for kind in Kind if shed(kind) > before[kind]} == counted
    assert await comes_in(busy, "late") is (level < Kind.CONNECTS)
    assert ann.take("error", "close") == []


async def test_what_was_held_off_is_taken_when_the_load_is_gone(busy: House) -> None:
    """It keeps its number, and later ones wait for it."""
    ann, _ = await busy.talk()
    await load(busy, Kind.CONTACTS)
    ann.say(2, "second")
    ann.say(3, "third")
    await busy.settle()
    assert [(frame["n"], frame["code"], frame["expected"]) for frame in ann.take()] == [
        (2, "overloaded", 2),
        (3, "out_of_order", 2),
    ]
    await load(busy, Kind.CONTACTS)
    busy.gateway.pressure.resident = 0
    await busy.advance(3)
    assert busy.gateway.pressure.level == 0
    ann.say(2, "second")
    ann.say(3, "third")
    await busy.settle()
    assert [(frame["type"], frame["n"]) for frame in ann.take()] == [("sent", 2), ("sent", 3)]


async def test_read_marks_move_while_nobody_is_told(busy: House) -> None:
    staff = await busy.staff()
    ann, conversation = await busy.talk()
    staff.take()
    await load(busy, Kind.SIGNALS)
    ann.send("read", conversation=conversation, seq=2)
    await busy.settle()
    assert staff.take("signal") == ann.take("error") == []
    ann.hang_up()
    await load(busy, Kind.SIGNALS)
    again = await busy.peer().connect("ann", session=ann.connected["session"])
    assert again.connected["conversations"][0]["read"] == 2


@pytest.mark.parametrize("before", [0.0, 0.5], ids=["at its start", "later"])
async def test_a_loop_that_is_late_for_a_while_sheds_and_one_late_step_does_not(before: float) -> None:
    async with open_house(rates=True, max_lag_ms=200) as house:
        pressure = house.gateway.pressure
        await house.advance(before)
        house.clock.seconds += 1.0
        await house.advance(0.05)
        assert pressure.level == 0
        for _ in range(8):
            house.clock.seconds += 0.26
            await house.settle()
        assert pressure.level == Kind.CONTACTS
        await house.advance(3)
        assert pressure.level == 0


async def test_bytes_that_wait_for_slow_readers_count_together() -> None:
    async with open_house(rates=True, max_queued=200_000, max_lag_ms=60_000) as house:
        staff = [await house.staff(f"bob-{number}") for number in range(3)]
        for each in staff:
            each.holds = True
        ann, _ = await house.talk()
        for n in range(2, 12):
            ann.say(n, "x" * 7_000)
            await house.settle()
        await house.advance(0.1)
        assert house.gateway.pressure.level == Kind.CONTACTS
        for each in staff:
            each.catch_up()
        await house.advance(3)
        assert house.gateway.pressure.level == 0


async def test_no_more_wait_for_the_disk_than_can_be_answered_in_time() -> None:
    """Contacts wait first, agents have twice the room; what was taken is answered once the disk is back."""
    async with open_house(rates=True, min_backlog=10, max_backlog=10, max_lag_ms=60_000) as house:
        ann, conversation = await house.talk()
        staff = await house.staff()
        house.disk.hold()
        ann.say(2)
        await house.until(lambda: house.node.group.pending == 0)
        for n in range(3, 33):
            ann.say(n)
        for n in range(1, 31):
            staff.say(n, conversation=conversation)
        await turns(3)
        codes = [frame["code"] for frame in ann.take("error")]
        assert codes == ["overloaded"] + ["out_of_order"] * 19
        assert [frame["code"] for frame in staff.take("error")] == ["overloaded"] + ["out_of_order"] * 19
        house.disk.release()
        await house.settle()
        assert [frame["n"] for frame in ann.take("sent")] == list(range(2, 13))
        assert [frame["n"] for frame in staff.take("sent")] == list(range(1, 11))


async def test_without_rates_nothing_is_shed() -> None:
    async with open_house(max_memory_mb=1, max_backlog=1) as house:
        house.gateway.pressure.resident = 1 << 40
        ann, _ = await house.talk("one", "two", "three")
        await house.advance(1)
        assert house.gateway.admit("10.0.0.1") is None
        assert not await overloaded(house, ann, 4)


async def test_those_sent_away_come_back_at_a_rate_that_the_node_can_take() -> None:
    """A drain of 2,000 sessions spreads them over as many seconds as a fifth of the handshakes needs."""
    async with open_house(handshakes_per_second=1_000) as house:
        peers = [house.peer() for _ in range(2_000)]
        house.gateway.hub.close_all(close.DRAINING)
        waits = sorted(frame["after_ms"] for peer in peers for frame in peer.take("close"))
        for peer in peers:
            peer.hang_up()
    assert 200 <= waits[0] < 400
    assert 10_000 < waits[-1] <= 11_200
    busiest = max(sum(at <= wait < at + 1_000 for wait in waits) for at in range(0, 11_000, 500))
    assert busiest <= 250


async def test_the_more_are_turned_away_the_later_they_may_knock(busy: House) -> None:
    gateway = busy.gateway
    await load(busy, Kind.CONNECTS)
    few = [gateway.admit("10.0.0.1") for _ in range(50)]
    many = [gateway.admit("10.0.0.1") for _ in range(100_000)][-1_000:]
    assert {refused[0] for refused in (*few, *many) if refused} == {503}
    longest = [max(refused[1] for refused in some if refused) for some in (few, many)]
    assert longest[0] <= 5
    assert 40 <= longest[1] <= 65

"""Any sequence of frames: nothing is raised, and a connection stays consistent or ends as documented."""

import asyncio
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.node import Frame, Peer, open_house, turns
from unique_cs.protocol import close

CODES = {each.code for each in close.ALL}
SEQ = st.integers(-1, 6)
TALKS = st.sampled_from(["mine", "theirs", "12345", "x", ""])
BODIES = st.sampled_from(
    [
        {"kind": "text", "text": "hello"},
        {"kind": "text", "text": ""},
        {"kind": "text", "text": "x" * 9_000},
        {"kind": "custom", "x": [[]]},
        {"kind": "image", "attachment": "1"},
        {"kind": "nothing"},
        None,
    ]
)


def _frame(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Frame]:
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=fields)


FRAMES = st.one_of(
    _frame("send", n=st.integers(0, 6), conversation=TALKS, body=BODIES, private=st.booleans()),
    _frame("send", n=st.integers(1, 4), body=BODIES),
    _frame("subscribe", conversation=TALKS, since=st.fixed_dictionaries({"epoch": st.just("E"), "seq": SEQ})),
    _frame("unsubscribe", conversation=TALKS),
    _frame("typing", conversation=TALKS, on=st.booleans(), preview=st.text(max_size=3)),
    _frame("read", conversation=TALKS, seq=SEQ),
    _frame("delivered", conversation=TALKS, seq=SEQ),
    _frame("page", url=st.text(max_size=5)),
    _frame("ping"),
    _frame("nonsense", n=st.text(max_size=2)),
    _frame("connect", token=st.sampled_from(["ann", "bob", "nobody"])),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["ann", "bob"]), FRAMES | st.binary(max_size=9), st.booleans()), max_size=25
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_any_frames(steps: list[tuple[str, Frame | bytes, bool]]) -> None:
    """A contact and an agent send anything: timelines have no holes, views no gaps, ends have a code."""
    asyncio.run(_play(steps))


async def _play(steps: list[tuple[str, Frame | bytes, bool]]) -> None:
    async with open_house() as house:
        failed: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        _, theirs = await house.talk(name="eve")
        ann, mine = await house.talk(name="ann")
        peers = {"ann": ann, "bob": await house.staff("bob")}
        names = {"mine": mine, "theirs": theirs}
        seen: dict[str, list[Frame]] = {"ann": [], "bob": []}
        for who, frame, pause in steps:
            _send(peers[who], frame, names, house.node.timeline.epoch)
            await turns(1)
            if pause:
                await house.settle()
            seen[who] += peers[who].take()
        await house.settle()
        for who, peer in peers.items():
            seen[who] += peer.take()
            assert peer.code is None or peer.code in CODES
            _check_answers(seen[who])
        _check_view(seen["ann"], mine, 2)
        for wire_id in (mine, theirs):
            found = await house.conversation(wire_id)
            page = await house.node.timeline.events(found, 0, 10_000, 10_000, False)
            assert [each.seq for each in page] == list(range(1, found.seq + 1))
            assert found.seq == found.durable
        assert failed == []


def _send(peer: Peer, frame: Frame | bytes, names: dict[str, str], epoch: str) -> None:
    if isinstance(frame, bytes):
        peer.receive(frame)
        return
    frame = dict(frame)
    if "conversation" in frame:
        frame["conversation"] = names.get(frame["conversation"], frame["conversation"])
    if "since" in frame:
        frame["since"] = {**frame["since"], "epoch": epoch}
    peer.receive(msgspec.json.encode(frame))


def _check_answers(frames: list[Frame]) -> None:
    """First answers come in the order of `n`, each `sent` always the same."""
    answered: dict[int, Frame] = {}
    for frame in frames:
        if frame["type"] == "sent":
            assert answered.setdefault(frame["n"], frame) == frame
    assert list(answered) == sorted(answered)


def _check_view(frames: list[Frame], conversation: str, position: int) -> None:
    """While it is subscribed a view has no gap and no repeat; a `sent` again is no event."""
    at: int | None = position
    sent = {1}
    for frame in frames:
        if frame.get("conversation") != conversation:
            continue
        match frame["type"]:
            case "unsubscribed":
                at = None
            case "subscribed" | "resync":
                at = None
            case "sent" if frame["n"] in sent or at is None:
                pass
            case "event" | "sent" | "advance":
                assert at is None or frame["seq"] == at + 1
                at = frame["seq"]
        if frame["type"] == "sent":
            sent.add(frame["n"])

"""Putting events back that a lost numbering had: which are lacking, in what order, and as what item."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter

import msgspec

from unique_cs.cluster import items, log
from unique_cs.cluster.cold import Cold, read_frame, replay
from unique_cs.cluster.commit import Word
from unique_cs.cluster.keys import PLACES
from unique_cs.cluster.log import Record
from unique_cs.domain.conversation import Conversation
from unique_cs.storage import rows

GAP = "conversation.gap"
"""Name of the event at a place that nobody knows: no client knows it, and contacts do not see it."""


def event_id(record: Record) -> int:
    """The id of an event's record."""
    return int(rows.read_event(record.seq, record.row).id_and_time()[0])


def once(records: Iterable[Record]) -> list[Record]:
    """Every event once, in the order of places, as the newest numbering had it.

    Of two events that one send made, the client knows the newer one; gaps are made anew where there are any.
    """
    found: dict[object, Record] = {}
    for record in sorted(records, key=attrgetter("place")):
        stored = rows.read_event(record.seq, record.row)
        if read_frame(stored.frame).name != GAP:
            found.pop(number := event_id(record), None)
            found[number] = record
    sends: dict[object, Record] = {}
    for event, record in found.items():
        stored = rows.read_event(record.seq, record.row)
        sends[(stored.session, stored.n) if stored.session != rows.NO_SESSION else event] = record
    return sorted(sends.values(), key=attrgetter("place"))


def arranged(records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """The events of one conversation: those that keep their places, by place, and those that come late.

    What a numbering gave a place knew all below. So an event of an older one at such a place, or above it,
    was not there when the later one was opened.
    """
    kept: list[Record] = []
    late: list[Record] = []
    for _, mine in groupby(records, key=lambda each: each.place >> PLACES):
        later = sorted(mine, key=attrgetter("seq"))
        late += [each for each in kept if each.seq >= later[0].seq]
        kept = [each for each in kept if each.seq < later[0].seq] + later
    return kept, sorted(late, key=attrgetter("place"))


async def lacking(cold: Cold, records: Iterable[Record]) -> list[Record]:
    """Those events and contacts that the cold tier has nothing of: neither the event nor its send."""
    found: list[Record] = []
    for number, mine in groupby(sorted(records, key=attrgetter("id", "place")), key=attrgetter("id")):
        same = list(mine)
        events = [each for each in same if each.kind == log.EVENT]
        known = await cold.known_events(number, [event_id(each) for each in events])
        unknown = [each for each in events if event_id(each) not in known]
        found += [each for each in unknown if not await _is_answered(cold, each)]
        contacts = [each for each in same if each.kind == log.CONTACT]
        if contacts and await cold.contact(number) is None:
            found += contacts[-1:]
    return found


async def _is_answered(cold: Cold, record: Record) -> bool:
    stored = rows.read_event(record.seq, record.row)
    return stored.session != rows.NO_SESSION and await cold.answer(stored.session, stored.n) is not None


def as_next(conversation: Conversation, row: bytes) -> tuple[Conversation, list[Word]]:
    """Let the event be the conversation's next one, whatever place it had: the state then, and the item."""
    seq = conversation.seq + 1
    stored = rows.read_event(0, row)
    frame = read_frame(stored.frame)
    if frame.seq != seq:
        stored = msgspec.structs.replace(stored, frame=_renumbered(stored.frame, frame.seq, seq))
    after = replay(conversation, seq, frame)
    return after, items.import_event(after, seq, after.state_seq == seq, stored, frame.actor)


def _renumbered(frame: bytes, old: int, new: int) -> bytes:
    return frame.replace(b'"seq":%d,' % old, b'"seq":%d,' % new, 1)

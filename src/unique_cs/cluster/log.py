"""The log: every durable step of the installation, in one order, read by each node and by the relay."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from unique_cs.cluster.keys import Keys

READ: Final = 1_000
"""Records of one reading."""

WAIT_MS: Final = 1_000
"""How long a reading waits for something new."""

EVENT: Final = "e"
CONTACT: Final = "k"
CURSOR: Final = "r"
REFUSAL: Final = "f"


class Record(Struct, array_like=True, gc=False):
    """One step at `place`. `row` is an event row, a contact row, cursors or an error row, by `kind`.

    `changes` says that the event is no message; `state` is the conversation's state after it. `origin` names
    the process and its item that waits for this step, if any. `key` is a session (hex) or a participant.
    """

    place: int
    kind: str
    id: int = 0
    seq: int = 0
    contact: int = 0
    changes: bool = False
    origin: str = ""
    state: bytes = b""
    row: bytes = b""
    key: str = ""
    n: int = 0


Raw = tuple[bytes, list[bytes]]
"""An entry of the stream: its id, then names and values of fields in turn."""

_records: Final = msgspec.msgpack.Decoder(list[Record])
encode: Final = msgspec.msgpack.Encoder().encode
"""Records as the journal keeps them."""


def decode(row: bytes) -> list[Record]:
    """The inverse of `encode`."""
    return _records.decode(row)


class Trimmed(Exception):
    """Records that were not read yet are gone: whoever reads has to begin anew."""


async def follow(client: Any, keys: Keys, after: int) -> list[Record]:
    """The records after a place, once there are any; empty after `WAIT_MS`. Raises `Trimmed`."""
    words = ("COUNT", READ, "BLOCK", WAIT_MS, "STREAMS", keys.log, f"{after}-0")
    found = await client.execute_command("XREAD", *words)
    return _consecutive(found[0][1], after) if found else []


async def read(client: Any, keys: Keys, after: int, limit: int = READ) -> list[Record]:
    """At most `limit` records after a place, at once. Raises `Trimmed`."""
    return _consecutive(await client.xrange(keys.log, f"({after}-0", "+", count=limit), after)


async def newest(client: Any, keys: Keys) -> int:
    """The place of the newest record."""
    return int(await client.get(keys.head) or 0)


def records(raw: list[Raw]) -> list[Record]:
    """Entries of the stream, read."""
    return [_record(place, fields) for place, fields in raw]


def _consecutive(raw: list[Raw], after: int) -> list[Record]:
    found = records(raw)
    if found and (found[0].place != after + 1 or found[-1].place != after + len(found)):
        raise Trimmed
    return found


def _record(place: bytes, fields: list[bytes]) -> Record:
    """Nearly all are events, whose fields come in the order in which the script writes them."""
    number = int(place[:-2])
    if fields[1] == b"e":
        _, _, _, conversation, _, seq, _, contact, _, changes, _, origin, _, state, _, row = fields
        return Record(
            number,
            EVENT,
            int(conversation),
            int(seq),
            int(contact),
            changes == b"1",
            origin.decode(),
            state,
            row,
        )
    return _other(number, dict(zip(fields[::2], fields[1::2], strict=True)))


def _other(place: int, fields: dict[bytes, bytes]) -> Record:
    get = fields.get
    return Record(
        place,
        fields[b"k"].decode(),
        int(get(b"c", b"0")),
        origin=get(b"o", b"").decode(),
        row=get(b"r", b""),
        key=get(b"s", b"").decode(),
        n=int(get(b"n", b"0")),
    )

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
    found = await client.xread({keys.log: f"{after}-0"}, count=READ, block=WAIT_MS)
    return _consecutive(found[0][1], after) if found else []


async def read(client: Any, keys: Keys, after: int, limit: int = READ) -> list[Record]:
    """At most `limit` records after a place, at once. Raises `Trimmed`."""
    return _consecutive(await client.xrange(keys.log, f"({after}-0", "+", count=limit), after)


async def newest(client: Any, keys: Keys) -> int:
    """The place of the newest record."""
    return int(await client.get(keys.head) or 0)


def records(raw: list[tuple[bytes, dict[bytes, bytes]]]) -> list[Record]:
    """Entries of the stream, read."""
    return [_record(place, fields) for place, fields in raw]


def _consecutive(raw: list[tuple[bytes, dict[bytes, bytes]]], after: int) -> list[Record]:
    found = records(raw)
    if found and (found[0].place != after + 1 or found[-1].place != after + len(found)):
        raise Trimmed
    return found


def _record(place: bytes, fields: dict[bytes, bytes]) -> Record:
    number = int(place[:-2])
    get = fields.get
    return Record(
        number,
        fields[b"k"].decode(),
        int(get(b"c", b"0")),
        int(get(b"q", b"0")),
        int(get(b"p", b"0")),
        get(b"s") == b"1",
        get(b"o", b"").decode(),
        get(b"d", b""),
        get(b"r", b""),
        _key(get(b"s", b"")),
        int(get(b"n", b"0")),
    )


def _key(raw: Any) -> str:
    return "" if raw in (b"0", b"1") else str(raw, "ascii")

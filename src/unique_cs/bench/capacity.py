"""How many sessions one process holds on this machine, from what one of them was measured to take."""

from unique_cs.bench.report import Row
from unique_cs.config import Settings
from unique_cs.machine import memory_bytes, most_connections

IDLE_CORE = 0.5
"""The part of its core that heartbeats may take: the rest is for talk."""


def capacity(memory: Row, beats: Row, resident: int) -> Row:
    """The least of what memory, its core, open files and the default settings bear.

    `memory` and `beats` are the rows of idle sessions; `resident` is the process without any, in bytes.
    """
    usable = memory_bytes() * 9 // 10 - resident
    borne = {
        "memory": int(usable / max(1.0, memory.details["bytes_each"])),
        "its core": int(IDLE_CORE * 1e6 / max(0.01, beats.details["microseconds_each"])),
        "open files": most_connections(),
        "UNIQUE_CS_MAX_CONNECTIONS": Settings().max_connections,
    }
    (first, least), *others = sorted(borne.items(), key=lambda each: each[1])
    more = ", ".join(f"{name} {count:,}" for name, count in others)
    value = f"{least:,} by {first}; {more}"
    return Row("sessions this process may hold", "", value, None, {"sessions": least, **borne})

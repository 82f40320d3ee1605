"""Limits of a node, as its connections know them."""

from typing import NamedTuple


class Limits(NamedTuple):
    """Limits of a node; see docs/reference/settings.md. `rates` off turns every token bucket off."""

    rates: bool = True
    max_frame: int = 65_536
    max_text: int = 8_000
    max_queue: int = 1_048_576
    max_connections: int = 100_000
    heartbeat_ms: int = 25_000
    connect_timeout_ms: int = 10_000
    handshakes_per_second: int = 10_000
    handshakes_per_ip: int = 200
    sends_per_second: int = 20
    sends_per_contact: int = 40
    sends_per_ip: int = 200
    sends_per_inbox: int = 5_000
    signals_per_second: int = 20
    max_lag_ms: int = 200
    ack_target_ms: int = 20
    min_backlog: int = 30
    max_backlog: int = 10_000
    max_queued: int = 268_435_456
    max_memory_mb: int = 0

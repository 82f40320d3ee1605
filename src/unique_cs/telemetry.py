"""Log set-up and every metric. Logs: one line on open and close, none per message."""

import logging
import sys
from collections import deque

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from unique_cs.domain.alarms import NAMES
from unique_cs.errors import Code
from unique_cs.protocol import close

_LATENCY = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


class BridgeMetrics:
    """Those of the MQTT bridge."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connected = Gauge(
            "unique_cs_mqtt_bridge_connected", "1 while the MQTT broker is there", registry=registry
        )
        self.connections = Gauge(
            "unique_cs_mqtt_bridge_connections", "Connections through the MQTT broker", registry=registry
        )
        self.ignored = Counter(
            "unique_cs_mqtt_bridge_ignored", "MQTT messages that were no client's", registry=registry
        )


class PressureMetrics:
    """Those of admission by load; `shed` has a child for each kind, in the order of shedding, from 1."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.level = Gauge(
            "unique_cs_pressure_level", "What is shed: 0 nothing, 5 everything", registry=registry
        )
        self.window = Gauge(
            "unique_cs_send_window", "Messages that may wait to become durable", registry=registry
        )
        shed = Counter("unique_cs_shed", "What was not taken, by kind", ["kind"], registry=registry)
        kinds = ("signals", "connects", "conversations", "contacts", "agents")
        self.shed = {place: shed.labels(kind) for place, kind in enumerate(kinds, 1)}


class AlarmMetrics:
    """Those of the backlog alarm: of the one node that watches, elsewhere 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        alarm = Gauge("unique_cs_alarm", "1 while an incident lasts", ["name"], registry=registry)
        self.raised = {name: alarm.labels(name) for name in NAMES}
        self.undelivered = Gauge(
            "unique_cs_undelivered_conversations",
            "Conversations whose newest message no agent's device has",
            registry=registry,
        )

    def clear(self) -> None:
        """Another node watches now."""
        for each in (*self.raised.values(), self.undelivered):
            each.set(0)


class WebhookMetrics:
    """Those of the webhook: of the one node that delivers, elsewhere 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waiting = Gauge("unique_cs_webhook_waiting", "Deliveries that wait", registry=registry)
        self.oldest = Gauge(
            "unique_cs_webhook_oldest_seconds", "Age of the oldest that waits", registry=registry
        )
        self.parked = Gauge("unique_cs_webhook_parked", "Deliveries given up", registry=registry)
        attempts = Counter("unique_cs_webhook_attempts", "Attempts", ["outcome"], registry=registry)
        self.delivered, self.failed = attempts.labels("delivered"), attempts.labels("failed")

    def clear(self) -> None:
        """Another node delivers now."""
        for each in (self.waiting, self.oldest, self.parked):
            each.set(0)


class Metrics:
    """Every metric of a process. Label children are made once: looking one up costs more than counting."""

    def __init__(self) -> None:
        self._inbound = self._outbound = 0
        self.registry = registry = CollectorRegistry()
        rate = Gauge(
            "unique_cs_message_rate", "Messages a second over the last 10 s", ["type"], registry=registry
        )
        self.rate_in, self.rate_out = rate.labels("inbound"), rate.labels("outbound")
        total = Counter("unique_cs_messages", "Messages since the start", ["type"], registry=registry)
        self.messages_in, self.messages_out = total.labels("inbound"), total.labels("outbound")
        refused = Counter("unique_cs_refused", "Refusals by error code", ["code"], registry=registry)
        self.closed = Counter(
            "unique_cs_closed", "Connections closed by the server", ["code"], registry=registry
        )
        # Prometheus sees no increase in what begins with 1.
        self.refused = {code: refused.labels(code) for code in Code}
        for each in close.ALL:
            self.closed.labels(str(each.code))
        self._time(registry)
        self._count_people(registry)
        self.relay_lag = Gauge(
            "unique_cs_relay_lag_groups", "Groups not yet in the cold tier", registry=registry
        )
        self.relay_lag_seconds = Gauge(
            "unique_cs_relay_lag_seconds",
            "Age of the oldest group not yet in the cold tier",
            registry=registry,
        )
        self.relayed = Counter("unique_cs_relayed_events", "Events moved to the cold tier", registry=registry)
        self.relay_stopped = Gauge(
            "unique_cs_relay_stopped", "1 while the relay stands still", registry=registry
        )
        self.pending = Gauge("unique_cs_pending_messages", "Accepted, not yet durable", registry=registry)
        self.loop_lag = Gauge("unique_cs_loop_lag_seconds", "How late the event loop is", registry=registry)
        self.resident = Gauge("unique_cs_resident_bytes", "Resident memory of the process", registry=registry)
        self.free_bytes = Gauge(
            "unique_cs_disk_free_bytes", "Free space of the data folder", registry=registry
        )
        self.bridge = BridgeMetrics(registry)
        self.alarm = AlarmMetrics(registry)
        self.webhook = WebhookMetrics(registry)
        self.pressure = PressureMetrics(registry)

    def _time(self, registry: CollectorRegistry) -> None:
        self.ack_seconds = Histogram(
            "unique_cs_ack_seconds", "Send to sent, in the server", buckets=_LATENCY, registry=registry
        )
        self.delivery_seconds = Histogram(
            "unique_cs_delivery_seconds",
            "Send to delivery, in the server",
            buckets=_LATENCY,
            registry=registry,
        )
        self.fsync_seconds = Histogram(
            "unique_cs_fsync_seconds", "Write and flush of a group", buckets=_LATENCY, registry=registry
        )
        self.fsync_batch = Histogram(
            "unique_cs_fsync_batch",
            "Entries of a group",
            buckets=(1, 5, 20, 50, 100, 500, 2000),
            registry=registry,
        )
        self.batch_size = Histogram(
            "unique_cs_redis_batch",
            "Items of one call to Redis",
            buckets=(1, 5, 20, 50, 100, 200, 500),
            registry=registry,
        )
        self.redis_connected = Gauge(
            "unique_cs_redis_connected", "1 while the log in Redis is being followed", registry=registry
        )
        self.redis_used = Gauge("unique_cs_redis_used_bytes", "Memory that Redis uses", registry=registry)
        self.redis_limit = Gauge(
            "unique_cs_redis_limit_bytes", "Memory that Redis may use; 0: no limit", registry=registry
        )
        self.generation = Gauge("unique_cs_generation", "Counter of the open generation", registry=registry)

    def _count_people(self, registry: CollectorRegistry) -> None:
        self.connections = Gauge("unique_cs_connections", "Open connections", registry=registry)
        self.connection_limit = Gauge(
            "unique_cs_connection_limit", "Connections that may be open", registry=registry
        )
        self.agents = Gauge("unique_cs_agents", "Open connections of agents", registry=registry)
        self.waiting = Gauge(
            "unique_cs_waiting_conversations", "Conversations that wait for an agent", registry=registry
        )
        self.oldest_wait = Gauge(
            "unique_cs_oldest_wait_seconds", "How long the longest waiting one waits", registry=registry
        )
        self.sessions = Gauge("unique_cs_sessions", "Sessions with a connection", registry=registry)
        self.queue_bytes = Gauge(
            "unique_cs_queue_bytes", "Bytes waiting in all connections", registry=registry
        )

    def counted_in(self) -> int:
        """Messages that came in since the start."""
        return int(self._inbound)

    def counted_out(self) -> int:
        """Messages that went out since the start."""
        return int(self._outbound)

    def count(self, inbound: int, outbound: int) -> None:
        """Count messages, a group at a time."""
        self._inbound += inbound
        self._outbound += outbound
        self.messages_in.inc(inbound)
        self.messages_out.inc(outbound)


metrics = Metrics()


class RateMeter:
    """Turns growing counts into a rate over the last ten seconds; `tick` is called once a second."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=11)

    def tick(self, inbound: int, outbound: int) -> tuple[float, float]:
        """Return (inbound, outbound) messages a second."""
        self._seen.append((inbound, outbound))
        first, last, seconds = self._seen[0], self._seen[-1], max(1, len(self._seen) - 1)
        return (last[0] - first[0]) / seconds, (last[1] - first[1]) / seconds


def set_up_logging(level: str) -> None:
    """Write structured lines to standard error: JSON, or coloured text on a terminal."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


log = structlog.get_logger("unique_cs")

"""What the handlers of frames share: ports, limits, the hub and the wheel of this node."""

import random
from collections.abc import Awaitable, Callable
from typing import Final

from unique_cs.domain.flow import AddressBuckets, KeyedBuckets, MakeBuckets, own_buckets
from unique_cs.domain.permission import Principal
from unique_cs.errors import Code, UniqueCsError
from unique_cs.gateway.hub import Hub
from unique_cs.gateway.limits import Limits
from unique_cs.gateway.pressure import Pressure
from unique_cs.gateway.receipts import Receipts
from unique_cs.gateway.wheel import Wheel
from unique_cs.ports import Clock, Contacts, Timeline

MAX_TICK_S: Final = 0.1
"""The wheel's step. After a restart all come within seconds, and are then asked together: in small lots."""

Authenticate = Callable[[str], Awaitable[Principal]]


class Context:
    """Made once for a node, inside its event loop; a handler gets it with each frame."""

    def __init__(
        self,
        timeline: Timeline,
        contacts: Contacts,
        authenticate: Authenticate,
        clock: Clock,
        limits: Limits,
        rng: random.Random,
        make_buckets: MakeBuckets = own_buckets,
    ) -> None:
        self.timeline = timeline
        self.contacts = contacts
        self.authenticate = authenticate
        self.clock = clock
        self.limits = limits
        self.wheel = Wheel(min(MAX_TICK_S, limits.heartbeat_ms / 4_000, limits.connect_timeout_ms / 4_000))
        self.hub = Hub(clock, self.wheel)
        self.receipts = Receipts()
        self.pressure = Pressure(limits, self.hub.queued, rng)
        # A session is on one node at a time; it keeps its bucket when it comes back.
        self.sends_by_session = KeyedBuckets(limits.sends_per_second, 5 * limits.sends_per_second)
        # Of contacts, who may have any number of sessions, and of agents' sessions.
        self.signals = KeyedBuckets(limits.signals_per_second, 5 * limits.signals_per_second)
        self.sends_by_contact = make_buckets(
            "contact", limits.sends_per_contact, 5 * limits.sends_per_contact
        )
        self.sends_by_ip = AddressBuckets(make_buckets("ip", limits.sends_per_ip, 2 * limits.sends_per_ip))
        self.sends_by_inbox = make_buckets("inbox", limits.sends_per_inbox, 2 * limits.sends_per_inbox)

    def admit_search(self, principal: Principal, address: str) -> None:
        """Raise `rate_limited` where an address names too many conversations that its contacts are not in.

        Each may have to be looked for in every tier. A contact hears of its own without asking.
        """
        if not (principal.is_contact and self.limits.rates):
            return
        wait = self.sends_by_ip.take(address, self.clock.monotonic())
        if wait:
            raise UniqueCsError(Code.RATE_LIMITED, "too many conversations are named", retry_after_ms=wait)

"""Once a second: measure the process, watch the disk, tell agents how many wait."""

import asyncio
from collections.abc import Callable

from unique_cs.machine import resident_bytes
from unique_cs.telemetry import RateMeter, metrics

PERIOD_S = 1.0


class Watch:
    """Keeps the gauges true and calls `each_second` steps; a step that fails does not stop the others."""

    def __init__(self, each_second: list[Callable[[], None]], on_error: Callable[[Exception], None]) -> None:
        self._steps = each_second
        self._on_error = on_error
        self._meter = RateMeter()

    async def run(self) -> None:
        """Run until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time() + PERIOD_S
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            metrics.loop_lag.set(max(0.0, loop.time() - due))
            due = max(due + PERIOD_S, loop.time())
            self._measure()
            for step in self._steps:
                self._attempt(step)

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001  # whatever fails, the other steps go on
            self._on_error(error)

    def _measure(self) -> None:
        inbound, outbound = self._meter.tick(metrics.counted_in(), metrics.counted_out())
        metrics.rate_in.set(inbound)
        metrics.rate_out.set(outbound)
        metrics.resident.set(resident_bytes())

"""A bound on how often something is done, for the sake of what it then does at once."""

import asyncio


class Pace:
    """Lets one turn begin in so many seconds. Who comes later than that does not wait."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    async def turn(self) -> None:
        """Return when the next turn may begin."""
        loop = asyncio.get_running_loop()
        wait = self._next - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        self._next = loop.time() + self._seconds

"""Ending tasks that talk to Redis."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

ASK_AGAIN_S: Final = 0.05
TURNS: Final = 13


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks, and return when all have ended, however they did.

    Each call of the Redis client goes through `asyncio.wait_for`, which in Python 3.11 loses a cancellation
    that comes when the wait is over anyway (python/cpython#86296): so they are asked until they end.
    """
    left, turns = set(tasks), 0
    while left:
        # Not always at the same moment of a call, which takes a few turns of the loop.
        turns = (turns + 1) % TURNS
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=ASK_AGAIN_S)
        for task in done:
            # What it raised was for whoever waited for it; here it only must not be reported as unseen.
            _ = task.cancelled() or task.exception()

"""Ending tasks that talk to Redis."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

ASK_AGAIN_S: Final = 0.1


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks, and return when all have ended, however they did.

    Each call of the Redis client goes through `asyncio.wait_for`, which in Python 3.11 loses a cancellation
    that comes when the wait is over anyway (python/cpython#86296): so they are asked until they end.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=ASK_AGAIN_S)
        for task in done:
            # What it raised was for whoever waited for it; here it only must not be reported as unseen.
            _ = task.cancelled() or task.exception()

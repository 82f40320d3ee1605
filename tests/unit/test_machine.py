"""What a process asks of its machine."""

import asyncio
import signal

from unique_cs.machine import tell


async def test_a_signal_takes_no_exit_status_away() -> None:
    """Each child ends by itself at the moment in which it is told to."""
    statuses = [status for _ in range(50) for status in await asyncio.gather(*(_told() for _ in range(4)))]
    assert set(statuses) == {7}


async def _told() -> int:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec("sh", "-c", "trap '' TERM; echo; exit 7", stdout=pipe)
    assert child.stdout is not None
    await child.stdout.read()
    tell(child, signal.SIGTERM)
    return await child.wait()

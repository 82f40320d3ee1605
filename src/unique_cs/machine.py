"""What this process may use of its machine, and what it uses."""

import asyncio
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

_UNBOUNDED = 1 << 30


def allow_files() -> int:
    """Take as many open files as the system gives a process, and return how many those are.

    Shells and service managers often start programs with 1,024, and let them ask for more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        # macOS calls its bound infinite, and then refuses it.
        hard = soft
    return _UNBOUNDED if hard == resource.RLIM_INFINITY else hard


def most_connections() -> int:
    """How many connections may be open: each is a file, and the stores and requests need some as well."""
    return allow_files() * 3 // 4


def memory_bytes() -> int:
    """Memory of the machine, or what the control group of this process may have of it (cgroup v2)."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        bound = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return whole
    return min(whole, int(bound)) if bound.isdecimal() else whole


def resident_bytes() -> int:
    """Resident memory of this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


def tell(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a child, unless its end was seen already.

    `Process.send_signal` of Python before 3.12.8 asks first whether it ended, and so may take its exit status
    from the loop that waits for it, which then says 255 (CPython gh-127049).
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)

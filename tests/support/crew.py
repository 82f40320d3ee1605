"""A supervisor whose workers have embedded stores: `python -m tests.support.crew COUNT`.

Workers of a real installation share Redis and a database; what is tested here is how they are started,
replaced and ended, which does not depend on it.
"""

import asyncio
import os
import sys

import msgspec
import uvloop

from unique_cs.app import App, serve
from unique_cs.config import Settings, read_settings
from unique_cs.listeners import Handed
from unique_cs.telemetry import set_up_logging
from unique_cs.workers.supervisor import Supervisor
from unique_cs.workers.worker import end_with_parent

COMMAND = (sys.executable, "-m", "tests.support.crew")


def main() -> int:
    """Supervise, or be a worker where sockets are handed over."""
    set_up_logging("info")
    option, value = sys.argv[1:] if len(sys.argv) == 3 else ("", sys.argv[1])
    settings = read_settings(os.environ)
    if not option:
        return asyncio.run(Supervisor(settings, int(value), COMMAND).run())
    end_with_parent()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings, value))
    return 0


async def _work(settings: Settings, sockets: str) -> None:
    alone = msgspec.structs.replace(settings, redis_url="", database_url="")
    await serve(alone, _announce, Handed.parse(sockets))


def _announce(app: App) -> None:
    sys.stdout.write("a worker is ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""A cluster for tests in another language: two nodes, Redis, MariaDB and HAProxy.

`python -m tests.support.stand SETTING=value…` prints one line of JSON when it serves. Then each line of its
input, such as `node-0 kill`, is carried out and answered with one: `ok`, or what went wrong. With its input
everything ends.
"""

import asyncio
import inspect
import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.farm import Farm, farming
from tests.support.mariadb import started

_VERBS = frozenset({"start", "stop", "kill", "pause", "resume", "flush"})
NODES = 2


async def main(settings: dict[str, str]) -> None:
    """Serve until the input ends."""
    with tempfile.TemporaryDirectory() as folder, contextmanager(started)() as database:
        async with farming(Path(folder), database, NODES, environ=settings) as farm:
            _say({"url": farm.url, "nodes": [node.url for node in farm.nodes]})
            while line := await asyncio.to_thread(sys.stdin.readline):
                _say(await _obey(farm, line))


async def _obey(farm: Farm, line: str) -> str:
    parts = {"redis": farm.redis, "mariadb": farm.mariadb}
    parts |= {f"node-{number}": node for number, node in enumerate(farm.nodes)}
    part, verb = line.split()
    if part not in parts or verb not in _VERBS:
        return f"not understood: {line!r}"
    try:
        done = getattr(parts[part], verb)()
        if inspect.isawaitable(done):
            await done
    except Exception as error:  # noqa: BLE001 - told to the test, which knows what it means
        return f"{line.strip()}: {error!r}"
    return "ok"


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201 - this is its output


if __name__ == "__main__":
    try:
        asyncio.run(main(dict(word.split("=", 1) for word in sys.argv[1:])))
    except pytest.skip.Exception as missing:
        _say({"missing": str(missing)})

"""The faults: each begins, lasts, and is healed."""

import asyncio
import os
import random
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.nemesis.field import Field
from tests.nemesis.plan import Step
from tests.support.host import Host
from tests.support.link import Link

LOST_S = 1.0
"""How much Redis forgets in a rewind."""


async def suffer(field: Field, step: Step) -> None:
    """Let one fault happen from its beginning to its healing."""
    await asyncio.sleep(step.after)
    kind = {"redis": _redis, "mariadb": _mariadb}.get(step.victim)
    if kind is not None:
        await kind(field, step)
    elif ":" in step.victim:
        await _link(field.links[step.victim], step)
    else:
        await _NODE[step.fault](field, int(step.victim[-1]), step.lasts)


async def _redis(field: Field, step: Step) -> None:
    redis = field.redis
    if step.fault == "pause":
        redis.pause()
        await asyncio.sleep(step.lasts)
        redis.resume()
    elif step.fault == "full":
        redis.call("CONFIG", "SET", "maxmemory", "1")
        await asyncio.sleep(step.lasts)
        redis.call("CONFIG", "SET", "maxmemory", "0")
    elif step.fault == "flush":
        await asyncio.to_thread(redis.flush)
    else:
        before = _copied(redis.folder) if step.fault == "rewind" else None
        await asyncio.sleep(LOST_S if before is not None else 0)
        await asyncio.to_thread(redis.kill)
        await asyncio.sleep(step.lasts)
        if before is not None:
            shutil.rmtree(redis.folder / "appendonlydir")
            before.rename(redis.folder / "appendonlydir")
        await asyncio.to_thread(redis.start)


def _copied(folder: Path) -> Path:
    return Path(shutil.copytree(folder / "appendonlydir", folder / "before"))


async def _mariadb(field: Field, step: Step) -> None:
    server = field.mariadb
    if step.fault == "pause":
        with server.paused():
            await asyncio.sleep(step.lasts)
        return
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(step.lasts)
    await asyncio.to_thread(server.start)


async def _link(link: Link, step: Step) -> None:
    begin = _LINK[step.fault]
    if step.fault != "flap":
        begin(link)
        await asyncio.sleep(step.lasts)
        link.heal()
        return
    await _again(lambda: begin(link), link.heal, step.lasts)


async def _again(begin: Callable[[], None], heal: Callable[[], None], lasts: float) -> None:
    """On and off."""
    rng, loop = random.Random(lasts), asyncio.get_running_loop()
    end = loop.time() + lasts
    while loop.time() < end:
        begin()
        await asyncio.sleep(rng.uniform(0.05, 0.6))
        heal()
        await asyncio.sleep(rng.uniform(0.05, 0.6))


def _stall(link: Link) -> None:
    link.up.stall()
    link.down.stall()


def _slow(link: Link) -> None:
    link.up.delay_s = link.down.delay_s = 0.15


def _drip(link: Link) -> None:
    link.up.piece = link.down.piece = 200
    link.up.delay_s = link.down.delay_s = 0.005


_LINK: dict[str, Callable[[Link], None]] = {
    "cut": Link.cut,
    "flap": Link.cut,
    "stall": _stall,
    "stall-up": lambda link: link.up.stall(),
    "stall-down": lambda link: link.down.stall(),
    "slow": _slow,
    "drip": _drip,
}


async def _kill_node(field: Field, number: int, lasts: float) -> None:
    node = field.nodes[number]
    await node.kill()
    await asyncio.sleep(lasts)
    await field.revive(node)


async def _wipe_node(field: Field, number: int, lasts: float) -> None:
    node = field.nodes[number]
    await node.kill()
    field.wipe(number)
    await asyncio.sleep(lasts)
    await field.revive(node)


async def _pause_node(field: Field, number: int, lasts: float) -> None:
    pid = field.nodes[number].pid
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(lasts)
    os.kill(pid, signal.SIGCONT)


async def _fill(field: Field, number: int, lasts: float) -> None:
    del number
    field.disk.fill()
    await asyncio.sleep(lasts)
    field.disk.empty()


async def _step_clock(field: Field, number: int, lasts: float) -> None:
    """Hours ahead or back, for a while."""
    hours = random.Random(lasts).choice((-5, -1, 1, 7))
    field.clock.write_text(f"{hours:+d}h")
    await asyncio.sleep(lasts)
    field.clock.write_text("+0")
    del number


async def _flicker(field: Field, number: int, lasts: float) -> None:
    machine = field.machines[number]
    await _again(machine.isolate, machine.heal, lasts)


def _lose(begin: Callable[[Host], None]) -> Callable[[Field, int, float], Awaitable[None]]:
    """A host whose packets are lost for a while."""

    async def lose(field: Field, number: int, lasts: float) -> None:
        machine = field.machines[number]
        begin(machine)
        await asyncio.sleep(lasts)
        machine.heal()

    return lose


_NODE: dict[str, Callable[[Field, int, float], Awaitable[None]]] = {
    "kill": _kill_node,
    "wipe": _wipe_node,
    "pause": _pause_node,
    "fill": _fill,
    "clock": _step_clock,
    "isolate": _lose(Host.isolate),
    "deafen": _lose(Host.deafen),
    "silence": _lose(Host.silence),
    "flicker": _flicker,
}

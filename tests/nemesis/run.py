"""One part of a run: people talk while a plan is carried out; then everything heals and is judged."""

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.nemesis.faults import suffer
from tests.nemesis.field import Field
from tests.nemesis.plan import Round, draw
from tests.support.checker import Final, check, moved
from tests.support.crowd import Talkers, talking
from tests.support.recording import final_history
from tests.support.world import World, caught_up, inhabited, until
from unique_cs.client import Fault

VISITORS = 12
RATE = 200
CONVERGE_S = 30.0
ARCHIVE_S = 60.0


@dataclass(slots=True)
class Report:
    """What was done, and what came of it."""

    faults: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    epochs: int = 0
    moved: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Take another part's into account."""
        self.faults += other.faults
        self.messages += other.messages
        self.epochs += other.epochs
        self.moved += other.moved
        self.problems += other.problems

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        verdict = f"{len(self.problems)} broken promises" if self.problems else "no broken promise"
        return (
            f"{self.messages} messages, {self.epochs} epochs, {self.moved} moved; "
            f"{self.faults.total()} faults ({counts}): {verdict}"
        )


def say(line: str) -> None:
    """One line of the diary, at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


async def part(cluster: Field, seed: int, number: int, seconds: float) -> Report:
    """Carry out part `number` of the plan of `seed`."""
    report = Report()
    rounds = draw(seed, number, seconds)
    say(f"seed {seed}, part {number}: {len(rounds)} rounds")
    async with inhabited(cluster) as town:
        async with talking(town, visitors=VISITORS, rate=RATE) as talkers:
            for each in rounds:
                await _carry_out(cluster, each, report)
        report.problems += await _judge(cluster, town, talkers, report)
    say(str(report))
    for line in report.problems[:40]:
        say(f"  {line}")
    return report


async def _carry_out(cluster: Field, each: Round, report: Report) -> None:
    say(str(each))
    await asyncio.gather(*(suffer(cluster, step) for step in each.steps))
    report.faults.update(step.fault for step in each.steps)
    await asyncio.sleep(each.calm)
    if any(step.fault in ("flush", "rewind", "wipe") for step in each.steps):
        await _archived(cluster)


async def _archived(cluster: Field) -> None:
    """Until everything that is known now is in the record, and every node serves."""
    async with asyncio.timeout(ARCHIVE_S):
        await asyncio.gather(*(cluster.revive(node) for node in cluster.nodes))
        while not (head := cluster.head()):
            await asyncio.sleep(0.1)
        while cluster.archived() < head:
            await asyncio.sleep(0.1)


async def _judge(cluster: Field, town: World, talkers: Talkers, report: Report) -> list[str]:
    views = [recorder.view for recorder in town.recorders]
    began = time.monotonic()
    await asyncio.wait(talkers.sends, timeout=CONVERGE_S)
    report.messages = sum(send.done() for send in talkers.sends)
    if report.messages < len(talkers.sends):
        return [f"{len(talkers.sends) - report.messages} sends have no answer", *_stuck(talkers)]
    names = {step.conversation for view in views if view.contact for step in view.steps}
    agent = await town.agent()
    final = await final_history(agent, sorted(names))
    try:
        await until(lambda: all(caught_up(each, final) for each in town.recorders), CONVERGE_S)
    except TimeoutError:
        behind = [each.view.name for each in town.recorders if not caught_up(each, final)]
        return [f"{name} did not catch up" for name in behind]
    say(f"converged after {time.monotonic() - began:.1f} s")
    for view in views:
        view.steps = [step for step in view.steps if step.conversation in names]
    report.epochs = len({step.epoch for view in views for step in view.steps if step.epoch})
    report.moved = moved(views, final)
    problems = check(views, final) + _faults(town) + await _in_sql(cluster, final)
    for name in names:
        await agent.set_status(name, "resolved")
    return problems


def _stuck(talkers: Talkers) -> list[str]:
    """Whoever still waits, and the last that it was told."""
    return [
        f"{each.recorder.view.name} waits for {each.session.unanswered}, {each.session.phase}; "
        f"{dict(each.recorder.refusals)}, {[str(item)[:80] for item in each.recorder.told[-3:]]}"
        for each in (talkers.owner, *talkers.visitors)
        if each.session.unanswered
    ]


def _faults(town: World) -> list[str]:
    """Frames against the protocol. That REST shows another epoch is allowed: the client comes again."""
    faults = [item for each in town.recorders for item in each.told if isinstance(item, Fault)]
    return [f"a fault: {fault.reason}" for fault in faults if "over REST" not in fault.reason]


async def _in_sql(cluster: Field, final: Final) -> list[str]:
    """The record has the same events in the same places."""
    await _archived(cluster)
    named = ", ".join(final)
    query = f"SELECT conversation, seq, id FROM events WHERE conversation IN ({named})"
    stored = {(row[0], int(row[1])): row[2] for row in cluster.mariadb.sql(query, cluster.database)}
    told = {(name, row.seq): row.id for name, timeline in final.items() for row in timeline.rows}
    lacking = [
        f"{place} is not in the record as {told[place]}" for place in told if stored.get(place) != told[place]
    ]
    return lacking + [f"{place} is only in the record" for place in stored.keys() - told.keys()]

"""What will be broken, when and for how long: drawn from a seed, before anything runs."""

import random
from dataclasses import dataclass
from typing import Final

NODES: Final = 3

STEPS: Final = 1
"""The node whose clock is stepped."""

HOSTS: Final = tuple(f"node-{number}" for number in range(NODES))
SERVERS: Final = ("redis", "mariadb", *HOSTS)
LINKS: Final = tuple(f"{end}:{number}" for end in ("redis", "mariadb", "door") for number in range(NODES))

BREAKS: Final = (
    ("kill", SERVERS, 5, 0.2, 4.0),
    ("pause", SERVERS, 5, 1.0, 15.0),
    ("cut", LINKS, 4, 0.5, 8.0),
    ("stall", LINKS, 3, 0.5, 12.0),
    ("stall-up", LINKS, 2, 0.5, 8.0),
    ("stall-down", LINKS, 2, 0.5, 8.0),
    ("slow", LINKS, 3, 2.0, 8.0),
    ("drip", LINKS, 2, 2.0, 6.0),
    ("flap", LINKS, 2, 2.0, 8.0),
    ("isolate", HOSTS, 4, 0.5, 12.0),
    ("deafen", HOSTS, 2, 0.5, 12.0),
    ("silence", HOSTS, 2, 0.5, 12.0),
    ("flicker", HOSTS, 2, 2.0, 10.0),
    ("full", ("redis",), 2, 1.0, 8.0),
    ("fill", (f"node-{NODES - 1}",), 3, 1.0, 6.0),
    ("clock", (f"node-{STEPS}",), 2, 2.0, 10.0),
)
"""Name, what it befalls, how often it is drawn, and the shortest and longest time in seconds."""

DESTRUCTIONS: Final = (("flush", "redis"), ("rewind", "redis"), ("wipe", "node-1"), ("wipe", "node-2"))
"""What destroys something: one at a time, until everything is archived again."""


@dataclass(frozen=True, slots=True)
class Step:
    """One fault: `after` seconds from the beginning of its round, for `lasts` seconds."""

    fault: str
    victim: str
    after: float
    lasts: float

    def __str__(self) -> str:
        return f"{self.fault} {self.victim} at {self.after:.1f} for {self.lasts:.1f}"


@dataclass(frozen=True, slots=True)
class Round:
    """Faults that overlap; all are healed before the next round, and the calm after it, in seconds."""

    steps: tuple[Step, ...]
    calm: float

    def __str__(self) -> str:
        return " + ".join(map(str, self.steps))


def draw(seed: int, part: int, seconds: float) -> list[Round]:
    """The rounds of one part of a run; the same for the same numbers."""
    rng = random.Random(f"{seed}/{part}")
    rounds: list[Round] = []
    spent = 0.0
    while spent < seconds:
        made = _round(rng, destroys=len(rounds) % 3 == 2)
        rounds.append(made)
        spent += max(step.after + step.lasts for step in made.steps) + made.calm
    return rounds


def _round(rng: random.Random, *, destroys: bool) -> Round:
    steps = [_step(rng) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
    unlike = {step.victim: step for step in steps}
    if destroys:
        fault, victim = rng.choice(DESTRUCTIONS)
        unlike = {name: step for name, step in unlike.items() if name != victim}
        unlike[victim] = Step(fault, victim, rng.uniform(0.5, 3.0), rng.uniform(0.2, 3.0))
    return Round(tuple(unlike.values()), rng.uniform(1.0, 4.0))


def _step(rng: random.Random) -> Step:
    fault, victims, _, least, most = rng.choices(BREAKS, [weight for _, _, weight, _, _ in BREAKS])[0]
    return Step(fault, rng.choice(victims), rng.uniform(0.0, 2.0), rng.uniform(least, most))

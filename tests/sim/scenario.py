"""One seed: people talk while things break; then everything heals, and the checker judges what they saw."""

import asyncio
import gc
import hashlib
import json
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from tests.sim.client import SimClient
from tests.sim.loop import DeadlockError, SimLoop
from tests.sim.server import DeadError, SimServer
from tests.support.checker import Final, Issued, Placed, View, check
from tests.support.recording import timeline_of
from unique_cs import node
from unique_cs.actions import conversations as actions
from unique_cs.actions import messages
from unique_cs.client import Position
from unique_cs.domain.body import TextBody
from unique_cs.domain.events import Named
from unique_cs.errors import UniqueCsError
from unique_cs.gateway import entrance, gateway, hub, wheel
from unique_cs.gateway.limits import Limits
from unique_cs.storage import installation, timeline

_HEAL_SECONDS = 400.0
# Two heartbeats: by then everybody knows whether the connection that looked alive is.
_NOTICE_SECONDS = 55.0


@dataclass(slots=True)
class Outcome:
    """What became of a seed. `digest` is the same for every run of it."""

    seed: int
    problems: list[str]
    messages: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    digest: str = ""


def run(seed: int, listener: Callable[[str], object] | None = None) -> Outcome:
    """Simulate one seed from nothing to the verdict; `listener` is told every step."""
    loop = SimLoop(seed)
    loop.listener = listener
    _listen_to_logs(loop)
    _no_other_chance(loop)
    asyncio.set_event_loop(loop)
    # When weakly held sessions go must not depend on what ran before.
    gc.collect()
    gc.disable()
    scenario = Scenario(loop, seed)
    try:
        loop.run_until_complete(scenario.play())
    except DeadlockError:
        scenario.problems.append("everybody waits for somebody")
    except Exception:  # noqa: BLE001 - whatever the server raises is this seed's problem
        scenario.problems.append(traceback.format_exc())
    finally:
        scenario.end()
        loop.close()
        asyncio.set_event_loop(None)
        gc.enable()
    scenario.problems += loop.errors
    return Outcome(seed, scenario.problems, scenario.sent, scenario.broken, scenario.digest())


_EXPECTED_ERRORS = {"the store failed"}


def _listen_to_logs(loop: SimLoop) -> None:
    """Log lines belong to the trace; an error that no fault explains is a problem of its own."""

    def take(_: object, level: str, entry: structlog.typing.EventDict) -> str:
        loop.trace(f"log {level}: {entry}")
        if level in {"error", "critical", "exception"} and entry["event"] not in _EXPECTED_ERRORS:
            loop.errors.append(f"logged: {entry}")
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.format_exc_info, take], cache_logger_on_first_use=False
    )


def _no_other_chance(loop: SimLoop) -> None:
    """What the server makes from the system's randomness comes from the seed too."""
    for module in (installation, timeline):
        vars(module)["token_hex"] = lambda size: loop.rng.randbytes(size).hex()
    vars(installation)["token_bytes"] = loop.rng.randbytes
    # Sets of objects are in the order of their addresses.
    for module in (gateway, hub, node, wheel):
        vars(module)["set"] = OrderedSet


class OrderedSet(dict[object, None]):
    """A set in the order of adding."""

    def add(self, item: object) -> None:
        self[item] = None

    def discard(self, item: object) -> None:
        self.pop(item, None)


class Scenario:
    """Draws everything from the loop's chance: who there is, what they do, what breaks when."""

    def __init__(self, loop: SimLoop, seed: int) -> None:
        rng = loop.rng
        self.loop = loop
        self.problems: list[str] = []
        self.broken: dict[str, int] = {}
        limits = Limits(rates=rng.random() < 0.3, max_queue=rng.choice((1 << 20, 20_000)))
        self.server = SimServer(loop, limits)
        self.clients: list[SimClient] = []
        self._agents: list[SimClient] = []
        self._seed = seed
        self._talk_until = rng.choice((10.0, 30.0, 60.0))
        self._final: Final = {}
        self._letters = View("rest", contact=False)
        # With so short a replay most who were away get a resync.
        vars(entrance)["MAX_REPLAY"] = rng.choice((3, 30, 1_000))

    @property
    def sent(self) -> int:
        return sum(len(client.recorder.view.issued) for client in self.clients)

    async def play(self) -> None:
        """Talk and break things, heal, judge."""
        await self._gather()
        work = [asyncio.ensure_future(self._talk(client)) for client in self.clients]
        work.append(asyncio.ensure_future(self._agents_act()))
        work.append(asyncio.ensure_future(self._write_letters()))
        work.append(asyncio.ensure_future(self._break_things()))
        await asyncio.gather(*work)
        await self._heal()
        await self._judge()

    async def _gather(self) -> None:
        rng = self.loop.rng
        self.server.start()
        for number in range(1, 2 + rng.randrange(3)):
            token = await self.server.add_contact(number)
            for device in range(1 + (rng.random() < 0.3)):
                self._add(f"c{number}.{device}", token, contact=True)
        for number in range(1, 2 + rng.randrange(2)):
            self._agents.append(self._add(f"a{number}", self.server.add_agent(number), contact=False))

    def _add(self, name: str, token: str, *, contact: bool) -> SimClient:
        client = SimClient(name, token, self.server, contact=contact)
        client.repeats = self.loop.rng.choice((0.0, 0.0, 0.1))
        self.clients.append(client)
        self.loop.later(self.loop.rng.uniform(0, 3), client.wake)
        return client

    # What people do

    async def _talk(self, client: SimClient) -> None:
        rng, pace = self.loop.rng, self.loop.rng.choice((0.3, 1.0, 5.0))
        while self.loop.time() < self._talk_until:
            await asyncio.sleep(rng.expovariate(1 / pace))
            for _ in range(rng.choice((1, 1, 1, 1, 5, 60)) if rng.random() < 0.2 else 1):
                self._say(client)
            if rng.random() < 0.1:
                self._fidget(client)

    def _fidget(self, client: SimClient) -> None:
        people = self.clients if client in self._agents else [client]
        known = sorted({name for each in people for name in each.session.state.positions})
        if known:
            client.fidget(self.loop.rng.choice(known))

    def _say(self, client: SimClient) -> None:
        rng = self.loop.rng
        if client not in self._agents:
            client.say()
        elif known := sorted(client.session.state.positions):
            client.say(rng.choice(known), private=rng.random() < 0.2)

    async def _agents_act(self) -> None:
        """Assign, resolve, reopen, label: events that are no messages."""
        rng = self.loop.rng
        while self.loop.time() < self._talk_until:
            await asyncio.sleep(rng.expovariate(1 / 4))
            known = sorted(rng.choice(self._agents).session.state.positions)
            if known:
                await self._act(rng.choice(known))

    async def _act(self, conversation: str) -> None:
        rng = self.loop.rng
        principal = self.server.principals["agent 1"]
        try:
            store = self.server.node.timeline
            found = await store.conversation(int(conversation))
            if found is None:
                self.problems.append(f"{conversation} was subscribed to and is not there")
                return
            steps: list[Callable[[], Awaitable[None]]] = [
                lambda: actions.assign(store, principal, found, rng.choice((None, Named("1", "agent 1")))),
                lambda: actions.set_status(store, principal, found, rng.choice(("resolved", "open")), None),
                lambda: actions.set_labels(store, principal, found, [str(rng.randrange(9))]),
            ]
            await asyncio.wait_for(rng.choice(steps)(), 5)
        except (UniqueCsError, DeadError, TimeoutError):
            """The server said no, or died; agents try something else."""

    async def _write_letters(self) -> None:
        """Send over REST with an Idempotency-Key, again and again until there is an answer."""
        rng = self.loop.rng
        while self.loop.time() < self._talk_until:
            await asyncio.sleep(rng.expovariate(1 / 4))
            known = sorted(rng.choice(self._agents).session.state.positions)
            if known:
                letter = Issued(f"rest-{len(self._letters.issued)}")
                self._letters.issued.append(letter)
                await self._post(letter, rng.choice(known))

    async def _post(self, letter: Issued, conversation: str) -> None:
        principal, body = self.server.principals["agent 1"], TextBody(letter.key)
        while not letter.answers:
            try:
                store = self.server.node.timeline
                found = await store.conversation(int(conversation))
                assert found is not None
                post = messages.post_message(store, principal, found, body, False, letter.key)
                stored = await asyncio.wait_for(post, self.loop.rng.choice((0.005, 5)))
            except (UniqueCsError, DeadError, TimeoutError):
                await asyncio.sleep(1)
            else:
                event = json.loads(stored.frame)
                letter.answers.append(Placed(event["id"], event["conversation"], event["seq"]))

    # What breaks

    async def _break_things(self) -> None:
        rng = self.loop.rng
        kinds: list[Callable[[], Awaitable[None]]] = [
            self._cut,
            self._cut,
            self._stall,
            self._crash,
            self._restart_client,
            self._fail_disk,
            self._full_disk,
            self._drain,
            self._jump_clock,
            self._collect,
            self._fail_archive,
        ]
        chosen = rng.sample(kinds, rng.randint(1, len(kinds)))
        while self.loop.time() < self._talk_until:
            await asyncio.sleep(rng.expovariate(1 / 5))
            kind = rng.choice(chosen)
            self.broken[kind.__name__] = self.broken.get(kind.__name__, 0) + 1
            self.loop.trace(f"fault {kind.__name__}")
            await kind()

    async def _cut(self) -> None:
        streams = self.server.streams()
        if streams:
            stream = self.loop.rng.choice(streams)
            self.loop.rng.choice((stream, stream.peer)).abort()

    async def _stall(self) -> None:
        streams = self.server.streams()
        if streams:
            stream = self.loop.rng.choice(streams)
            stream.stall()
            self.loop.later(self.loop.rng.choice((0.5, 5.0, 120.0)), stream.heal)

    async def _crash(self) -> None:
        if self.server.up:
            self.server.crash()
            await asyncio.sleep(self.loop.rng.choice((0.1, 2.0)))
            self.server.start()

    async def _drain(self) -> None:
        if self.server.up:
            await self.server.stop()
            await asyncio.sleep(0.5)
            self.server.start()

    async def _restart_client(self) -> None:
        self.loop.rng.choice(self.clients).restart()

    async def _fail_disk(self) -> None:
        self.server.disk.fail = OSError("the disk is ill")
        await asyncio.sleep(self.loop.rng.choice((0.01, 0.5, 3.0)))
        self.server.disk.fail = None

    async def _fail_archive(self) -> None:
        self.server.archive.ill = True
        self.loop.later(self.loop.rng.choice((1.0, 10.0)), setattr, self.server.archive, "ill", False)

    async def _full_disk(self) -> None:
        self.server.node.group.block("the disk is nearly full")
        await asyncio.sleep(self.loop.rng.choice((0.1, 2.0)))
        self.server.node.group.block("")

    async def _collect(self) -> None:
        gc.collect()

    async def _jump_clock(self) -> None:
        self.server.clock.offset_ms += self.loop.rng.choice((-3_600_000, -2_000, 500, 20_000))

    # The end

    async def _heal(self) -> None:
        """No more faults: everybody is connected, answered and up to date before long."""
        for stream in self.server.streams():
            stream.heal()
        end = self.loop.time() + _HEAL_SECONDS
        await asyncio.sleep(_NOTICE_SECONDS)
        while not await self._converged():
            if self.loop.time() > end:
                self.problems.append(self._state())
                return
            for client in self.clients:
                client.wake()
            await asyncio.sleep(2)

    async def _converged(self) -> bool:
        if not all(client.settled for client in self.clients):
            return False
        heads = await self._heads()
        return all(
            client.session.state.positions.get(name) == at
            for client in self.clients
            for name, at in heads.items()
            if name in client.session.state.positions
        )

    async def _heads(self) -> dict[str, object]:
        store = self.server.node.timeline
        names = {name for client in self.clients for name in client.session.state.positions}
        heads: dict[str, object] = {}
        for name in sorted(names):
            found = await store.conversation(int(name))
            if found is None:
                self.problems.append(f"{name} is not there any more")
            else:
                heads[name] = Position(store.epoch, found.durable)
        return heads

    def _state(self) -> str:
        waiting = [
            f"{client.name}: {client.session.phase.value}, {client.session.unanswered} unanswered"
            for client in self.clients
        ]
        return f"not healed after {_HEAL_SECONDS:.0f} s: {'; '.join(waiting)}"

    async def _judge(self) -> None:
        names = {step.conversation for client in self.clients for step in client.recorder.view.steps}
        for name in sorted(names):
            epoch, events = await self.server.read("agent 1", name)
            self._final[name] = timeline_of(epoch, events)
        views = [client.recorder.view for client in self.clients]
        self.problems += check([*views, self._letters], self._final)
        self.problems += [f"{client.name}: {fault}" for client in self.clients for fault in client.faults]
        self.server.archive.ill = False
        relay = self.server.node.relay
        await relay.caught_up(60)
        if relay.stopped or relay.lag:
            self.problems.append(f"the relay stands: {relay.stopped or relay.lag}")

    def end(self) -> None:
        """Nothing of this seed may go on, and the node must not take that for a defect."""
        if self.server.up:
            self.server.node._closing = True
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))

    def digest(self) -> str:
        """A short name of everything that happened."""
        text = repr([client.recorder.view for client in self.clients])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

"""The outbox reaches its receiver: in order, again where it failed, and not for ever."""

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.support.node import START_MS, FakeClock
from unique_cs.domain.alarms import Alarm
from unique_cs.domain.outbox import MOST_REFUSALS, OLDEST_MS, Delivery, delivery
from unique_cs.errors import StorageUnavailable
from unique_cs.jobs.webhook import IDLE_S, PAGE, PostError, Webhook
from unique_cs.storage.outbox import SqlOutbox
from unique_cs.telemetry import metrics


class Post:
    """Answers as it is told, else 200."""

    def __init__(self) -> None:
        self.tried: list[int] = []
        self.answers: list[int | PostError] = []
        self.when_tried: Callable[[], None] = lambda: None

    async def __call__(self, told: Delivery) -> int:
        self.tried.append(told.n)
        self.when_tried()
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, PostError):
            raise answer
        return answer


class World:
    """A webhook with its outbox."""

    def __init__(self, outbox: SqlOutbox) -> None:
        self.outbox = outbox
        self.clock = FakeClock()
        self.post = Post()
        self.webhook = self.again()

    def again(self) -> Webhook:
        return Webhook(self.outbox, self.post, self.clock, random.Random(1))

    async def put(self, *numbers: int) -> None:
        for n in numbers:
            told = delivery(0, n, f"alarm-{n}", "alarm.raised", self.clock.now_ms(), {})
            await self.outbox.tell(Alarm("waiting", True, 1, 1, START_MS), told)

    async def work(self, until: Callable[[], bool]) -> None:
        """Let a node deliver until something is so."""
        task = asyncio.ensure_future(self.again().run())
        async with asyncio.timeout(10):
            while not until():
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def left(self) -> list[int]:
        return [each.n for each in await self.outbox.due(1_000)]


@pytest.fixture
def world(outbox: SqlOutbox) -> World:
    return World(outbox)


async def test_everything_is_delivered_in_order_and_gone(world: World) -> None:
    await world.put(3, 1, 2)
    assert await world.webhook.deliver() == IDLE_S
    assert world.post.tried == [1, 2, 3]
    assert await world.left() == []


async def test_after_a_full_page_the_next_follows_at_once(world: World) -> None:
    await world.put(*range(PAGE + 1))
    assert await world.webhook.deliver() == 0
    assert await world.webhook.deliver() == IDLE_S
    assert world.post.tried == list(range(PAGE + 1))


@pytest.mark.parametrize("failure", [500, 301, 404, 429, PostError("no route")])
async def test_the_one_that_fails_holds_the_others_and_is_tried_ever_later(
    world: World, failure: int | PostError
) -> None:
    await world.put(1, 2, 3)
    world.post.answers = [200, *[failure] * 6]
    pauses = [await world.webhook.deliver() for _ in range(6)]
    assert world.post.tried == [1, 2, 2, 2, 2, 2, 2]
    assert all(2.0**k / 2 <= pause <= 2.0**k for k, pause in enumerate(pauses))
    assert pauses == sorted(pauses)
    assert await world.left() == [2, 3]
    world.post.answers = []
    assert await world.webhook.deliver() == IDLE_S
    assert world.post.tried[-2:] == [2, 3]
    world.post.answers = [500]
    await world.put(4)
    assert await world.webhook.deliver() <= 1


async def test_what_is_refused_again_and_again_is_parked_and_the_rest_goes_on(world: World) -> None:
    await world.put(1, 2)
    world.post.answers = [422] * MOST_REFUSALS
    for _ in range(MOST_REFUSALS):
        world.webhook = world.again()
        pause = await world.webhook.deliver()
    assert pause == 0
    assert await world.left() == [2]
    assert await world.webhook.deliver() == IDLE_S
    assert world.post.tried == [1] * MOST_REFUSALS + [2]
    assert (await world.outbox.counts())[2] == 1


async def test_what_waited_for_days_is_given_up_together(world: World) -> None:
    await world.put(*range(5))
    world.clock.wall_ms += OLDEST_MS + 1
    await world.put(9)
    world.post.answers = [503]
    await world.webhook.deliver()
    assert await world.left() == [9]
    assert world.post.tried == [0]


async def test_what_was_delivered_before_a_crash_comes_again_with_its_id(world: World) -> None:
    """The row goes after the answer: twice is possible, never is not."""
    await world.put(1)

    def crash() -> None:
        raise SystemError("the power is gone")

    world.post.when_tried = crash
    with pytest.raises(SystemError):
        await world.webhook.deliver()
    world.post.when_tried = lambda: None
    await world.again().deliver()
    assert world.post.tried == [1, 1]


async def test_the_metrics_say_what_waits(world: World) -> None:
    def shown(name: str) -> float:
        return metrics.registry.get_sample_value(f"unique_cs_webhook_{name}") or 0.0

    def failed() -> float:
        name = "unique_cs_webhook_attempts_total"
        return metrics.registry.get_sample_value(name, {"outcome": "failed"}) or 0.0

    before = failed()
    await world.put(1, 2)
    world.clock.seconds += 30
    world.post.answers = [500]
    await world.work(lambda: (shown("waiting"), shown("oldest_seconds"), failed()) == (2, 30, before + 1))
    await world.put(3)
    world.post.answers = [200, 422]
    told = (await world.outbox.due(2))[1]
    await world.outbox.failed(told, world.clock.now_ms(), park=True)
    world.clock.seconds += 30
    await world.work(lambda: (shown("waiting"), shown("oldest_seconds"), shown("parked")) == (1, 30, 1))
    assert (shown("waiting"), shown("oldest_seconds"), shown("parked")) == (0, 0, 0)


async def test_the_metrics_stay_true_while_a_receiver_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two attempts lie minutes."""
    monkeypatch.setattr("unique_cs.jobs.webhook.COUNT_S", 0.001)
    monkeypatch.setattr("unique_cs.jobs.webhook.pause_s", lambda *_: 3600.0)
    oldest = metrics.webhook.oldest
    seen: list[float] = []
    monkeypatch.setattr(oldest, "set", seen.append)
    await world.put(1)
    world.post.answers = [500]

    def is_counted() -> bool:
        world.clock.seconds += 1
        return len(seen) > 3

    await world.work(is_counted)
    assert seen[:3] == sorted(set(seen[:3]))
    assert world.post.tried == [1]


async def test_a_database_that_is_away_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unique_cs.jobs.webhook.RETRY_S", 0.001)
    due, away = world.outbox.due, [StorageUnavailable("away")] * 3

    async def hardly(limit: int) -> list[Delivery]:
        if away:
            raise away.pop()
        return await due(limit)

    monkeypatch.setattr(world.outbox, "due", hardly)
    await world.put(1)
    await world.work(lambda: world.post.tried == [1])

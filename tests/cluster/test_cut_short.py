"""A recovery ends at any of its steps, with what it has done or not: the next attempt makes it whole."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import ClusterNode, nodes, until
from tests.support.redis import RedisServer
from unique_cs.cluster import cluster, imports, recovery
from unique_cs.cluster.cold import Cold
from unique_cs.cluster.recovery import Recovery
from unique_cs.errors import StorageUnavailable

STEPS = [
    (Recovery, "offer"),
    (Recovery, "_gather"),
    (Cold, "raise_generation"),
    (Recovery, "_records"),
    (Recovery, "_begin"),
    (Recovery, "_conversation"),
    (Recovery, "_put_back"),
    (cluster, "forget_offers"),
]

Step = Callable[..., Awaitable[Any]]


class CutShort:
    """Ends the first try of a step, before it or after."""

    def __init__(self, step: Step, *, done: bool) -> None:
        self._step = step
        self._done = done
        self.tries = 0

    def as_method(self) -> Step:
        """What stands in its place."""

        async def step(*arguments: Any) -> Any:
            self.tries += 1
            if self.tries > 1:
                return await self._step(*arguments)
            if self._done:
                await self._step(*arguments)
            raise StorageUnavailable("cut short")

        return step


def _serves_again(node: ClusterNode) -> bool:
    found = node.cluster.generation
    return node.cluster.ready.is_set() and found is not None and found.counter > 1


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(("owner", "name"), STEPS)
async def test_a_recovery_that_was_cut_short_is_made_whole(
    own_redis: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    *,
    done: bool,
) -> None:
    monkeypatch.setattr(recovery, "BATCH", 3)
    async with nodes(2, own_redis.url, tmp_path) as made:
        here, there = made
        ann = await here.ann()
        session = await here.session()
        for n in range(1, 10):
            sent = await here.send(session, n, str(n))
        assert sent.conversation is not None
        number = sent.conversation.id
        found = await there.timeline.conversation(number)
        assert found is not None
        await there.resolve(found)
        cut = CutShort(getattr(owner, name), done=done)
        monkeypatch.setattr(owner, name, cut.as_method())
        own_redis.flush()
        await until(lambda: all(_serves_again(node) for node in made), "both nodes serve again")
        assert cut.tries > 1
        for node in made:
            again = await node.timeline.conversation(number)
            assert again is not None
            texts = await node.texts(again)
            assert texts[1:10] == [str(n) for n in range(1, 10)]
            assert texts[10:] == ["conversation.status_changed"]
            assert again.status == "resolved"
            assert imports.GAP not in texts
            assert await node.contacts.contact(ann.id) == ann

"""What was sent over a connection that a node gave up, and reaches Redis late, does no harm."""

from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from tests.support.cluster import ClusterNode, nodes, until
from tests.support.redis import RedisServer
from unique_cs.cluster import items
from unique_cs.cluster.commit import SCRIPT
from unique_cs.cluster.keys import GENERATION, Keys
from unique_cs.domain.people import Contact


async def _late(node: ClusterNode, process: str, number: int) -> Any:
    """A batch of `process` that stores a contact, as an old connection would bring it."""
    generation = node.cluster.generation
    assert generation is not None
    head = (generation.value, Keys(generation.counter).prefix, process, number, 60_000)
    words = items.contact(Contact(99, 1, "Late"), f"{process}:1")
    return await node.shard.client.eval(SCRIPT, 1, GENERATION, *head, *words)


async def test_an_older_batch_does_nothing(own_redis: RedisServer, tmp_path: Path) -> None:
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        await node.ann()
        with pytest.raises(ResponseError, match="UCSOLD"):
            await _late(node, node.cluster.committer.process, 1)
        assert await node.contacts.contact(99) is None


async def test_a_step_that_comes_after_its_node_began_anew(own_redis: RedisServer, tmp_path: Path) -> None:
    """It lies in the log under the node's name, and is in nobody's journal: the node follows on."""
    async with nodes(2, own_redis.url, tmp_path) as (node, other):
        await node.ann()
        before = node.cluster.committer.process
        node.cluster.restart()
        await until(lambda: node.cluster.generation is not None, "it follows the log again")
        await _late(node, before, 1_000)
        await other.send(await other.session(), 1, "hello")
        await until(lambda: "conversation.opened" in node.told(), "it hears of what others do")

"""What Redis let go of while a node still holds it: the next message brings it back."""

from pathlib import Path

import pytest

from tests.support.cluster import nodes
from tests.support.redis import RedisServer
from unique_cs.cluster.keys import Keys
from unique_cs.cluster.log_source import LogSource
from unique_cs.storage.relay import Relay


@pytest.mark.parametrize("contact_too", [False, True])
async def test_a_held_conversation_comes_back(
    own_redis: RedisServer, tmp_path: Path, contact_too: bool
) -> None:
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        session = await node.session()
        for n in range(1, 6):
            sent = await node.send(session, n, str(n))
        conversation = sent.conversation
        assert conversation is not None
        source = LogSource(node.shard, node.cluster.memory, node.cluster.timeline, node.cluster.cold)
        source.generation = node.cluster.generation
        await Relay(source, node.archive).move_all()
        assert node.cluster.generation is not None
        keys = Keys(node.cluster.generation.counter)
        gone = [keys.conversation(conversation.id), keys.events(conversation.id)]
        if contact_too:
            gone += [keys.contact(11), keys.owned(11), keys.unresolved(11)]
        own_redis.call("DEL", *gone)
        await node.send(session, 6, "6", conversation)
        assert (await node.texts(conversation))[1:] == [str(n) for n in range(1, 7)]

"""What a nemesis found: nodes that were paused, or that come late, do no harm."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.exceptions import RedisError

from tests.support.cluster import ClusterNode, nodes, until
from tests.support.redis import RedisServer
from unique_cs.cluster import log, log_source
from unique_cs.cluster.ending import end
from unique_cs.cluster.keys import GENERATION
from unique_cs.cluster.log_source import LogSource
from unique_cs.cluster.memory import Memory
from unique_cs.cluster.recovery import Recovery
from unique_cs.cluster.shard import Shard
from unique_cs.errors import StorageUnavailable
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.relay import Relay
from unique_cs.storage.sql import Database


def relay_of(node: ClusterNode, memory: Memory | None = None, archive: SqlArchive | None = None) -> Relay:
    """The relay on a node, or on one that holds `memory` and writes to `archive`."""
    cluster = node.cluster
    source = LogSource(node.shard, memory or cluster.memory, node.timeline, cluster.cold)
    source.generation = cluster.generation
    return Relay(source, archive or node.archive)


class SlowArchive(SqlArchive):
    """An archive to which a node comes late: it was paused before it wrote."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.reached, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def store(self, *batch: Any) -> None:
        """Wait, then write."""
        self.reached.set()
        await self.may_go_on.wait()
        await super().store(*batch)


def recovery_of(node: ClusterNode) -> Recovery:
    """An attempt of this node."""
    return Recovery(node.shard, node.cluster.cold, node.archive, lambda: 1, 0, 60_000)


async def test_a_relay_waits_for_a_node_that_is_behind(own_redis: RedisServer, tmp_path: Path) -> None:
    """The lease went to a node that has not followed the log as far as the archive reaches."""
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        await node.send(await node.session(), 1, "hello")
        await relay_of(node).move_all()
        behind = relay_of(node, Memory("behind"))
        with pytest.raises(StorageUnavailable):
            await behind.move_all()
        assert behind.stopped == ""


async def test_a_relay_that_was_paused_writes_nothing(own_redis: RedisServer, tmp_path: Path) -> None:
    """It had read what another one archived meanwhile, and more of the same contact."""
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        ann = await node.ann()
        slow = SlowArchive(node.database)
        moving = asyncio.ensure_future(relay_of(node, archive=slow).move_all())
        await slow.reached.wait()
        await node.contacts.save_contact(replace(ann, blocked=True))
        await relay_of(node).move_all()
        slow.may_go_on.set()
        with pytest.raises(StorageUnavailable):
            await moving
        known = await node.cluster.cold.contact(ann.id)
        assert known is not None
        assert known.blocked


async def test_a_relay_goes_on_when_redis_was_emptied_under_it(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read the log, and the events that it then asked for were gone: the tiers do not diverge."""
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        session = await node.session()
        sent = await node.send(session, 1, "1")
        assert sent.conversation is not None
        await node.resolve(sent.conversation)
        monkeypatch.setattr(log_source, "LIMIT", 1)
        relay = relay_of(node)
        await relay._find_place()
        for _ in range(3):
            await relay.move()
        read = log.read

        async def emptied(*arguments: Any) -> Any:
            found = await read(*arguments)
            own_redis.flush()
            return found

        monkeypatch.setattr(log, "read", emptied)
        with pytest.raises(StorageUnavailable):
            await relay.move()


async def test_who_was_paused_while_it_recovered_opens_nothing(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        slow, quick = recovery_of(node), recovery_of(node)
        put_back = slow._put_back

        async def meanwhile(*arguments: Any) -> int:
            gaps = await put_back(*arguments)
            assert await quick.run([], lambda: True) is not None
            return gaps

        monkeypatch.setattr(slow, "_put_back", meanwhile)
        before = node.cluster.generation
        assert before is not None
        assert await slow.run([], lambda: True) is None
        raw = await node.shard.client.get(GENERATION)
        assert raw.decode() == f"{before.counter + 2}:{before.run_id}"
        await until(lambda: node.cluster.generation not in (None, before), "the node goes over")


async def test_connections_of_one_server_do_not_lead_to_the_next(own_redis: RedisServer) -> None:
    """What was bound for a server may not be placed on the same one once it was started again."""
    shard = Shard(own_redis.url)
    first = await shard.open()
    client = shard.client
    await client.ping()
    own_redis.kill()
    own_redis.start()
    await shard.open(first)
    with pytest.raises(RedisError):
        await client.ping()
    assert await shard.client.ping()
    await client.connection_pool.disconnect()
    await shard.close()


async def test_tasks_that_talk_to_redis_end(own_redis: RedisServer) -> None:
    """One cancellation may be lost on its way through the client; the task ends all the same."""
    shard = Shard(own_redis.url)
    await shard.open()

    async def talk() -> None:
        while True:
            await shard.client.ping()

    for turns in range(60):
        task = asyncio.create_task(talk())
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await end([task])
        assert task.cancelled()
    await shard.close()

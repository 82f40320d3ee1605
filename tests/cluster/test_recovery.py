"""Redis is killed, emptied, or loses its last writes: what was acknowledged comes back, in its place."""

import asyncio
from pathlib import Path

import pytest

from tests.support.cluster import ANN, ClusterNode, nodes, until
from tests.support.redis import RedisServer
from unique_cs.errors import UniqueCsError

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")


async def _again(made: list[ClusterNode], counter: int) -> None:
    for node in made:
        await until(
            lambda node=node: (
                node.cluster.ready.is_set()  # type: ignore[misc]
                and node.cluster.generation is not None
                and node.cluster.generation.counter >= counter
            ),
            "the node serves again",
        )


async def test_an_emptied_redis_is_filled_again(own_redis: RedisServer, tmp_path: Path) -> None:
    async with nodes(2, own_redis.url, tmp_path) as made:
        here, there = made
        await here.ann()
        session = await here.session()
        for n in range(1, 20):
            sent = await here.send(session, n, str(n))
        assert sent.conversation is not None
        epoch = here.timeline.epoch
        own_redis.flush()
        with pytest.raises(UniqueCsError):
            await here.send(session, 20, "20")
        await _again(made, 2)
        assert (here.lost, there.lost) >= (1, 1)
        assert here.timeline.epoch != epoch
        for node in made:
            conversation = await node.timeline.conversation(sent.conversation.id)
            assert conversation is not None
            assert (await node.texts(conversation))[1:] == [str(n) for n in range(1, 20)]
        resumed, _ = await there.timeline.open_session(ANN, session.id, 5, 0)
        assert (resumed.n, resumed.resumed) == (19, True)
        answer = await there.timeline.answer(resumed, 19)
        assert answer.seq == 20
        entry = await there.send(resumed, 20, "20")
        assert entry.event is not None
        assert entry.event.seq == 21
        contact = await there.contacts.contact(ANN.id)
        assert contact is not None
        assert contact.name == "Ann"


async def test_the_last_second_is_lost(tmp_path: Path) -> None:
    """Redis forgets what it had not written yet; the journals put it back, in its places."""
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "no")
    server.start()
    try:
        async with nodes(2, server.url, tmp_path) as made:
            here, there = made
            await here.ann()
            session = await here.session()
            first = await here.send(session, 1, "1")
            assert first.conversation is not None
            conversation = await there.timeline.conversation(first.conversation.id)
            assert conversation is not None
            server.kill()
            saved = {each: each.read_bytes() for each in server.folder.rglob("*.aof")}
            server.start()
            await _again(made, 2)
            for n in range(2, 30):
                session, _ = await here.timeline.open_session(ANN, session.id, None, 0)
                await here.send(session, n, str(n))
            server.kill()
            for path in server.folder.rglob("*.aof"):
                path.write_bytes(saved.get(path, b"")) if path in saved else path.unlink()
            server.start()
            await _again(made, 3)
            for node in made:
                found = await node.timeline.conversation(conversation.id)
                assert found is not None
                assert (await node.texts(found))[1:] == [str(n) for n in range(1, 30)]
    finally:
        server.kill()


async def test_a_pause_of_redis_loses_and_repeats_nothing(own_redis: RedisServer, tmp_path: Path) -> None:
    """Calls of unknown outcome are repeated identically once Redis answers again."""
    async with nodes(1, own_redis.url, tmp_path) as (node,):
        await node.ann()
        session = await node.session()
        sent = await node.send(session, 1, "1")
        own_redis.pause()
        late = [asyncio.ensure_future(node.send(session, n, str(n), sent.conversation)) for n in range(2, 9)]
        await until(lambda: node.cluster.committer.refusal != "", "the node noticed")
        own_redis.resume()
        await asyncio.gather(*late)
        assert sent.conversation is not None
        assert (await node.texts(sent.conversation))[1:] == [str(n) for n in range(1, 9)]
        assert node.cluster.generation is not None
        assert node.cluster.generation.counter == 1


def _is_replica_in_step(server: RedisServer) -> bool:
    role = server.call("ROLE")
    return bool(role[0] == "slave" and role[3] == "connected")


async def test_a_server_goes_back_without_being_started_again(own_redis: RedisServer, tmp_path: Path) -> None:
    """It was replaced by a replica that lacked the last writes, followed it, and is master again."""
    other = RedisServer(tmp_path / "other")
    other.start()
    try:
        async with nodes(2, own_redis.url, tmp_path) as made:
            here, _ = made
            await here.ann()
            session = await here.session()
            for n in range(1, 6):
                sent = await here.send(session, n, str(n))
            assert sent.conversation is not None
            run_id = here.shard.run_id
            other.call("REPLICAOF", "127.0.0.1", own_redis.port)
            await until(lambda: _is_replica_in_step(other), "the other server is in step")
            other.call("REPLICAOF", "NO", "ONE")
            for n in range(6, 10):
                await here.send(session, n, str(n))
            own_redis.call("REPLICAOF", "127.0.0.1", other.port)
            await until(lambda: _is_replica_in_step(own_redis), "it follows")
            own_redis.call("REPLICAOF", "NO", "ONE")
            await _again(made, 2)
            assert here.shard.run_id == run_id
            for node in made:
                found = await node.timeline.conversation(sent.conversation.id)
                assert found is not None
                assert (await node.texts(found))[1:] == [str(n) for n in range(1, 10)]
    finally:
        other.kill()

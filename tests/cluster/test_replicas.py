"""Redis with replicas, or as a cluster: nodes find the server that has the keys, and follow a fail-over."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.cluster import ANN, ClusterNode, nodes, until
from tests.support.door import make_certificate
from tests.support.redis import RedisSentinel, RedisServer, redis_cluster, redis_sentinel
from unique_cs.bench.process import free_port
from unique_cs.cluster.ending import end
from unique_cs.cluster.peers import CHANNEL, ClusterPeers
from unique_cs.cluster.shard import TAG, Failure, Shard
from unique_cs.errors import SettingsError, UniqueCsError
from unique_cs.protocol.notices import Changed, Ended, Missed, Notice

PAUSE_S = 0.02


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[RedisSentinel]:
    """A master and a replica under three sentinels, for one test."""
    with redis_sentinel(tmp_path) as made:
        yield made


class Writer:
    """Sends one message after the other, whatever happens, as a client does: with the same number again."""

    def __init__(self, node: ClusterNode, text: str) -> None:
        self._node = node
        self._text = text
        self._id: str | None = None
        self.done = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._send(self.done + 1)
                self.done += 1
            except UniqueCsError:
                await asyncio.sleep(PAUSE_S)

    async def _send(self, n: int) -> None:
        session, _ = await self._node.timeline.open_session(ANN, self._id, None, self.done)
        self._id = session.id
        if session.n < n:
            # Not `wait_for`: before Python 3.12 it can lose the end of this task, which then writes for ever.
            async with asyncio.timeout(60):
                await self._node.send(session, n, f"{self._text}{n}")
        else:
            answer = await self._node.timeline.answer(session, n)
            assert answer.code == ""


@asynccontextmanager
async def writing(made: list[ClusterNode]) -> AsyncIterator[list[Writer]]:
    """A writer on each node."""
    await made[0].ann()
    writers = [Writer(node, node.name + ":") for node in made]
    tasks = [asyncio.create_task(writer.run()) for writer in writers]
    try:
        await more(writers, 20)
        yield writers
        await more(writers, 20)
    finally:
        await end(tasks)


async def more(writers: list[Writer], count: int) -> None:
    """Wait until each has sent so many more."""
    before = [writer.done for writer in writers]
    await until(
        lambda: all(writer.done >= was + count for writer, was in zip(writers, before, strict=True)),
        "all go on writing",
    )


async def whole(made: list[ClusterNode], writers: list[Writer]) -> bool:
    """On each node the same is there: of each writer what was acknowledged, once and in order.

    A writer's last message may get its place while the nodes are asked, one after the other.
    """
    told = []
    for node in made:
        found = await node.timeline.newest_open(ANN.id)
        assert found is not None
        told.append(await node.texts(found))
        for writer in writers:
            mine = [each for each in told[-1] if each.startswith(writer._text)]
            assert mine[: writer.done] == [f"{writer._text}{n}" for n in range(1, writer.done + 1)]
            assert len(mine) <= writer.done + 1
    longest = max(told, key=len)
    return all(each == longest[: len(each)] for each in told)


async def test_nodes_find_the_server_that_has_their_keys(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as redis:
        async with nodes(2, redis.url, tmp_path) as made:
            async with writing(made) as writers:
                pass
            assert await whole(made, writers)
        assert redis.holder.call("DBSIZE") > 0
        assert sum(each.call("DBSIZE") for each in redis.servers) == redis.holder.call("DBSIZE")


async def connects(url: str) -> bool:
    """Say whether a node may use the server that this address leads to."""
    shard = Shard(url)
    try:
        await shard.open()
        return bool(await shard.client.set(f"{TAG}:probe", 1))
    except Failure:
        return False
    finally:
        await shard.close()


async def test_servers_and_sentinels_have_passwords_of_their_own(watched: RedisSentinel) -> None:
    for each in watched.servers:
        each.call("ACL", "SETUSER", "chat", "on", ">one@", f"~{TAG}*", "+@all")
    for each in watched.sentinels:
        each.call("ACL", "SETUSER", "chat", "on", ">two", "+@all")
    named = "?sentinel_username=chat&sentinel_password="
    right = watched.url.replace("://", "://chat:one%40@")
    assert await connects(right + named + "two")
    assert not await connects(right + named + "three")
    assert not await connects(right.replace("one", "two") + named + "two")
    with pytest.raises(SettingsError, match="no option password"):
        Shard(right + "?password=two")


async def test_the_way_to_redis_is_encrypted(tmp_path: Path) -> None:
    """The certificate has to be of an authority that is trusted."""
    certificate, port = make_certificate(tmp_path / "redis.pem"), free_port()
    files = [f"--tls-{each}-file" for each in ("cert", "key", "ca-cert")]
    named = [word for file in files for word in (file, str(certificate))]
    server = RedisServer(tmp_path / "redis", "--tls-port", str(port), *named, "--tls-auth-clients", "no")
    server.start()
    try:
        assert await connects(f"rediss://127.0.0.1:{port}?ssl_ca={certificate}")
        assert not await connects(f"rediss://127.0.0.1:{port}")
        assert not await connects(f"redis://127.0.0.1:{port}")
    finally:
        server.kill()


async def test_the_master_is_killed(watched: RedisSentinel, tmp_path: Path) -> None:
    async with nodes(2, watched.url, tmp_path) as made:
        async with writing(made) as writers:
            epoch, master = made[0].timeline.epoch, watched.master
            master.kill()
            await asyncio.to_thread(watched.until_replaced, master)
        assert await whole(made, writers)
        assert {node.timeline.epoch for node in made} != {epoch}
        assert [node.shard.run_id for node in made] == [watched.master.call("INFO", "server")["run_id"]] * 2


@pytest.mark.slow
async def test_the_master_is_paused_and_comes_back(watched: RedisSentinel, tmp_path: Path) -> None:
    """It goes on as a master until a sentinel tells it that it is a replica now."""
    async with nodes(2, watched.url, tmp_path) as made:
        async with writing(made) as writers:
            master = watched.master
            master.pause()
            await asyncio.to_thread(watched.until_replaced, master)
            await more(writers, 20)
            master.resume()
            await until(lambda: bool(master.call("ROLE")[0] == "slave"), "it becomes a replica")
        assert await whole(made, writers)


@pytest.mark.slow
async def test_the_master_is_back_before_anybody_notices(watched: RedisSentinel, tmp_path: Path) -> None:
    """Nodes write to it for seconds after it was replaced: what it acknowledged is in their journals."""
    async with nodes(2, watched.url, tmp_path) as made:
        async with writing(made) as writers:
            master = watched.master
            master.pause()
            await asyncio.to_thread(watched.until_replaced, master)
            master.resume()
            await until(lambda: bool(master.call("ROLE")[0] == "slave"), "it becomes a replica")
        assert await whole(made, writers)


async def test_signals_go_over_the_shard_that_has_the_keys(tmp_path: Path) -> None:
    """By sharded pub/sub, so that the other servers of the cluster do not hear each signal."""
    with redis_cluster(tmp_path) as redis:
        async with nodes(2, redis.url, tmp_path) as made:
            peers = [ClusterPeers(each.shard, each.clock, each.cluster.loading, each.name) for each in made]
            heard: list[Notice] = []
            peers[1].heard = heard.append
            works = [asyncio.create_task(each.run()) for each in peers]
            try:
                await until(
                    lambda: redis.holder.call("PUBSUB", "SHARDNUMSUB", CHANNEL)[1] == 2, "both listen"
                )
                peers[0].tell(Changed())
                await until(lambda: heard == [Changed()], "the other one hears")
                await asyncio.to_thread(redis.move)
                others = [server for server in redis.servers if server is not redis.holder]
                await until(
                    lambda: 2 in [each.call("PUBSUB", "SHARDNUMSUB", CHANNEL)[1] for each in others],
                    "both follow the keys",
                )
                peers[0].tell(Ended("agent", 7))
                await until(lambda: heard[1:] == [Missed(), Ended("agent", 7)], "it hears there")
            finally:
                await end(works)


@pytest.mark.slow
async def test_the_slot_of_the_keys_moves(tmp_path: Path) -> None:
    """On the way a batch may be done by half: keys are missing where it runs. Nothing is lost or doubled."""
    with redis_cluster(tmp_path) as redis:
        async with nodes(2, redis.url, tmp_path) as made:
            async with writing(made) as writers:
                await asyncio.to_thread(redis.move)
            assert await whole(made, writers)
            assert {node.shard.run_id for node in made} != {redis.holder.call("INFO", "server")["run_id"]}

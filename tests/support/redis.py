"""Debian's Redis for the tests: real servers on free ports of loopback, each with a folder of its own.

Fixtures: `redis_server` is one that the session shares, for tests that leave it running; each finds it empty.
`own_redis` is for a single test, which may do with it what it likes. Others are made in the test:

    server = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "everysec")
    server.start()              # returns when it answers; what it has on disk is loaded
    server.url                  # redis://127.0.0.1:…
    server.call("GET", "key")   # any command, for the test itself
    server.kill()               # SIGKILL: what it had not written is lost; start() again on the same port
    server.stop()               # in order; pause() and resume() are SIGSTOP and SIGCONT
    server.flush()              # FLUSHALL

    with redis_cluster(tmp_path) as cluster: cluster.url, cluster.holder, cluster.servers
    with redis_sentinel(tmp_path) as watched: watched.url, watched.master, watched.fail_over()
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from tests.support.debian import program
from unique_cs.bench.process import free_port

_START_S = 20
_SLOTS = 16_384


class RedisServer:
    """One server. It keeps port and options over restarts, and saves nothing unless the options say so."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As in `UNIQUE_CS_REDIS_URL`."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The running server's process id."""
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> None:
        """Start it and return when it answers and has loaded its data."""
        assert self._process is None
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*self._command(program("redis-server", "redis-server")), *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers, _START_S, "Redis does not answer")

    def _command(self, server: str) -> list[str]:
        common = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [server, *common, "--save", "", "--maxmemory-policy", "noeviction", *self._options]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()[-4_000:]
        try:
            return bool(self.call("PING"))
        except redis.RedisError:
            return False

    def call(self, *words: str | int | bytes) -> Any:
        """The server's answer to one command, text as `str`."""
        with redis.Redis(port=self.port, socket_timeout=5, decode_responses=True) as client:
            return client.execute_command(*words)

    def flush(self) -> None:
        """Remove everything that it holds."""
        self.call("FLUSHALL")

    def pause(self) -> None:
        """Stop it from running; its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None


class RedisCluster:
    """Three masters of Redis Cluster, without replicas."""

    def __init__(self, servers: list[RedisServer]) -> None:
        self.servers = servers

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    @property
    def holder(self) -> RedisServer:
        """The server that has the keys with the tag `{ucs}`."""
        return self.servers[key_slot(b"ucs") * len(self.servers) // _SLOTS]

    def move(self) -> None:
        """Move the slot of these keys from the holder to another server, some keys at a time."""
        slot, source = key_slot(b"ucs"), self.holder
        target = next(server for server in self.servers if server is not source)
        here, there = (server.call("CLUSTER", "MYID") for server in (source, target))
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", here)
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
        while keys := source.call("CLUSTER", "GETKEYSINSLOT", slot, 5):
            source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        for server in (target, source, *self.servers):
            server.call("CLUSTER", "SETSLOT", slot, "NODE", there)


class RedisSentinel:
    """A master, a replica, and three sentinels, who replace a master that is silent for a second."""

    def __init__(self, servers: Sequence[RedisServer], sentinels: Sequence[RedisServer]) -> None:
        self.servers = servers
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        return (
            "redis+sentinel://" + ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels) + "/mymaster"
        )

    @property
    def master(self) -> RedisServer:
        """The server that the first sentinel names."""
        _, port = self.sentinels[0].call("SENTINEL", "get-master-addr-by-name", "mymaster")
        return next(server for server in self.servers if server.port == int(port))

    def fail_over(self) -> RedisServer:
        """Have the replica made master, and return it once all sentinels name it."""
        before = self.master
        self.sentinels[0].call("SENTINEL", "FAILOVER", "mymaster")
        self.until_replaced(before)
        return self.master

    def until_replaced(self, before: RedisServer) -> None:
        """Wait until every sentinel names another master, and it takes writes."""
        until(lambda: all(self._names_other(each, before) for each in self.sentinels), 30, "no fail-over")
        until(lambda: self.master.call("ROLE")[0] == "master", 30, "the new master stays a replica")

    def _names_other(self, sentinel: RedisServer, before: RedisServer) -> bool:
        return int(sentinel.call("SENTINEL", "get-master-addr-by-name", "mymaster")[1]) != before.port


@contextmanager
def redis_cluster(folder: Path) -> Iterator[RedisCluster]:
    """A cluster that is ready."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port")
    doors = [free_port() for _ in range(3)]
    servers = [RedisServer(folder / f"redis-{i}", *options, str(door)) for i, door in enumerate(doors)]
    with _running(servers):
        for i, server in enumerate(servers):
            first, after = (each * _SLOTS // len(servers) for each in (i, i + 1))
            server.call("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            servers[0].call("CLUSTER", "MEET", "127.0.0.1", server.port, doors[i])
        until(lambda: all(_is_whole(each, len(servers)) for each in servers), 30, "the cluster does not form")
        yield RedisCluster(servers)


def _is_whole(server: RedisServer, size: int) -> bool:
    facts = server.call("CLUSTER", "INFO")
    known = facts if isinstance(facts, dict) else dict(line.split(":") for line in facts.split())
    return (known["cluster_state"], known["cluster_known_nodes"]) == ("ok", str(size))


@contextmanager
def redis_sentinel(folder: Path) -> Iterator[RedisSentinel]:
    """A master with its replica in step, watched."""
    at_once = ("--repl-diskless-sync-delay", "0")
    servers = [RedisServer(folder / f"redis-{i}", *at_once) for i in range(2)]
    with _running(servers):
        servers[1].call("REPLICAOF", "127.0.0.1", servers[0].port)
        until(lambda: servers[1].call("ROLE")[3] == "connected", 30, "the replica does not follow")
        sentinels = [_Sentinel(folder / f"sentinel-{i}") for i in range(3)]
        for each in sentinels:
            each.watch(servers[0], servers[1], sentinels)
        with _running(sentinels):
            until(lambda: all(_sees_all(each) for each in sentinels), 30, "the sentinels do not meet")
            yield RedisSentinel(servers, sentinels)


class _Sentinel(RedisServer):
    """The same program, which keeps what it learns in its configuration."""

    def __init__(self, folder: Path) -> None:
        self._config = folder / "sentinel.conf"
        self.id = token_hex(20)
        super().__init__(folder, str(self._config))

    def watch(self, master: RedisServer, replica: RedisServer, sentinels: "Sequence[_Sentinel]") -> None:
        """Know the others from the start: to find them takes seconds, and on a slow disk far more."""
        others = (each for each in sentinels if each is not self)
        self.folder.mkdir()
        self._config.write_text(
            f"sentinel myid {self.id}\n"
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 2\n"
            "sentinel down-after-milliseconds mymaster 1000\n"
            "sentinel failover-timeout mymaster 3000\n"
            f"sentinel known-replica mymaster 127.0.0.1 {replica.port}\n"
            + "".join(f"sentinel known-sentinel mymaster 127.0.0.1 {it.port} {it.id}\n" for it in others)
        )

    def _command(self, server: str) -> list[str]:
        return [server, *self._options, "--sentinel", "--bind", "127.0.0.1", "--port", str(self.port)]


def _sees_all(sentinel: RedisServer) -> bool:
    """Whether it is connected to the master, the replica and the two others."""
    about = ("MASTER", "mymaster"), ("REPLICAS", "mymaster"), ("SENTINELS", "mymaster")
    master, replicas, others = (sentinel.call("SENTINEL", *each) for each in about)
    known = [master, *replicas, *others]
    return len(known) == 4 and not any("disconnected" in each["flags"] for each in known)


@contextmanager
def _running(servers: Sequence[RedisServer]) -> Iterator[None]:
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.kill()


def until(true: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Return when `true` says so; fail with `otherwise` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server behind `redis_server`."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    with _running([server]):
        yield server


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """The server that tests share, emptied. Leave it running."""
    shared_redis.flush()
    return shared_redis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server for one test, which may kill, stop or pause it; what it acknowledged is on disk."""
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    with _running([server]):
        yield server

"""The Redis server that holds the installation: one server, or the master that Sentinel or a cluster names.

All keys begin with one hash tag, so in Redis Cluster they lie on one shard. A server is known by its
`run_id`: one that was started again, or that took over, is another, and what it holds has to be checked.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final

import hiredis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from unique_cs.cluster import redis_url
from unique_cs.cluster.redis_url import Address
from unique_cs.errors import StorageUnavailable

TAG: Final = "{ucs}"
"""The hash tag of every key."""

TIMEOUT_S: Final = 5.0
MAX_CONNECTIONS: Final = 64
"""Who comes when all are in use waits for one, as long as for an answer."""

TOGETHER: Final = frozenset({"GET", "HGETALL", "EVAL_RO"})
"""Short reads: those that are asked for while some are under way go together, over one connection."""

MAX_TOGETHER: Final = 500

_STREAMS: Final = ("XRANGE", "XREVRANGE", "XREAD")

Failure = (RedisError, OSError, asyncio.TimeoutError)
"""What a call may raise when the server is away: its outcome is unknown."""


class Shard:
    """Where the keys are now. `open` finds and connects; after a failure call it again.

    `client` gives up connections to the server of this `run_id` only: one to a later server fails.
    """

    def __init__(self, url: str) -> None:
        """`url`: redis://host, redis+sentinel://host,host/service or redis+cluster://host,host; rediss: TLS.

        Raises `SettingsError`.
        """
        self._url = redis_url.parse(url)
        self._kind = self._url.scheme.partition("+")[2]
        self._secrets = redis_url.secrets(self._url)
        self._opening = asyncio.Lock()
        self._pool: _Pool | None = None
        self._client: Redis | None = None
        self.run_id = ""

    @property
    def client(self) -> Any:
        """A `Redis` whose answers are bytes. Raises `StorageUnavailable` while there is no server.

        Entries of streams are as they come: [id, [name, value, …]]. The library's types leave open whether
        answers are bytes or text, so this has none.
        """
        if self._client is None:
            raise StorageUnavailable("Redis is away")
        return self._client

    async def open(self, failed: str = "") -> str:
        """Return the `run_id` of the server that has the keys now; raises one of `Failure`.

        `failed` is the server that the caller lost: others who lost it meanwhile share one attempt.
        """
        async with self._opening:
            if self.run_id and failed != self.run_id:
                return self.run_id
            await self.close()
            host, port = await self._locate()
            expected = _Server()
            self._pool = pool = self._make_pool(host, port, expected)
            try:
                self.run_id = expected.run_id = await self._identify(pool)
                self._client = _client(pool)
            except BaseException:
                await self.close()
                raise
            return self.run_id

    async def close(self) -> None:
        """Close every connection."""
        pool, self._pool, self._client, self.run_id = self._pool, None, None, ""
        if pool is not None:
            pool.closed = True
            with suppress(RedisAway), answering(pool):
                await pool.disconnect()

    def _make_pool(self, host: str, port: int, expected: "_Server") -> "_Pool":
        tls = redis_url.tls(self._url)
        return _Pool(
            timeout=TIMEOUT_S,
            connection_class=_SecureLink if tls.pop("ssl", False) else _Link,
            host=host,
            port=port,
            max_connections=MAX_CONNECTIONS,
            redis_connect_func=expected.check,
            **_link(self._secrets),
            **tls,
        )

    async def _identify(self, pool: "_Pool") -> str:
        client = Redis(connection_pool=pool)
        facts = await client.info("server")
        role = (await client.info("replication"))["role"]
        if role != "master":
            raise RedisConnectionError("the Redis server is a replica")
        return str(facts["run_id"])

    async def _locate(self) -> Address:
        seeds = redis_url.seeds(self._url)
        if self._kind == "sentinel":
            return await self._ask_sentinels(seeds)
        if self._kind == "cluster":
            return await self._ask_cluster(seeds)
        return seeds[0]

    async def _ask_sentinels(self, seeds: list[Address]) -> Address:
        options = _link(redis_url.sentinel_secrets(self._url)) | redis_url.tls(self._url)
        sentinel = Sentinel(seeds, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        try:
            host, port = await sentinel.discover_master(self._url.path.strip("/") or "mymaster")
        finally:
            for each in sentinel.sentinels:
                await each.aclose()
        return str(host), int(port)

    async def _ask_cluster(self, seeds: list[Address]) -> Address:
        error: Exception = RedisConnectionError("no node of the Redis cluster answered")
        for host, port in seeds:
            client = Redis(host=host, port=port, **_link(self._secrets), **redis_url.tls(self._url))
            try:
                slots = await client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
                return _owner(slots, host)
            except Failure as failure:
                error = failure
            finally:
                await client.aclose()
        raise error


class _Packed(AbstractConnection):
    """Commands are made in C: those of a batch have thousands of words."""

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """Write a command.

        The library bounds this with `asyncio.wait_for`, which makes a task for each command, and before
        Python 3.12 loses a cancellation that comes when it is over anyway (python/cpython#86296): a task to
        which Redis answers at once could then not be ended.
        """
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        if self._writer is None:
            raise RedisConnectionError("the connection was closed")
        word = command.encode() if isinstance(command, str) else command
        try:
            self._writer.writelines([word] if isinstance(word, bytes) else word)
            async with asyncio.timeout(self.socket_timeout):
                await self._writer.drain()
        except OSError as error:
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"writing to Redis failed: {error!r}") from error
        except BaseException:
            await self.disconnect(nowait=True)
            raise

    def pack_command(self, *words: Any) -> list[bytes]:
        """The bytes of one command; its name may have several words."""
        name = words[0].encode() if isinstance(words[0], str) else words[0]
        return [hiredis.pack_command((*name.split(), *words[1:]))]


class _Link(_Packed, Connection):
    pass


class _SecureLink(_Packed, SSLConnection):
    pass


class RedisAway(StorageUnavailable, RedisConnectionError):
    """The server did not answer. Who asked on behalf of a client tells it to come back."""

    def __init__(self) -> None:
        super().__init__("Redis is away")

    def __repr__(self) -> str:
        return f"RedisAway({self.__cause__})"


class RedisFull(StorageUnavailable):
    """The server has reached its bound of memory, and changed nothing."""

    def __init__(self) -> None:
        super().__init__("Redis is full")


def spare(script: str) -> str:
    """A script that may write its few bytes also where the server is full: what makes room needs it."""
    return f"#!lua flags=allow-oom\n{script}"


# The last ones: it follows another server now, or the keys are on their way to another.
_AWAY: Final = (
    RedisConnectionError,
    RedisTimeoutError,
    OSError,
    ReadOnlyError,
    MasterDownError,
    ClusterDownError,
    AskError,
    TryAgainError,
)


class _Pool(BlockingConnectionPool):
    """`closed`: its connections were closed, also those that were in use."""

    closed = False

    async def release(self, connection: Any) -> None:
        """Take it back; one that was opened while the pool was closed is of no use."""
        if self.closed:
            await connection.disconnect(nowait=True)
        await super().release(connection)


@contextmanager
def answering(pool: _Pool) -> Iterator[None]:
    """Around whatever asks the server: raises `RedisAway` and `RedisFull` for what means that.

    Who uses a connection that is closed meanwhile gets whatever the library happens to raise, even a cancel
    that was another task's: both wait for the same end of the connection.
    """
    try:
        yield
    except _AWAY as error:
        raise RedisAway from error
    except OutOfMemoryError as error:
        raise RedisFull from error
    except (Exception, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if _is_of_closed(error) or (pool.closed and (task is None or not task.cancelling())):
            raise RedisAway from error
        raise


def _is_of_closed(error: BaseException) -> bool:
    """Whether uvloop says that the server has closed the connection, between two steps of the library."""
    return isinstance(error, RuntimeError) and "handler is closed" in str(error)


class _Client(Redis):
    def __init__(self, pool: _Pool) -> None:
        super().__init__(connection_pool=pool)
        self._pool = pool
        self._asked: list[tuple[tuple[Any, ...], asyncio.Future[Any]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        if words[0] in TOGETHER:
            return await self._read(words)
        with answering(self._pool):
            return await super().execute_command(*words, **options)  # type: ignore[no-untyped-call]

    def answering(self) -> AbstractContextManager[None]:
        """Around what goes on for longer than a command."""
        return answering(self._pool)

    def _read(self, words: tuple[Any, ...]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._asked.append((words, future))
        if self._reading is None:
            self._reading = loop.create_task(self._read_all())
        return future

    async def _read_all(self) -> None:
        while self._asked:
            asked, self._asked = self._asked[:MAX_TOGETHER], self._asked[MAX_TOGETHER:]
            answers: list[Any]
            try:
                with answering(self._pool):
                    answers = await self._ask([words for words, _ in asked])
            except Exception as error:  # noqa: BLE001  # whatever it is, those who ask are told
                answers = [error] * len(asked)
            for (_, future), answer in zip(asked, answers, strict=True):
                _settle(future, answer)
        self._reading = None

    async def _ask(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        async with self.pipeline(transaction=False) as pipe:
            for words in commands:
                pipe.execute_command(*words)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
            return answers

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return _Pipeline(self._pool, self.response_callbacks, transaction, shard_hint)


class _Pipeline(Pipeline):
    connection_pool: _Pool

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        with answering(self.connection_pool):
            return await super().execute(raise_on_error)


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, _AWAY):
        away = RedisAway()
        away.__cause__ = answer
        future.set_exception(away)
    elif isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _client(pool: _Pool) -> Redis:
    client = _Client(pool)
    for command in _STREAMS:
        # The library would make a dictionary of each entry.
        client.response_callbacks.pop(command)
    return client


class _Server:
    """The server that a pool leads to. Each pool has its own: one that was closed must not find the next."""

    def __init__(self) -> None:
        self.run_id = ""

    async def check(self, connection: Any) -> None:
        """Called for each new connection: it must lead to the server that is known."""
        await connection.on_connect()
        if not self.run_id:
            return
        await connection.send_command("INFO", "server")
        facts = await connection.read_response()
        text = facts.decode() if isinstance(facts, bytes) else str(facts)
        if f"run_id:{self.run_id}" not in text:
            raise RedisConnectionError("the Redis server was started again or is another")


def _owner(slots: Any, asked: str) -> Address:
    """The master of the tag's slot, out of the answer to CLUSTER SLOTS."""
    wanted = key_slot(TAG.encode())
    for first, last, master, *_ in slots:
        if int(first) <= wanted <= int(last):
            host = master[0].decode() if isinstance(master[0], bytes) else str(master[0])
            return host or asked, int(master[1])
    raise RedisConnectionError("no node of the Redis cluster has our keys")


def _link(secrets: dict[str, Any]) -> dict[str, Any]:
    """How every connection is made: no silent repeats, since an outcome may be unknown."""
    limits = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "socket_keepalive": True}
    return {**limits, **secrets, "retry": Retry(NoBackoff(), 0), "protocol": 2}

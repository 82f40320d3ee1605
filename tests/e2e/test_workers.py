"""Several workers behind one port: started, counted, killed, replaced one by one, and ended."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace

from tests.support.mqtt import connect
from unique_cs.bench.process import ServerProcess, free_port
from unique_cs.config import Settings
from unique_cs.errors import SettingsError
from unique_cs.gateway.server import listen
from unique_cs.gateway.transports.grpc_listener import hold_off, listening
from unique_cs.workers.supervisor import Supervisor

STORES = {"redis_url": "redis://127.0.0.1", "database_url": "mysql://127.0.0.1/unique"}
ENVIRON = {f"UNIQUE_CS_{name.upper()}": value for name, value in STORES.items()}


HTTP = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
WEBSOCKET = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


class Crew(ServerProcess):
    """A supervisor with two workers."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.admin = free_port()
        more = {"UNIQUE_CS_ADMIN_PORT": str(self.admin), "UNIQUE_CS_DRAIN_MS": "2000"}
        super().__init__(folder / "data", environ=ENVIRON | more | environ)
        self._command = (sys.executable, "-m", "tests.support.crew", "2")

    def pids(self) -> set[int]:
        """Its workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return {int(pid) for pid in children.read_text().split()}

    def count(self, line: str) -> int:
        """How often its log says so."""
        return self.log.read_text().count(line)

    async def workers(self) -> set[str]:
        """The numbers of those that answer the supervisor."""
        async with httpx2.AsyncClient(timeout=30) as http:
            page = await http.get(f"http://127.0.0.1:{self.admin}/metrics")
        return set(re.findall(r'^unique_cs_connections\{worker="(\d+)"\} ', page.text, re.MULTILINE))


@asynccontextmanager
async def crew(folder: Path, **environ: str) -> AsyncIterator[Crew]:
    """One with both workers at work."""
    made = Crew(folder, **environ)
    try:
        await made.start()
        await until(lambda: made.count("a worker starts") == 2)
        async with asyncio.timeout(30):
            while await made.workers() != {"0", "1"}:
                await asyncio.sleep(0.05)
        yield made
    finally:
        await made.stop()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.05)


class Visitors:
    """They connect all the time, each for one answer; `failed` has what went wrong."""

    def __init__(self, port: int, request: bytes = HTTP, answer: bytes = b"HTTP/1.1 200 ") -> None:
        self._port = port
        self._request, self._answer = request, answer
        self.served = 0
        self.failed: list[str] = []
        self._tasks = [asyncio.ensure_future(self._come()) for _ in range(2)]

    async def _come(self) -> None:
        while True:
            try:
                answer = await self._ask()
                assert answer == self._answer, answer
                self.served += 1
            except (OSError, EOFError, AssertionError) as error:
                self.failed.append(repr(error))
            await asyncio.sleep(0.01)

    async def _ask(self) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(self._request)
            return await reader.readexactly(len(self._answer))
        finally:
            writer.close()

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_the_kernel_divides_connections_among_the_workers(tmp_path: Path) -> None:
    mqtt, grpc = free_port(), free_port()
    ports = {"UNIQUE_CS_MQTT_PORT": str(mqtt), "UNIQUE_CS_GRPC_PORT": str(grpc)}
    async with crew(tmp_path, **ports) as here, httpx2.AsyncClient() as http:
        for port in (here.port, mqtt, grpc):
            one, other = (_listening(pid, port) for pid in here.pids())
            assert one
            assert other
            assert not one & other
        page = (await http.get(f"http://127.0.0.1:{here.admin}/metrics")).text
        assert page.count("# TYPE unique_cs_connections gauge") == 1
        assert (await http.get(f"http://127.0.0.1:{here.admin}/")).status_code == 404
        assert sorted(path.name for path in here.data.iterdir()) == ["worker-0", "worker-1"]
        pids = here.pids()
        assert await here.stop() == 0
    assert not any(_alive(pid) for pid in pids)


def _listening(pid: int, port: int) -> set[str]:
    """The sockets with which a process listens on a port."""
    tables = (Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
    rows = [line.split() for table in tables for line in table]
    known = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    return known & {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_worker_that_was_killed_comes_back_and_nobody_is_refused(tmp_path: Path) -> None:
    async with crew(tmp_path) as here:
        visitors = Visitors(here.port)
        await until(lambda: visitors.served > 20)
        before = here.pids()
        os.kill(min(before), signal.SIGKILL)
        await until(lambda: len(here.pids()) == 2 and here.pids() != before)
        async with asyncio.timeout(30):
            while await here.workers() != {"0", "1"}:
                await asyncio.sleep(0.05)
        await visitors.leave()
        # At most what the dead one had taken is lost with it.
        assert len(visitors.failed) <= 4
        assert not any("refused" in each for each in visitors.failed)


async def test_all_are_replaced_one_by_one_and_nobody_notices(tmp_path: Path) -> None:
    grpc, mqtt = free_port(), free_port()
    ports = {"UNIQUE_CS_GRPC_PORT": str(grpc), "UNIQUE_CS_MQTT_PORT": str(mqtt)}
    async with crew(tmp_path, UNIQUE_CS_RATE_LIMITS="off", **ports) as here:
        everybody = [
            Visitors(here.port),
            Visitors(here.port, WEBSOCKET, b"HTTP/1.1 101 "),
            Visitors(mqtt, connect(4, "x"), b"\x20\x02\0\5"),
            Visitors(grpc, HTTP2, b"\0\0\x1e\4"),
        ]
        await until(lambda: all(each.served > 20 for each in everybody))
        before = here.pids()
        for round_ in (1, 2):
            os.kill(here.pid, signal.SIGHUP)
            await until(lambda: here.count("every worker was replaced") == round_)  # noqa: B023
        served = [each.served for each in everybody]
        await until(lambda: all(each.served > now + 20 for each, now in zip(everybody, served, strict=True)))
        for each in everybody:
            await each.leave()
        assert [each.failed for each in everybody] == [[], [], [], []]
        assert len(here.pids()) == 2
        assert not here.pids() & before
        # Folders go round: 0 1, 2 0, 1 2.
        assert await here.workers() == {"1", "2"}


async def test_workers_end_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    async with crew(tmp_path) as here:
        pids = here.pids()
        await here.kill()
        await until(lambda: not any(_alive(pid) for pid in pids))


async def test_a_start_that_fails_ends_with_the_status_of_the_worker(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    here = Crew(tmp_path)
    with pytest.raises(Exception, match="ended at its start"):
        await here.start()
    assert await here.stop() == 1


def test_workers_need_stores_that_they_can_share() -> None:
    with pytest.raises(SettingsError, match="UNIQUE_CS_REDIS_URL"):
        Supervisor(Settings(database_url=STORES["database_url"]), 2)
    with pytest.raises(SettingsError, match="UNIQUE_CS_DATABASE_URL"):
        Supervisor(Settings(redis_url=STORES["redis_url"]), 2)


async def test_a_port_that_another_server_has_is_not_shared() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        here = Settings(host="127.0.0.1", http_port=other.getsockname()[1])
        with pytest.raises(SettingsError, match="UNIQUE_CS_HTTP_PORT"):
            Supervisor(replace(here, **STORES), 2)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_who_comes_while_a_listener_leaves_is_served_by_the_other(host: str) -> None:
    """And whoever came before is not lost, though nobody had accepted yet."""
    (leaving,) = listen(host, 0, reuse_port=True)
    port = leaving.getsockname()[1]
    (staying,) = listen(host, port, reuse_port=True)
    assert len(list(listening(port))) == 2
    with leaving, staying, ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection((host, port)))
        hold_off(leaving)
        coming = [stack.enter_context(socket.socket(leaving.family)) for _ in range(30)]
        for each in coming:
            each.setblocking(False)
            each.connect_ex((host, port))
        given = _accepted(leaving)
        leaving.close()
        # Half of them knocked in vain, and do so once more after a second.
        async with asyncio.timeout(10):
            await asyncio.gather(*(asyncio.get_running_loop().sock_sendall(each, b"x") for each in coming))
        assert 0 < given < 30
        assert given + _accepted(staying) == 60


def _accepted(listener: socket.socket) -> int:
    """How many connections it was given."""
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1

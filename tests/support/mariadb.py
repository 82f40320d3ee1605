"""Debian's MariaDB for the tests: a real server on a free port, with its data in a folder of its own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.debian import program
from unique_cs.bench.process import free_port

USER = "unique"
PASSWORD = "pa:ss/w@rd%"
"""With characters that an address must escape."""

_IN_ADDRESS = "pa%3Ass%2Fw%40rd%25"
_START_S = 30


class MariaDb:
    """One server. `new_database` gives the address of an empty database in it.

    `kill` is a power cut for the server alone (SIGKILL); `stop` is orderly; `start` starts it again on the
    same port with the same data. `paused` stops its clock for a while (SIGSTOP). Its default character set is
    Latin-1, as a careless installation's is.
    """

    def __init__(self, folder: Path, *, buffer_mb: int = 64) -> None:
        self.folder = folder
        self.port = free_port()
        self._buffer_mb = buffer_mb
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The running server's process id."""
        assert self._process is not None
        return self._process.pid

    def install(self) -> None:
        """Make the data folder."""
        data, user = self.folder / "data", _system_user()
        self.folder.chmod(0o755)
        shutil.chown(self.folder, user)
        install = program("mariadb-install-db", "mariadb-server")
        command = [install, "--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        account = (
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        )
        (self.folder / "account.sql").write_text(account)

    def start(self, *options: str) -> None:
        """Start it and return when it answers."""
        assert self._process is None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*self._command(), *options], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_S
        while self._ask("SELECT 1").returncode != 0:
            assert self._process.poll() is None, (self.folder / "log").read_text()[-4_000:]
            assert time.monotonic() < deadline, "MariaDB does not answer"
            time.sleep(0.05)

    def _command(self) -> list[str]:
        return [
            program("mariadbd", "mariadb-server"),
            "--no-defaults",
            f"--user={_system_user()}",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'account.sql'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--character-set-server=latin1",
            "--max-connections=200",
            f"--innodb-buffer-pool-size={self._buffer_mb}M",
            "--innodb-log-file-size=64M",
            "--aria-pagecache-buffer-size=8M",
            "--key-buffer-size=1M",
        ]

    def _ask(self, sql: str, database: str = "") -> subprocess.CompletedProcess[str]:
        client = program("mariadb", "mariadb-client")
        login = ["--no-defaults", "--protocol=tcp", "-h127.0.0.1", f"-P{self.port}", f"-u{USER}"]
        command = [client, *login, f"-p{PASSWORD}", "-N", "-B", "-e", sql, database]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def sql(self, statement: str, database: str = "") -> list[list[str]]:
        """Run a statement as the client program would, and return the rows."""
        done = self._ask(statement, database)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def new_database(self) -> str:
        """Make an empty database; return its address, as in `UNIQUE_CS_DATABASE_URL`."""
        name = f"test_{secrets.token_hex(6)}"
        self.sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        """The address of the database `name`."""
        return f"mysql://{USER}:{_IN_ADDRESS}@127.0.0.1:{self.port}/{name}"

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it stand still inside the block, with its connections open."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None


def _system_user() -> str:
    """The server runs as root only where it is told to; Debian makes an account for it."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    names = {each.pw_name for each in pwd.getpwall()}
    return "mysql" if "mysql" in names else "root"


def started() -> Iterator[MariaDb]:
    """A server while the generator stands at its one step."""
    program("mariadbd", "mariadb-server")
    # Not below pytest's folder: the server's account may not enter it, and a socket's path has 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="unique-mariadb-"))
    server = MariaDb(folder)
    try:
        server.install()
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """The server that all tests share. Take a database of your own, and leave the server running."""
    yield from started()


@pytest.fixture
def own_mariadb() -> Iterator[MariaDb]:
    """A server for one test, which may kill, stop or pause it."""
    yield from started()

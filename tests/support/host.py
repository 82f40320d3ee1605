"""Hosts of the tests' own, each in a network namespace: what is lost between them is lost in the kernel.

A host whose packets are dropped sees what a machine behind a broken switch sees: connects that are not
answered, connections that go silent, and resets that never arrive.
"""

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.support.debian import program
from tests.support.world import until

_CLONE_NEWNET = 0x40000000  # setns(2)
_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """A network namespace that lives as long as a process which holds it. `prefix` runs a command in it."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"], stderr=subprocess.DEVNULL)
        self.prefix = ("nsenter", "-t", str(self._holder.pid), "-n")

    @property
    def made(self) -> bool:
        """Whether the holder has left the network of this process."""
        return self._holder.poll() is None and _network(self._holder.pid) != _network(os.getpid())

    @property
    def refused(self) -> bool:
        """Whether this machine does not let it."""
        return self._holder.poll() is not None

    @property
    def pid(self) -> int:
        """The holder's."""
        return self._holder.pid

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile are of this network, and stay so. Nothing may await."""
        with ExitStack() as stack:
            here, there = (os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", self._path))
            stack.callback(os.close, here)
            stack.callback(os.close, there)
            stack.callback(_enter, here)
            _enter(there)
            yield

    @property
    def _path(self) -> str:
        return f"/proc/{self._holder.pid}/ns/net"

    def run(self, *words: str) -> None:
        """Run a command in this network, to its end."""
        subprocess.run([*self.prefix, *words], check=True, capture_output=True)

    def close(self) -> None:
        """Let the kernel take it down with everything in it."""
        self._holder.send_signal(signal.SIGKILL)
        self._holder.wait()


class Host(Network):
    """A machine at `address`, joined to the outside by a wire whose other end is at `opposite`."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.address, self.opposite = f"10.77.{number}.2", f"10.77.{number}.1"
        self._wire = f"wire{number}"

    def join(self, outside: Network) -> None:
        """Lay the wire."""
        ip, pid = program("ip", "iproute2"), str(self.pid)
        outside.run(ip, "link", "add", self._wire, "type", "veth", "peer", "name", "eth0", "netns", pid)
        outside.run(ip, "addr", "add", f"{self.opposite}/24", "dev", self._wire)
        outside.run(ip, "link", "set", self._wire, "up")
        self.run(ip, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            self.run(ip, "link", "set", device, "up")

    def deafen(self) -> None:
        """Lose all that comes; nobody is told."""
        self.run(program("iptables", "iptables"), "-w", "-A", "INPUT", "-i", "eth0", "-j", "DROP")

    def silence(self) -> None:
        """Lose all that leaves."""
        self.run(program("iptables", "iptables"), "-w", "-A", "OUTPUT", "-o", "eth0", "-j", "DROP")

    def isolate(self) -> None:
        """Lose both."""
        self.deafen()
        self.silence()

    def heal(self) -> None:
        """Lose nothing."""
        self.run(program("iptables", "iptables"), "-w", "-F")


def _network(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


def _enter(network: int) -> None:
    if _libc.setns(network, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@asynccontextmanager
async def hosts(count: int) -> AsyncIterator[tuple[Network, list[Host]]]:
    """So many hosts, and the network outside of them, where all their wires end."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root may make networks")
    with ExitStack() as stack:
        outside, made = Network(), [Host(number + 1) for number in range(count)]
        for each in (outside, *made):
            stack.callback(each.close)
        await until(lambda: all(each.made or each.refused for each in (outside, *made)))
        if any(each.refused for each in (outside, *made)):
            pytest.skip("this machine lets nobody make a network")
        for host in made:
            host.join(outside)
        yield outside, made

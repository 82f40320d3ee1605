"""The other ends of gRPC's connections: what their names say, and how to cut them off."""

import asyncio
import os
import resource
import socket
from collections import Counter
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import unquote

from unique_cs.telemetry import log

LOOK_S: Final = 1.0
"""How often it is looked whether files become few."""


def split_peer(peer: str) -> tuple[str, int]:
    """The IP and port in gRPC's name of a peer, for example `ipv6:%5B::1%5D:50052`; empty for other kinds."""
    family, _, rest = peer.partition(":")
    host, _, port = unquote(rest).rpartition(":")
    if family not in {"ipv4", "ipv6"} or not port.isdecimal():
        return "", 0
    return host.strip("[]"), int(port)


def peer_address(peer: str) -> str:
    """The IP alone."""
    return split_peer(peer)[0]


class Shears:
    """Ends TCP connections of gRPC's.

    A server in Python can't reset a call whose client does not read: its status waits behind the data, and
    both are held for as long as the client likes. Only the end of the connection frees them.
    """

    def __init__(self) -> None:
        self._peers: set[str] = set()
        self._work: asyncio.Task[None] | None = None

    def cut(self, peer: str) -> None:
        """End the connection of a peer, soon; several are looked for together."""
        self._peers.add(peer)
        if self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._cut_all())

    async def _cut_all(self) -> None:
        try:
            while self._peers:
                peers, self._peers = self._peers, set()
                await asyncio.to_thread(shut_down, {split_peer(peer) for peer in peers})
        finally:
            self._work = None


def shut_down(peers: Collection[tuple[str, int]]) -> None:
    """Shut down the sockets of this process that are connected to these addresses."""
    for entry in os.scandir("/dev/fd"):  # Linux and macOS
        try:
            sock = socket.socket(fileno=int(entry.name))
        except OSError:
            continue
        try:
            if sock.family in {socket.AF_INET, socket.AF_INET6} and _plain(*sock.getpeername()[:2]) in peers:
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # Not connected, or no longer.
            continue
        finally:
            sock.detach()


def _plain(host: str, port: int) -> tuple[str, int]:
    """An IPv4 address on a socket for both families as gRPC names it."""
    return host.removeprefix("::ffff:"), port


class Guests:
    """Ends connections that carry no call, where the process has few files left.

    The library accepts any number of them and keeps each for minutes; stores and all other roads need files.
    """

    def __init__(self, port: int) -> None:
        """`port` is where the library accepts."""
        self._port = port
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._calls: Counter[str] = Counter()

    def called(self, context: Any) -> None:
        """A call began on a connection."""
        peer = context.peer()
        self._calls[peer] += 1
        context.add_done_callback(lambda _: self._done(peer))

    def _done(self, peer: str) -> None:
        self._calls[peer] -= 1
        if self._calls[peer] <= 0:
            del self._calls[peer]

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001  # the next look may do better
                log.error("idle connections can't be ended", error=repr(error))

    async def _look(self) -> None:
        used = _files_used(self._files)
        if used > self._files * 7 // 8:
            calling = {split_peer(peer) for peer in self._calls}
            await asyncio.to_thread(end_idle, self._port, calling, used - self._files * 3 // 4, self._files)


def _files_used(files: int) -> int:
    """About how many files are open: the kernel gives the lowest number that is free."""
    try:
        number = os.dup(2)
    except OSError:
        return files
    os.close(number)
    return number


def end_idle(port: int, calling: Collection[tuple[str, int]], most: int, files: int) -> None:
    """Shut down at most so many sockets that were accepted on `port` and whose peers are not `calling`."""
    # By number, as there may be no file left to list them with.
    for number in range(files):
        if most <= 0:
            return
        try:
            sock = socket.socket(fileno=number)
        except OSError:
            continue
        try:
            is_ours = sock.family in {socket.AF_INET, socket.AF_INET6} and sock.getsockname()[1] == port
            if is_ours and _plain(*sock.getpeername()[:2]) not in calling:
                sock.shutdown(socket.SHUT_RDWR)
                most -= 1
        except OSError:
            # It listens, or is no longer connected.
            continue
        finally:
            sock.detach()

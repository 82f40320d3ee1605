"""The other ends of gRPC's connections: what their names say, and how to cut them off."""

import asyncio
import os
import socket
from collections.abc import Collection
from urllib.parse import unquote


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

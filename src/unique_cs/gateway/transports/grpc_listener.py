"""Leaving a port that other processes serve too, without resetting those who are on their way in."""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h
_INSTRUCTION: Final = struct.Struct("HBBI")
_NO_SYN: Final = b"".join(
    _INSTRUCTION.pack(*each)
    for each in (
        (0x30, 0, 0, 13),  # load the byte with the flags of TCP's header
        (0x45, 0, 1, 0x02),  # SYN?
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # pass
    )
)
"""A filter of the kernel, as in linux/filter.h."""


def hold_off(listener: socket.socket) -> None:
    """Let a listener get no new connections; those that it was given can still be accepted.

    Whoever is not heard asks again after a second, and is then given to a process that still listens. Without
    this the end of a listening socket resets the connections which it was given and nobody accepted.
    """
    code = ctypes.create_string_buffer(_NO_SYN)
    program = struct.pack("HP", len(_NO_SYN) // _INSTRUCTION.size, ctypes.addressof(code))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def listening(port: int) -> Iterator[socket.socket]:
    """The sockets with which this process listens on a port, whoever opened them; each for one turn only."""
    for entry in os.scandir("/dev/fd"):
        try:
            sock = socket.socket(fileno=int(entry.name))
        except OSError:
            continue
        try:
            if _listens(sock) and sock.getsockname()[1] == port:
                yield sock
        finally:
            sock.detach()


def _listens(sock: socket.socket) -> bool:
    inet = sock.family in {socket.AF_INET, socket.AF_INET6}
    return inet and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

"""The roads that are measured; a new one is a `Line` and a `Road` in `ROADS`."""

from collections.abc import Callable
from typing import Final, NamedTuple

from unique_cs.bench.grpc_line import GrpcLine
from unique_cs.bench.lines import Line, MqttLine, MsgpackLine, PollLine, StreamLine, WebSocketLine
from unique_cs.bench.process import Target


class Road(NamedTuple):
    """A road, its bound for the memory of an idle session (KB, 0 for none), and how many sessions try it."""

    name: str
    line: Callable[[Target, str], Line]
    kilobytes: float = 0.0
    sessions: int = 5_000


ROADS: Final = (
    Road("WebSocket, JSON", WebSocketLine, 3.0),
    Road("WebSocket, msgpack", MsgpackLine, 3.0),
    Road("HTTP stream", StreamLine),
    Road("HTTP poll", PollLine),
    Road("MQTT", MqttLine, 4.0),
    # A channel of Python's own gRPC client is large.
    Road("gRPC", GrpcLine, sessions=500),
)


async def enter(road: Road, server: Target, token: str, source: str = "") -> Line:
    """Connect a contact on a road, and wait until it is greeted or refused."""
    line = road.line(server, token)
    await line.open(source)
    await line.connected
    return line

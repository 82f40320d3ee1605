"""A client of protocol version 1, written from the protocol's page and nothing of the server.

`Session` is the protocol without I/O; `Client` runs one over WebSocket, HTTP where that is blocked, or MQTT.
"""

from unique_cs.client.client import Answer, Client
from unique_cs.client.outputs import (
    Abandoned,
    Advanced,
    Connected,
    Delivered,
    Disconnected,
    Drop,
    Failed,
    Fault,
    Halt,
    Halted,
    Open,
    Output,
    ReadHistory,
    Rebased,
    Refused,
    Sent,
    Signalled,
    Subscribed,
    Transmit,
    Unsubscribed,
)
from unique_cs.client.rest import Rest, RestError
from unique_cs.client.roads import ROADS, Road
from unique_cs.client.session import Phase, Session
from unique_cs.client.sqlite import SQLiteStore
from unique_cs.client.state import Frame, MemoryStore, Position, Send, Settings, State, Store

__all__ = [
    "ROADS",
    "Abandoned",
    "Advanced",
    "Answer",
    "Client",
    "Connected",
    "Delivered",
    "Disconnected",
    "Drop",
    "Failed",
    "Fault",
    "Frame",
    "Halt",
    "Halted",
    "MemoryStore",
    "Open",
    "Output",
    "Phase",
    "Position",
    "ReadHistory",
    "Rebased",
    "Refused",
    "Rest",
    "RestError",
    "Road",
    "SQLiteStore",
    "Send",
    "Sent",
    "Session",
    "Settings",
    "Signalled",
    "State",
    "Store",
    "Subscribed",
    "Transmit",
    "Unsubscribed",
]

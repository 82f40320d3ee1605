"""An MQTT client over a pipe, for tests of a node."""

from typing import Any

import msgspec

from tests.support import mqtt
from tests.support.node import House
from tests.support.pipe import Pipe
from unique_cs.gateway.transports.mqtt import MqttTransport
from unique_cs.gateway.transports.mqtt_endpoint import Endpoint, MqttWebSocket
from unique_cs.protocol import mqtt_packets as packets
from unique_cs.protocol.mqtt_packets import V5
from unique_cs.protocol.websocket import frame_binary

Frame = dict[str, Any]


class Client:
    """An MQTT client over a pipe. Frames that came down lie in `frames`, all other packets in `others`."""

    def __init__(self, house: House, endpoint: Endpoint, *, version: int = V5, client_id: str = "me") -> None:
        self.house = house
        self.version = version
        self.client_id = client_id
        self.pipe = Pipe()
        self.frames: list[Frame] = []
        self.others: list[tuple[int, bytes]] = []
        self.acks = True
        self.protocol = MqttTransport(endpoint.clients)
        self.pipe.attach(self.protocol)

    async def open(self, token: str | None, *, frames: tuple[Frame, ...] = (), **fields: Any) -> "Client":
        """Send CONNECT, SUBSCRIBE and frames in one go."""
        password = None if token is None else token.encode()
        data = mqtt.connect(self.version, self.client_id, password=password, **fields)
        data += mqtt.subscribe(self.version, 1, f"ucs/v1/{self.client_id}/down", qos=1)
        await self.send(data + b"".join(self.up(frame) for frame in frames))
        return self

    def up(self, frame: Any, packet_id: int = 0) -> bytes:
        """A PUBLISH of a frame."""
        payload = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
        return mqtt.publish(self.version, f"ucs/v1/{self.client_id}/up", payload, packet_id=packet_id)

    async def send(self, data: bytes) -> list[Frame]:
        """Send bytes, let everything happen, and return the frames that came."""
        self.pipe.feed(data)
        await self.house.settle()
        return self.take()

    async def ask(self, frame: Any) -> list[Frame]:
        """Send a frame and return those that came."""
        return await self.send(self.up(frame))

    def take(self) -> list[Frame]:
        """The frames since the last call."""
        acks = b""
        for first, body in mqtt.read_packets(self.pipe.taken()):
            if first >> 4 != packets.PUBLISH:
                self.others.append((first, body))
                continue
            got = packets.read_publish(first & 0x0F, packets.Fields(body), self.version)
            assert got.topic == f"ucs/v1/{self.client_id}/down"
            self.frames.append(msgspec.json.decode(got.payload))
            if got.packet_id:
                acks += packets.puback(got.packet_id)
        if acks and self.acks and not self.pipe.ended:
            self.pipe.feed(acks)
        taken, self.frames = self.frames, []
        return taken

    async def next(self) -> list[Frame]:
        """The frames that came since, after everything has happened."""
        await self.house.settle()
        return self.take()


class Browser(Client):
    """The same over WebSocket, a packet or half of one in a message."""

    def __init__(self, house: House, endpoint: Endpoint) -> None:
        super().__init__(house, endpoint)
        self.protocol = MqttWebSocket(endpoint.clients, "10.0.0.2")
        self.pipe = Pipe()
        self.pipe.attach(self.protocol)

    async def send(self, data: bytes) -> list[Frame]:
        half = len(data) // 2
        self.pipe.feed(masked(frame_binary(data[:half])) + masked(frame_binary(data[half:])))
        await self.house.settle()
        return self.take()

    def take(self) -> list[Frame]:
        raw, self.pipe.written = bytes(self.pipe.written), bytearray()
        while raw:
            extra = {126: 2, 127: 8}.get(raw[1], 0)
            size = int.from_bytes(raw[2 : 2 + extra], "big") if extra else raw[1]
            start = 2 + extra
            if raw[0] == 0x82:
                self.pipe.written += raw[start : start + size]
            else:
                self.others.append((raw[0], raw[start : start + size]))
            raw = raw[start + size :]
        self.acks = False
        return super().take()


def masked(frame: bytes) -> bytes:
    """A client's frame, with a mask of zeros."""
    extra = {126: 2, 127: 8}.get(frame[1], 0)
    return frame[:1] + bytes((frame[1] | 0x80,)) + frame[2 : 2 + extra] + bytes(4) + frame[2 + extra :]

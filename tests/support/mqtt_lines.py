"""Clients behind a broker that delivers at once, for tests of a node."""

from typing import Any

import msgspec

from tests.support.node import House
from unique_cs.gateway.transports.mqtt_lines import Lines

Frame = dict[str, Any]


class Broker:
    """Takes what goes to the clients, and keeps it by client; `stalled`, it takes nothing."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.lines = Lines(house.gateway)
        self.stalled = False
        self._down: dict[str, list[Frame]] = {}

    def publish(self, client: str, frame: Any) -> None:
        """A client published to its `up`."""
        self.lines.receive(client, frame if isinstance(frame, bytes) else msgspec.json.encode(frame))

    async def ask(self, client: str, frame: Any) -> list[Frame]:
        """Publish a frame, and return what came to the client's `down`."""
        self.publish(client, frame)
        return await self.down(client)

    async def down(self, client: str) -> list[Frame]:
        """What came since the last call, after everything has happened."""
        await self.house.settle()
        outgoing = self.lines.outgoing
        while outgoing.size and not self.stalled:
            parcel = await outgoing.take()
            self._down.setdefault(parcel.client, []).append(msgspec.json.decode(parcel.payload))
            outgoing.done(parcel)
            await self.house.settle()
        return self._down.pop(client, [])

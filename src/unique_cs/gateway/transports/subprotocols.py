"""What a WebSocket may speak here: the built-in codecs, and those of plug-ins."""

import sys
from collections.abc import Iterable

from unique_cs.errors import SettingsError
from unique_cs.gateway.door import Accept
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.plugin import Codec
from unique_cs.gateway.transports.coded import CodedTransport
from unique_cs.gateway.transports.websocket import WIRES, WebSocketTransport
from unique_cs.protocol.handshake import UpgradeRequest


class Subprotocols:
    """The codecs of a node by their names. Built-in ones, which share bytes among receivers, are None."""

    def __init__(self, codecs: Iterable[Codec] = ()) -> None:
        """Raises `SettingsError` where a name is taken."""
        self._codecs: dict[str, Codec | None] = {name: None for name in WIRES if name is not None}
        for codec in codecs:
            if codec.subprotocol in self._codecs:
                raise SettingsError(f"two codecs have the subprotocol {codec.subprotocol!r}")
            self._codecs[codec.subprotocol] = codec

    def choose(self, offers: Iterable[str]) -> str | None:
        """The first offer that we speak; None means JSON without a subprotocol."""
        return next((offer for offer in offers if offer in self._codecs), None)

    def accept(self, gateway: Gateway, request: UpgradeRequest, address: str) -> Accept:
        """A connection for a handshake that is let in."""
        chosen, from_page = self.choose(request.subprotocols), request.origin is not None
        codec = None if chosen is None else self._codecs[chosen]
        address = sys.intern(address)
        if codec is None:
            return Accept(WebSocketTransport(gateway, chosen, address, from_page=from_page), chosen)
        return Accept(CodedTransport(gateway, codec, address, from_page=from_page), chosen)

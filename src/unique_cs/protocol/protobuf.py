"""The codec of gRPC: a `ClientFrame` or `ServerFrame` of `proto/unique_cs/v1/messaging.proto` a message.

What a frame may hold is checked by the same structures as for JSON.
"""

from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError

from unique_cs.protobuf import from_dict, to_dict
from unique_cs.protocol.codec import Codec
from unique_cs.v1.messaging_pb2 import ClientFrame, ServerFrame


class Decoder:
    """Bytes of a `ClientFrame` to a structure; raises as msgspec's decoders do."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def decode(self, payload: bytes) -> Any:
        """Return the structure that `payload` holds."""
        try:
            message = ClientFrame.FromString(payload)
        except DecodeError as error:
            raise msgspec.DecodeError("the bytes are no ClientFrame") from error
        return msgspec.convert(to_dict(message), self._kind)


class Encoder:
    """A structure of the server, or a stored event, to bytes of a `ServerFrame`."""

    def encode(self, frame: Any) -> bytes:
        """Return the bytes."""
        fields = frame if type(frame) is dict else msgspec.to_builtins(frame)
        return from_dict(ServerFrame(), fields).SerializeToString()


class _Module:
    Decoder = Decoder
    Encoder = Encoder


PROTOBUF: Final = Codec("unique-cs.v1+protobuf", True, _Module)

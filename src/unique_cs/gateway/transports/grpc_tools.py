"""What tools of gRPC ask without a token: health, and the definition by reflection."""

from collections.abc import AsyncIterable, AsyncIterator, Collection
from typing import Any, Final

import grpc
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

HEALTH: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
DESCRIBER: Final = reflection.SERVICE_NAME

MOST_ASKING: Final = 50
"""Calls of reflection at a time: each may stay for as long as its client likes."""


class Health:
    """`Check` alone, which clients know how to take.

    `Watch` would hold 20 KB for as long as its client likes; and the library's, while a client does not read,
    holds a lock that the end of the server waits for.
    """

    def __init__(self, services: Collection[str]) -> None:
        """`services` are the names that are known; the empty one stands for the server."""
        self._services = frozenset(services)
        self.serving = True

    def handler(self) -> grpc.GenericRpcHandler:
        """The service."""
        check = grpc.unary_unary_rpc_method_handler(
            self._check,
            health_pb2.HealthCheckRequest.FromString,
            health_pb2.HealthCheckResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(HEALTH, {"Check": check})

    async def _check(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        if request.service not in self._services:
            await context.abort(StatusCode.NOT_FOUND)
        status = health_pb2.HealthCheckResponse.SERVING
        return health_pb2.HealthCheckResponse(
            status=status if self.serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )


class Reflection:
    """The library's, for a bounded number of calls."""

    def __init__(self, services: Collection[str]) -> None:
        """`services` are the names that are described."""
        self._library: Any = reflection.aio.ReflectionServicer(services)
        self._asking = 0

    def handler(self) -> grpc.GenericRpcHandler:
        """The service."""
        describe = grpc.stream_stream_rpc_method_handler(
            self._describe,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(DESCRIBER, {"ServerReflectionInfo": describe})

    async def _describe(self, requests: AsyncIterable[Any], context: Any) -> AsyncIterator[Any]:
        if self._asking >= MOST_ASKING:
            await context.abort(StatusCode.RESOURCE_EXHAUSTED, "too many ask for the definition")
        self._asking += 1
        try:
            async for answer in self._library.ServerReflectionInfo(requests, context):
                yield answer
        finally:
            self._asking -= 1

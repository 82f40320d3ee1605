"""Is it alive, is it ready, and how is it doing."""

import asyncio
import hmac
import ipaddress
from typing import Final, Literal

from litestar import Response, Router, get
from msgspec import UNSET, Struct, UnsetType

from unique_cs.api.deps import AnyRequest, Deps, Injected, Part, address, bearer
from unique_cs.errors import Code, UniqueCsError

CHECK_S: Final = 2.0
"""A part that does not answer in this time is not ready."""

_FORWARDING: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_OPTIONAL: Final[list[dict[str, list[str]]]] = [{}, {"token": []}]


class Health(Struct):
    """The process answers."""

    status: Literal["alive"] = "alive"


class PartView(Struct):
    """One part of the process; `detail` says what is wrong."""

    name: str
    ready: bool
    detail: str


class Readiness(Struct):
    """Whether traffic may come. `parts` is shown to the machine itself and to agents."""

    status: Literal["ready", "unready"]
    parts: list[PartView] | UnsetType = UNSET


@get("/healthz", operation_id="healthz", security=[{}])
async def healthz() -> Health:
    """Say that the process is alive."""
    return Health()


@get("/readyz", operation_id="readyz", security=_OPTIONAL)
async def readyz(request: AnyRequest, deps: Injected) -> Response[Readiness]:
    """Say whether the process can work: 200 or 503."""
    parts = await asyncio.gather(*(_check(part) for part in deps.parts))
    ready = all(part.ready for part in parts)
    shown = list(parts) if await _is_insider(request, deps) else UNSET
    return Response(Readiness("ready" if ready else "unready", shown), status_code=200 if ready else 503)


async def _check(part: Part) -> PartView:
    name, check = part
    try:
        async with asyncio.timeout(CHECK_S):
            await check()
    except TimeoutError:
        return PartView(name, False, "does not answer")
    except Exception as error:  # noqa: BLE001 - whatever it is, the part does not work
        return PartView(name, False, str(error)[:300] or type(error).__name__)
    return PartView(name, True, "")


@get("/metrics", operation_id="metrics", security=_OPTIONAL, media_type="text/plain")
async def metrics(request: AnyRequest, deps: Injected) -> Response[bytes]:
    """Give every metric in the text format of Prometheus, to the machine itself and to agents."""
    if not await _is_insider(request, deps):
        raise UniqueCsError(Code.UNAUTHORIZED, "metrics are for this machine and for agents")
    return Response(deps.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _is_insider(request: AnyRequest, deps: Deps) -> bool:
    if _is_local(request):
        return True
    token = bearer(request)
    if not token:
        return False
    if deps.metrics_token and hmac.compare_digest(token.encode(), deps.metrics_token.encode()):
        return True
    try:
        return not (await deps.auth.authenticate(token)).is_contact
    except UniqueCsError:
        return False


def _is_local(request: AnyRequest) -> bool:
    """A proxy on this machine connects from the loopback address too; what it forwards is not local."""
    if any(name in request.headers for name in _FORWARDING):
        return False
    try:
        return ipaddress.ip_address(address(request)).is_loopback
    except ValueError:
        return False


router = Router("/", route_handlers=[healthz, readyz, metrics], tags=["Operations"])

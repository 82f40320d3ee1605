"""Errors over HTTP: problem documents (RFC 9457), one shape for ours and the framework's."""

from traceback import format_exception
from typing import Any, Final

import msgspec
from litestar import Response
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    ValidationException,
)
from msgspec import UNSET, Struct, UnsetType

from unique_cs.api.deps import AnyRequest
from unique_cs.errors import Code, UniqueCsError
from unique_cs.telemetry import log

MEDIA_TYPE: Final = "application/problem+json"

ANY_METHOD: Final = "?"
"""Stands for OPTIONS inside: the refusal of a method that cannot be lists those that can, and all of them."""

_LEFT: Final = "client disconnected prematurely"
"""What the framework calls an error of the server: a client that leaves before the end of its body."""

_TITLES: Final = {
    Code.BAD_FRAME: "The request can't be read",
    Code.UNKNOWN_TYPE: "Unknown type",
    Code.UNAUTHORIZED: "A valid token is needed",
    Code.FORBIDDEN: "Not allowed",
    Code.NOT_FOUND: "Not found",
    Code.OUT_OF_ORDER: "Out of order",
    Code.TOO_LARGE: "Too large",
    Code.RATE_LIMITED: "Too many requests",
    Code.OVERLOADED: "Overloaded",
    Code.CONFLICT: "Conflict",
    Code.INVALID: "Invalid content",
    Code.INTERNAL: "Internal error",
}
_CODES: Final = {
    401: Code.UNAUTHORIZED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    405: Code.INVALID,
    413: Code.TOO_LARGE,
    429: Code.RATE_LIMITED,
    503: Code.OVERLOADED,
}


class Problem(Struct):
    """What went wrong. `retry_after_ms` is there exactly when the same request may succeed later."""

    type: str
    title: str
    status: int
    detail: str
    code: Code
    retry_after_ms: int | UnsetType = UNSET


def describe(error: UniqueCsError) -> Problem:
    """The problem document of an expected error."""
    wait = UNSET if error.retry_after_ms is None else error.retry_after_ms
    return _problem(error.code, error.status, error.message, wait)


def headers_of(problem: Problem) -> dict[str, str]:
    """The headers that go with it: `Retry-After` in whole seconds, `WWW-Authenticate` (RFC 9110)."""
    headers = {"cache-control": "no-store"}
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    if problem.retry_after_ms is not UNSET:
        headers["retry-after"] = str(-(-problem.retry_after_ms // 1000))
    return headers


def answer(request: AnyRequest, error: Exception) -> Response[Any]:
    """Turn any exception into its problem document. What is unexpected is logged and not shown."""
    if request.method == ANY_METHOD and isinstance(error, MethodNotAllowedException):
        return Response(None, status_code=204, headers=_allow(error))
    if isinstance(error, UniqueCsError):
        problem, more = describe(error), {}
    elif isinstance(error, HTTPException) and error.status_code < 500:
        problem, more = _refused(error), _allow(error)
    elif isinstance(error, msgspec.ValidationError):
        problem, more = _problem(Code.INVALID, 422, str(error)[:300]), {}
    elif isinstance(error, RecursionError):
        problem, more = _problem(Code.BAD_FRAME, 400, "the body is nested too deeply"), {}
    elif isinstance(error, InternalServerException) and error.detail == _LEFT:
        problem, more = _problem(Code.BAD_FRAME, 400, error.detail), {}
    else:
        # Formatted here: what formats it later may print local variables, and so passwords and tokens.
        trace = "".join(format_exception(error))
        log.error("a request failed", method=request.method, path=request.url.path, trace=trace)
        problem, more = _problem(Code.INTERNAL, 500, "the request failed; the log says why"), {}
    return Response(
        problem, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers_of(problem) | more
    )


def _problem(code: Code, status: int, detail: str, wait: int | UnsetType = UNSET) -> Problem:
    return Problem(f"urn:unique-cs:error:{code}", _TITLES[code], status, detail, code, wait)


def _refused(error: HTTPException) -> Problem:
    """A refusal by the framework: by routing, by the body's size and form, or by the declared types."""
    if isinstance(error, ValidationException):
        return _problem(Code.INVALID, 422, _faults(error))
    if error.status_code == 405:
        return _problem(Code.INVALID, 405, "this resource does not have this method")
    code = _CODES.get(error.status_code, Code.BAD_FRAME)
    return _problem(code, error.status_code, error.detail[:300])


def _faults(error: ValidationException) -> str:
    faults = error.extra if isinstance(error.extra, list) else []
    said = [
        f"{fault.get('key', '')}: {fault.get('message', '')}" for fault in faults if isinstance(fault, dict)
    ]
    return "; ".join(said)[:300] or error.detail.partition(" for path ")[0]


def _allow(error: HTTPException) -> dict[str, str]:
    """RFC 9110 15.5.6: a 405 names the methods there are."""
    allowed = (error.headers or {}).get("allow", "")
    if not allowed:
        return {}
    methods = allowed.split(", ")
    return {"allow": ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))}

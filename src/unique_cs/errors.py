"""The one error root. Every refusal that a client can see has a code of this closed table."""

from enum import StrEnum


class Code(StrEnum):
    """Error codes of the wire and of problem documents; `HTTP_STATUS` maps each to its status."""

    BAD_FRAME = "bad_frame"
    UNKNOWN_TYPE = "unknown_type"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    OUT_OF_ORDER = "out_of_order"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    CONFLICT = "conflict"
    INVALID = "invalid"
    INTERNAL = "internal"


HTTP_STATUS: dict[Code, int] = {
    Code.BAD_FRAME: 400,
    Code.UNKNOWN_TYPE: 400,
    Code.UNAUTHORIZED: 401,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.OUT_OF_ORDER: 409,
    Code.TOO_LARGE: 413,
    Code.RATE_LIMITED: 429,
    Code.OVERLOADED: 503,
    Code.CONFLICT: 409,
    Code.INVALID: 422,
    Code.INTERNAL: 500,
}


class UniqueCsError(Exception):
    """Root of all expected errors.

    `retry_after_ms` is set exactly when the same request may succeed later: such a refusal is
    never a final answer to a send.
    """

    def __init__(self, code: Code, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms

    @property
    def status(self) -> int:
        """The HTTP status of a problem document for this error."""
        return HTTP_STATUS[self.code]


class SettingsError(UniqueCsError):
    """A setting is unknown or its value is unusable; the process does not start."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.INVALID, message)


class StorageUnavailable(UniqueCsError):
    """The store can't take writes now; nothing of the refused write was stored.

    Clients are told the `message`. `reason` is for logs and for those who may see the details of `/readyz`.
    """

    def __init__(self, message: str, retry_after_ms: int = 1000, *, reason: str = "") -> None:
        super().__init__(Code.OVERLOADED, message, retry_after_ms=retry_after_ms)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.message}: {self.reason}" if self.reason else self.message


class OutcomeUnknown(UniqueCsError):
    """A write or flush failed half-way: the caller must reconnect and repeat, nothing may be answered."""

    def __init__(self, message: str = "the outcome of the write is unknown") -> None:
        super().__init__(Code.INTERNAL, message)


def not_found(what: str = "no such id") -> UniqueCsError:
    """One refusal for "does not exist" and "not yours": the two must look alike."""
    return UniqueCsError(Code.NOT_FOUND, what)


def invalid(message: str) -> UniqueCsError:
    """A request whose form is right and whose content is not."""
    return UniqueCsError(Code.INVALID, message)


class Replaced(UniqueCsError):
    """A connection with a higher count holds the session."""

    def __init__(self) -> None:
        super().__init__(Code.CONFLICT, "a later connection holds the session")

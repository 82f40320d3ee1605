"""Loaded by schemathesis.

To JSON Schema `1.0` is an integer, to us it is none; nobody sends it. And each message has a key of its own:
what was refused under a key once is refused again.
"""

import re
from itertools import count
from typing import Any

import schemathesis

_KEY = "Idempotency-Key"
_numbers = count()


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    return whole(body)


def whole(value: Any) -> Any:
    """The same with integers for floats that are whole."""
    if isinstance(value, dict):
        return {name: whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Any, kwargs: Any) -> None:
    if "Missing" in str(getattr(case.meta.phase.data, "description", "")):
        return
    key = str((case.headers or {}).get(_KEY, ""))
    if re.fullmatch(r"[\x21-\x7e]{1,200}", key):
        case.headers[_KEY] = f"{key}-{next(_numbers)}"

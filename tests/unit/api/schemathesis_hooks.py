"""Loaded by schemathesis: to JSON Schema `1.0` is an integer, to us it is none; nobody sends it."""

from typing import Any

import schemathesis


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

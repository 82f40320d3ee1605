"""Dictionaries, as JSON has them, <-> the protobuf messages of `proto/`. Pure; used by server and client.

Both have the same field names, so most of it follows the definition. Three oneofs are flat in JSON: `frame`
is told by `type`, `kind` by `kind`, and `data` by the `name` beside it, whose dots are underscores.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

_STRUCT: Final = "google.protobuf.Struct"
_EXACT: Final = 2**53

_MARKS: Final = {"frame": "type", "kind": "kind"}

_NULLS: Final = frozenset({"assignee", "previous", "cursor", "waiting_since", "last_message", "visit"})
"""Fields that JSON says `null` for; all others that are absent are left out."""

_LEFT_OUT: Final = frozenset({"actions"})
"""Lists that JSON leaves out where they are empty."""


def to_dict(message: Message) -> dict[str, Any]:
    """Return what a message says. What it does not know is left out; a mark of an unknown member is empty."""
    shape = _shape(message.DESCRIPTOR)
    found: dict[str, Any] = {name: [] if value is list else value for name, value in shape.defaults}
    for field, value in message.ListFields():
        name = field.name
        reader = shape.readers.get(name)
        found[name] = value if reader is None else reader(value)
    if shape.oneof:
        _flatten(message, shape.oneof, found)
    return found


def from_dict(message: M, fields: Mapping[str, Any]) -> M:
    """Fill a message and return it. Names that its definition lacks are left out, as is `None`.

    Raises `TypeError` or `ValueError` for a value that the field can't hold.
    """
    shape = _shape(message.DESCRIPTOR)
    if shape.oneof:
        _fill_member(message, shape, fields)
    for name, value in fields.items():
        writer = shape.writers.get(name)
        if writer is not None and value is not None:
            writer(message, value)
    return message


class _Shape:
    """What is known of a message's definition."""

    def __init__(self, descriptor: Descriptor) -> None:
        # The oneofs that a single optional field is made of have names that begin with an underscore.
        own = [oneof for oneof in descriptor.oneofs if not oneof.name.startswith("_")]
        self.oneof = own[0].name if own else ""
        self.members = frozenset(field.name for oneof in own for field in oneof.fields)
        fields = [field for field in descriptor.fields if field.name not in self.members]
        self.defaults = [pair for field in fields for pair in _default(field)]
        self.readers = {field.name: reader for field in descriptor.fields if (reader := _reader(field))}
        self.writers = {field.name: _writer(field) for field in fields}


@cache
def _shape(descriptor: Descriptor) -> _Shape:
    return _Shape(descriptor)


def _default(field: FieldDescriptor) -> list[tuple[str, Any]]:
    if field.is_repeated:
        return [] if field.name in _LEFT_OUT else [(field.name, {} if _is_map(field) else list)]
    if field.has_presence:
        return [(field.name, None)] if field.name in _NULLS else []
    return [(field.name, field.default_value)]


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


# Out of messages


def _reader(field: FieldDescriptor) -> Callable[[Any], Any] | None:
    if field.message_type is None:
        return list if field.is_repeated else None
    if _is_map(field):
        return lambda entries: {key: to_dict(value) for key, value in entries.items()}
    if field.message_type.full_name == _STRUCT:
        return _from_struct
    return _to_dicts if field.is_repeated else to_dict


def _to_dicts(messages: Any) -> list[dict[str, Any]]:
    return [to_dict(each) for each in messages]


def _from_struct(struct: Any) -> dict[str, Any]:
    return {key: _plain(value) for key, value in struct.fields.items()}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    if kind == "struct_value":
        return _from_struct(value.struct_value)
    if kind == "list_value":
        return [_plain(each) for each in value.list_value.values]
    return None if kind in {None, "null_value"} else getattr(value, kind)


def _flatten(message: Message, oneof: str, found: dict[str, Any]) -> None:
    member = message.WhichOneof(oneof)
    inner = {} if member is None else found.pop(member)
    if oneof in _MARKS:
        found.update(inner)
        found[_MARKS[oneof]] = member or ""
    else:
        found[oneof] = inner


# Into messages


def _writer(field: FieldDescriptor) -> Callable[[Message, Any], None]:
    name = field.name
    if field.message_type is None:
        if field.is_repeated:
            return lambda message, values: getattr(message, name).extend(values)
        return lambda message, value: setattr(message, name, value)
    if _is_map(field):
        return lambda message, entries: _fill_map(getattr(message, name), entries)
    if field.is_repeated:
        return lambda message, values: _fill_all(getattr(message, name), values)
    return lambda message, value: _fill(getattr(message, name), value)


def _fill(message: Any, fields: Mapping[str, Any]) -> None:
    # Else one without fields would not be there at all.
    message.SetInParent()
    if message.DESCRIPTOR.full_name == _STRUCT:
        message.update(fields)
    else:
        from_dict(message, fields)


def _fill_all(messages: Any, values: list[Mapping[str, Any]]) -> None:
    for value in values:
        from_dict(messages.add(), value)


def _fill_map(entries: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        _fill(entries[key], value)


def _fill_member(message: Message, shape: _Shape, fields: Mapping[str, Any]) -> None:
    mark = _MARKS.get(shape.oneof)
    member = fields.get(mark or "name", "").replace(".", "_")
    inner = fields if mark else fields.get(shape.oneof, {})
    if member not in shape.members:
        if "other" not in shape.members:
            return
        member = "other"
    target = getattr(message, member)
    if mark and target.DESCRIPTOR.full_name == _STRUCT:
        inner = {key: value for key, value in inner.items() if key != mark}
    _fill(target, inner)

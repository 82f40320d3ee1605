"""What a message can say: the closed set of body kinds and what each may hold."""

from math import isfinite
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

MAX_DEPTH: Final = 32
"""How deep lists and objects of a `custom` body may lie in each other."""

UNUSABLE_BODY: Final = (
    f"a custom body holds JSON values, integers of 64 bits, at most {MAX_DEPTH} levels deep"
)

# The case of a scheme means nothing (RFC 3986 3.1). No blank or control character in any dialect of regular
# expressions: the pattern is in the API's page too.
_URL: Final = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x20\x7f-\xa0\s\ufeff]+$(?!\n)"
Url = Annotated[str, Meta(max_length=2_048, pattern=_URL)]
Short = Annotated[str, Meta(max_length=300)]
Text = Annotated[str, Meta(min_length=1)]


class TextBody(Struct, tag_field="kind", tag="text", gc=False):
    """Plain text; line breaks are kept, nothing is interpreted by the server."""

    text: Text


class ImageBody(Struct, tag_field="kind", tag="image"):
    """An uploaded picture, by the id of its upload."""

    attachment: Short


class FileBody(Struct, tag_field="kind", tag="file"):
    """An uploaded file, by the id of its upload."""

    attachment: Short


class AudioBody(Struct, tag_field="kind", tag="audio"):
    """An uploaded voice message, by the id of its upload."""

    attachment: Short


class CardAction(Struct, omit_defaults=True):
    """A button under a card."""

    label: Short
    url: Url | None = None


class CardBody(Struct, tag_field="kind", tag="card", omit_defaults=True):
    """A product, an order, or another thing with a picture and buttons."""

    title: Annotated[str, Meta(min_length=1, max_length=300)]
    description: Annotated[str, Meta(max_length=2_000)] | None = None
    image_url: Url | None = None
    url: Url | None = None
    price: Short | None = None
    actions: Annotated[list[CardAction], Meta(max_length=10)] | None = None


class ChoicesBody(Struct, tag_field="kind", tag="choices"):
    """A question with ready answers."""

    text: Text
    options: Annotated[list[Short], Meta(min_length=1, max_length=20)]


class RatingBody(Struct, tag_field="kind", tag="rating", omit_defaults=True):
    """What the contact thinks of the service, 1 to 5."""

    score: Annotated[int, Meta(ge=1, le=5)]
    comment: Annotated[str, Meta(max_length=2_000)] | None = None


class CustomBody(Struct, tag_field="kind", tag="custom"):
    """The mark of a `custom` body in a frame; codecs replace it by the whole object as it came."""


TypedBody = TextBody | ImageBody | FileBody | AudioBody | CardBody | ChoicesBody | RatingBody | CustomBody
"""What a decoder may meet."""

Body = TypedBody | dict[str, Any]
"""What a message holds; the dictionary is a `custom` body, carried as it is."""


def text_of(body: Body) -> str:
    """Return the part that a person reads first: text, title or comment; empty if there is none."""
    for field in ("text", "title", "comment"):
        found = body.get(field) if isinstance(body, dict) else getattr(body, field, None)
        if isinstance(found, str):
            return found
    return ""


def is_plain(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Say whether every codec can carry it: JSON's types, integers of 64 bits, `depth` levels at most."""
    if isinstance(value, dict):
        return depth > 0 and all(
            isinstance(key, str) and is_plain(each, depth - 1) for key, each in value.items()
        )
    if isinstance(value, list):
        return depth > 0 and all(is_plain(each, depth - 1) for each in value)
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return value is None or isinstance(value, str)


def needs_upload(body: Body) -> bool:
    """Say whether the body refers to an attachment."""
    return isinstance(body, ImageBody | FileBody | AudioBody)

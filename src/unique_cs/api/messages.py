"""A conversation's events, and sending messages."""

from typing import Annotated, NamedTuple

import msgspec
from litestar import Response, Router, get, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, HeaderParameter, QueryParameter
from msgspec import Struct

from unique_cs.actions import access
from unique_cs.actions import messages as use_cases
from unique_cs.api.deps import AnyRequest, Asking, Injected, Sent, address, strict
from unique_cs.api.views import EventPage, EventView, frame_for
from unique_cs.domain.body import Body, CustomBody, TypedBody
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.permission import Principal
from unique_cs.domain.stored import Stored
from unique_cs.errors import UniqueCsError, invalid
from unique_cs.ports import Timeline

JSON = "application/json"
END = 2**53 - 1
Position = Annotated[int, QueryParameter(ge=0, le=END)]


class MessageRequest(Struct):
    """A message; `private` makes it a note that only agents see."""

    body: TypedBody
    private: bool = False


@get(
    "/conversations/{conversation_id:str}/events",
    operation_id="list_events",
    responses={200: ResponseSpec(EventPage, description="A page of events, oldest first")},
)
async def list_events(
    conversation_id: FromPath[str],
    principal: Asking,
    deps: Injected,
    request: AnyRequest,
    after: Position = 0,
    before: Position = END,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[bytes]:
    """Read a conversation's events, oldest first.

    With `after`, those that follow it; else the newest, below `before` if that is given.
    """
    start = after if "after" in request.query_params else None
    frames, more = await read_page(deps.timeline, principal, conversation_id, start, before, limit)
    epoch = msgspec.json.encode(deps.timeline.epoch)
    content = b'{"epoch":%b,"events":[%b],"more":%b}' % (
        epoch,
        b",".join(frames),
        b"true" if more else b"false",
    )
    return Response(content, media_type=JSON)


Page = tuple[list[bytes], bool]
"""Events as JSON frames, oldest first, and whether there are others beyond them."""


async def read_page(
    timeline: Timeline, principal: Principal, conversation_id: str, after: int | None, before: int, limit: int
) -> Page:
    """The visible events that follow `after`; else the newest ones below `before`."""
    conversation = await access.conversation(timeline, principal, conversation_id)
    last = min(before - 1, conversation.durable)
    if after is None:
        return await _newest(timeline, principal, conversation, last, limit)
    return await _following(timeline, principal, conversation, after, last, limit)


async def _newest(
    timeline: Timeline, principal: Principal, conversation: Conversation, last: int, limit: int
) -> Page:
    """The last `limit` visible events up to `last`; a page of hidden ones only would lead nowhere."""
    frames: list[bytes] = []
    while last > 0 and len(frames) < limit:
        stored = await timeline.events(conversation, 0, last + 1, limit - len(frames), True)
        frames = _visible(principal, stored) + frames
        last = stored[0].seq - 1 if stored else 0
    return frames, last > 0


async def _following(
    timeline: Timeline, principal: Principal, conversation: Conversation, after: int, last: int, limit: int
) -> Page:
    """The first `limit` visible events after `after` and up to `last`."""
    frames: list[bytes] = []
    while after < last and len(frames) < limit:
        stored = await timeline.events(conversation, after, last + 1, limit - len(frames), False)
        frames += _visible(principal, stored)
        after = stored[-1].seq if stored else last
    return frames, after < last


def _visible(principal: Principal, stored: list[Stored]) -> list[bytes]:
    if not principal.is_contact:
        return [each.frame for each in stored]
    return [frame for each in stored if (frame := frame_for(principal, each)) is not None]


@post(
    "/conversations/{conversation_id:str}/messages",
    operation_id="send_message",
    responses={201: ResponseSpec(EventView, description="The event; it is durable")},
)
async def send_message(
    conversation_id: FromPath[str],
    data: Sent[MessageRequest],
    principal: Asking,
    request: AnyRequest,
    deps: Injected,
    idempotency_key: Annotated[
        str,
        HeaderParameter(
            name="Idempotency-Key",
            required=True,
            pattern=r"^[\x21-\x7e]{1,255}$",
            description="Names this message for the caller: a repeat gets the same answer and sends nothing",
        ),
    ] = "",
) -> Response[bytes]:
    """Send a message. A repeat with another body gets `conflict`; a key that was refused stays refused."""
    # Looked for here, as the framework would ask for it before it asks who is there.
    if not idempotency_key:
        raise invalid("the header Idempotency-Key is needed")
    conversation = await access.conversation(deps.timeline, principal, conversation_id)
    deps.admit_sender(principal, address(request), conversation.inbox)
    try:
        message = await _message(request, data)
        use_cases.check_body(principal, message.body, message.private, deps.max_text)
    except UniqueCsError as error:
        raise await use_cases.refuse_message(deps.timeline, principal, idempotency_key, error) from error
    stored = await use_cases.post_message(
        deps.timeline, principal, conversation, message.body, message.private, idempotency_key
    )
    return Response(stored.frame, status_code=201, media_type=JSON)


class _Message(NamedTuple):
    body: Body
    private: bool


async def _message(request: AnyRequest, data: MessageRequest) -> _Message:
    """What is to be sent, a `custom` body as it came. Raises `invalid`."""
    try:
        message = strict(MessageRequest, data)
    except msgspec.ValidationError as error:
        raise invalid(str(error)[:300]) from error
    if isinstance(message.body, CustomBody):
        return _Message((await request.json())["body"], message.private)
    return _Message(message.body, message.private)


router = Router("/api/v1", route_handlers=[list_events, send_message], tags=["Messages"])

"""The desk's calls over gRPC: what REST does, in the messages of `proto/`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec
from google.protobuf.message import DecodeError, Message
from msgspec import Meta, Struct

from unique_cs.actions import access
from unique_cs.actions import conversations as use_cases
from unique_cs.api.conversations import agent_named, find_page
from unique_cs.api.deps import Deps
from unique_cs.api.messages import END, read_page
from unique_cs.api.views import Id, Place, Status, Time, view_conversation
from unique_cs.domain.conversation import STATUSES
from unique_cs.domain.permission import Principal
from unique_cs.errors import Code, UniqueCsError, invalid
from unique_cs.protobuf import from_dict, to_dict
from unique_cs.v1 import messaging_pb2 as pb

_ID: Final = "[1-9][0-9]{0,18}"
_PAGE: Final = 50

Call = Callable[[bytes, str, str], Awaitable[bytes]]
"""The request's bytes, the token and the client's address, to the answer's bytes."""


class ListConversations(Struct):
    """What REST takes as parameters of the query; an empty one is none."""

    status: Annotated[str, Meta(pattern=rf"^({'|'.join(STATUSES)})?$")] = ""
    assignee: Annotated[str, Meta(pattern=rf"^(me|none|{_ID})?$")] = ""
    inbox: Annotated[str, Meta(pattern=rf"^({_ID})?$")] = ""
    q: Annotated[str, Meta(max_length=200)] = ""
    cursor: Annotated[str, Meta(pattern=rf"^({_ID}-{_ID})?$")] = ""
    limit: Annotated[int, Meta(ge=0, le=100)] = 0


class AssignConversation(Struct):
    """Whom to give it to; None is nobody."""

    conversation: str
    agent: Id | None = None


class TransferConversation(Struct):
    """Whom to give it to."""

    conversation: str
    agent: Id


class SetConversationStatus(Struct):
    """The new status; `until` goes with `snoozed`: at that time (ms) the system opens the conversation."""

    conversation: str
    status: Status
    until: Time | None = None


class ListEvents(Struct):
    """With `after` those that follow it; else the newest, below `before`."""

    conversation: str
    after: Place | None = None
    before: Place = END
    limit: Annotated[int, Meta(ge=0, le=200)] = 0


T = TypeVar("T")


class Desk:
    """The calls. Every one is asked for with a token, and refused as over REST."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def calls(self) -> Mapping[str, Call]:
        """The calls by their names."""
        return {
            "ListConversations": self._call(pb.ListConversationsRequest, ListConversations, self.list),
            "AssignConversation": self._call(pb.AssignConversationRequest, AssignConversation, self.assign),
            "TransferConversation": self._call(
                pb.TransferConversationRequest, TransferConversation, self.transfer
            ),
            "SetConversationStatus": self._call(
                pb.SetConversationStatusRequest, SetConversationStatus, self.set_status
            ),
            "ListEvents": self._call(pb.ListEventsRequest, ListEvents, self.events),
        }

    def _call(
        self, request: type[Message], kind: type[T], do: Callable[[Principal, T], Awaitable[Message]]
    ) -> Call:
        async def call(payload: bytes, token: str, address: str) -> bytes:
            self._admit(address)
            if not token:
                raise UniqueCsError(Code.UNAUTHORIZED, "a bearer token is needed")
            principal = await self._deps.auth.authenticate(token)
            return (await do(principal, _read(request, kind, payload))).SerializeToString()

        return call

    def _admit(self, address: str) -> None:
        requests = self._deps.requests
        wait = requests.take(address, self._deps.clock.monotonic()) if requests is not None else 0
        if wait:
            raise UniqueCsError(Code.RATE_LIMITED, "too many requests from this address", retry_after_ms=wait)

    async def list(self, principal: Principal, asked: ListConversations) -> Message:
        """A page of conversations."""
        page = await find_page(
            self._deps,
            principal,
            asked.status,
            asked.assignee,
            asked.inbox,
            asked.q,
            asked.cursor,
            asked.limit or _PAGE,
        )
        return _written(pb.ListConversationsResponse(), page)

    async def assign(self, principal: Principal, asked: AssignConversation) -> Message:
        """Give it to an agent or to nobody."""
        deps = self._deps
        conversation = await access.conversation(deps.timeline, principal, asked.conversation)
        assignee = None if asked.agent is None else agent_named(deps, asked.agent)
        await use_cases.assign(deps.timeline, principal, conversation, assignee)
        return _written(pb.Conversation(), await view_conversation(deps, principal, conversation))

    async def transfer(self, principal: Principal, asked: TransferConversation) -> Message:
        """Give one's own to another agent."""
        deps = self._deps
        conversation = await access.conversation(deps.timeline, principal, asked.conversation)
        await use_cases.transfer(deps.timeline, principal, conversation, agent_named(deps, asked.agent))
        return _written(pb.Conversation(), await view_conversation(deps, principal, conversation))

    async def set_status(self, principal: Principal, asked: SetConversationStatus) -> Message:
        """Change the status."""
        deps = self._deps
        conversation = await access.conversation(deps.timeline, principal, asked.conversation)
        await use_cases.set_status(deps.timeline, principal, conversation, asked.status, asked.until)
        return _written(pb.Conversation(), await view_conversation(deps, principal, conversation))

    async def events(self, principal: Principal, asked: ListEvents) -> Message:
        """A page of the history."""
        timeline = self._deps.timeline
        limit = asked.limit or _PAGE
        frames, more = await read_page(
            timeline, principal, asked.conversation, asked.after, asked.before, limit
        )
        events = [msgspec.json.decode(frame) for frame in frames]
        return from_dict(pb.ListEventsResponse(), {"epoch": timeline.epoch, "events": events, "more": more})


def _read(request: type[Message], kind: type[T], payload: bytes) -> T:
    try:
        return msgspec.convert(to_dict(request.FromString(payload)), kind)
    except DecodeError as error:
        raise UniqueCsError(Code.BAD_FRAME, f"this is no {request.DESCRIPTOR.name}") from error
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from error


def _written(message: Message, view: Any) -> Message:
    # Through JSON, because a view may hold an event as it is kept.
    return from_dict(message, msgspec.json.decode(msgspec.json.encode(view)))

"""Rows of the cold tier, made of what lies in the hot or warm one."""

import msgspec
from msgspec import Struct

from unique_cs.domain.body import text_of
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import MESSAGE_CREATED
from unique_cs.domain.stored import ArchivedEvent, ConversationRow, Stored
from unique_cs.ports import Timeline
from unique_cs.storage import rows


class _Columns(Struct, gc=False):
    id: str
    time: int
    name: str


_columns = msgspec.json.Decoder(_Columns)


def archived_event(conversation: int, seq: int, row: bytes) -> ArchivedEvent:
    """An event, of its row in the hot or warm tier."""
    stored = rows.read_event(seq, row)
    columns = _columns.decode(stored.frame)
    return ArchivedEvent(conversation, int(columns.id), columns.time, columns.name, stored)


def newest_message(page: list[Stored]) -> bytes | None:
    """The frame of the last message of a page."""
    frames = [each.frame for each in page if _columns.decode(each.frame).name == MESSAGE_CREATED]
    return frames[-1] if frames else None


async def message_before(timeline: Timeline, conversation: Conversation) -> bytes | None:
    """The newest message of a conversation that got other events."""
    return newest_message(await timeline.events(conversation, 0, conversation.durable + 1, 10, True))


def conversation_row(conversation: Conversation, newest_message: bytes | None) -> ConversationRow:
    """A conversation for lists and searches."""
    return ConversationRow(
        conversation.id,
        conversation.inbox,
        int(conversation.contact.id),
        conversation.contact.name,
        conversation.status,
        int(conversation.assignee.id) if conversation.assignee else 0,
        conversation.waiting_since,
        conversation.created_at,
        conversation.updated_at,
        conversation.durable,
        _text(newest_message) if newest_message else "",
    )


def _text(frame: bytes) -> str:
    return text_of(msgspec.json.decode(frame)["data"]["body"])[:200]

"""Signals of a connection: typing, cursors, and the page that a contact looks at."""

from collections.abc import Coroutine
from typing import Any

from unique_cs.actions import access
from unique_cs.domain.conversation import Conversation, Cursor
from unique_cs.domain.ids import parse
from unique_cs.domain.permission import Principal
from unique_cs.domain.pressure import Kind
from unique_cs.errors import Code, UniqueCsError
from unique_cs.gateway.connection import Connection
from unique_cs.gateway.context import Context
from unique_cs.protocol.frames import Delivered, Page, Read, Signal, Typing

Work = Coroutine[Any, Any, None] | None


def _principal(connection: Connection) -> Principal:
    assert connection.session is not None
    return connection.session.principal


def _may_signal(context: Context, connection: Connection) -> bool:
    """Signals over the rate are dropped: they are ephemeral."""
    if not context.limits.rates:
        return True
    session = connection.session
    assert session is not None
    key = session.principal.id if session.principal.is_contact else session.key
    return context.signals.take(key, context.clock.monotonic()) == 0


async def _conversation(context: Context, connection: Connection, wire_id: str) -> Conversation:
    found = connection.subscription(parse(wire_id))
    if found is not None:
        return found.conversation
    context.admit_search(_principal(connection), connection.address)
    return await access.conversation(context.timeline, _principal(connection), wire_id)


async def typing(context: Context, connection: Connection, frame: Typing) -> None:
    """Tell the others; the contact's preview and an agent's note are for agents only."""
    if not _may_signal(context, connection) or context.pressure.sheds(Kind.SIGNALS):
        return
    conversation = await _conversation(context, connection, frame.conversation)
    principal = _principal(connection)
    data: dict[str, Any] = {"on": frame.on}
    if principal.is_contact and frame.preview:
        data["preview"] = frame.preview
    signal = Signal("typing", data, conversation.wire_id, principal.actor)
    agents_only = frame.private and not principal.is_contact
    context.hub.signal(conversation, signal, connection, agents_only=agents_only)


async def read(context: Context, connection: Connection, frame: Read) -> None:
    """Move the actor's read cursor; its other sessions hear of it too."""
    await _advance(context, connection, frame.conversation, frame.seq, "read")


async def delivered(context: Context, connection: Connection, frame: Delivered) -> None:
    """Move the actor's delivered cursor."""
    await _advance(context, connection, frame.conversation, frame.seq, "delivered")


async def _advance(context: Context, connection: Connection, wire_id: str, seq: int, name: str) -> None:
    if connection.subscription(parse(wire_id)) is None and not _may_signal(context, connection):
        raise UniqueCsError(Code.RATE_LIMITED, "too many signals", retry_after_ms=1000)
    conversation = await _conversation(context, connection, wire_id)
    actor = _principal(connection).actor
    await context.contacts.cursors(conversation)
    moved = Cursor(actor.kind, actor.id, read=seq if name == "read" else 0, delivered=seq)
    if not context.contacts.advance_cursor(conversation, moved) or context.pressure.sheds(Kind.SIGNALS):
        return
    signal = Signal(name, {"seq": min(seq, conversation.durable)}, conversation.wire_id, actor)
    context.receipts.tell(
        (conversation.id, actor.kind, actor.id, name),
        lambda: context.hub.signal(conversation, signal, connection, to_own=name == "read"),
    )


def page(context: Context, connection: Connection, frame: Page) -> Work:
    """Tell the agents which page the contact looks at."""
    if not _principal(connection).is_contact or not _may_signal(context, connection):
        return None
    if context.pressure.sheds(Kind.SIGNALS):
        return None
    data = {"url": frame.url, "title": frame.title, "referrer": frame.referrer}
    for subscription in connection.subscriptions:
        conversation = subscription.conversation
        signal = Signal("page", data, conversation.wire_id, _principal(connection).actor)
        context.hub.signal(conversation, signal, connection, agents_only=True)
    return None

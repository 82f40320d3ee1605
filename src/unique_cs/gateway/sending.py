"""Sends of a connection: the number first, then the message."""

from collections.abc import Coroutine
from typing import Any

from unique_cs.actions import messages
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.ids import parse
from unique_cs.domain.permission import Principal
from unique_cs.domain.repeat import same_message
from unique_cs.domain.stored import Answer
from unique_cs.errors import Code, OutcomeUnknown, Replaced, StorageUnavailable, UniqueCsError
from unique_cs.errors import invalid as invalid_error
from unique_cs.gateway.connection import Connection
from unique_cs.gateway.context import Context
from unique_cs.protocol import frames
from unique_cs.protocol.frames import ErrorFrame, InvalidSend, Send
from unique_cs.protocol.session import Session, Verdict
from unique_cs.telemetry import metrics

Work = Coroutine[Any, Any, None] | None

_out_of_order = metrics.refused[Code.OUT_OF_ORDER]


def send(context: Context, connection: Connection, frame: Send) -> Work:
    """Take a send, or answer a repeat."""
    session = _holder(connection)
    verdict = session.check(frame.n)
    if verdict is not Verdict.TAKE:
        return _not_taken(context, connection, frame, verdict)
    if context.limits.rates and _held_off(context, connection, session, frame.n):
        return None
    conversation = _subscribed_target(connection, session, frame.conversation)
    if conversation is None:
        return _send_elsewhere(context, connection, session, frame)
    _take(context, connection, session, frame, conversation)
    return None


def _holder(connection: Connection) -> Session:
    session = connection.session
    if session is None or session.c != connection.c:
        raise Replaced
    return session


def _subscribed_target(connection: Connection, session: Session, wire_id: str | None) -> Conversation | None:
    """The conversation, if it is at hand: contacts and agents mostly write where they listen."""
    if wire_id is not None:
        found = connection.subscription(parse(wire_id))
        return found.conversation if found is not None else None
    if not session.principal.is_contact:
        return None
    newest: Conversation | None = None
    for each in connection.subscriptions:
        conversation = each.conversation
        if conversation.status != "resolved" and (newest is None or conversation.id > newest.id):
            newest = conversation
    return newest


async def _send_elsewhere(context: Context, connection: Connection, session: Session, frame: Send) -> None:
    try:
        conversation = await messages.target(
            context.timeline, context.contacts, session.principal, frame.conversation
        )
    except UniqueCsError as error:
        _refuse(context, connection, frame.n, error)
        return
    _take(context, connection, _holder(connection), frame, conversation)


def _take(
    context: Context, connection: Connection, session: Session, frame: Send, conversation: Conversation
) -> None:
    try:
        messages.check_body(session.principal, frame.body, frame.private, context.limits.max_text)
        if not conversation.seq:
            context.pressure.admit_conversation()
        _admit_to_inbox(context, session.principal, conversation.inbox)
        messages.send(context.timeline, session, conversation, frame.n, frame.body, frame.private, connection)
    except UniqueCsError as error:
        _refuse(context, connection, frame.n, error)


def _refuse(context: Context, connection: Connection, n: int, error: UniqueCsError) -> None:
    """A refusal is final and uses the number up, unless it says when to try again or can't be stored now."""
    session = _holder(connection)
    metrics.refused[error.code].inc()
    if isinstance(error, OutcomeUnknown):
        raise error
    if error.retry_after_ms is None:
        try:
            context.timeline.refuse(session, n, error, connection)
            return
        except StorageUnavailable as unavailable:
            error = unavailable
    connection.send(
        ErrorFrame(
            error.code, error.message, n=n, expected=session.expected, retry_after_ms=error.retry_after_ms
        )
    )


def invalid(context: Context, connection: Connection, frame: InvalidSend) -> Work:
    """A send that can't be read uses its number up, in its turn."""
    session = _holder(connection)
    verdict = session.check(frame.n)
    if verdict is Verdict.TAKE:
        _refuse(context, connection, frame.n, invalid_error(frame.message))
        return None
    return _not_taken(context, connection, frame, verdict)


def admit_request(context: Context, principal: Principal, address: str, inbox: int) -> None:
    """Count a message that comes without a connection, as one that comes on a session of its own.

    Raises `overloaded` and `rate_limited`.
    """
    context.pressure.admit_sender(principal)
    if not context.limits.rates:
        return
    wait = _wait(context, principal, address)
    if wait:
        raise _too_many(wait)
    _admit_to_inbox(context, principal, inbox)


def _held_off(context: Context, connection: Connection, session: Session, n: int) -> bool:
    try:
        context.pressure.admit_sender(session.principal)
    except UniqueCsError as error:
        _refuse(context, connection, n, error)
        return True
    now = context.clock.monotonic()
    wait = context.sends_by_session.take(session.key, now)
    wait = wait or _wait(context, session.principal, connection.address)
    if wait:
        _refuse(context, connection, n, _too_many(wait))
    return wait > 0


def _wait(context: Context, principal: Principal, address: str) -> int:
    """The milliseconds for which a contact or an address has to wait; 0: it sends now."""
    now = context.clock.monotonic()
    wait = context.sends_by_contact.take(str(principal.id), now) if principal.is_contact else 0
    return wait or context.sends_by_ip.take(address, now)


def _admit_to_inbox(context: Context, principal: Principal, inbox: int) -> None:
    """An inbox that is flooded takes less from contacts; agents' replies pass."""
    if context.limits.rates and principal.is_contact:
        wait = context.sends_by_inbox.take(str(inbox), context.clock.monotonic())
        if wait:
            raise _too_many(wait)


def _too_many(wait: int) -> UniqueCsError:
    return UniqueCsError(Code.RATE_LIMITED, "too many messages", retry_after_ms=wait)


def _not_taken(context: Context, connection: Connection, frame: Send | InvalidSend, verdict: Verdict) -> Work:
    if verdict is Verdict.REPEAT:
        return _repeat(context, connection, _holder(connection), frame)
    if verdict is Verdict.FORGOTTEN:
        connection.send(ErrorFrame(Code.CONFLICT, "this send is too old to be answered again", n=frame.n))
        return None
    if verdict is Verdict.FULL:
        error = UniqueCsError(Code.RATE_LIMITED, "too many sends without an answer", retry_after_ms=50)
        _refuse(context, connection, frame.n, error)
    else:
        _leave_out(context, connection, frame.n)
    return None


def _leave_out(context: Context, connection: Connection, n: int) -> None:
    """What follows a refused send is most of what an overloaded node reads: it costs little."""
    context.pressure.left_out()
    _out_of_order.inc()
    expected = _holder(connection).expected
    connection.send(ErrorFrame(Code.OUT_OF_ORDER, "an earlier send is missing", n=n, expected=expected))


async def _repeat(
    context: Context, connection: Connection, session: Session, frame: Send | InvalidSend
) -> None:
    """The same answer again, once the first is durable; later frames wait, so answers keep their order."""
    await context.timeline.settled(session, frame.n)
    try:
        answer = await context.timeline.answer(session, frame.n)
    except StorageUnavailable as error:
        # To come later is said of sends that were not taken: the client connects anew and asks again.
        raise OutcomeUnknown from error
    connection.send(_answer_frame(frame, answer))


def _answer_frame(frame: Send | InvalidSend, answer: Answer) -> frames.ServerFrame:
    if answer.stored is None:
        return ErrorFrame(answer.code, answer.message, n=frame.n)
    wire_id = str(answer.conversation)
    same = (
        isinstance(frame, Send)
        and frame.conversation in (None, wire_id)
        and same_message(answer.stored.frame, frame.body, frame.private)
    )
    if not same:
        return ErrorFrame(Code.CONFLICT, "this number was used for another message", n=frame.n)
    event_id, time = answer.stored.id_and_time()
    return frames.Sent(frame.n, event_id, wire_id, answer.seq, time)

"""Sending messages."""

import asyncio
from collections.abc import Callable

from unique_cs.actions import access
from unique_cs.domain import conversation as rules
from unique_cs.domain.body import UNUSABLE_BODY, Body, TextBody, is_plain, needs_upload, text_of
from unique_cs.domain.conversation import Conversation, Draft
from unique_cs.domain.permission import Principal
from unique_cs.domain.repeat import same_message
from unique_cs.domain.stored import Answer, Stored
from unique_cs.errors import Code, OutcomeUnknown, StorageUnavailable, UniqueCsError, invalid, not_found
from unique_cs.ports import Contacts, Entry, Timeline
from unique_cs.protocol.session import Session, Verdict

_OTHER_MESSAGE = "this key was used for another message"

MAX_TRIES = 8
"""How often a write is decided again when the conversation changed under it."""


def check_body(principal: Principal, body: Body, private: bool, max_text: int) -> None:
    """Refuse what this actor may not say: `forbidden`, `too_large` (characters), `not_found`, `invalid`."""
    if private and principal.is_contact:
        raise UniqueCsError(Code.FORBIDDEN, "notes are for agents")
    plain = type(body) is TextBody
    text = body.text if type(body) is TextBody else text_of(body)
    if len(text) > max_text:
        raise UniqueCsError(Code.TOO_LARGE, f"a text has at most {max_text} characters")
    if isinstance(body, dict) and not is_plain(body):
        raise invalid(UNUSABLE_BODY)
    if not plain and needs_upload(body):
        raise not_found("no such attachment in this conversation")


def send(
    timeline: Timeline,
    session: Session,
    conversation: Conversation,
    n: int,
    body: Body,
    private: bool,
    sender: object,
) -> Entry:
    """Give the message its place. The body was checked; raises as `Timeline.append` does."""
    principal = session.principal
    access.check(principal, conversation)
    drafts = rules.decide_message(conversation, principal.actor, body, private)
    expect = conversation.state_seq if len(drafts) == 1 else conversation.seq
    return timeline.append(conversation, principal.actor, drafts, expect, session=session, n=n, sender=sender)


async def target(
    timeline: Timeline, contacts: Contacts, principal: Principal, wire_id: str | None
) -> Conversation:
    """Where a message goes. A contact that names no conversation gets its newest open one, or a new one."""
    if wire_id is not None:
        return await access.conversation(timeline, principal, wire_id)
    if not principal.is_contact:
        raise invalid("an agent names the conversation")
    found = await timeline.newest_open(principal.id)
    if found is not None:
        return found
    contact = await contacts.contact(principal.id)
    if contact is None:
        raise not_found("this contact is no longer there")
    return timeline.new_conversation(contact)


async def decide_and_append(
    timeline: Timeline,
    principal: Principal,
    conversation: Conversation,
    decide: Callable[[Conversation], list[Draft]],
) -> Entry | None:
    """Append what `decide` says and wait until it is durable; on a conflict decide again.

    Returns None when there is nothing to do. Raises `OutcomeUnknown` if the store failed half-way.
    """
    for attempt in range(MAX_TRIES):
        drafts = decide(conversation)
        if not drafts:
            return None
        try:
            return await durable(timeline.append(conversation, principal.actor, drafts, conversation.seq))
        except UniqueCsError as error:
            if error.code is not Code.CONFLICT or attempt == MAX_TRIES - 1:
                raise
    return None


def durable(entry: Entry) -> "asyncio.Future[Entry]":
    """A future of the entry once it is durable; it fails with `OutcomeUnknown` if the store failed."""
    future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()

    def settle(result: Entry | UniqueCsError) -> None:
        if future.done():
            return
        if isinstance(result, UniqueCsError):
            future.set_exception(result)
        else:
            future.set_result(result)

    entry.settle = settle
    return future


async def post_message(
    timeline: Timeline,
    principal: Principal,
    conversation: Conversation,
    body: Body,
    private: bool,
    idempotency_key: str,
) -> Stored:
    """Send over REST: the same promise as on a connection. A repeat of the key gets the same event.

    `conflict` if the key was used for another conversation or another message; a refused key stays refused.
    """

    def attempt(session: Session) -> Entry:
        return send(timeline, session, conversation, 1, body, private, None)

    answer = await _answer(timeline, principal, idempotency_key, attempt)
    if answer.stored is None:
        raise UniqueCsError(Code(answer.code), answer.message)
    if answer.conversation != conversation.id or not same_message(answer.stored.frame, body, private):
        raise UniqueCsError(Code.CONFLICT, _OTHER_MESSAGE)
    return answer.stored


async def refuse_message(
    timeline: Timeline, principal: Principal, idempotency_key: str, error: UniqueCsError
) -> UniqueCsError:
    """Use the key up by a final error; return the one to answer with, `conflict` where it sent something."""

    def attempt(session: Session) -> Entry:
        return timeline.refuse(session, 1, error, None)

    answer = await _answer(timeline, principal, idempotency_key, attempt)
    if answer.stored is not None:
        return UniqueCsError(Code.CONFLICT, _OTHER_MESSAGE)
    return UniqueCsError(Code(answer.code), answer.message)


async def _answer(
    timeline: Timeline, principal: Principal, key: str, attempt: Callable[[Session], Entry]
) -> Answer:
    """The final answer to the key's only send, which is made where it was not yet."""
    try:
        return await _answer_once(timeline, principal, key, attempt)
    except OutcomeUnknown as unknown:
        # Another node may have taken the key at the same moment: then the answer is there.
        try:
            return await _answer_once(timeline, principal, key, attempt)
        except StorageUnavailable:
            raise unknown from None


async def _answer_once(
    timeline: Timeline, principal: Principal, key: str, attempt: Callable[[Session], Entry]
) -> Answer:
    session = await timeline.request_session(principal, key)
    if session.check(1) is Verdict.TAKE:
        await durable(attempt(session))
    await timeline.settled(session, 1)
    return await timeline.answer(session, 1)

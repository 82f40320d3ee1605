"""Connecting, subscribing, replay: how a session gets to "live" without a gap or a repeat."""

from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

from msgspec import UNSET

from unique_cs.actions import access
from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import Actor, Named
from unique_cs.domain.ids import parse
from unique_cs.domain.permission import Principal, may_see
from unique_cs.domain.stored import Stored
from unique_cs.errors import Code, Replaced, UniqueCsError
from unique_cs.gateway.connection import LOW_WATER, Connection, Subscription
from unique_cs.gateway.context import Context
from unique_cs.gateway.hub import closing
from unique_cs.protocol import close, frames
from unique_cs.protocol.frames import Connect, Connected, CursorView, Head, Resync, Signal, Since
from unique_cs.protocol.session import Session
from unique_cs.telemetry import log

MAX_REPLAY: Final = 1_000
MAX_LISTED: Final = 500
_PAGE: Final = 100


async def connect(context: Context, connection: Connection, frame: Connect) -> None:
    """Answer `connect`: prove the actor, take the session over, then replay what was missed."""
    ended = context.hub.arriving(connection)
    try:
        principal = await connection.authenticate(frame.token)
        session, c = await context.timeline.open_session(principal, frame.session, frame.c, frame.acked or 0)
        listed = await _listed(context, principal, frame)
    finally:
        context.hub.arrived(connection)
    # The actor may have been blocked or signed out meanwhile.
    code = closing(principal, ended)
    if code is not None:
        connection.close(code)
        return
    if session.c != c or connection.closed:
        raise Replaced
    _attach(context, connection, session, c)
    behind = _join(context, connection, frame, listed)
    _note("open", session, resumed=session.resumed)
    if principal.is_contact:
        _presence(context, connection, online=True)
    else:
        context.hub.desk.join(connection)
        context.hub.desk.greet(connection)
    for subscription in behind:
        await replay(context, connection, subscription)


async def _listed(context: Context, principal: Principal, frame: Connect) -> dict[int, Conversation]:
    """What the session is subscribed to from the start, with cursors: as it is when this returns."""
    desk = context.hub.desk
    while True:
        awaited = [] if principal.is_contact else desk.listed(principal.id)
        changed = context.hub.coming(principal.id)
        try:
            listed = await _list(context, principal, frame)
            for conversation in listed.values():
                await context.contacts.cursors(conversation)
        finally:
            context.hub.came(principal.id, changed)
        if principal.is_contact:
            missed = changed - listed.keys()
        else:
            missed = set(desk.listed(principal.id)).difference(awaited)
        if not missed:
            return listed


async def _list(context: Context, principal: Principal, frame: Connect) -> dict[int, Conversation]:
    """What `since` names, then its own, newest first."""
    named = {parse(wire_id) for wire_id in frame.positions}
    if principal.is_contact:
        own = await context.timeline.conversations_of(principal.id, MAX_LISTED)
        _share(principal.actor, own)
        # A shorter list is whole: nothing else is the contact's, so nothing else is looked for.
        found, wanted = {each.id: each for each in own}, named if len(own) == MAX_LISTED else set()
        if not named:
            return found
    else:
        found, wanted = {}, named.union(context.hub.desk.listed(principal.id))
    for conversation_id in wanted - found.keys():
        conversation = await context.timeline.conversation(conversation_id)
        if conversation is not None and may_see(principal, conversation):
            found[conversation_id] = conversation
    return dict(sorted(found.items(), key=lambda each: (each[0] in named, each[0]), reverse=True))


def _share(contact: Actor, conversations: list[Conversation]) -> None:
    """Let equal strings be one object: an idle session is 150 bytes smaller."""
    known = Named(contact.id, contact.name)
    for conversation in conversations:
        if conversation.contact == known:
            conversation.contact = known


def _attach(context: Context, connection: Connection, session: Session, c: int) -> None:
    older = session.connection
    if isinstance(older, Connection):
        older.close(close.REPLACED)
    session.connection = connection
    connection.session = session
    connection.c = c
    connection.seen = context.wheel.tick
    context.hub.joined(connection)


def _join(
    context: Context, connection: Connection, frame: Connect, listed: dict[int, Conversation]
) -> list[Subscription]:
    """Send `connected` and join everything in one step; return the subscriptions that need a replay."""
    conversations = list(listed.values())
    connection.send(_connected(context, connection, conversations[:MAX_LISTED]))
    behind: list[Subscription] = []
    since = {parse(wire_id): position for wire_id, position in frame.positions.items()}
    for conversation in conversations[:MAX_LISTED]:
        position = since.get(conversation.id)
        subscription = join_at(context, connection, conversation, position, explicit=position is not None)
        if not subscription.live:
            behind.append(subscription)
    for wire_id in frame.positions:
        if parse(wire_id) not in listed:
            connection.send(frames.Unsubscribed(wire_id))
    for conversation in conversations[MAX_LISTED:]:
        context.hub.join_live(connection, conversation, conversation.durable)
    return behind


def join_at(
    context: Context,
    connection: Connection,
    conversation: Conversation,
    since: Since | None,
    *,
    explicit: bool,
) -> Subscription:
    """Subscribe at a position; one that can't be served gets `resync` and is live."""
    durable, epoch = conversation.durable, context.timeline.epoch
    position = durable if since is None else since.seq
    lost = since is not None and (
        since.epoch != epoch or position > durable or durable - position > MAX_REPLAY
    )
    if lost:
        position = durable
        connection.send(Resync(conversation.wire_id, epoch, durable))
    context.hub.unsubscribe(connection, conversation.id)
    return context.hub.subscribe(connection, conversation, position, explicit=explicit)


def _connected(context: Context, connection: Connection, listed: list[Conversation]) -> Connected:
    session = connection.session
    assert session is not None
    return Connected(
        session.id,
        session.resumed,
        connection.c,
        session.n,
        session.principal.actor,
        [head(context, connection, each) for each in listed],
        context.limits.heartbeat_ms,
        context.limits.max_frame,
        context.clock.now_ms(),
    )


def head(context: Context, connection: Connection, conversation: Conversation) -> Head:
    """A conversation as `connected` and `subscribed` show it; its cursors were loaded before."""
    assert connection.session is not None
    actor = connection.session.principal.actor
    cursors = conversation.cursors or ()
    own = next((each for each in cursors if (each.kind, each.actor) == (actor.kind, actor.id)), None)
    others = [
        CursorView({"kind": each.kind, "id": each.actor}, each.read, each.delivered)
        for each in cursors
        if each is not own
    ]
    contact = {"id": conversation.contact.id, "name": conversation.contact.name}
    return Head(
        conversation.wire_id,
        conversation.status,
        context.timeline.epoch,
        conversation.durable,
        own.read if own else 0,
        own.delivered if own else 0,
        UNSET if actor.kind == "contact" else contact,
        others,
    )


def subscribed(
    context: Context, connection: Connection, conversation: Conversation, seq: int
) -> frames.Subscribed:
    """The frame that tells a session of a conversation."""
    shown = head(context, connection, conversation)
    return frames.Subscribed(
        shown.id, shown.epoch, seq, shown.status, contact=shown.contact, cursors=shown.cursors
    )


async def replay(context: Context, connection: Connection, subscription: Subscription) -> None:
    """Send what lies above the position, as fast as the client reads, until the subscription is live."""
    conversation = subscription.conversation
    waiting: deque[Stored] = deque()
    while not connection.closed and connection.subscription(conversation.id) is subscription:
        if not waiting:
            waiting.extend(
                await context.timeline.events(
                    conversation, subscription.position, conversation.durable + 1, _PAGE, False
                )
            )
        subscription.position = _put_some(connection, conversation, waiting)
        if subscription.position == conversation.durable:
            subscription.live = True
            return
        await connection.wait_drained()


def _put_some(connection: Connection, conversation: Conversation, waiting: deque[Stored]) -> int:
    """Put as much as may lie in the socket at once, at least one event; return the last one's place."""
    size = seq = 0
    while waiting and size < LOW_WATER:
        stored = waiting.popleft()
        _put_stored(connection, conversation, stored)
        size, seq = size + len(stored.frame), stored.seq
    return seq


def _put_stored(connection: Connection, conversation: Conversation, stored: Stored) -> None:
    session, wire = connection.session, connection.wire
    assert session is not None
    if stored.session == session.key:
        connection.put(wire.own_event(stored.frame, stored.n))
    elif stored.visibility and session.principal.is_contact:
        connection.put(wire.partial_event(stored.visibility, stored.frame, conversation.wire_id, stored.seq))
    else:
        connection.put(wire.event(stored.frame))


async def subscribe(context: Context, connection: Connection, frame: frames.Subscribe) -> None:
    """Answer `subscribe`; sends in flight are settled first, so that no answer meets a replay."""
    session = connection.session
    assert session is not None
    if connection.subscription(parse(frame.conversation)) is None:
        context.admit_search(session.principal, connection.address)
    try:
        conversation = await access.conversation(context.timeline, session.principal, frame.conversation)
    except UniqueCsError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        connection.send(frames.Unsubscribed(frame.conversation))
        return
    await context.timeline.settled(session, session.n)
    await context.contacts.cursors(conversation)
    connection.send(subscribed(context, connection, conversation, conversation.durable))
    subscription = join_at(context, connection, conversation, frame.since, explicit=True)
    if not subscription.live:
        await replay(context, connection, subscription)


def unsubscribe(
    context: Context, connection: Connection, frame: frames.Unsubscribe
) -> Coroutine[Any, Any, None] | None:
    """End a subscription."""
    context.hub.unsubscribe(connection, parse(frame.conversation))
    connection.send(frames.Unsubscribed(frame.conversation))
    return None


def leave(context: Context, connection: Connection) -> None:
    """The connection ended: let go of the session and of every conversation."""
    session = connection.session
    context.hub.desk.leave(connection)
    if session is None:
        return
    if session.connection is connection:
        session.connection = None
    _presence(context, connection, online=False)
    context.hub.leave(connection)
    _note("closed", session, n=session.n)


def _note(event: str, session: Session, **more: object) -> None:
    """Visitors come by the thousand, agents a few times a day."""
    write = log.debug if session.principal.is_contact else log.info
    write(event, session=session.id[:10], actor=session.principal.kind, **more)


def _presence(context: Context, connection: Connection, *, online: bool) -> None:
    """Agents hear when a contact comes and goes, with its first and its last connection."""
    session = connection.session
    if session is None or not session.principal.is_contact or not context.hub.is_only(connection):
        return
    actor = session.principal.actor
    conversations = [each.conversation for each in connection.subscriptions]

    def tell() -> None:
        for conversation in conversations:
            signal = Signal("presence", {"online": online}, conversation.wire_id, actor)
            context.hub.signal(conversation, signal, connection, agents_only=True)

    peers, key = context.hub.peers, f"{session.id}:{connection.c}"
    (peers.came if online else peers.went)(session.principal.id, key, tell)

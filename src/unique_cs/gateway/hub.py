"""The hub: who listens to what on this node, and delivery. Nothing here awaits a socket."""

import asyncio
from collections.abc import Callable, Collection

from unique_cs.domain.conversation import Conversation
from unique_cs.domain.events import MESSAGE_CREATED, Event
from unique_cs.domain.permission import Principal
from unique_cs.errors import OutcomeUnknown, Replaced
from unique_cs.gateway.connection import Connection, Subscription
from unique_cs.gateway.desk import Desk
from unique_cs.gateway.link import Wire
from unique_cs.gateway.wheel import Wheel
from unique_cs.ports import Clock, Entry, Peers
from unique_cs.protocol import close, frames
from unique_cs.protocol.notices import Ended, Missed, Notice, Signalled
from unique_cs.telemetry import metrics


class Alone:
    """`Peers` of a node that has none."""

    def tell(self, notice: Notice) -> None:
        """There is nobody."""

    def came(self, contact: int, key: str, first: Callable[[], None]) -> None:
        """Only this node's connections count."""
        first()

    def went(self, contact: int, key: str, last: Callable[[], None]) -> None:
        """Likewise."""
        last()


class Hub:
    """Delivers durable entries and signals to the connections of this node."""

    def __init__(self, clock: Clock, wheel: Wheel) -> None:
        """`wheel` holds every connection until its transport is gone."""
        self._clock = clock
        self._wheel = wheel
        self._loop = asyncio.get_running_loop()
        self._contacts: dict[int, tuple[Connection, ...]] = {}
        self._coming: dict[int, tuple[set[int], ...]] = {}
        self._arriving: dict[Connection, list[Ended | Missed]] = {}
        self._dirty: list[Connection] = []
        self.open = 0
        self.slow: set[Connection] = set()
        self.desk = Desk(self)
        self.peers: Peers = Alone()
        self.outbound = 0
        self.sessions = 0

    @property
    def connections(self) -> list[Connection]:
        """Those that are not closed; `open` is their number."""
        return [each for each in self._wheel.items() if isinstance(each, Connection) and not each.closed]

    def queued(self) -> int:
        """Bytes that wait for slow readers."""
        return sum(each.link.buffered() for each in self.slow)

    # One write per connection and tick

    def touch(self, connection: Connection) -> None:
        """The connection has something to write: flush it at the end of this tick."""
        self._dirty.append(connection)
        if len(self._dirty) == 1:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()

    # Subscriptions

    def subscribe(
        self, connection: Connection, conversation: Conversation, position: int, *, explicit: bool = False
    ) -> Subscription:
        """Join; the subscription is live if its position is the durable head."""
        found = _place_in(conversation, connection)
        if found is None:
            found = Subscription(connection, conversation, position, explicit=explicit)
            connection.subscriptions += (found,)
            conversation.listeners += (found,)
        found.explicit = found.explicit or explicit
        return found

    def unsubscribe(self, connection: Connection, conversation_id: int) -> None:
        """Leave; harmless if it was not subscribed."""
        found = connection.subscription(conversation_id)
        if found is None:
            return
        connection.subscriptions = tuple(each for each in connection.subscriptions if each is not found)
        _forget(found)

    def arriving(self, connection: Connection) -> list[Ended | Missed]:
        """Whose connections end while this one proves who it is, and can't be found by that yet.

        The list grows until `arrived` is called.
        """
        ended = self._arriving[connection] = []
        return ended

    def arrived(self, connection: Connection) -> None:
        """The connection can be found, or never will be."""
        del self._arriving[connection]

    def coming(self, contact: int) -> set[int]:
        """What begins or changes of a contact's while a device of its own is still coming in.

        The set grows until it is given to `came`.
        """
        changed: set[int] = set()
        self._coming[contact] = (*self._coming.get(contact, ()), changed)
        return changed

    def came(self, contact: int, changed: set[int]) -> None:
        """The device is in, or has failed."""
        # Sets are equal where they hold the same.
        others = tuple(each for each in self._coming.pop(contact) if each is not changed)
        if others:
            self._coming[contact] = others

    def joined(self, connection: Connection) -> None:
        """The connection has its session."""
        self.sessions += 1
        principal = _principal(connection)
        if principal.is_contact:
            self._contacts[principal.id] = (*self._contacts.get(principal.id, ()), connection)

    def join_live(self, connection: Connection, conversation: Conversation, position: int) -> None:
        """Let a conversation join a live session that did not ask for it: `subscribed` comes first."""
        if _place_in(conversation, connection) is not None:
            return
        self.subscribe(connection, conversation, position).live = True
        connection.send(connection.gateway.subscribed(connection, conversation, position))

    def is_only(self, connection: Connection) -> bool:
        """Say whether a contact has no other connection than this one."""
        return self._contacts.get(_principal(connection).id) == (connection,)

    def leave(self, connection: Connection) -> None:
        """The connection is gone."""
        self.sessions -= 1
        contact = _principal(connection).id
        others = tuple(each for each in self._contacts.pop(contact, ()) if each is not connection)
        if others:
            self._contacts[contact] = others
        gone, connection.subscriptions = connection.subscriptions, ()
        for each in gone:
            _forget(each)

    # Delivery

    def deliver(self, entries: list[Entry]) -> None:
        """Give durable entries, in order, to everyone who may see them."""
        sent = 0
        for entry in entries:
            event, conversation = entry.event, entry.conversation
            if event is None or conversation is None:
                _answer_error(entry)
                continue
            if event.name == MESSAGE_CREATED:
                self._fan_out(entry, event, conversation)
                sent += 1
            else:
                self._let_in(conversation, event.seq)
                self.desk.before(conversation, event.seq)
                self._fan_out(entry, event, conversation)
                self.desk.after(conversation)
        self._measure(entries, sent)

    def _let_in(self, conversation: Conversation, seq: int) -> None:
        """A contact's devices are in all its conversations."""
        contact = int(conversation.contact.id)
        for connection in self._contacts.get(contact, ()):
            self.join_live(connection, conversation, seq - 1)
        for changed in self._coming.get(contact, ()):
            changed.add(conversation.id)

    def _fan_out(self, entry: Entry, event: Event, conversation: Conversation) -> None:
        sender, session, told, delivered = entry.sender, entry.session, False, 0
        shared: dict[Wire, bytes] = {}
        listeners: tuple[Subscription, ...] = conversation.listeners
        for subscription in listeners:
            connection = subscription.connection
            # In a cluster a conversation may have been read ahead of the log, and joined there.
            if not subscription.live or (event.seq <= subscription.position and connection is not sender):
                continue
            if connection is sender:
                connection.put(_sent(connection, entry.n, event))
                told = True
                continue
            wire = connection.wire
            if session is not None and connection.session is session:
                data = wire.own_event(entry.payload, entry.n)
            elif entry.visibility and _is_contact(connection):
                data = wire.partial_event(entry.visibility, entry.payload, conversation.wire_id, event.seq)
            else:
                cached = shared.get(wire)
                data = cached if cached is not None else shared.setdefault(wire, wire.event(entry.payload))
            connection.put(data)
            delivered += 1
        if event.name == MESSAGE_CREATED:
            self.outbound += delivered
        if not told and isinstance(sender, Connection):
            sender.put(_sent(sender, entry.n, event))

    def _measure(self, entries: list[Entry], sent: int) -> None:
        """Counts; latency is taken of the entry that waited longest in this group."""
        metrics.count(sent, self.outbound)
        self.outbound = 0
        first = next((entry.event for entry in entries if entry.event is not None), None)
        if first is not None:
            waited = max(0, self._clock.now_ms() - first.time) / 1000
            metrics.ack_seconds.observe(waited)
            metrics.delivery_seconds.observe(waited)

    def signal(
        self,
        conversation: Conversation,
        signal: frames.Signal,
        source: Connection | None,
        *,
        agents_only: bool = False,
        to_own: bool = False,
    ) -> None:
        """Send a signal to the others in the conversation, on every node.

        `to_own`: also to the actor's other sessions.
        """
        self.spread(conversation, signal, source, agents_only=agents_only, to_own=to_own)
        self.peers.tell(Signalled(conversation.id, signal, agents_only, to_own))

    def spread(
        self,
        conversation: Conversation,
        signal: frames.Signal,
        source: Connection | None,
        *,
        agents_only: bool,
        to_own: bool,
    ) -> None:
        """The same on this node only; the signal names its actor."""
        shared: dict[Wire, bytes] = {}
        for subscription in conversation.listeners:
            connection = subscription.connection
            session = connection.session
            if connection is source or session is None or (agents_only and session.principal.is_contact):
                continue
            if not to_own and session.principal.actor == signal.actor:
                continue
            wire = connection.wire
            connection.put(shared.get(wire) or shared.setdefault(wire, wire.frame(signal)))

    # Ends of an actor's connections

    def close_principal(self, kind: str, principal_id: int) -> None:
        """Close every connection of an actor who was blocked or disabled, with 4403, on every node."""
        self._end_everywhere(Ended(kind, principal_id))

    def close_logins(self, logins: Collection[int]) -> None:
        """Close every connection of logins that were ended, with 4401, on every node."""
        self._end_everywhere(Ended(logins=list(logins)))

    def _end_everywhere(self, ended: Ended) -> None:
        self.end(ended)
        self.peers.tell(ended)

    def end(self, ended: Ended | Missed) -> None:
        """Close connections of this node: after `Missed` all agents', who may have been signed out."""
        for seen in self._arriving.values():
            seen.append(ended)
        for connection in self.connections:
            if connection.session is not None:
                code = closing(connection.session.principal, [ended])
                if code is not None:
                    connection.close(code)

    def close_all(self, code: close.CloseCode) -> None:
        """Close every connection."""
        for connection in self.connections:
            connection.close(code)


def closing(principal: Principal, ended: list[Ended | Missed]) -> close.CloseCode | None:
    """With what a connection of the principal closes, if one of these means it."""
    for each in ended:
        if isinstance(each, Missed):
            if not principal.is_contact:
                return close.INTERNAL
        elif (principal.kind, principal.id) == (each.kind, each.id):
            return close.FORBIDDEN
        elif principal.login in each.logins:
            return close.UNAUTHORIZED
    return None


def _place_in(conversation: Conversation, connection: Connection) -> Subscription | None:
    """The connection's subscription, sought where fewer are."""
    listeners: tuple[Subscription, ...] = conversation.listeners
    if len(listeners) > len(connection.subscriptions):
        return connection.subscription(conversation.id)
    return next((each for each in listeners if each.connection is connection), None)


def _forget(subscription: Subscription) -> None:
    conversation = subscription.conversation
    conversation.listeners = tuple(each for each in conversation.listeners if each is not subscription)


def _sent(connection: Connection, n: int, event: Event) -> bytes:
    return connection.wire.frame(frames.Sent(n, event.id, event.conversation, event.seq, event.time))


def _principal(connection: Connection) -> Principal:
    assert connection.session is not None
    return connection.session.principal


def _is_contact(connection: Connection) -> bool:
    return connection.session is not None and connection.session.principal.is_contact


def _answer_error(entry: Entry) -> None:
    if entry.error is None or not isinstance(entry.sender, Connection):
        return
    if isinstance(entry.error, Replaced):
        entry.sender.close(close.REPLACED)
    elif isinstance(entry.error, OutcomeUnknown):
        entry.sender.close(close.INTERNAL)
    else:
        entry.sender.send(frames.ErrorFrame(entry.error.code, entry.error.message, n=entry.n))

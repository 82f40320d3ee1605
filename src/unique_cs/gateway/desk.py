"""The desk: which conversations an agent gets without asking: its own, and the longest waiting."""

from itertools import islice
from typing import Final, Protocol

from msgspec.structs import replace

from unique_cs.domain.alarms import Alarm
from unique_cs.domain.conversation import Conversation
from unique_cs.gateway.connection import Connection
from unique_cs.protocol import frames

WINDOW: Final = 200
"""The longest waiting conversations of an inbox, whose events every agent gets."""


class Subscriber(Protocol):
    """Whoever lets connections join and leave conversations."""

    def join_live(self, connection: Connection, conversation: Conversation, position: int) -> None:
        """Let a conversation join a live session that did not ask for it."""

    def unsubscribe(self, connection: Connection, conversation_id: int) -> None:
        """Let a connection leave a conversation."""


class Desk:
    """Lists kept from the events of conversations; they hold ids only.

    A list of waiting conversations is in the order in which they began to wait, so the window is its head:
    nothing ever falls out of the window by others joining.
    """

    def __init__(self, hub: Subscriber) -> None:
        self._hub = hub
        self._waiting: dict[int, dict[int, int]] = {}
        self._window: dict[int, dict[int, None]] = {}
        self._assigned: dict[int, dict[int, None]] = {}
        self._place: dict[int, tuple[int, int]] = {}
        self._agents: dict[Connection, None] = {}
        self._counted: dict[int, int] = {}
        self._alarms: dict[str, Alarm] = {}
        self.wanted: list[int] = []

    def restore(self, listed: list[tuple[int, int, int, int]]) -> None:
        """Start from (conversation, inbox, assignee, waiting_since) of all that are not resolved."""
        for lists in (self._waiting, self._window, self._assigned, self._place, self._counted):
            lists.clear()
        self.wanted.clear()
        for conversation, inbox, assignee, waiting_since in sorted(listed, key=lambda each: each[3]):
            self._put(conversation, inbox if waiting_since else 0, assignee, waiting_since)

    def join(self, connection: Connection) -> None:
        """An agent's connection came."""
        self._agents[connection] = None

    def greet(self, connection: Connection) -> None:
        """Tell an agent that came how many wait, and of what piles up."""
        for inbox, waiting in self._waiting.items():
            connection.send(_queue(inbox, len(waiting)))
        for alarm in self._alarms.values():
            connection.send(_backlog(alarm))

    def leave(self, connection: Connection) -> None:
        """A connection is gone."""
        self._agents.pop(connection, None)

    def listed(self, agent: int) -> list[int]:
        """The conversations that an agent gets without asking."""
        found = dict(self._assigned.get(agent, {}))
        for window in self._window.values():
            found.update(window)
        return list(found)

    def before(self, conversation: Conversation, seq: int) -> None:
        """Event `seq` is about to be delivered: whoever gets the conversation by it joins first."""
        if conversation.status == "resolved":
            return
        inbox = conversation.inbox if conversation.waiting else 0
        assignee = int(conversation.assignee.id) if conversation.assignee else 0
        known_inbox, known_assignee = self._place.get(conversation.id, (0, 0))
        self._put(
            conversation.id, inbox or known_inbox, assignee or known_assignee, conversation.waiting_since
        )
        for connection in self._entitled(conversation):
            self._hub.join_live(connection, conversation, seq - 1)

    def after(self, conversation: Conversation) -> None:
        """The event was delivered: whoever lost the conversation by it leaves."""
        resolved = conversation.status == "resolved"
        inbox = conversation.inbox if conversation.waiting and not resolved else 0
        assignee = int(conversation.assignee.id) if conversation.assignee and not resolved else 0
        self._put(conversation.id, inbox, assignee, conversation.waiting_since)
        entitled = self._entitled(conversation)
        for subscription in conversation.listeners:
            connection = subscription.connection
            if connection in self._agents and not subscription.explicit and connection not in entitled:
                self._hub.unsubscribe(connection, conversation.id)
                connection.send(frames.Unsubscribed(conversation.wire_id))

    def _entitled(self, conversation: Conversation) -> dict[Connection, None]:
        inbox, _ = self._place.get(conversation.id, (0, 0))
        if inbox and conversation.id in self._window[inbox]:
            return self._agents
        if conversation.assignee is None:
            return {}
        assignee = int(conversation.assignee.id)
        return {each: None for each in self._agents if _agent_of(each) == assignee}

    def enter(self, conversation: Conversation) -> None:
        """A conversation came into the window by another one's leaving."""
        for connection in self._agents:
            self._hub.join_live(connection, conversation, conversation.durable)

    def _put(self, conversation: int, inbox: int, assignee: int, since: int) -> None:
        old_inbox, old_assignee = self._place.pop(conversation, (0, 0))
        if old_inbox and old_inbox != inbox:
            self._stop_waiting(conversation, old_inbox)
        if old_assignee and old_assignee != assignee:
            self._assigned[old_assignee].pop(conversation, None)
        if inbox:
            self._wait(conversation, inbox, since)
        if assignee:
            self._assigned.setdefault(assignee, {})[conversation] = None
        if inbox or assignee:
            self._place[conversation] = (inbox, assignee)

    def _wait(self, conversation: int, inbox: int, since: int) -> None:
        self._waiting.setdefault(inbox, {}).setdefault(conversation, since)
        window = self._window.setdefault(inbox, {})
        if len(window) < WINDOW:
            window[conversation] = None

    def _stop_waiting(self, conversation: int, inbox: int) -> None:
        self._waiting[inbox].pop(conversation, None)
        window = self._window[inbox]
        if conversation in window:
            del window[conversation]
            for following in islice(self._waiting[inbox], WINDOW):
                if following not in window:
                    window[following] = None
                    self.wanted.append(following)
                    break

    @property
    def open(self) -> list[int]:
        """The conversations that wait or are assigned."""
        return list(self._place)

    def alarm(self, lasting: list[Alarm]) -> None:
        """Tell the agents what is not as it was: `lasting` are all incidents that last."""
        known, self._alarms = self._alarms, {each.name: each for each in lasting}
        begun = [each for each in lasting if known.get(each.name) != each]
        over = [replace(each, raised=False) for name, each in known.items() if name not in self._alarms]
        for alarm in (*over, *begun):
            signal = _backlog(alarm)
            for connection in self._agents:
                connection.send(signal)

    @property
    def agents(self) -> int:
        """Open connections of agents."""
        return len(self._agents)

    def waits(self) -> tuple[int, int]:
        """How many conversations wait, and since when (ms) the longest does; 0 where none waits."""
        begun = [next(iter(waiting.values())) for waiting in self._waiting.values() if waiting]
        return sum(map(len, self._waiting.values())), min(begun, default=0)

    def counts(self) -> list[tuple[int, int]]:
        """(inbox, waiting) of the inboxes whose count changed since the last call."""
        counts = {inbox: len(waiting) for inbox, waiting in self._waiting.items()}
        changed = [(inbox, count) for inbox, count in counts.items() if self._counted.get(inbox) != count]
        self._counted = counts
        return changed

    def announce(self) -> None:
        """Tell the agents how many wait, where that changed; called once a second."""
        for inbox, count in self.counts():
            signal = _queue(inbox, count)
            for connection in self._agents:
                connection.send(signal)


def _queue(inbox: int, waiting: int) -> frames.Signal:
    return frames.Signal("queue", {"inbox": str(inbox), "waiting": waiting})


def _backlog(alarm: Alarm) -> frames.Signal:
    return frames.Signal("backlog", alarm.data())


def _agent_of(connection: Connection) -> int:
    return connection.session.principal.id if connection.session is not None else 0

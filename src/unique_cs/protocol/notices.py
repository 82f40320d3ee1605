"""What nodes tell each other. It is kept by nobody; a node that may have missed some hears `Missed`."""

from msgspec import Struct

from unique_cs.domain.alarms import Alarm
from unique_cs.protocol.frames import Signal


class Signalled(Struct, tag="signalled", array_like=True):
    """A signal in a conversation; see `Hub.signal`."""

    conversation: int
    signal: Signal
    agents_only: bool
    to_own: bool


class Resumed(Struct, tag="resumed", array_like=True):
    """A session has a new connection, the `c`-th: older ones are replaced."""

    session: bytes
    c: int


class Ended(Struct, tag="ended", array_like=True):
    """Connections that must end: those of logins, or of an actor who may not be here any more."""

    kind: str = ""
    id: int = 0
    logins: list[int] = []


class Changed(Struct, tag="changed", array_like=True):
    """Inboxes or agents are not what they were."""


class Incidents(Struct, tag="incidents", array_like=True):
    """All incidents that last, for agents to see. It is told every few seconds."""

    lasting: list[Alarm]


class Missed(Struct, tag="missed", array_like=True):
    """Notices of any kind may have been told unheard: what they said has to be found out."""


Notice = Signalled | Resumed | Ended | Changed | Incidents | Missed

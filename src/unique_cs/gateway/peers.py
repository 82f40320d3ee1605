"""What nodes tell each other beside the log: signals, and that somebody's connections end."""

from unique_cs.gateway.connection import Connection
from unique_cs.gateway.context import Context
from unique_cs.protocol import close
from unique_cs.protocol.notices import Changed, Ended, Incidents, Missed, Notice, Resumed, Signalled


def heard(context: Context, notice: Notice) -> None:
    """Do on this node what another one did on its own. `Changed` is for whoever holds records."""
    match notice:
        case Signalled():
            conversation = context.timeline.held(notice.conversation)
            if conversation is not None:
                context.hub.spread(
                    conversation,
                    notice.signal,
                    None,
                    agents_only=notice.agents_only,
                    to_own=notice.to_own,
                )
        case Resumed():
            session = context.timeline.held_session(notice.session)
            older = session.connection if session is not None else None
            if session is not None and session.c < notice.c and isinstance(older, Connection):
                older.close(close.REPLACED)
        case Ended() | Missed():
            context.hub.end(notice)
        case Incidents():
            context.hub.desk.alarm(notice.lasting)
        case Changed():
            pass

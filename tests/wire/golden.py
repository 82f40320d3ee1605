"""Every frame of the wire as the server knows it, beside `frames.json`, which says how it travels.

The names are those of `frames.json`. The TypeScript client reads the same file.
"""

from typing import Final

from unique_cs.domain.body import CardAction, CardBody, ChoicesBody, ImageBody, RatingBody, TextBody
from unique_cs.domain.events import (
    CONVERSATION_ASSIGNED,
    CONVERSATION_LABELLED,
    CONVERSATION_OPENED,
    CONVERSATION_STATUS_CHANGED,
    MESSAGE_CREATED,
    Actor,
    Assigned,
    Data,
    Event,
    Labelled,
    MessageCreated,
    Named,
    Opened,
    StatusChanged,
)
from unique_cs.errors import Code
from unique_cs.protocol import close, frames
from unique_cs.protocol.frames import ClientFrame, ServerFrame

CONTACT: Final = Actor("contact", "402371330965504001", "Ann 安")
AGENT: Final = Actor("agent", "402371330965504002", "Mei")
TALK: Final = "402371330965504003"
EPOCH: Final = "9f2c61d07b3e"
TIME: Final = 1_800_000_000_123
SESSION: Final = "s_" + "0123456789abcdef" * 2

CLIENT: Final[dict[str, ClientFrame]] = {
    "connect, the first": frames.Connect("T", c=1, client=frames.ClientInfo("test", "1")),
    "connect, a resumption": frames.Connect(
        "T", SESSION, 3, 17, {TALK: frames.Since(EPOCH, 41)}, frames.ClientInfo("test", "1")
    ),
    "send, text": frames.Send(18, TextBody("line\n你好 🎉"), TALK),
    "send, without a conversation": frames.Send(1, TextBody("hello")),
    "send, a note": frames.Send(19, TextBody("between us"), TALK, private=True),
    "send, an image": frames.Send(20, ImageBody("402371330965504009"), TALK),
    "send, a card": frames.Send(
        21,
        CardBody(
            "Shoes",
            "red",
            "https://shop.example/1.png",
            "https://shop.example/1",
            "¥ 99",
            [CardAction("Buy", "https://shop.example/buy")],
        ),
        TALK,
    ),
    "send, choices": frames.Send(22, ChoicesBody("Which?", ["one", "two"]), TALK),
    "send, a rating": frames.Send(23, RatingBody(5, "good"), TALK),
    "send, custom": frames.Send(24, {"kind": "custom", "form": {"x": [1, 2.5, None, True]}}, TALK),  # type: ignore[arg-type]  # as the codec gives it
    "subscribe": frames.Subscribe(TALK),
    "subscribe, from a position": frames.Subscribe(TALK, frames.Since(EPOCH, 41)),
    "unsubscribe": frames.Unsubscribe(TALK),
    "typing": frames.Typing(TALK, on=True, preview="I would li"),
    "typing, no longer": frames.Typing(TALK, on=False),
    "typing, a note": frames.Typing(TALK, on=True, private=True),
    "read": frames.Read(TALK, 45),
    "delivered": frames.Delivered(TALK, 45),
    "page": frames.Page("https://shop.example/", "Shop", "https://search.example/"),
    "ping": frames.Ping(),
}


def _event(name: str, seq: int, data: Data, actor: Actor = AGENT) -> Event:
    return Event(name, TALK, seq, str(402371330965505000 + seq), TIME, actor, data)


_CURSORS: Final = [frames.CursorView({"kind": "agent", "id": AGENT.id}, 40, 44)]
_PERSON: Final = {"id": CONTACT.id, "name": CONTACT.name}

SERVER: Final[dict[str, ServerFrame]] = {
    "connected, to a contact": frames.Connected(
        SESSION,
        False,
        1,
        0,
        CONTACT,
        [frames.Head(TALK, "open", EPOCH, 44, 40, 44, cursors=_CURSORS)],
        25_000,
        65_536,
        TIME,
    ),
    "connected, to an agent": frames.Connected(
        SESSION,
        True,
        3,
        17,
        AGENT,
        [frames.Head(TALK, "open", EPOCH, 44, 40, 44, contact=_PERSON)],
        25_000,
        65_536,
        TIME,
    ),
    "event message.created": _event(MESSAGE_CREATED, 45, MessageCreated(TextBody("你好 🎉"))),
    "event message.created, a note": _event(
        MESSAGE_CREATED, 46, MessageCreated(TextBody("note"), private=True)
    ),
    "event conversation.opened": _event(
        CONVERSATION_OPENED, 1, Opened("1", Named(CONTACT.id, CONTACT.name)), CONTACT
    ),
    "event conversation.assigned": _event(
        CONVERSATION_ASSIGNED, 47, Assigned(Named(AGENT.id, AGENT.name), None)
    ),
    "event conversation.status_changed": _event(
        CONVERSATION_STATUS_CHANGED, 48, StatusChanged("resolved", "open")
    ),
    "event conversation.status_changed, snoozed": _event(
        CONVERSATION_STATUS_CHANGED, 49, StatusChanged("snoozed", "open", TIME + 60_000)
    ),
    "event conversation.labelled": _event(CONVERSATION_LABELLED, 50, Labelled(["refund", "vip"])),
    "sent": frames.Sent(1, "402371330965505045", TALK, 45, TIME),
    "advance": frames.Advance(TALK, 45),
    "resync": frames.Resync(TALK, EPOCH, 2_000),
    "subscribed": frames.Subscribed(TALK, EPOCH, 44, "open", contact=_PERSON, cursors=_CURSORS),
    "subscribed, a new one": frames.Subscribed(TALK, EPOCH, 0, "open"),
    "unsubscribed": frames.Unsubscribed(TALK),
    "signal typing": frames.Signal("typing", {"on": True, "preview": "I would li"}, TALK, CONTACT),
    "signal read": frames.Signal("read", {"seq": 45}, TALK, AGENT),
    "signal delivered": frames.Signal("delivered", {"seq": 45}, TALK, AGENT),
    "signal presence": frames.Signal("presence", {"online": True}, TALK, CONTACT),
    "signal page": frames.Signal(
        "page", {"url": "https://shop.example/", "title": "Shop", "referrer": ""}, TALK, CONTACT
    ),
    "signal queue": frames.Signal("queue", {"inbox": "1", "waiting": 3}),
    "signal backlog": frames.Signal(
        "backlog", {"alarm": "waiting", "raised": True, "value": 57, "threshold": 50, "since": TIME}
    ),
    "pong": frames.Pong(TIME),
    "error of a send, final": frames.ErrorFrame(Code.FORBIDDEN, "notes are for agents", n=1),
    "error of a send, held off": frames.ErrorFrame(
        Code.RATE_LIMITED, "too many messages", n=1, expected=1, retry_after_ms=500
    ),
    "error of a send, out of order": frames.ErrorFrame(Code.OUT_OF_ORDER, "an earlier send is missing", 3, 1),
    **{f"error {code.value}": frames.ErrorFrame(code, "text") for code in Code},
    **{
        f"close {code.code}": frames.Close(code.code, code.reason, code.reconnect, 1_200 * code.reconnect)
        for code in close.ALL
    },
}

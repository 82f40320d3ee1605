"""Keys in Redis. All of a generation begin with its prefix; an older generation is never read again.

| key | type | holds |
|---|---|---|
| gen | string | generation: counter and `run_id` of the server it was opened on |
| epoch | string | random name of the numbering, which clients see |
| head | string | place of the newest record in the log |
| archived | string | place up to which the cold tier has the log |
| since | string | place up to which it had older logs when the generation was opened |
| log | stream | records, at `place-0`, for every node and for the relay |
| c:conversation | hash | q head, s last event that is no message, d state, p contact, l place in the log |
| e:conversation | stream | the newest events, at `seq-0` |
| r:conversation | hash | cursors: participant → read:delivered |
| i | hash | conversation → index row of those not resolved |
| o:contact, u:contact | sorted set | the contact's conversations, and those not resolved |
| k:contact, x:inbox:digest | string | contact row; contact of an identifier |
| s:session | hash | k kind, a actor, c connections, n last send |
| a:session | hash | n → place of the event, or error row |
| t, p | sorted set | conversation, contact → place of its last change, or when it was put back |
| b:process | hash | number and answer of a process's last batch |
"""

from hashlib import blake2b
from typing import Final

from unique_cs.cluster.shard import TAG

GENERATION: Final = f"{TAG}:gen"

PLACES: Final = 40
"""Bits of a place in the log below the generation's counter: places grow over generations."""


class Keys:
    """The keys of one generation."""

    def __init__(self, counter: int) -> None:
        self.prefix: Final = f"{TAG}:{counter}:"
        self.log: Final = f"{self.prefix}log"
        self.epoch: Final = f"{self.prefix}epoch"
        self.head: Final = f"{self.prefix}head"
        self.archived: Final = f"{self.prefix}archived"
        self.since: Final = f"{self.prefix}since"
        self.index: Final = f"{self.prefix}i"
        self.touched: Final = f"{self.prefix}t"
        self.people: Final = f"{self.prefix}p"

    def conversation(self, conversation: int) -> str:
        """State of a conversation."""
        return f"{self.prefix}c:{conversation}"

    def events(self, conversation: int) -> str:
        """The newest events of a conversation."""
        return f"{self.prefix}e:{conversation}"

    def cursors(self, conversation: int) -> str:
        """How far the participants of a conversation are."""
        return f"{self.prefix}r:{conversation}"

    def owned(self, contact: int) -> str:
        """A contact's conversations."""
        return f"{self.prefix}o:{contact}"

    def unresolved(self, contact: int) -> str:
        """A contact's conversations that are not resolved."""
        return f"{self.prefix}u:{contact}"

    def contact(self, contact: int) -> str:
        """A contact."""
        return f"{self.prefix}k:{contact}"

    def name(self, inbox: int, identifier: str) -> str:
        """The contact of an identifier."""
        return f"{self.prefix}x:{named(inbox, identifier)}"

    def session(self, key: bytes) -> str:
        """Numbers of a session."""
        return f"{self.prefix}s:{key.hex()}"

    def answers(self, key: bytes) -> str:
        """Answers to a session's sends."""
        return f"{self.prefix}a:{key.hex()}"


def named(inbox: int, identifier: str) -> str:
    """How an identifier is named in a key."""
    return f"{inbox}:{blake2b(identifier.encode(), digest_size=16).hexdigest()}"


def first_place(counter: int) -> int:
    """The place before the first one of a generation."""
    return counter << PLACES

"""The people of an installation, and where they meet: contacts, agents with their logins, inboxes."""

from typing import Any

from msgspec import Struct


class Contact(Struct, omit_defaults=True):
    """A person as known. `identifier` is set only where a signed identity token proved it."""

    id: int
    inbox: int
    name: str = ""
    email: str = ""
    identifier: str = ""
    attributes: dict[str, Any] = {}
    visit: dict[str, str] = {}
    blocked: bool = False
    created_at: int = 0


class Inbox(Struct, frozen=True):
    """Where conversations arrive. `key` is public; `identity_secret` signs its identity tokens."""

    id: int
    name: str
    key: str
    identity_secret: str = ""
    identity_algorithm: str = "HS256"
    allowed_origins: list[str] = []


class Agent(Struct, frozen=True):
    """Staff who answers. `password` is a PHC string."""

    id: int
    email: str
    name: str
    role: str
    password: str = ""
    disabled: bool = False


class Login(Struct, frozen=True):
    """A server-side login of an agent; its token is stored as a hash only."""

    id: int
    agent: int
    token_hash: str
    created_at: int
    last_seen_at: int
    user_agent: str = ""
    ip: str = ""

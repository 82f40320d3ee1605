"""Contacts and agents for a run, made over REST."""

import asyncio
from collections.abc import Iterator

from unique_cs.bench.http import HttpConnection
from unique_cs.bench.process import Target
from unique_cs.bench.report import Progress

_WORKERS = 16


async def contact_tokens(server: Target, count: int, progress: Progress) -> list[str]:
    """Tokens of that many new contacts, in no special order."""
    tokens: list[str] = []
    numbers = iter(range(count))
    with progress.stage(f"{count:,} contacts", lambda: f"{len(tokens):,}"):
        await asyncio.gather(*(_make(server, numbers, tokens) for _ in range(min(_WORKERS, count))))
    return tokens


async def _make(server: Target, numbers: Iterator[int], tokens: list[str]) -> None:
    http = await HttpConnection.open(server)
    for number in numbers:
        body = {"inbox": server.inbox, "contact": {"name": f"Load {number}"}}
        answer = await http.call("POST", "/api/v1/contacts/session", body)
        tokens.append(answer["token"])
    http.close()


async def agent_token(server: Target) -> str:
    """A token of the owner."""
    http = await HttpConnection.open(server)
    answer = await http.call(
        "POST", "/api/v1/auth/login", {"email": server.email, "password": server.password}
    )
    http.close()
    token: str = answer["token"]
    return token

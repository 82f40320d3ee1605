"""One signed POST to an address that an operator gave: to no place inside, and with an end to everything."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address, ip_network
from socket import SOCK_STREAM
from typing import TYPE_CHECKING, Final

from unique_cs.domain.outbox import Delivery, headers, secret_key
from unique_cs.errors import SettingsError
from unique_cs.jobs.webhook import PostError
from unique_cs.ports import Clock

if TYPE_CHECKING:
    import httpx2

CONNECT_S: Final = 5.0
ANSWER_S: Final = 15.0
"""How long an attempt may take, from resolving the name on."""

MOST_BYTES: Final = 65_536
"""Of an answer no more is read; nothing of it is used but the status."""

SHORTEST: Final = 16
"""Characters of a secret."""

# Networks whose last bits lead to others, or that are nobody's; `is_global` knows those of IANA's registries.
_INSIDE: Final = tuple(
    ip_network(each)
    for each in (
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "5f00::/16",
        "fec0::/10",
        "192.88.99.0/24",
    )
)

Resolve = Callable[[str, int], Awaitable[list[str]]]


def is_public(address: str) -> bool:
    """Whether an address is the Internet's: no loopback, private, link-local or metadata address."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    inside = any(found.version == each.version and found in each for each in _INSIDE)
    return found.is_global and not found.is_multicast and not inside


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the order in which they should be tried. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Poster:
    """Posts to one URL. The name is resolved for each attempt, and that very address is connected to."""

    def __init__(
        self, url: str, secret: str, clock: Clock, *, allow_private: bool, resolve: Resolve = resolve
    ) -> None:
        """Raises `SettingsError` that says what is wrong with the address or the secret.

        `allow_private` allows plain http, and addresses that are not public.
        """
        self._url = _checked(url, allow_private)
        self._key = _key(secret)
        self._clock = clock
        self._allow_private = allow_private
        self._resolve = resolve
        self._client: httpx2.AsyncClient | None = None

    async def post(self, told: Delivery) -> int:
        """Make one attempt; return the status. Redirects are not followed. Raises `PostError`."""
        import httpx2  # noqa: PLC0415 - a server without a webhook starts sooner without it

        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._post(told)
        except (httpx2.HTTPError, httpx2.StreamError, OSError, TimeoutError, ValueError) as error:
            raise PostError(repr(error)) from error

    async def _post(self, told: Delivery) -> int:
        import httpx2  # noqa: PLC0415

        addresses = await self._addresses()
        for address in addresses[:-1]:
            try:
                return await self._send(told, address)
            except httpx2.ConnectError:
                continue
        return await self._send(told, addresses[-1])

    async def _addresses(self) -> list[str]:
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        found = await self._resolve(self._url.host, port)
        if not self._allow_private and not all(map(is_public, found)):
            raise PostError(f"{self._url.host} leads to an address that is not public")
        if not found:
            raise PostError(f"{self._url.host} has no address")
        return found

    async def _send(self, told: Delivery, address: str) -> int:
        named, client = self._url, self._open()
        sent = headers(self._key, told, self._clock.now_ms() // 1000)
        request = client.build_request(
            "POST",
            named.copy_with(host=address),
            content=told.body,
            headers={**sent, "host": named.netloc.decode(), "user-agent": "unique-cs"},
            # The certificate has to be that of the name, not of the address.
            extensions={"sni_hostname": named.host},
        )
        answer = await client.send(request, stream=True)
        try:
            size = 0
            async for part in answer.aiter_raw():
                size += len(part)
                if size > MOST_BYTES:
                    break
            return answer.status_code
        finally:
            await answer.aclose()

    def _open(self) -> "httpx2.AsyncClient":
        import httpx2  # noqa: PLC0415

        if self._client is None:
            self._client = httpx2.AsyncClient(
                verify=ssl.create_default_context(),
                trust_env=False,
                follow_redirects=False,
                timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S),
                limits=httpx2.Limits(max_connections=2, keepalive_expiry=30),
            )
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _checked(url: str, allow_private: bool) -> "httpx2.URL":
    import httpx2  # noqa: PLC0415

    try:
        made = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise SettingsError(f"the webhook's address is no URL: {error}") from error
    if made.scheme not in ("https", "http") or not made.host or made.userinfo:
        raise SettingsError("the webhook's address has to be https://host/path, without a user")
    if made.scheme == "http" and not allow_private:
        raise SettingsError("the webhook's address has to begin with https://")
    return made


def _key(secret: str) -> bytes:
    if len(secret) < SHORTEST:
        raise SettingsError(f"the webhook's secret has to have {SHORTEST} characters or more")
    try:
        return secret_key(secret)
    except ValueError as error:
        raise SettingsError("the webhook's secret begins with whsec_ and is no base64 behind it") from error

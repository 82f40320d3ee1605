"""Forwarded headers count only from trusted proxies; a foreign page opens no WebSocket."""

import pytest

from unique_cs.domain.origins import AllowedOrigins
from unique_cs.gateway.origin import OriginPolicy, TrustedProxies

PROXIES = TrustedProxies(["10.0.0.0/8", "192.0.2.7", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", "1.2.3.4", "198.51.100.1"),  # not trusted: it may write what it likes
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),  # what the client itself wrote comes first
        ("10.0.0.1", "1.2.3.4, 192.0.2.7, 10.1.1.1", "1.2.3.4"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4, nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "1.2.3.4", "1.2.3.4"),
        ("", "1.2.3.4", ""),  # a Unix socket
    ],
)
def test_the_client_behind_proxies(peer: str, forwarded: str, client: str) -> None:
    assert PROXIES.client(peer, {"x-forwarded-for": forwarded}) == client


def test_without_trusted_proxies_the_peer_is_the_client() -> None:
    assert TrustedProxies().client("10.0.0.1", {"x-forwarded-for": "1.2.3.4"}) == "10.0.0.1"


def test_a_star_trusts_every_peer() -> None:
    proxies = TrustedProxies(["*"])
    assert proxies.trust("198.51.100.1")
    assert proxies.client("198.51.100.1", {"x-forwarded-for": "5.6.7.8, 1.2.3.4"}) == "5.6.7.8"


def test_a_proxy_that_is_no_address_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ValueError, match="proxy"):
        TrustedProxies(["proxy.internal"])


def admits(
    origin: str | None, host: str = "chat.test", *, secure: bool = False, peer: str = "1.1.1.1", **more: str
) -> bool:
    headers = {"host": host, **{name.replace("_", "-"): value for name, value in more.items()}}
    if origin is not None:
        headers["origin"] = origin
    return OriginPolicy(AllowedOrigins(["https://shop.test", "null"]), PROXIES).admits(
        headers, peer, secure=secure
    )


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "chat.test"),
        ("http://chat.test", "chat.test"),
        ("https://chat.test", "chat.test"),  # a proxy may hide TLS
        ("http://CHAT.test:8080", "chat.TEST:8080"),
        ("http://chat.test", "chat.test:80"),
        ("https://chat.test:443", "chat.test"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://shop.test", "chat.test"),
        ("HTTPS://SHOP.TEST", "chat.test"),
        ("null", "chat.test"),
    ],
)
def test_own_and_allowed_pages_are_let_in(origin: str | None, host: str) -> None:
    assert admits(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.test", "chat.test"),
        ("http://chat.test.evil.test", "chat.test"),
        ("http://chat.test:8081", "chat.test:8080"),
        ("http://shop.test", "chat.test"),
        ("https://shop.test:8443", "chat.test"),
        ("file://", ""),
        ("http://", ""),
        ("chat.test", "chat.test"),
        ("", ""),
    ],
)
def test_other_pages_are_not(origin: str, host: str) -> None:
    assert not admits(origin, host)


def test_a_plain_page_may_not_use_a_secure_socket() -> None:
    assert not admits("http://chat.test", secure=True)
    assert admits("https://chat.test", secure=True)
    assert not admits("http://chat.test", peer="10.0.0.1", x_forwarded_proto="https")


def test_the_host_that_a_trusted_proxy_names_is_ours() -> None:
    assert admits("http://public.test", "internal:8080", peer="10.0.0.1", x_forwarded_host="public.test")
    assert not admits("http://public.test", "internal:8080", peer="1.1.1.1", x_forwarded_host="public.test")
    assert not admits("http://evil.test", peer="10.0.0.1", x_forwarded_host="evil.test, chat.test")


def test_a_star_admits_every_page() -> None:
    assert OriginPolicy(AllowedOrigins(["*"]), PROXIES).admits(
        {"origin": "http://evil.test"}, "1.1.1.1", secure=True
    )


def test_an_inboxes_sites_are_let_in_as_soon_as_they_are_listed() -> None:
    listed: list[str] = []
    policy = OriginPolicy(AllowedOrigins([], lambda: listed), PROXIES)
    headers = {"origin": "https://shop.test", "host": "chat.test"}
    assert not policy.admits(headers, "1.1.1.1", secure=True)
    listed.append("https://Shop.test/")
    assert policy.admits(headers, "1.1.1.1", secure=True)

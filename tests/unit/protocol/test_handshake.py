"""The opening handshake takes what browsers and proxies send and says what is wrong with the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.client_frames import KEY, accept_of, upgrade
from unique_cs.protocol.handshake import (
    Refusal,
    UpgradeRequest,
    accept_response,
    parse_head,
    parse_upgrade,
    refuse_response,
    wants_websocket,
)


def accepted(head: bytes) -> UpgradeRequest:
    request = parse_upgrade(head)
    assert isinstance(request, UpgradeRequest)
    return request


def refused(head: bytes) -> Refusal:
    refusal = parse_upgrade(head)
    assert isinstance(refusal, Refusal)
    return refusal


def test_takes_what_firefox_sends() -> None:
    request = accepted(upgrade("/ws?a=1&b=2"))
    assert (request.path, request.query, request.key) == ("/ws", "a=1&b=2", KEY.encode())
    assert request.origin == "http://chat.test"
    assert request.headers["user-agent"].startswith("Mozilla/5.0")
    assert request.subprotocols == ()


def test_a_request_from_no_browser_has_no_origin() -> None:
    assert accepted(upgrade(origin=None)).origin is None


def test_header_names_and_tokens_have_no_case() -> None:
    head = upgrade(connection="UPGRADE", upgrade="WebSocket").replace(b"Upgrade:", b"uPGRADE:")
    assert accepted(head).path == "/ws"


def test_offers_come_in_order_also_from_several_headers() -> None:
    head = upgrade(sec_websocket_protocol="unique-cs.v1+msgpack,  other").replace(
        b"\r\n\r\n", b"\r\nsec-websocket-protocol: third\r\n\r\n"
    )
    assert accepted(head).subprotocols == ("unique-cs.v1+msgpack", "other", "third")


def test_the_absolute_form_of_a_proxy_is_understood() -> None:
    assert accepted(upgrade("http://chat.test/ws?x=1"))[:2] == ("/ws", "x=1")
    assert accepted(upgrade("http://chat.test"))[:2] == ("/", "")


REFUSALS = {
    "POST": (upgrade().replace(b"GET", b"POST", 1), 405),
    "HTTP/1.0": (upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "no Host": (upgrade().replace(b"Host: chat.test\r\n", b""), 400),
    "two Hosts": (upgrade().replace(b"Host: chat.test\r\n", b"Host: a\r\nHost: b\r\n"), 400),
    "no Upgrade": (upgrade(upgrade=None), 426),
    "another Upgrade": (upgrade(upgrade="h2c"), 426),
    "Connection without upgrade": (upgrade(connection="keep-alive"), 426),
    "version 8": (upgrade(sec_websocket_version="8"), 426),
    "no version": (upgrade(sec_websocket_version=None), 426),
    "no key": (upgrade(sec_websocket_key=None), 400),
    "short key": (upgrade(sec_websocket_key="c2hvcnQ="), 400),
    "key that is not base64": (upgrade(sec_websocket_key="!" * 24), 400),
    "two keys": (upgrade(sec_websocket_key=f"{KEY}, {KEY}"), 400),
    "content": (upgrade(content_length="5"), 400),
    "chunks": (upgrade(transfer_encoding="chunked"), 400),
    "folded header": (upgrade(accept="a\r\n b"), 400),
    "space before the colon": (upgrade().replace(b"Accept:", b"Accept :"), 400),
    "control character": (upgrade(accept="a\x00b"), 400),
    "no request line": (b"\r\n" + upgrade(), 400),
    "space in the target": (upgrade("/w s"), 400),
}


@pytest.mark.parametrize(("head", "status"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refuses(head: bytes, status: int) -> None:
    assert refused(head).status == status


def test_a_wrong_version_is_told_the_right_one() -> None:
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in refuse_response(
        refused(upgrade(sec_websocket_version="8"))
    )


def test_the_method_is_told() -> None:
    assert b"\r\nAllow: GET\r\n" in refuse_response(refused(upgrade().replace(b"GET", b"PUT", 1)))


def test_the_response_proves_that_the_key_was_read() -> None:
    lines = accept_response(accepted(upgrade())).decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert f"Sec-WebSocket-Accept: {accept_of(KEY)}" in lines
    assert accept_of(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # the example of 1.3
    assert lines[-2:] == ["", ""]
    assert not any(line.startswith("Sec-WebSocket-Protocol") for line in lines)


def test_the_response_names_the_chosen_subprotocol() -> None:
    request = accepted(upgrade(sec_websocket_protocol="a, b"))
    assert b"\r\nSec-WebSocket-Protocol: b\r\n" in accept_response(request, "b")


def test_a_refusal_is_a_whole_response_that_closes() -> None:
    head, _, body = refuse_response(Refusal(503, "Come again later.", retry_after=7)).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 503 Service Unavailable"
    assert {"Retry-After: 7", "Connection: close", f"Content-Length: {len(body)}"} <= set(lines)
    assert body == b"Come again later.\n"


def test_a_refusal_may_have_a_status_without_a_name() -> None:
    assert refuse_response(Refusal(499)).startswith(b"HTTP/1.1 499 \r\n")


@pytest.mark.parametrize(
    ("upgrade_value", "connection", "wanted"),
    [
        ("websocket", "keep-alive, Upgrade", True),
        ("h2c, websocket", "upgrade", True),
        ("h2c", "Upgrade, HTTP2-Settings", False),
        ("websocket", "keep-alive", False),
    ],
)
def test_tells_the_offer_of_a_websocket_from_others(
    upgrade_value: str, connection: str, wanted: bool
) -> None:
    assert wants_websocket({"upgrade": upgrade_value, "connection": connection}) is wanted


@given(st.binary(max_size=200), st.integers(0, 600))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int) -> None:
    head = upgrade()
    for damaged in (noise, head[:at] + noise + head[at:]):
        request = parse_upgrade(damaged)
        assert isinstance(request, UpgradeRequest) or 400 <= request.status < 500
        assert parse_head(damaged) is not None

"""What a webhook is told, and how it can check it."""

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.test_docs import ROOT, blocks
from unique_cs.domain.outbox import Delivery, delivery, headers, is_refusal, pause_s, secret_key

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GUIDES = [ROOT / "docs" / each for each in ("guides/webhooks.md", "zh-CN/guides/webhooks.md")]


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the libraries of that standard."""
    told = Delivery(0, 0, "msg_p5jXN8AQM9LWM0D4loKWxJek", "test", 0, b'{"test": 2432232314}')
    assert headers(secret_key(SECRET), told, 1_614_265_330) == {
        "content-type": "application/json",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_is_base64_behind_its_prefix_and_else_text() -> None:
    assert secret_key("whsec_" + base64.b64encode(b"\0\xff").decode()) == b"\0\xff"
    assert secret_key("correct horse battery") == b"correct horse battery"
    with pytest.raises(ValueError, match=r"base64|padding"):
        secret_key("whsec_not base64!")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.parametrize("secret", [SECRET, "correct horse battery"])
def test_the_check_of_the_guide_takes_what_is_genuine_only(
    guide: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {}
    exec(blocks(guide, "python")[0], names)
    check, told = names["is_genuine"], delivery(1, 2, "7", "message.created", 5, b"{}")
    sent = headers(secret_key(secret), told, 1_800_000_000)
    monkeypatch.setattr("time.time", lambda: 1_800_000_299.0)
    assert check(sent, told.body, secret)
    assert not check(sent, told.body + b" ", secret)
    assert not check(sent | {"webhook-id": "8"}, told.body, secret)
    assert not check(sent | {"webhook-timestamp": "1800000001"}, told.body, secret)
    assert not check(sent, told.body, "another secret")
    monkeypatch.setattr("time.time", lambda: 1_800_000_300.0)
    assert not check(sent, told.body, secret)


def test_data_that_are_json_already_are_not_encoded_again() -> None:
    raw = delivery(1, 2, "7", "message.created", 5, '{"text":"你好"}'.encode())
    made = delivery(1, 2, "7", "message.created", 5, {"text": "你好"})
    assert msgspec.json.decode(raw.body) == msgspec.json.decode(made.body)
    assert raw.body == '{"id":"7","type":"message.created","time":5,"data":{"text":"你好"}}'.encode()


def test_pauses_grow_to_five_minutes_and_are_spread() -> None:
    assert [pause_s(failures, 1) for failures in (1, 2, 3, 8, 9, 10, 10**6)] == [1, 2, 4, 128, 256, 300, 300]
    assert pause_s(4, 0) == 4
    assert pause_s(4, 0.5) == 6


@pytest.mark.parametrize(
    ("status", "about_the_delivery"),
    [
        (400, True),
        (410, True),
        (413, True),
        (422, True),
        (401, False),
        (404, False),
        (408, False),
        (429, False),
    ]
    + [(status, False) for status in (-1, 301, 500, 503)],
)
def test_only_some_answers_are_about_the_delivery(status: int, about_the_delivery: bool) -> None:
    assert is_refusal(status) is about_the_delivery

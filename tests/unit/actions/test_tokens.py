"""Contacts' tokens are signed, agents' are random."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from unique_cs.actions.tokens import AGENT_PREFIX, CONTACT_PREFIX, ContactTokens, hash_of, new_agent_token

NOW = 1_800_000_000_000
DAY = 86_400_000
TOKENS = ContactTokens(b"secret of the installation", 365)


def test_a_token_says_whom_it_was_issued_to() -> None:
    token = TOKENS.issue(7, 2**62 + 1, NOW)
    assert token.startswith(CONTACT_PREFIX)
    assert token.isascii()
    claim = TOKENS.read(token, NOW + DAY)
    assert claim == (7, 2**62 + 1, NOW)


def test_a_token_ends_after_its_days() -> None:
    token = TOKENS.issue(7, 8, NOW)
    assert TOKENS.read(token, NOW + 365 * DAY - 1) is not None
    assert TOKENS.read(token, NOW + 365 * DAY) is None


def test_another_installations_token_is_none() -> None:
    assert ContactTokens(b"another secret", 365).read(TOKENS.issue(7, 8, NOW), NOW) is None


def test_no_bit_of_a_token_can_be_changed() -> None:
    raw = urlsafe_b64decode(TOKENS.issue(7, 8, NOW).removeprefix(CONTACT_PREFIX))
    for place in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        assert TOKENS.read(CONTACT_PREFIX + urlsafe_b64encode(changed).decode(), NOW) is None


@pytest.mark.parametrize("size", [0, 32, 64, 65, 200])
def test_the_signature_is_the_hmac_of_the_standard(size: int) -> None:
    secret = bytes(range(size))
    raw = urlsafe_b64decode(ContactTokens(secret, 1).issue(7, 8, NOW).removeprefix(CONTACT_PREFIX))
    claim, signature = raw[:-32], raw[-32:]
    assert signature == hmac.digest(secret, b"unique-cs contact token\x00" + claim, "sha256")


@pytest.mark.parametrize("tail", ["", "=", "A", "====", "\n", "é", "A" * 5_000, "!" * 76, "AAAA"])
def test_what_has_another_form_is_none(tail: str) -> None:
    assert TOKENS.read(CONTACT_PREFIX + tail, NOW) is None
    assert TOKENS.read(tail, NOW) is None
    assert TOKENS.read(TOKENS.issue(7, 8, NOW) + tail, NOW) is None or not tail


def test_a_token_has_one_spelling() -> None:
    token = TOKENS.issue(7, 8, NOW)
    for other in (token + "\n", token + "==", token[:10] + "\n" + token[10:], " " + token):
        assert TOKENS.read(other, NOW) is None


def test_agents_tokens_are_random_and_kept_as_a_hash() -> None:
    tokens = {new_agent_token() for _ in range(100)}
    assert len(tokens) == 100
    for token in tokens:
        assert token.startswith(AGENT_PREFIX)
        assert len(token) >= len(AGENT_PREFIX) + 43
        assert len(hash_of(token)) == 64
        assert token not in hash_of(token)

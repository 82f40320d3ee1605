"""Token buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unique_cs.domain.flow import AddressBuckets, KeyedBuckets, TokenBucket, network_of


def test_burst_then_rate() -> None:
    """A burst passes at once; then one passes each 1 / rate seconds, and the wait that is told suffices."""
    bucket = TokenBucket(2, 3)
    assert [bucket.take(100.0) for _ in range(3)] == [0, 0, 0]
    wait = bucket.take(100.0)
    assert 500 <= wait <= 501
    assert bucket.take(100.0 + wait / 1000) == 0
    assert bucket.take(100.0 + wait / 1000) > 0


@given(waits=st.lists(st.floats(0, 2), max_size=60))
def test_never_more_than_promised(waits: list[float]) -> None:
    """In any time no more passes than the burst and what the rate adds."""
    bucket, now, passed = TokenBucket(3, 5), 50.0, 0
    for wait in waits:
        now += wait
        passed += bucket.take(now) == 0
        assert passed <= 5 + 3 * (now - 50.0) + 1e-6


def test_keys_are_apart() -> None:
    """Each key has a bucket of its own."""
    buckets = KeyedBuckets(1, 1)
    assert [buckets.take(key, 9.0) > 0 for key in ("a", "b", "a")] == [False, False, True]


def test_keys_are_bounded() -> None:
    """At most `max_keys` are held: the one that was not used for longest goes first."""
    buckets = KeyedBuckets(1, 1, max_keys=2)
    for key in ("a", "b", "a", "c"):
        buckets.take(key, 9.0)
    assert buckets.take("a", 9.0) > 0
    assert buckets.take("b", 9.0) == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("mqtt/a::b", "mqtt/a::b"),
        ("", ""),
    ],
)
def test_networks(address: str, network: str) -> None:
    """Whoever has one IPv6 address has 2^64 of them."""
    assert network_of(address) == network


def test_the_addresses_of_a_network_share_a_bucket() -> None:
    """To take the next address of one's own network is no way round the limit."""
    buckets = AddressBuckets(KeyedBuckets(1, 1))
    taken = [buckets.take(each, 9.0) > 0 for each in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")]
    assert taken == [False, True, False]

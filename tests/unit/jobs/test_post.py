"""One attempt: signed, to a public address only, and never for long."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.door import make_certificate
from tests.support.node import START_MS, FakeClock
from tests.support.receiver import SECRET, Receiver, receiving
from unique_cs.domain.outbox import delivery, headers, secret_key
from unique_cs.errors import SettingsError
from unique_cs.jobs import post
from unique_cs.jobs.post import MOST_BYTES, Poster, is_public
from unique_cs.jobs.webhook import PostError

TOLD = delivery(0, 1, "alarm-1", "alarm.raised", START_MS, {"alarm": "waiting"})
PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8"]
INSIDE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "192.88.99.1", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "64:ff9b::a00:1",
    "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "::ffff:0:127.0.0.1", "5f00::1",
]  # fmt: skip


class Names:
    """What a name leads to, which may be another thing each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
async def poster_of() -> AsyncIterator[Callable[..., Poster]]:
    """Makes posters, which are closed with the test."""
    made: list[Poster] = []

    def make(url: str, names: Names | None = None, *, allow_private: bool = True) -> Poster:
        resolve = names.resolve if names else post.resolve
        made.append(Poster(url, SECRET, FakeClock(), allow_private=allow_private, resolve=resolve))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's, whose certificate for 127.0.0.1 is trusted."""
    path = make_certificate(tmp_path / "server.pem")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(path)
    trusting = ssl.create_default_context(cafile=str(path))
    monkeypatch.setattr("unique_cs.jobs.post.ssl.create_default_context", lambda: trusting)
    return server


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_not(address: str) -> None:
    assert not is_public(address)


async def test_it_posts_what_is_told_with_its_signature(
    receiver: Receiver, poster_of: Callable[..., Poster]
) -> None:
    poster = poster_of(receiver.url)
    assert await poster.post(TOLD) == 200
    receiver.answers = [503]
    assert await poster.post(TOLD) == 503
    first, second = receiver.received
    assert (first.path, first.body) == ("/hook?x=1", TOLD.body)
    assert headers(secret_key(SECRET), TOLD, START_MS // 1000 + 1).items() <= first.headers.items()
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    assert receiver.connections == 1


async def test_an_address_inside_is_refused_without_a_connection(
    receiver: Receiver, poster_of: Callable[..., Poster]
) -> None:
    mixed = Names(["1.1.1.1", "127.0.0.1"])
    for url, names in (
        ("https://127.0.0.1", None),
        ("https://localhost", None),
        ("https://hook.test", mixed),
    ):
        poster = poster_of(f"{url}:{receiver.port}/", names, allow_private=False)
        with pytest.raises(PostError, match="not public"):
            await poster.post(TOLD)
    assert receiver.connections == 0


async def test_a_name_that_leads_elsewhere_the_second_time_is_refused(
    poster_of: Callable[..., Poster], tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked is what is connected to: the name is not looked up again in between."""
    monkeypatch.setattr(post, "is_public", lambda address: address == "127.0.0.1")
    async with receiving(tls) as receiver:
        names = Names(["127.0.0.1"], ["10.0.0.1"])
        poster = poster_of(f"https://127.0.0.1:{receiver.port}/", names, allow_private=False)
        assert await poster.post(TOLD) == 200
        assert names.asked == [("127.0.0.1", receiver.port)]
        with pytest.raises(PostError, match="not public"):
            await poster.post(TOLD)
        assert (receiver.connections, len(receiver.received)) == (1, 1)


async def test_the_next_address_of_a_name_is_tried(
    receiver: Receiver, poster_of: Callable[..., Poster]
) -> None:
    poster = poster_of(f"http://hook.test:{receiver.port}/a", Names(["::1", "127.0.0.1"]))
    assert await poster.post(TOLD) == 200
    assert receiver.received[0].headers["host"] == f"hook.test:{receiver.port}"


async def test_the_certificate_has_to_be_the_names(
    poster_of: Callable[..., Poster], tls: ssl.SSLContext
) -> None:
    async with receiving(tls) as receiver:
        assert await poster_of(f"https://127.0.0.1:{receiver.port}/").post(TOLD) == 200
        other = poster_of(f"https://hook.test:{receiver.port}/", Names(["127.0.0.1"]))
        with pytest.raises(PostError, match="hook\\.test"):
            await other.post(TOLD)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(
    status: int, receiver: Receiver, poster_of: Callable[..., Poster]
) -> None:
    receiver.answers = [status]
    assert await poster_of(receiver.url).post(TOLD) == status
    assert len(receiver.received) == 1


async def test_of_a_long_answer_only_the_beginning_is_read(
    receiver: Receiver, poster_of: Callable[..., Poster]
) -> None:
    size = 1 << 30
    receiver.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(64 << 20)]
    poster = poster_of(receiver.url)
    assert await poster.post(TOLD) == 200
    assert receiver.written < 32 << 20 > MOST_BYTES
    assert await poster.post(TOLD) == 200


async def test_a_receiver_that_says_nothing_is_left(
    receiver: Receiver, poster_of: Callable[..., Poster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "ANSWER_S", 0.05)
    receiver.hangs = True
    with pytest.raises(PostError, match="Timeout"):
        await asyncio.wait_for(poster_of(receiver.url).post(TOLD), 5)


async def test_garbage_and_a_closed_port_are_failures(
    receiver: Receiver, poster_of: Callable[..., Poster]
) -> None:
    receiver.answers = [b"SSH-2.0-nonsense\r\n\r\n"]
    with pytest.raises(PostError, match="Protocol"):
        await poster_of(receiver.url).post(TOLD)
    with pytest.raises(PostError, match="no address"):
        await poster_of("http://hook.test/", Names([])).post(TOLD)
    with pytest.raises(PostError, match="Connect"):
        await poster_of("http://127.0.0.1:1/").post(TOLD)


@pytest.mark.parametrize(
    ("url", "secret", "reason"),
    [
        ("http://hook.test/", SECRET, "https://"),
        ("ftp://hook.test/", SECRET, "https://"),
        ("hook.test", SECRET, "https://"),
        ("https://", SECRET, "https://"),
        ("https://ann:secret@hook.test/", SECRET, "user"),
        ("https://hook.test:x/", SECRET, "no URL"),
        ("https://hook.test/", "too short", "16 characters"),
        ("https://hook.test/", "whsec_no base64 at all", "base64"),
    ],
)
def test_settings_that_cannot_be_used_are_named(url: str, secret: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        Poster(url, secret, FakeClock(), allow_private=False)

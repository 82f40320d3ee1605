"""The HTTP fallback: a stream or polls down, requests up, the same session all along."""

import asyncio
from typing import Any

import msgspec

from tests.support.node import House, open_house
from unique_cs.domain.flow import Buckets, KeyedBuckets
from unique_cs.gateway.transports import http_stream
from unique_cs.gateway.transports.http_stream import PATH, HttpStream

Frame = dict[str, Any]


class Call:
    """One request to the fallback; what it sends is collected."""

    def __init__(
        self,
        house: House,
        path: str,
        body: Any,
        token: str = "ann",
        query: bytes = b"",
        requests: Buckets | None = None,
    ) -> None:
        self._house = house
        self._sent: list[dict[str, Any]] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self._inbox.put_nowait({"type": "http.request", "body": raw, "more_body": False})
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": query,
            "headers": [(b"authorization", b"Bearer " + token.encode())],
            "client": ("10.0.0.1", 1),
        }
        app = HttpStream(house.gateway, house.gateway.authenticate, requests)
        self.task = asyncio.ensure_future(app(scope, self._inbox.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        await self._flowing.wait()
        self._sent.append(message)

    def stall(self) -> None:
        """The client reads no more."""
        self._flowing.clear()

    def hang_up(self) -> None:
        """The client leaves."""
        self._inbox.put_nowait({"type": "http.disconnect"})

    @property
    def status(self) -> int:
        """The status of the response."""
        return int(self._sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers of the response."""
        return dict(self._sent[0]["headers"])

    @property
    def body(self) -> bytes:
        """The body so far."""
        return b"".join(message.get("body", b"") for message in self._sent[1:])

    def events(self) -> list[Frame]:
        """The frames of a stream so far."""
        lines = self.body.decode().split("\n\n")
        return [msgspec.json.decode(line[6:]) for line in lines if line.startswith("data: ")]

    async def frames(self) -> list[Frame]:
        """The frames of an array, when the response is complete."""
        await self._house.settle()
        await asyncio.wait_for(self.task, 5)
        found: list[Frame] = msgspec.json.decode(self.body)
        return found


def say(n: int, text: str = "hello") -> Frame:
    """A send."""
    return {"type": "send", "n": n, "body": {"kind": "text", "text": text}}


async def stream(house: House, **fields: Any) -> Call:
    """An open stream of Ann."""
    call = Call(house, PATH, {"type": "connect", **fields})
    await house.settle()
    return call


async def test_a_stream_begins_with_connected_and_carries_events(house: House) -> None:
    """`connected` is the first event; a request's send comes down the stream as an event with its n."""
    await house.contact()
    down = await stream(house)
    session = down.events()[0]["session"]
    answers = await Call(house, f"{PATH}/{session}", say(1)).frames()
    assert [(each["type"], each["n"], each["seq"]) for each in answers] == [("sent", 1, 2)]
    await house.settle()
    kinds = [(each["type"], each.get("name"), each.get("n")) for each in down.events()]
    assert kinds == [
        ("connected", None, 0),
        ("subscribed", None, None),
        ("event", "conversation.opened", None),
        ("event", "message.created", 1),
    ]
    assert down.headers[b"content-type"].startswith(b"text/event-stream")
    assert down.headers[b"x-accel-buffering"] == b"no"
    down.hang_up()
    await house.settle()
    await asyncio.wait_for(down.task, 5)


async def test_a_client_that_left_is_forgotten(house: House) -> None:
    """After a disconnect the connection is gone from the hub and the session is free."""
    await house.contact()
    down = await stream(house)
    assert len(house.gateway.hub.connections) == 1
    down.hang_up()
    await asyncio.wait_for(down.task, 5)
    assert not house.gateway.hub.connections


async def test_an_array_of_frames_is_answered_in_order(house: House) -> None:
    """Sends, a repeat, a refusal and a ping of one request are answered in its order of n."""
    await house.contact()
    down = await stream(house)
    session = down.events()[0]["session"]
    up = [say(1), say(2), {"type": "send", "n": 3, "body": {"kind": "nope"}}, say(2), {"type": "ping"}]
    answers = await Call(house, f"{PATH}/{session}", up).frames()
    sent = [each["n"] for each in answers if each["type"] == "sent"]
    assert sent == [1, 2, 2]
    assert [each["code"] for each in answers if each["type"] == "error"] == ["invalid"]
    assert [each["type"] for each in answers].count("pong") == 1
    down.hang_up()


async def test_a_poll_waits_only_when_it_has_nothing_to_say(house: House) -> None:
    """A new session's poll answers at once; with everything known it waits for the next event."""
    await house.contact()
    first = await Call(house, PATH, {"type": "connect"}, query=b"poll=1").frames()
    session = first[0]["session"]
    sent = (await Call(house, f"{PATH}/{session}", say(1)).frames())[0]
    place = {"epoch": house.node.timeline.epoch, "seq": 0}
    body = {"type": "connect", "session": session, "since": {sent["conversation"]: place}}
    news = await Call(house, PATH, body, query=b"poll=1").frames()
    assert [each.get("seq") for each in news[1:]] == [1, 2]
    body["since"] = {sent["conversation"]: {**place, "seq": 2}}
    waiting = Call(house, PATH, body, query=b"poll=1")
    await house.settle()
    assert not waiting.task.done()
    at_once = await Call(house, PATH, {**body, "c": 9}, query=b"poll=1&now=1").frames()
    assert [each["type"] for each in at_once] == ["connected"]
    assert (await waiting.frames())[-1]["code"] == 4409
    waiting = Call(house, PATH, body, query=b"poll=1")
    agent = await house.staff()
    agent.say(1, "hi", sent["conversation"])
    found = await waiting.frames()
    assert found[0]["resumed"]
    assert [each["data"]["body"]["text"] for each in found if each["type"] == "event"] == ["hi"]


async def test_a_poll_waits_behind_the_signals_that_greet_an_agent(house: House) -> None:
    """The count of who waits is told to every connection; it alone does not end a poll."""
    await house.contact()
    peer = await house.peer().connect("ann")
    peer.say(1, "hello")
    await house.settle()
    bob = house.agent("bob")
    first = await Call(house, PATH, {"type": "connect"}, bob, b"poll=1").frames()
    (head,) = first[0]["conversations"]
    since = {head["id"]: {"epoch": head["epoch"], "seq": head["seq"]}}
    body = {"type": "connect", "session": first[0]["session"], "since": since}
    waiting = Call(house, PATH, body, bob, b"poll=1")
    await house.settle()
    assert not waiting.task.done()
    peer.say(2, "anyone?")
    found = await waiting.frames()
    assert {"signal", "event"} <= {each["type"] for each in found}


async def test_a_session_of_another_actor_is_not_there(house: House) -> None:
    """Another actor's session looks as if it did not exist, and a wrong token is refused."""
    await house.contact()
    await house.contact("eve")
    down = await stream(house)
    session = down.events()[0]["session"]
    for token, status in (("eve", 404), ("wrong", 401)):
        call = Call(house, f"{PATH}/{session}", say(1), token)
        await call.task
        assert call.status == status
        assert call.headers[b"content-type"] == b"application/problem+json"
    down.hang_up()


async def test_a_request_on_the_old_road_is_refused(house: House) -> None:
    """Once the session is connected elsewhere, its stream ends with 4409 and requests get a conflict."""
    await house.contact()
    down = await stream(house)
    session = down.events()[0]["session"]
    peer = await house.peer().connect("ann", session=session)
    assert peer.connected["c"] == 2
    await asyncio.wait_for(down.task, 5)
    assert down.events()[-1]["code"] == 4409
    late = Call(house, f"{PATH}/{session}", say(1))
    await late.task
    assert late.status == 409
    assert peer.connected["n"] == 0


async def test_a_request_that_the_next_poll_overtakes_is_sent_again(house: House) -> None:
    """Whenever the poll comes: the client is not told that its session lives elsewhere."""
    await house.contact()
    codes: set[int] = set()
    for steps in range(12):
        first = await Call(house, PATH, {"type": "connect"}, query=b"poll=1&now=1").frames()
        session = first[0]["session"]
        late = Call(house, f"{PATH}/{session}", [say(n) for n in range(1, 9)])
        for _ in range(steps):
            await asyncio.sleep(0)
        poll = Call(house, PATH, {"type": "connect", "session": session}, query=b"poll=1&now=1")
        codes |= {each["code"] for each in await late.frames() if each["type"] == "close"}
        await poll.frames()
    assert codes == {4500}


async def test_what_can_not_be_read_is_a_problem(house: House) -> None:
    """No connect frame, garbage and too much are refused with a problem document."""
    await house.contact()
    for body, status in ((b"x", 400), ({"type": "ping"}, 400), (b"x" * 70_000, 413)):
        call = Call(house, PATH, body)
        await call.task
        assert call.status == status
    assert not house.gateway.hub.connections


async def test_an_idle_stream_is_kept_alive(house: House, monkeypatch: Any) -> None:
    """A comment line goes down when there was nothing to say for a while."""
    monkeypatch.setattr(http_stream, "COMMENT_S", 0.0)
    await house.contact()
    down = await stream(house)
    for _ in range(50):
        await asyncio.sleep(0)
    assert b": alive\n\n" in down.body
    down.hang_up()
    await asyncio.wait_for(down.task, 5)


async def test_requests_of_an_address_are_limited(house: House) -> None:
    """Also of those whose token is none, which the store has to be asked for."""
    await house.contact()
    down = await stream(house)
    path, requests = f"{PATH}/{down.events()[0]['session']}", KeyedBuckets(1, 2)
    for _ in range(2):
        call = Call(house, path, {"type": "ping"}, token="nobody", requests=requests)
        await asyncio.wait_for(call.task, 5)
        assert call.status == 401
    call = Call(house, path, {"type": "ping"}, requests=requests)
    await asyncio.wait_for(call.task, 5)
    assert (call.status, call.headers[b"retry-after"]) == (429, b"2")
    down.hang_up()


async def test_every_request_counts_for_the_same_signals() -> None:
    """A request is a connection of its own for the server, and not for the limit."""
    async with open_house(rates=True, signals_per_second=1) as house:
        peer, conversation = await house.talk()
        agent = await house.staff()
        peer.hang_up()
        typing = {"type": "typing", "conversation": conversation, "on": True}
        path = f"{PATH}/{peer.connected['session']}"
        for _ in range(9):
            assert await Call(house, path, typing).frames() == []
        assert [frame["name"] for frame in agent.take("signal")].count("typing") == 5


async def test_a_stream_that_is_not_read_takes_no_end_of_frames() -> None:
    """Those for the stream itself wait there, as many as on any road; then the client has to wait too."""
    async with open_house(max_queue=200_000) as house:
        _, conversation = await house.talk(*(f"{n}-" + "x" * 4_000 for n in range(60)))
        down = await stream(house)
        path = f"{PATH}/{down.events()[0]['session']}"
        down.stall()
        since = {"epoch": house.node.timeline.epoch, "seq": 0}
        ask = {"type": "subscribe", "conversation": conversation, "since": since, "x": "x" * 10_000}
        calls = [await _status(Call(house, path, ask)) for _ in range(30)]
        assert calls.index(503) in range(15, 30)
        assert set(calls) == {200, 503}
        down.task.cancel()


async def _status(call: Call) -> int:
    await asyncio.wait_for(call.task, 5)
    return call.status

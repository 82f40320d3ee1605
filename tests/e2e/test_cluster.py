"""Several nodes behind a balancer, with real Redis and MariaDB: what each promises, all promise together."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.crowd import talking
from tests.support.farm import farming
from tests.support.mariadb import MariaDb
from tests.support.raw import RawSocket
from tests.support.world import inhabited, until

RATE = 400


@pytest.mark.slow
async def test_people_on_different_nodes_talk(tmp_path: Path, mariadb: MariaDb) -> None:
    async with farming(tmp_path, mariadb, 3) as farm, inhabited(farm) as town:
        async with talking(town, visitors=12, rate=RATE) as talkers:
            await asyncio.sleep(3)
        assert await talkers.finish(30) == len(talkers.sends)
        assert await town.verdict() == []


@pytest.mark.slow
async def test_nodes_tell_each_other(tmp_path: Path, mariadb: MariaDb) -> None:
    """Signals, presence, a newer connection of a session, a block: each is felt on the other node."""
    async with farming(tmp_path, mariadb, 2) as farm, inhabited(farm) as town, AsyncExitStack() as stack:
        here, there = (node.url for node in farm.nodes)
        guest, staff = await town.contact("guest"), await town.agent()
        ann = await stack.enter_async_context(RawSocket(here))
        connected = await ann.connect(guest.token)
        await ann.send({"type": "send", "n": 1, "body": {"kind": "text", "text": "hello"}})
        conversation = (await ann.until("sent"))["conversation"]
        bob = await stack.enter_async_context(RawSocket(there))
        await bob.connect(staff.token)
        await ann.send({"type": "typing", "conversation": conversation, "on": True})
        await bob.until("signal", name="typing", conversation=conversation)
        await bob.send({"type": "read", "conversation": conversation, "seq": 2})
        await ann.until("signal", name="read", conversation=conversation)
        newer = await stack.enter_async_context(RawSocket(there))
        await newer.connect(guest.token, session=connected["session"], c=9)
        await ann.until("close", code=4409)
        await newer.socket.close()
        await bob.until("signal", name="presence", data={"online": False})
        back = await stack.enter_async_context(RawSocket(here))
        await back.connect(guest.token)
        await bob.until("signal", name="presence", data={"online": True})
        await staff.call("PATCH", f"/contacts/{connected['actor']['id']}", {"blocked": True})
        await back.until("close", code=4403)
        await staff.call("POST", "/auth/logout")
        await bob.until("close", code=4401)
        again = await stack.enter_async_context(RawSocket(there))
        await again.send({"type": "connect", "token": staff.token})
        await again.until("close", code=4401)


@pytest.mark.slow
async def test_a_session_that_went_on_while_its_node_was_paused(tmp_path: Path, mariadb: MariaDb) -> None:
    """The older connection is told when the node wakes, and what it still sends is stored nowhere."""
    async with farming(tmp_path, mariadb, 2) as farm, inhabited(farm) as town, AsyncExitStack() as stack:
        here, there = (node.url for node in farm.nodes)
        guest = await town.contact("guest")
        older = await stack.enter_async_context(RawSocket(here))
        session = (await older.connect(guest.token))["session"]
        await older.send({"type": "send", "n": 1, "body": {"kind": "text", "text": "1"}})
        conversation = (await older.until("sent"))["conversation"]
        os.kill(farm.nodes[0].pid, signal.SIGSTOP)
        try:
            newer = await stack.enter_async_context(RawSocket(there))
            await newer.connect(guest.token, session=session, c=9, acked=1)
            await older.send({"type": "send", "n": 2, "body": {"kind": "text", "text": "late"}})
            await newer.send({"type": "send", "n": 2, "body": {"kind": "text", "text": "2"}})
            await newer.until("sent", n=2)
        finally:
            os.kill(farm.nodes[0].pid, signal.SIGCONT)
        await older.until("close", code=4409)
        events = (await guest.call("GET", f"/conversations/{conversation}/events"))["events"]
        said = [each["data"]["body"]["text"] for each in events if each["name"] == "message.created"]
        assert said == ["1", "2"]


@pytest.mark.slow
async def test_people_talk_while_the_database_stands_still(tmp_path: Path, own_mariadb: MariaDb) -> None:
    """A new visitor comes, agents answer, everybody reads; then the archive gets all of it."""
    async with farming(tmp_path, own_mariadb, 2) as farm, inhabited(farm) as town, AsyncExitStack() as stack:
        here, there = (node.url for node in farm.nodes)
        bob = await stack.enter_async_context(RawSocket(there))
        await bob.connect((await town.agent()).token)
        with own_mariadb.paused():
            async with asyncio.timeout(20):
                guest = await town.contact("guest")
                ann = await stack.enter_async_context(RawSocket(here))
                session = (await ann.connect(guest.token))["session"]
                await ann.send({"type": "send", "n": 1, "body": {"kind": "text", "text": "hello"}})
                conversation = (await ann.until("sent"))["conversation"]
                await bob.until("event", name="message.created", conversation=conversation)
                reply = {"kind": "text", "text": "hi"}
                await bob.send({"type": "send", "n": 1, "conversation": conversation, "body": reply})
                await bob.until("sent", n=1)
                await ann.until("event", name="message.created", seq=3)
                elsewhere = await stack.enter_async_context(RawSocket(there))
                assert (await elsewhere.connect(guest.token, session=session, acked=1))["resumed"]
                page = await guest.call("GET", f"/conversations/{conversation}/events")
                assert [each["seq"] for each in page["events"]] == [1, 2, 3]
        place = own_mariadb.sql(
            "SELECT table_schema FROM information_schema.tables WHERE table_name = 'relay'"
        )
        archived = f"SELECT seq FROM events WHERE conversation = {conversation} ORDER BY seq"
        await until(lambda: own_mariadb.sql(archived, place[0][0]) == [["1"], ["2"], ["3"]], 30)

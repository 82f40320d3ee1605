"""Several nodes behind a balancer, with real Redis and MariaDB: what each promises, all promise together."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.crowd import talking
from tests.support.farm import farming
from tests.support.mariadb import MariaDb
from tests.support.raw import RawSocket
from tests.support.world import inhabited

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

"""What the settings make of the alarm and the webhook."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.node import DEADLINE_S, House, open_house, turns
from tests.support.receiver import SECRET, receiving
from unique_cs.config import Settings, read_settings
from unique_cs.errors import SettingsError
from unique_cs.storage.outbox import SqlOutbox
from unique_cs.storage.sqlite import SqliteDatabase
from unique_cs.watching import Watching

HOOK: dict[str, Any] = {"webhook_url": "https://hook.test/", "webhook_secret": SECRET}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as opened:
        yield opened


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = await SqliteDatabase.open(tmp_path / "archive.sqlite")
    yield opened
    await opened.close()


def names(house: House, database: SqliteDatabase, **settings: Any) -> list[str]:
    return [name for name, _ in Watching(Settings(**settings), database, house.node).jobs()]


async def test_without_an_address_there_is_an_alarm_and_no_webhook(
    house: House, database: SqliteDatabase
) -> None:
    assert names(house, database, webhook_events="message.created") == ["backlog", "waker"]
    assert names(house, database, **HOOK) == ["backlog", "waker", "webhook"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"webhook_secret": ""}, "16 characters"),
        ({"webhook_url": "http://hook.test/"}, "https://"),
        ({"webhook_events": "message.created, message.lost"}, r"WEBHOOK_EVENTS knows no event message\.lost"),
    ],
)
async def test_what_cannot_be_used_is_named(
    house: House, database: SqliteDatabase, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        Watching(Settings(**{**HOOK, **settings}), database, house.node)


def test_the_switch_is_read_as_others_are() -> None:
    assert read_settings({"UNIQUE_CS_WEBHOOK_ALLOW_PRIVATE": "on"}).webhook_allow_private
    with pytest.raises(SettingsError, match="UNIQUE_CS_ALARM_REDIS_PERCENT"):
        read_settings({"UNIQUE_CS_ALARM_REDIS_PERCENT": "101"})


async def test_the_alarm_reads_the_node_and_tells_its_agents(house: House, database: SqliteDatabase) -> None:
    """From a conversation that waits to the agent's signal and the receiver."""
    agent, outbox = await house.staff(), SqlOutbox(database)
    await house.talk()
    house.clock.wall_ms += 700_000
    async with receiving() as receiver:
        settings = Settings(
            webhook_url=receiver.url, webhook_secret=SECRET, webhook_allow_private=True, alarm_waiting=1
        )
        watching = Watching(settings, database, house.node)
        (_, backlog), _, (_, webhook) = watching.jobs()
        tasks = [asyncio.ensure_future(backlog())]
        async with asyncio.timeout(DEADLINE_S):
            while len(await outbox.due(10)) < 2:
                await turns(1)
        tasks.append(asyncio.ensure_future(webhook()))
        await house.until(lambda: len(receiver.received) == 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await watching.close()
    told = [frame["data"] for frame in agent.take("signal") if frame["name"] == "backlog"]
    assert [(each["alarm"], each["value"]) for each in told] == [("waiting", 1), ("oldest_wait", 700)]
    assert [each.told["data"] for each in receiver.received] == told

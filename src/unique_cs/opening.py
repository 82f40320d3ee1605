"""Opening the stores that the settings name: one process alone, or one node of a cluster."""

import os
import socket
import time

from unique_cs.config import PREFIX, Settings
from unique_cs.errors import SettingsError
from unique_cs.node import Tiers
from unique_cs.ports import Clock
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.embedded import Embedded
from unique_cs.storage.hot import Hot
from unique_cs.storage.sql import Database
from unique_cs.storage.stores import bind, open_cold, open_hot, share


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


def check_stores(settings: Settings) -> None:
    """Raise `SettingsError` where the addresses can't be used. Opens nothing."""
    # A process alone has no use for the drivers, and starts sooner without them.
    if settings.redis_url:
        from unique_cs.cluster.shard import Shard  # noqa: PLC0415

        if not settings.database_url:
            raise SettingsError(f"{PREFIX}REDIS_URL needs {PREFIX}DATABASE_URL: nodes share both")
        Shard(settings.redis_url)
    if settings.database_url:
        from unique_cs.storage.mysql_url import MySqlUrl  # noqa: PLC0415

        MySqlUrl.parse(settings.database_url)


async def open_stores(settings: Settings, clock: Clock) -> tuple[Database, Tiers]:
    """Open the cold tier and what is above it. Raises `SettingsError` that says what can't be had."""
    check_stores(settings)
    hot = open_hot(settings.data_dir)
    try:
        database = await open_cold(settings.data_dir, settings.database_url)
        if settings.redis_url:
            return database, await _open_cluster(settings, hot, database, clock)
        await bind(hot, database)
        return database, Embedded(hot, SqlArchive(database), clock)
    except BaseException:
        hot.close()
        raise


async def _open_cluster(settings: Settings, hot: Hot, database: Database, clock: Clock) -> Tiers:
    from unique_cs.cluster.tiers import ClusterTiers  # noqa: PLC0415

    await share(hot, database)
    machine = os.environ.get("POD_IP") or socket.gethostname()
    place = f"{machine}:{settings.data_dir.resolve()}"
    archive = SqlArchive(database)
    return await ClusterTiers.open_tiers(
        settings.redis_url, database, archive, hot, clock, place, settings.session_days
    )

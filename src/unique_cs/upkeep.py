"""What an operator does to an installation from the command line, with the server stopped or running."""

from collections.abc import Callable
from secrets import token_urlsafe

from msgspec.structs import replace

from unique_cs.actions.passwords import hash_password
from unique_cs.config import PREFIX, Settings
from unique_cs.errors import SettingsError
from unique_cs.gateway.transports.mqtt_bridge import read_broker_url
from unique_cs.listeners import tls_context
from unique_cs.node import Node
from unique_cs.opening import SystemClock, check_stores
from unique_cs.plugins import check_plugins
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.embedded import Embedded
from unique_cs.storage.hand_over import hand_over
from unique_cs.storage.hot import Hot
from unique_cs.storage.installation import renew_epoch
from unique_cs.storage.move import is_moved, move
from unique_cs.storage.records import SqlRecords
from unique_cs.storage.schema import HEAD
from unique_cs.storage.sql import Database
from unique_cs.storage.stores import GENERATION, archive_file, bind, fact_of, open_cold, open_hot
from unique_cs.watching import Watching, check_webhook


def check(settings: Settings) -> None:
    """Raise `SettingsError` where `serve` would, as far as that shows without opening or making anything."""
    tls_context(settings)
    check_stores(settings)
    check_webhook(settings, SystemClock())
    check_plugins(settings.plugins, settings.plugin_options)
    if settings.mqtt_bridge_url:
        read_broker_url(settings.mqtt_bridge_url)


async def reset_password(settings: Settings, email: str) -> str:
    """Give an agent a random password and end its logins; return it. For an owner who lost theirs."""
    if not settings.database_url:
        _check_installation(settings)
    database = await open_cold(settings.data_dir, settings.database_url)
    try:
        records = await SqlRecords.open(database)
        agent = records.agent_by_email(email)
        if agent is None:
            raise SettingsError(f"there is no agent {email}")
        password = token_urlsafe(12)
        phc = hash_password(password)
        await records.change_agent(agent.id, lambda known: replace(known, password=phc))
        await records.delete_logins(agent.id, keep=0)
    finally:
        await database.close()
    return password


def new_epoch(settings: Settings) -> str:
    """Give the numbering of all timelines a new name, which is returned. The server must not be running."""
    hot = open_hot(settings.data_dir)
    try:
        return renew_epoch(hot)
    finally:
        hot.close()


async def migrate(settings: Settings) -> str:
    """Bring the database to the schema of this version; return the revision. Nodes may be running."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = await open_cold(settings.data_dir, settings.database_url)
    await database.close()
    return HEAD


async def move_to_mysql(settings: Settings, tell: Callable[[str], None]) -> None:
    """Take the installation in the data folder to the database, where several nodes may go on with it.

    Where it is there already, so is what was added since. The server must not run.
    """
    if not settings.database_url:
        raise SettingsError(f"{PREFIX}DATABASE_URL has to say where to")
    if not (settings.data_dir / "hot").exists():
        raise SettingsError(f"{PREFIX}DATA_DIR {settings.data_dir} holds no installation")
    target = await open_cold(settings.data_dir, settings.database_url)
    hot = open_hot(settings.data_dir)
    try:
        if await is_moved(target, hot):
            await _archive(settings, target, hot, tell)
            # It only ends what was begun: of a source nothing is read any more.
            await move(target, target, hot, tell)
        else:
            await _move_from_sqlite(settings, target, hot, tell)
        if not await fact_of(target, GENERATION):
            await hand_over(target, hot, tell)
    finally:
        hot.close()
        await target.close()


async def _move_from_sqlite(
    settings: Settings, target: Database, hot: Hot, tell: Callable[[str], None]
) -> None:
    _check_installation(settings)
    source = await open_cold(settings.data_dir, "")
    try:
        await bind(hot, source)
        await _archive(settings, source, hot, tell)
        await move(source, target, hot, tell)
    finally:
        await source.close()


async def _archive(settings: Settings, database: Database, hot: Hot, tell: Callable[[str], None]) -> None:
    """Let the database have all that the hot tier has, unless a cluster went on with it."""
    if await fact_of(database, GENERATION):
        return
    node = Node(Embedded(hot, SqlArchive(database), SystemClock()), SystemClock())
    watching = Watching(settings, database, node)
    await node.relay.move_all()
    await watching.close()
    node.group.close()
    tell("the hot tier is archived")


def _check_installation(settings: Settings) -> None:
    if not archive_file(settings.data_dir).exists():
        raise SettingsError(f"{PREFIX}DATA_DIR {settings.data_dir} holds no installation")

"""The composition root: reads the settings, opens the adapters, starts and drains."""

import asyncio
import gc
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any, Final
from weakref import WeakValueDictionary

from litestar.types import ASGIApp
from prometheus_client import generate_latest

from unique_cs.actions.agents import Team
from unique_cs.actions.auth import Auth
from unique_cs.actions.contacts import ContactPorts
from unique_cs.actions.first_start import FirstStart, first_start
from unique_cs.actions.passwords import Passwords
from unique_cs.actions.tokens import ContactTokens
from unique_cs.api.app import create_api
from unique_cs.api.cors import Cors
from unique_cs.api.deps import Deps
from unique_cs.config import PREFIX, Settings
from unique_cs.domain.flow import AddressBuckets, Buckets
from unique_cs.domain.origins import AllowedOrigins
from unique_cs.errors import Code, StorageUnavailable, UniqueCsError
from unique_cs.gateway.door import Accept, Admit, Upgrades
from unique_cs.gateway.echo import admit_echo
from unique_cs.gateway.limits import Limits
from unique_cs.gateway.origin import OriginPolicy, TrustedProxies
from unique_cs.gateway.sending import admit_request
from unique_cs.gateway.server import HttpServer
from unique_cs.gateway.transports import mqtt_endpoint
from unique_cs.gateway.transports.http_stream import HttpStream
from unique_cs.gateway.transports.mqtt_bridge import open_bridge
from unique_cs.gateway.transports.subprotocols import Subprotocols
from unique_cs.jobs.watch import Watch
from unique_cs.listeners import Handed, Listeners, tls_context
from unique_cs.machine import allow_files, memory_bytes, most_connections
from unique_cs.node import Node
from unique_cs.opening import SystemClock, open_stores
from unique_cs.plugins import Plugins, load_plugins
from unique_cs.protocol.handshake import Refusal, UpgradeRequest
from unique_cs.protocol.notices import Changed
from unique_cs.storage.archive import SqlArchive
from unique_cs.storage.records import SqlRecords
from unique_cs.storage.sql import Database
from unique_cs.telemetry import log, metrics
from unique_cs.watching import Watching

COLLECT: Final = (1_000, 10, 100)
"""Thresholds of the garbage collector. A full collection looks at every session (40 ms for 10,000 of them),
and what is held long is hardly ever in a cycle: let it be rare. Young garbage goes as ever."""

RELOAD_S: Final = 30.0
"""How soon a node of a cluster knows of changed inboxes and agents whatever happens."""

SWITCH_S: Final = 0.0005
"""How soon a worker thread that finished a flush gets the interpreter back from a busy loop."""


class App:
    """One running process. Made by `start`, which returns when it is ready; `stop` drains it."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        records: SqlRecords,
        node: Node,
        plugins: Plugins,
        listeners: Listeners,
    ) -> None:
        self._settings = settings
        self._database = database
        self._records = records
        self._node = node
        self._plugins = plugins
        self._subprotocols = Subprotocols(plugins.codecs)
        self._archive = SqlArchive(database)
        self._tokens = ContactTokens(node.secret, settings.contact_token_days)
        self._passwords = Passwords()
        self._auth = self._make_auth()
        self._gateway = node.open_gateway(self._auth.authenticate, _limits(settings), random.SystemRandom())
        self._mqtt = mqtt_endpoint.Endpoint(self._gateway)
        self._proxies = TrustedProxies(_names(settings.trusted_proxies))
        self._bridge = open_bridge(self._gateway, settings.mqtt_bridge_url)
        self._watching = Watching(settings, database, node)
        self._listeners = listeners
        self._files = allow_files()
        self._requests = self._make_requests()
        self._deps = self._make_deps()
        self._server = self._make_server()
        self._share_records()
        self.broken = node.broken
        self.port: int = listeners.http[0].getsockname()[1]
        self.made: FirstStart | None = None

    @classmethod
    async def start(cls, settings: Settings, handed: Handed | None = None) -> "App":
        """Take the ports or those `handed`, open the stores, accept.

        Raises `SettingsError` that says what can't be had.
        """
        _warn(settings)
        listeners = Listeners(settings, _limits(settings), handed)
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        plugins = _load_plugins(settings)
        clock = SystemClock()
        database, tiers = await open_stores(settings, clock)
        node = Node(tiers, clock)
        app = cls(settings, database, await SqlRecords.open(database), node, plugins, listeners)
        await tiers.ready()
        app.made = await first_start(
            app._records,
            app.next_id,
            email=settings.owner_email,
            password=settings.owner_password,
            inbox_key=settings.inbox_key,
        )
        await app._server.start()
        await listeners.start(app._gateway, app._mqtt, app._proxies, app._deps)
        await plugins.start(app._gateway)
        app._start_jobs()
        _warn_of_files(settings)
        sys.setswitchinterval(SWITCH_S)
        # What is here now stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT)
        return app

    def next_id(self) -> int:
        """A new id."""
        return self._node.next_id()

    @property
    def inbox_key(self) -> str:
        """The key of the first inbox, for the demo."""
        inboxes = self._records.inboxes()
        return inboxes[0].key if inboxes else ""

    def _make_auth(self) -> Auth:
        settings, node = self._settings, self._node
        return Auth(
            self._records,
            node.contacts,
            self._tokens,
            self._passwords,
            node.clock,
            self.next_id,
            login_days=settings.login_days,
            logins_per_minute=settings.logins_per_minute if settings.rate_limits else None,
            make_buckets=node.tiers.make_buckets,
        )

    def _make_server(self) -> HttpServer:
        settings = self._settings
        routes: dict[str, Admit] = {"/ws": self._admit, mqtt_endpoint.PATH: self._mqtt.admit}
        if settings.echo:
            routes |= {"/ws/echo": admit_echo, "/": admit_echo}
        allowed = AllowedOrigins(_names(settings.allowed_origins), self._inbox_origins)
        return HttpServer(
            Cors(self._with_fallback(create_api(self._deps)), allowed),
            self._listeners.http,
            Upgrades(routes, OriginPolicy(allowed, self._proxies), self._proxies),
            trusted_proxies=_names(settings.trusted_proxies),
            tls=tls_context(settings),
            places=self._places_at_the_door,
        )

    def _places_at_the_door(self) -> int:
        """How many strangers may be at the door; the other files are for stores and requests."""
        return self._files * 7 // 8 - self._gateway.hub.open

    def _share_records(self) -> None:
        """Let the other nodes know what is changed here, and the other way round."""
        node, peers = self._node, self._node.tiers.peers
        if peers is not None:
            self._records.on_change = lambda: peers.tell(Changed())
            node.on_changed = lambda: node.attempt(self._records.reload())
            node.on_ended = self._auth.forget
            node.on_missed = self._doubt
            # A notice may be lost.
            node.start(_now_and_then(self._records.reload))

    def _doubt(self) -> None:
        self._auth.doubt()
        self._node.attempt(self._records.reload())

    def _inbox_origins(self) -> Iterable[str]:
        return chain.from_iterable(inbox.allowed_origins for inbox in self._records.inboxes())

    def _with_fallback(self, api: ASGIApp) -> ASGIApp:
        """The API, with the HTTP fallback of the wire beside it."""
        stream = HttpStream(self._gateway, self._auth.authenticate, self._requests)

        async def serve_either(scope: Any, receive: Any, send: Any) -> None:
            fallback = scope["type"] == "http" and stream.takes(scope["path"])
            await (stream if fallback else api)(scope, receive, send)

        return serve_either

    def _admit(self, request: UpgradeRequest, address: str) -> Accept | Refusal:
        refused = self._gateway.admit(address)
        if refused is not None:
            status, seconds = refused
            return Refusal(status, "Too many connections, come back later.", retry_after=seconds)
        return self._subprotocols.accept(self._gateway, request, address)

    def _make_deps(self) -> Deps:
        settings, node = self._settings, self._node
        contact_ports = ContactPorts(
            self._records,
            node.contacts,
            node.timeline,
            self._tokens,
            node.clock,
            self.next_id,
            WeakValueDictionary(),
        )
        return Deps(
            node.timeline,
            node.contacts,
            self._records,
            self._archive,
            node.clock,
            self._auth,
            Team(self._records, self._auth, self._passwords, self.next_id),
            contact_ports,
            self._gateway.hub,
            node.tiers.caught_up,
            lambda: generate_latest(metrics.registry),
            parts=[
                ("hot tier", self._check_hot),
                ("cold tier", self._check_cold),
                ("gateway", self._check_gateway),
            ],
            metrics_token=settings.metrics_token,
            admit_sender=partial(admit_request, self._gateway),
            admit_visitor=self._gateway.pressure.admit_connect,
            max_body=settings.max_frame,
            max_text=settings.max_text,
            requests=self._requests,
        )

    def _make_requests(self) -> Buckets | None:
        if not self._settings.rate_limits:
            return None
        rate = self._settings.requests_per_ip
        return AddressBuckets(self._node.tiers.make_buckets("request", rate, 2 * rate))

    async def _check_hot(self) -> None:
        self._node.tiers.admit()

    async def _check_cold(self) -> None:
        # With a server away chat goes on, and a balancer must not take that for a reason to send nobody.
        if not self._settings.database_url:
            await self._archive.cursor()
        if self._node.relay.stopped:
            raise UniqueCsError(Code.INTERNAL, f"the relay stopped: {self._node.relay.stopped}")

    async def _check_gateway(self) -> None:
        if self._gateway.draining:
            raise StorageUnavailable("draining")

    def _start_jobs(self) -> None:
        settings, node = self._settings, self._node
        node.start(Watch([self._watch_disk, node.each_second], _log_failure).run())
        for work in node.tiers.upkeep(settings.hot_hours, settings.session_days):
            node.start(work)
        if self._bridge is not None:
            node.start(node.tiers.alone("mqtt-bridge", self._bridge.run))
        for name, job in self._watching.jobs():
            node.start(node.tiers.alone(name, job))

    def _watch_disk(self) -> None:
        free, total = self._node.hot.space()
        metrics.free_bytes.set(free)
        reserve = min(self._settings.disk_reserve_mb << 20, total // 8)
        self._node.group.block("the disk is nearly full" if free < reserve else "")

    async def stop(self) -> None:
        """Send everybody away with 4503, make everything accepted durable, close the stores."""
        seconds = self._settings.drain_ms / 1000
        self._server.stop_accepting()
        self._mqtt.stop_accepting()
        await self._listeners.let_in(seconds)
        self._listeners.stop_accepting(seconds)
        self._plugins.stop_accepting()
        await self._gateway.drain(seconds)
        if self._bridge is not None:
            await self._bridge.flush(seconds)
        await self._plugins.close()
        await self._server.close(seconds)
        await self._listeners.close()
        await self._node.close()
        await self._watching.close()
        await self._database.close()
        log.info("stopped")


async def serve(settings: Settings, announce: Callable[[App], None], handed: Handed | None = None) -> bool:
    """Run until SIGTERM or SIGINT, and return true; false if it ended because a part of it had failed.

    `announce` is called when it is ready. A worker has its ports `handed`.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = await App.start(settings, handed)
    announce(app)
    told, broken = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(app.broken.wait())
    await asyncio.wait((told, broken), return_when=asyncio.FIRST_COMPLETED)
    broken.cancel()
    told.cancel()
    await app.stop()
    return stop.is_set()


def _warn(settings: Settings) -> None:
    """Say what was asked for and is not safe, or not there."""
    if settings.echo:
        log.warning("the echo endpoints are on; turn them off in production", setting=f"{PREFIX}ECHO")
    if not settings.rate_limits:
        log.warning("rate limits are off; turn them on in production", setting=f"{PREFIX}RATE_LIMITS")


def _warn_of_files(settings: Settings) -> None:
    if most_connections() < settings.max_connections:
        log.warning(
            "the system's bound on open files bounds the connections",
            connections=most_connections(),
            setting=f"{PREFIX}MAX_CONNECTIONS",
        )


def _load_plugins(settings: Settings) -> Plugins:
    folder = settings.data_dir / "plugins"
    return load_plugins(settings.plugins, settings.plugin_options, folder, tls_context(settings))


def _limits(settings: Settings) -> Limits:
    shared = {name: getattr(settings, name) for name in Limits._fields if name != "rates"}
    shared["max_memory_mb"] = settings.max_memory_mb or memory_bytes() * 9 // 10 >> 20
    shared["max_connections"] = min(settings.max_connections, most_connections())
    return Limits(rates=settings.rate_limits, **shared)


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


async def _now_and_then(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(RELOAD_S)
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # it is tried again
            _log_failure(error)


def _log_failure(error: Exception) -> None:
    log.error("housekeeping failed", error=repr(error))

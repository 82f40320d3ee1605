"""The bridge: serves the MQTT topics through a broker that a company runs already, as one of its clients."""

import asyncio
import math
import select
import ssl
from functools import partial
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from aiomqtt import Client, Message, MqttError, ProtocolVersion

from unique_cs.errors import SettingsError
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.transports.mqtt_lines import Lines, Parcel
from unique_cs.telemetry import log, metrics

SHARE: Final = "$share/unique-cs/ucs/v1/+/up"

CLIENT_ID: Final = "unique-cs-bridge"
"""One for all: a broker has room for one bridge, and a process that starts again takes its place at once."""

WINDOW: Final = 20
"""PUBLISH packets without a PUBACK. Brokers commonly allow this many, and paho does not ask."""

KEEP_ALIVE_S: Final = 15

LOOK_S: Final = 0.5
"""How often the socket is read without being asked to."""

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0

STEADY_S: Final = 10.0
"""A connection that held less long counts as a failure: two bridges push each other out ever less often."""

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class BrokerAddress(NamedTuple):
    """Where a broker is, and how to sign in."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None


def read_broker_url(url: str) -> BrokerAddress:
    """`mqtt://user:password@host:port`, or `mqtts`. Raises `SettingsError`, which does not repeat it."""
    parts = _split(url)
    if parts is None or parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
        raise SettingsError(
            "UNIQUE_CS_MQTT_BRIDGE_URL is not mqtt://user:password@host:port, nor mqtts://…; "
            "in user and password write special characters as %40"
        )
    return BrokerAddress(
        parts.hostname,
        parts.port or _PORTS[parts.scheme],
        parts.scheme == "mqtts",
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


class Bridge:
    """Keeps itself connected to a broker for as long as `run` runs.

    One runs at a time: a broker spreads the messages of one client over all members of a share, and their
    order would be lost. In a cluster, `run` is started on the node that holds a lease, and cancelled there.
    """

    def __init__(self, gateway: Gateway, address: BrokerAddress) -> None:
        self._rng = gateway.rng
        self._address = address
        self._lines = Lines(gateway)
        # Made once, as it reads the system's certificates.
        self._tls = ssl.create_default_context() if address.tls else None
        self._wait_s = FIRST_WAIT_S
        self._joined_at = math.inf

    async def run(self) -> None:
        """Serve until cancelled; come back after a while whenever the broker is lost."""
        where = f"{self._address.host}:{self._address.port}"
        while True:
            pause = await self._attempt(where)
            await asyncio.sleep(pause)

    async def _attempt(self, where: str) -> float:
        """Be there as long as it goes; return the seconds to stay away afterwards."""
        loop = asyncio.get_running_loop()
        self._joined_at = math.inf
        try:
            await self._visit(where)
        except* (MqttError, OSError) as errors:
            log.warning("no MQTT broker", broker=where, reason=_reason(errors))
        finally:
            metrics.bridge.connected.set(0)
            self._lines.lose()
        if loop.time() > self._joined_at + STEADY_S:
            self._wait_s = FIRST_WAIT_S
        pause = self._rng.uniform(0, self._wait_s)
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        return pause

    async def flush(self, seconds: float) -> None:
        """Return when the broker has everything that was said, at the latest after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._lines.outgoing.empty.wait()
        except TimeoutError:
            log.warning("the MQTT broker did not take everything")

    async def _visit(self, where: str) -> None:
        async with self._client() as broker, asyncio.TaskGroup() as tasks:
            broker.pending_calls_threshold = WINDOW
            codes = await broker.subscribe(SHARE, qos=1)
            if any(getattr(code, "value", code) >= 0x80 for code in codes):
                raise MqttError("it refused the subscription")
            log.info("the MQTT broker is there", broker=where)
            metrics.bridge.connected.set(1)
            self._joined_at = asyncio.get_running_loop().time()
            self._lines.find_again()
            tasks.create_task(self._publish_all(broker, tasks))
            tasks.create_task(_look(broker))
            async for message in broker.messages:
                self._take(message)

    def _client(self) -> Client:
        address = self._address
        options: dict[str, Any] = {"clean_start": True, "socket_options": [(IPPROTO_TCP, TCP_NODELAY, 1)]}
        return Client(
            address.host,
            address.port,
            username=address.user,
            password=address.password,
            identifier=CLIENT_ID,
            protocol=ProtocolVersion.V5,
            keepalive=KEEP_ALIVE_S,
            max_inflight_messages=WINDOW,
            tls_context=self._tls,
            **options,
        )

    def _take(self, message: Message) -> None:
        payload = message.payload
        if message.retain or not isinstance(payload, bytes | bytearray):
            metrics.bridge.ignored.inc()
            return
        try:
            self._lines.receive(message.topic.value.split("/")[2], bytes(payload))
        except Exception as error:  # noqa: BLE001  # a fault of ours must not end the others' connections
            log.exception("a message could not be handled", error=repr(error))

    async def _publish_all(self, broker: Client, tasks: asyncio.TaskGroup) -> None:
        """Publish in order, as many at once as the window lets."""
        window = asyncio.Semaphore(WINDOW)
        while True:
            await window.acquire()
            parcel = await self._lines.outgoing.take()
            topic = f"ucs/v1/{parcel.client}/down"
            task = tasks.create_task(broker.publish(topic, parcel.payload, qos=1))
            task.add_done_callback(partial(self._published, parcel, window))

    def _published(self, parcel: Parcel, window: asyncio.Semaphore, _: asyncio.Task[None]) -> None:
        self._lines.outgoing.done(parcel)
        window.release()


async def _look(broker: Client) -> None:
    """Notice a reset that came behind data: uvloop calls a reader once for both, and never again."""
    paho = broker._client  # noqa: SLF001  # aiomqtt has no name for it
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            for _ in range(1_000):
                sock = paho.socket()
                if sock is None or not _is_readable(sock.fileno()):
                    break
                paho.loop_read()
        except Exception as error:
            raise MqttError(repr(error)) from error


def _is_readable(descriptor: int) -> bool:
    look = select.poll()
    look.register(descriptor, select.POLLIN)
    return bool(look.poll(0))


def open_bridge(gateway: Gateway, url: str) -> Bridge | None:
    """The bridge to the broker at `url`, for `run`; None where it is empty. Raises `SettingsError`."""
    return Bridge(gateway, read_broker_url(url)) if url else None


def _reason(errors: BaseException) -> str:
    """What the broker or the network said first."""
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return str(errors.__cause__ or errors)

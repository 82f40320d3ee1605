"""Through a real Mosquitto: devices on a company's broker, which is killed under load."""

import asyncio
import json
import random
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import aiomqtt
import pytest

from tests.support import mqtt
from tests.support.door import make_certificate
from tests.support.mosquitto import BRIDGE, SECRET, Mosquitto, mosquitto
from tests.support.world import Person, World, answered, inhabited, running, until
from unique_cs.bench.process import ServerError, ServerProcess, free_port
from unique_cs.client import Connected, Phase, Rest, Sent
from unique_cs.gateway.transports.mqtt_bridge import CLIENT_ID, LONGEST_WAIT_S, SHARE
from unique_cs.protocol.mqtt_packets import V5, packet

Frame = dict[str, Any]
DEADLINE = 10.0
TEXT = {"kind": "text", "text": "hello"}
CONNECTED = "unique_cs_mqtt_bridge_connected"


@asynccontextmanager
async def bridged(folder: Path, *users: str) -> AsyncIterator[tuple[Mosquitto, ServerProcess, World]]:
    """A broker, a server that has joined it, and people."""
    async with (
        mosquitto(folder / "broker", *users) as broker,
        running(folder, rate_limits="off", mqtt_bridge_url=broker.bridge_url) as server,
        inhabited(server) as town,
    ):
        await joined(server)
        yield broker, server, town


async def joined(server: ServerProcess, value: float = 1) -> None:
    """Wait until the bridge is there, or gone; it backs off where a broker goes again soon."""
    async with asyncio.timeout(DEADLINE + LONGEST_WAIT_S):
        while (await server.metrics())[CONNECTED] != value:
            await asyncio.sleep(0.05)


def said(server: ServerProcess, what: str) -> bool:
    """Whether it stands in the log."""
    return what in server.log.read_text()


class Device:
    """Some MQTT client on the broker."""

    def __init__(self, client: aiomqtt.Client, name: str) -> None:
        self.client = client
        self.topic = f"ucs/v1/{name}/"
        self._messages = client.messages

    async def send(self, **frame: Any) -> None:
        await self.client.publish(self.topic + "up", json.dumps(frame), qos=1)

    async def next(self) -> Frame:
        """The next frame that came down."""
        message = await asyncio.wait_for(anext(self._messages), DEADLINE)
        assert isinstance(message.payload, bytes)
        frame: Frame = json.loads(message.payload)
        return frame

    async def until(self, kind: str) -> Frame:
        """The next frame of this type."""
        while True:
            frame = await self.next()
            if frame["type"] == kind:
                return frame


@asynccontextmanager
async def device(
    broker: Mosquitto, name: str, version: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5
) -> AsyncIterator[Device]:
    """A device that has subscribed to its `down`."""
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, username=name, password=SECRET, identifier=name, protocol=version
    ) as client:
        await client.subscribe(f"ucs/v1/{name}/down", qos=1)
        yield Device(client, name)


@pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
async def test_a_device_talks_with_an_agent(tmp_path: Path, version: aiomqtt.ProtocolVersion) -> None:
    """Both ways, whichever MQTT the device speaks; then the session moves to a WebSocket."""
    async with bridged(tmp_path, "till") as (broker, _, town):
        owner, rest = await town.owner(), await town.contact("mia")
        async with device(broker, "till", version) as till:
            await till.send(type="connect", token=rest.token, c=1)
            connected = await till.until("connected")
            await till.send(type="send", n=1, body=TEXT)
            sent = await till.until("sent")
            await until(lambda: "hello" in owner.texts(sent["conversation"]))
            await answered([owner.say("welcome", sent["conversation"])])
            assert (await till.until("event"))["data"]["body"]["text"] == "welcome"
            raw = await town.raw()
            await raw.send({"type": "connect", "token": rest.token, "session": connected["session"], "c": 2})
            assert (await till.until("close"))["code"] == 4409


async def test_two_devices_and_a_wrong_token(tmp_path: Path) -> None:
    async with bridged(tmp_path, "one", "two") as (broker, _, town):
        ann, eve = await town.contact("ann"), await town.contact("eve")
        async with device(broker, "one") as one, device(broker, "two") as two:
            await two.send(type="connect", token="wrong")
            assert (await two.until("close"))["code"] == 4401
            await one.send(type="connect", token=ann.token)
            await two.send(type="connect", token=eve.token)
            names = [(await each.until("connected"))["actor"]["name"] for each in (one, two)]
            assert names == ["ann", "eve"]
            # Another actor on the topic of the first, as on a broker without rules: nobody notices.
            await one.send(type="connect", token=eve.token)
            await one.send(type="ping")
            assert (await one.next())["type"] == "pong"
            await one.send(type="connect", token=ann.token)
            assert (await one.next())["type"] == "connected"


async def test_the_rules_of_the_guide_keep_devices_apart(tmp_path: Path) -> None:
    async with bridged(tmp_path, "one", "two") as (broker, server, town):
        ann = await town.contact("ann")
        async with device(broker, "one") as one, device(broker, "two") as two:
            await two.client.subscribe("ucs/v1/+/down", qos=1)
            await two.client.subscribe("ucs/v1/one/down", qos=1)
            await one.send(type="connect", token=ann.token)
            await one.until("connected")
            await two.client.publish("ucs/v1/one/up", json.dumps({"type": "close"}), qos=1)
            await two.client.publish("ucs/v1/one/down", json.dumps({"type": "close"}), qos=1)
            await two.send(type="ping")
            assert (await two.next())["code"] == 4500
            await one.send(type="ping")
            assert (await one.next())["type"] == "pong"
        with pytest.raises(aiomqtt.MqttError, match="authori"):
            async with aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5):
                raise AssertionError("anybody gets in")
        assert (await server.metrics())["unique_cs_mqtt_bridge_connections"] == 1


async def test_garbage_is_ignored(tmp_path: Path) -> None:
    """10,000 messages of nobody cost memory of nobody, and others are served."""
    async with bridged(tmp_path, "till", "noise") as (broker, server, town):
        rest, resident = await town.contact("mia"), server.resident()
        async with device(broker, "noise") as noise, device(broker, "till") as till:
            await till.send(type="connect", token=rest.token)
            await till.until("connected")
            rng = random.Random(1)
            for _ in range(200):
                payloads = [
                    rng.choice((b"", b"\xff" * 100, b"{}", b'{"type":', b"x" * 9_000)) for _ in range(50)
                ]
                await asyncio.gather(
                    *(noise.client.publish("ucs/v1/noise/up", payload, qos=1) for payload in payloads)
                )
            await till.send(type="send", n=1, body=TEXT)
            await till.until("sent")
        metrics = await server.metrics()
        assert metrics["unique_cs_mqtt_bridge_ignored_total"] >= 10_000
        assert server.resident() - resident < 32 << 20


async def test_a_server_that_was_started_again_calls_its_devices(tmp_path: Path) -> None:
    """Their first frame after a `kill -9` is answered with `close`, and the session goes on."""
    async with bridged(tmp_path, "till") as (broker, server, town):
        rest = await town.contact("mia")
        async with device(broker, "till") as till:
            await till.send(type="connect", token=rest.token, c=1)
            session = (await till.until("connected"))["session"]
            await till.send(type="send", n=1, body=TEXT)
            sent = await till.until("sent")
            await server.kill()
            await server.start()
            await joined(server)
            await till.send(type="ping")
            assert (await till.until("close"))["code"] == 4500
            await till.send(type="connect", token=rest.token, session=session, c=2)
            assert (await till.until("connected"))["resumed"]
            await till.send(type="send", n=1, body=TEXT)
            assert (await till.until("sent"))["id"] == sent["id"]


async def test_a_stop_is_announced(tmp_path: Path) -> None:
    async with mosquitto(tmp_path / "broker", "till") as broker:
        async with (
            running(tmp_path, mqtt_bridge_url=broker.bridge_url) as server,
            inhabited(server) as town,
        ):
            await joined(server)
            rest = await town.contact("mia")
            async with device(broker, "till") as till:
                await till.send(type="connect", token=rest.token)
                await till.until("connected")
                stopping = asyncio.ensure_future(server.stop())
                assert (await till.until("close"))["code"] == 4503
                assert await stopping == 0
        assert SECRET not in server.log.read_text()


async def test_the_server_is_ready_without_the_broker(tmp_path: Path) -> None:
    async with bridged(tmp_path, "till") as (broker, server, _):
        await broker.end()
        await joined(server, 0)
        assert await server.status("/readyz") == 200
        assert said(server, "no MQTT broker")
        await broker.start()
        await joined(server)


async def test_a_second_bridge_never_shares(tmp_path: Path) -> None:
    """The broker lets only the newest in; devices that stayed hear of it when ours is back."""
    async with bridged(tmp_path, "till") as (broker, server, town):
        rest = await town.contact("mia")
        async with device(broker, "till") as till:
            await till.send(type="connect", token=rest.token, c=1)
            session = (await till.until("connected"))["session"]
            async with aiomqtt.Client(
                "127.0.0.1",
                broker.port,
                username=BRIDGE,
                password=SECRET,
                identifier=CLIENT_ID,
                protocol=aiomqtt.ProtocolVersion.V5,
            ) as other:
                await until(partial(said, server, "no MQTT broker"))
                # Ours comes back by itself, and pushes the other one out.
                with pytest.raises(aiomqtt.MqttError):
                    await asyncio.wait_for(anext(other.messages), DEADLINE)
            assert (await till.until("close"))["code"] == 4500
            await till.send(type="connect", token=rest.token, session=session, c=2)
            assert (await till.until("connected"))["resumed"]


async def test_a_reset_behind_data_is_noticed(tmp_path: Path) -> None:
    """Where the kernel tells of both at once, the event loop shows the data only."""
    visits: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(CLIENT_ID.encode())
        writer.write(packet(0x20, b"\0\0\0"))
        await reader.readuntil(SHARE.encode())
        writer.write(packet(0x90, b"\0\1\0\1"))
        visits.put_nowait(writer)

    async with await asyncio.start_server(broker, "127.0.0.1", 0) as listener:
        url = f"mqtt://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with running(tmp_path, mqtt_bridge_url=url) as server:
            first = await asyncio.wait_for(visits.get(), DEADLINE)
            await joined(server)
            first.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            first.write(20 * mqtt.publish(V5, "ucs/v1/x/up", b"garbage", packet_id=0))
            first.close()
            again = await asyncio.wait_for(visits.get(), DEADLINE)
            again.close()


async def test_over_tls(tmp_path: Path) -> None:
    """The broker's certificate is checked: without trust in it the bridge stays away."""
    certificate, port = make_certificate(tmp_path / "broker.pem"), free_port()
    async with mosquitto(tmp_path / "broker", "till", tls=(port, certificate)) as broker:
        url = broker.bridge_url.replace("mqtt:", "mqtts:").replace(str(broker.port), str(port))
        for trusts in (False, True):
            environ = {"UNIQUE_CS_MQTT_BRIDGE_URL": url}
            environ |= {"SSL_CERT_FILE": str(certificate)} if trusts else {}
            server = ServerProcess(tmp_path / f"data{trusts}", environ=environ)
            await server.start()
            try:
                if trusts:
                    await joined(server)
                else:
                    await until(partial(said, server, "CERTIFICATE_VERIFY_FAILED"))
            finally:
                assert await server.stop() == 0


async def test_an_address_that_is_none_ends_the_start(tmp_path: Path) -> None:
    for url in ("mqtt://:hidden@", "redis://u:hidden@host", "mqtt://u:hidden@host:port"):
        server = ServerProcess(tmp_path / "data", environ={"UNIQUE_CS_MQTT_BRIDGE_URL": url})
        with pytest.raises(ServerError, match="UNIQUE_CS_MQTT_BRIDGE_URL"):
            await server.start()
        assert "hidden" not in server.log.read_text()


@pytest.mark.slow
async def test_the_broker_is_killed_under_load(tmp_path: Path) -> None:
    """Three devices and an agent, all through the broker: nothing is lost, doubled or reordered."""
    async with bridged(tmp_path, "ann", "eve", "bob", "desk") as (broker, server, town):

        async def person(name: str, rest: Rest, *, contact: bool = True) -> Person:
            addresses = {"mqtt": broker.url(name)}
            return await town.client(name, rest, contact=contact, roads=("mqtt",), addresses=addresses)  # type: ignore[arg-type]

        desk = await person("desk", await town.agent(), contact=False)
        visitors = [await person(name, await town.contact(name)) for name in ("ann", "eve", "bob")]
        firsts = await answered([visitor.say(f"first {i}") for i, visitor in enumerate(visitors)])
        await until(lambda: {first.conversation for first in firsts} <= desk.recorder.positions().keys())
        sends: list[asyncio.Future[object]] = []

        async def talk() -> None:
            for i in range(10_000):
                for number, visitor in enumerate(visitors):
                    sends.append(visitor.say(f"v{number}.{i}"))
                    sends.append(desk.say(f"d{number}.{i}", firsts[number].conversation))
                await asyncio.sleep(0.02)

        talking = asyncio.create_task(talk())
        for _ in range(3):
            await asyncio.sleep(1)
            await broker.kill()
            await asyncio.sleep(0.3)
            await broker.start()
            await joined(server)
            await until(lambda: all(each.session.phase is Phase.LIVE for each in (desk, *visitors)), 20)
        talking.cancel()
        answers = await answered(sends, 30)
        assert all(isinstance(answer, Sent) for answer in answers)
        connects = [sum(isinstance(item, Connected) for item in each.recorder.told) for each in visitors]
        sys.stdout.write(f"{len(answers)} messages, 3 kills, connected {connects} times\n")
        assert min(connects) >= 4
        assert await town.verdict() == []

"""Real MQTT clients against a real server: paho, aiomqtt, mosquitto's tools, npm's; TCP, WebSocket, TLS."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import pytest_asyncio
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from tests.support.debian import program
from tests.support.door import make_certificate
from tests.support.npm import install, node
from tests.support.world import World, answered, inhabited, running, until
from unique_cs.bench.process import ServerProcess, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frame = dict[str, Any]
V311, V5 = aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5
DEADLINE = 10.0


class MqttServer:
    """A running server and its MQTT port."""

    def __init__(self, server: ServerProcess, port: int) -> None:
        self.server = server
        self.port = port


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mqtt(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MqttServer]:
    port = free_port()
    folder = tmp_path_factory.mktemp("mqtt")
    async with running(folder, rate_limits="off", mqtt_port=str(port)) as server:
        yield MqttServer(server, port)


@pytest_asyncio.fixture(loop_scope="module")
async def town(mqtt: MqttServer) -> AsyncIterator[World]:
    async with inhabited(mqtt.server) as made:
        yield made


class Line:
    """A session over one aiomqtt client."""

    def __init__(self, client: aiomqtt.Client, name: str) -> None:
        self._client = client
        self._name = name
        self._messages = client.messages

    async def send(self, **frame: Any) -> None:
        """Publish a frame with QoS 1."""
        await self._client.publish(f"ucs/v1/{self._name}/up", json.dumps(frame), qos=1)

    async def until(self, kind: str) -> Frame:
        """The next frame of this type."""
        async with asyncio.timeout(DEADLINE):
            async for message in self._messages:
                assert isinstance(message.payload, bytes)
                frame: Frame = json.loads(message.payload)
                if frame["type"] == kind:
                    return frame
        raise AssertionError("the stream ended")


@asynccontextmanager
async def line(
    mqtt: MqttServer, token: str | None, name: str, version: aiomqtt.ProtocolVersion, **fields: Any
) -> AsyncIterator[Line]:
    """A client that has subscribed to its `down`."""
    where: dict[str, Any] = {"hostname": "127.0.0.1", "port": mqtt.port, "protocol": version, **fields}
    async with aiomqtt.Client(
        **where, username="x", password=token, identifier=name, timeout=DEADLINE
    ) as client:
        await client.subscribe(f"ucs/v1/{name}/down", qos=1)
        yield Line(client, name)


TEXT = {"kind": "text", "text": "hello"}


@pytest.mark.parametrize("version", [V311, V5])
async def test_aiomqtt_talks_with_an_agent_and_resumes(
    mqtt: MqttServer, town: World, version: aiomqtt.ProtocolVersion
) -> None:
    owner, rest = await town.owner(), await town.contact("mia")
    async with line(mqtt, rest.token, "mia-1", version) as mia:
        await mia.send(type="connect", c=1)
        connected = await mia.until("connected")
        await mia.send(type="send", n=1, body=TEXT)
        sent = await mia.until("sent")
        assert (sent["n"], sent["seq"]) == (1, 2)
        await until(lambda: "hello" in owner.texts(sent["conversation"]))
        await answered([owner.say("welcome", sent["conversation"])])
        assert (await mia.until("event"))["data"]["body"]["text"] == "welcome"
        await mia.send(type="ping")
        await mia.until("pong")
    await answered([owner.say("still there?", sent["conversation"])])
    epoch = (await rest.events(sent["conversation"]))["epoch"]
    async with line(mqtt, rest.token, "mia-2", version) as mia:
        since = {sent["conversation"]: {"epoch": epoch, "seq": 3}}
        await mia.send(type="connect", session=connected["session"], c=2, since=since)
        assert (await mia.until("connected"))["resumed"]
        assert (await mia.until("event"))["data"]["body"]["text"] == "still there?"
        await mia.send(type="send", n=1, body=TEXT)
        assert (await mia.until("sent"))["seq"] == sent["seq"]


async def test_many_sends_of_qos_1(mqtt: MqttServer, town: World) -> None:
    """200 sends in flight are answered each once and in order."""
    rest = await town.contact("busy")
    async with line(mqtt, rest.token, "busy", V5) as busy:
        await busy.send(type="connect")
        await busy.until("connected")
        await asyncio.gather(*(busy.send(type="send", n=n, body=TEXT) for n in range(1, 201)))
        assert [(await busy.until("sent"))["n"] for _ in range(200)] == list(range(1, 201))


async def test_over_websocket(mqtt: MqttServer, town: World) -> None:
    rest = await town.contact("page")
    where: dict[str, Any] = {"port": mqtt.server.port, "transport": "websockets", "websocket_path": "/mqtt"}
    async with line(mqtt, rest.token, "page", V5, **where) as page:
        await page.send(type="connect")
        await page.until("connected")
        await page.send(type="send", n=1, body=TEXT)
        assert (await page.until("sent"))["n"] == 1


async def test_over_tls(tmp_path: Path) -> None:
    certificate, port = make_certificate(tmp_path / "server.pem"), free_port()
    trust = ssl.create_default_context(cafile=certificate)
    server = ServerProcess(
        tmp_path / "data",
        environ={"UNIQUE_CS_MQTT_PORT": str(port), "UNIQUE_CS_TLS_CERTIFICATE": str(certificate)},
    )
    starting = asyncio.ensure_future(server.start())
    try:
        await _until_open(port)
        with pytest.raises(aiomqtt.MqttCodeError, match=r"ot authori[sz]ed"):
            async with line(MqttServer(server, port), "wrong", "tls", V5, tls_context=trust):
                raise AssertionError("it got in")
    finally:
        starting.cancel()
        assert await server.stop() == 0


async def _until_open(port: int) -> None:
    """Wait until somebody listens."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def test_the_usual_port_may_be_taken(tmp_path: Path) -> None:
    """A server that was not told a port starts without MQTT over TCP where a broker has the usual one."""
    with socket.socket() as broker:
        broker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # taken already: just as well
            broker.bind(("0.0.0.0", 1883))  # the address that the server listens on
            broker.listen()
        async with running(tmp_path, mqtt_port="1883") as server:
            assert "MQTT over TCP is off" in server.tail()


async def test_a_port_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = ServerProcess(tmp_path / "data", environ={"UNIQUE_CS_MQTT_PORT": str(port)})
        with pytest.raises(Exception, match=f"UNIQUE_CS_MQTT_PORT {port} can't be had"):
            await server.start()


class Paho:
    """A blocking paho client whose callbacks end up on the loop."""

    def __init__(self, name: str, token: str | None, version: MQTTProtocolVersion) -> None:
        self._loop = asyncio.get_running_loop()
        self.codes: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        clean = None if version == MQTTProtocolVersion.MQTTv5 else True
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=version, clean_session=clean
        )
        self.client.username_pw_set("any", token)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_publish = self._on_publish
        self.client.on_message = self._on_message

    def _tell(self, what: str, value: Any) -> None:
        self._loop.call_soon_threadsafe(self.codes.put_nowait, (what, value))

    def _on_connect(self, client: Any, data: Any, flags: Any, code: ReasonCode, properties: Any) -> None:
        self._tell("connect", (code.value, flags.session_present))

    def _on_disconnect(self, client: Any, data: Any, flags: Any, code: ReasonCode, properties: Any) -> None:
        self._tell("disconnect", code.value)

    def _on_subscribe(
        self, client: Any, data: Any, number: int, codes: list[ReasonCode], properties: Any
    ) -> None:
        self._tell("subscribe", [code.value for code in codes])

    def _on_publish(self, client: Any, data: Any, number: int, code: ReasonCode, properties: Any) -> None:
        self._tell("publish", code.value)

    def _on_message(self, client: Any, data: Any, message: paho.MQTTMessage) -> None:
        self._tell("frame", json.loads(message.payload))

    async def next(self, what: str) -> Any:
        """The next thing of this kind that it was told."""
        while True:
            found, value = await asyncio.wait_for(self.codes.get(), DEADLINE)
            if found == what:
                return value


@asynccontextmanager
async def paho_client(
    port: int, name: str, token: str | None, version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5
) -> AsyncIterator[Paho]:
    made = Paho(name, token, version)
    made.client.connect_async("127.0.0.1", port, keepalive=60)
    made.client.loop_start()
    try:
        yield made
    finally:
        made.client.disconnect()
        await asyncio.to_thread(made.client.loop_stop)


async def test_paho_gets_the_reasons(mqtt: MqttServer, town: World) -> None:
    rest, other = await town.contact("pat"), await town.contact("eve")
    async with paho_client(mqtt.port, "pat", rest.token) as pat:
        assert await pat.next("connect") == (0, False)
        filters = [("ucs/v1/pat/down", 2), ("ucs/v1/+/down", 0), ("ucs/v1/eve/down", 0), ("$share/a/b", 0)]
        pat.client.subscribe(filters)
        assert await pat.next("subscribe") == [1, 0xA2, 0x87, 0x9E]
        pat.client.publish("ucs/v1/eve/up", b"{}", qos=1)
        assert await pat.next("publish") == 0x87
        pat.client.publish("ucs/v1/pat/up", b'{"type":"connect"}', qos=1)
        assert (await pat.next("frame"))["type"] == "connected"
        async with paho_client(mqtt.port, "pat", other.token) as eve:
            assert (await eve.next("connect"))[0] == 0x87
        async with paho_client(mqtt.port, "pat", rest.token) as again:
            assert await again.next("connect") == (0, False)
            frame = await pat.next("frame")
            assert (frame["type"], frame["code"]) == ("close", 4409)
            assert await pat.next("disconnect") == 0x8E
            pat.client.disconnect()
            again.client.publish("ucs/v1/again/up", b"{}", qos=0)
            assert await again.next("disconnect") == 0x87


async def test_paho_311(mqtt: MqttServer, town: World) -> None:
    rest = await town.contact("old")
    async with paho_client(mqtt.port, "old", rest.token, MQTTProtocolVersion.MQTTv311) as old:
        assert await old.next("connect") == (0, False)
        old.client.subscribe([("ucs/v1/old/down", 1), ("#", 0)])
        assert await old.next("subscribe") == [1, 0x80]
        old.client.publish("ucs/v1/old/up", b'{"type":"connect"}', qos=1)
        assert (await old.next("frame"))["type"] == "connected"
    async with paho_client(mqtt.port, "old", "wrong", MQTTProtocolVersion.MQTTv311) as wrong:
        assert (await wrong.next("connect"))[0] == 0x87  # what paho makes of return code 5


async def test_paho_gets_a_client_id(mqtt: MqttServer, town: World) -> None:
    rest = await town.contact("nameless")
    async with paho_client(mqtt.port, "", rest.token) as nameless:
        assert (await nameless.next("connect"))[0] == 0


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
async def test_mosquitto_listens_and_speaks(mqtt: MqttServer, town: World, version: str) -> None:
    """Debian's tools subscribe, publish with QoS 1, and hear of a refusal."""
    sub, rest = program("mosquitto_sub", "mosquitto-clients"), await town.contact("shell")
    common = ("-h", "127.0.0.1", "-p", str(mqtt.port), "-V", version, "-u", "x", "-q", "1")
    me = ("-i", "shell", "-P", rest.token or "")
    listening = await _run(sub, *common, *me, "-t", "ucs/v1/shell/down", "-W", "1", "-d")
    assert "CONNACK (0)" in listening
    assert "Subscribed" in listening
    pub = program("mosquitto_pub", "mosquitto-clients")
    frame = json.dumps({"type": "connect"})
    speaking = await _run(pub, *common, *me, "-t", "ucs/v1/shell/up", "-m", frame, "-d")
    assert "PUBACK" in speaking
    refused = await _run(pub, *common, "-i", "shell", "-P", "wrong", "-t", "ucs/v1/shell/up", "-m", "x")
    assert "ot authori" in refused


@pytest.fixture(scope="module")
def mqtt_js(request: pytest.FixtureRequest) -> Path:
    """The folder of npm's `mqtt`, which is installed once, into pytest's cache."""
    cache = request.config.cache
    assert cache is not None
    return install(cache.mkdir("npm-mqtt"), "mqtt@5") / "mqtt"


async def test_npm_mqtt(mqtt: MqttServer, town: World, tmp_path: Path, mqtt_js: Path) -> None:
    """The `mqtt` of npm, of both versions, over TCP and WebSocket."""
    rest = await town.contact("npm")
    script = tmp_path / "talk.cjs"
    script.write_text(_NPM)
    for url in (f"mqtt://127.0.0.1:{mqtt.port}", f"ws://127.0.0.1:{mqtt.server.port}/mqtt"):
        for version in ("4", "5"):
            said = await _run(node(), str(script), str(mqtt_js), url, version, rest.token or "")
            assert said.split()[:2] == ["connected", "sent"], said


_NPM = """
const [, , folder, url, version, token] = process.argv
const client = require(folder).connect(url, {
  protocolVersion: Number(version), clientId: 'npm', username: 'x', password: token, reconnectPeriod: 0,
})
const up = (frame) => client.publish('ucs/v1/npm/up', JSON.stringify(frame), { qos: 1 })
client.on('error', (error) => { console.log(String(error)); process.exit(1) })
client.on('connect', () => client.subscribe('ucs/v1/npm/down', { qos: 1 }, () => up({ type: 'connect' })))
client.on('message', (_, payload) => {
  const frame = JSON.parse(payload)
  if (frame.type === 'connected') up({ type: 'send', n: 1, body: { kind: 'text', text: 'hi' } })
  if (!['subscribed', 'event'].includes(frame.type)) console.log(frame.type, frame.code || '')
  if (frame.type === 'sent') client.end(false, () => process.exit(0))
})
client.on('close', () => console.log('closed'))
setTimeout(() => { console.log('too late'); process.exit(2) }, 8000)
"""


async def _run(*command: str) -> str:
    """What a program says."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), DEADLINE)
    return said.decode()

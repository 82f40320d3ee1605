"""The desk's calls over gRPC, health and reflection, and npm's client with the definition alone."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.support.grpc_line import Desk, Frame, begin, channel
from tests.support.npm import install, node
from tests.support.world import World, running
from unique_cs.bench.process import ServerProcess, free_port
from unique_cs.gateway.transports.grpc_tools import MOST_ASKING
from unique_cs.v1 import messaging_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).resolve().parents[2]
PROTO, DOCS = ROOT / "proto", ROOT / "docs"


@pytest.fixture(scope="module")
def port() -> int:
    """Where gRPC is."""
    return free_port()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, port: int) -> AsyncIterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("grpc")
    async with running(folder, rate_limits="off", grpc_port=str(port)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def road(server: ServerProcess, port: int) -> AsyncIterator[grpc.aio.Channel]:
    async with channel(port) as made:
        yield made


# The desk


async def test_the_desk_lists_assigns_transfers_and_reads(road: grpc.aio.Channel, town: World) -> None:
    _, sent = await begin(road, (await town.contact("desk")).token)
    name, owner = sent["conversation"], await town.agent()
    me = (await owner.call("GET", "/me"))["agent"]["id"]
    fields = {"name": "Mei", "email": "mei@example.com", "role": "agent", "password": "correct horse battery"}
    other = (await owner.call("POST", "/agents", fields))["id"]
    desk = Desk(road, owner.token)
    page = await desk.ask("ListConversations", pb.ListConversationsRequest(), pb.ListConversationsResponse)
    assert page["conversations"] == untagged((await owner.conversations())["conversations"]) != []
    given = await desk.ask(
        "AssignConversation", pb.AssignConversationRequest(), pb.Conversation, conversation=name, agent=me
    )
    assert given["assignee"]["id"] == me
    passed = {"conversation": name, "agent": other}
    request, answer = pb.TransferConversationRequest, pb.Conversation
    given = await desk.ask("TransferConversation", request(), answer, **passed)
    assert given["assignee"] == {"id": other, "name": "Mei"}
    with pytest.raises(grpc.aio.AioRpcError) as conflict:
        await desk.ask("TransferConversation", request(), answer, **passed)
    assert said(conflict.value) == (StatusCode.ABORTED, "conflict")
    fields = {"conversation": name, "status": "resolved"}
    given = await desk.ask("SetConversationStatus", pb.SetConversationStatusRequest(), answer, **fields)
    assert given == untagged(await owner.conversation(name))
    history = await desk.ask("ListEvents", pb.ListEventsRequest(), pb.ListEventsResponse, conversation=name)
    assert [event["seq"] for event in history["events"]] == [1, 2, 3, 4, 5]
    assert history["events"] == untagged((await owner.events(name))["events"])
    page = await desk.ask(
        "ListEvents", pb.ListEventsRequest(), pb.ListEventsResponse, conversation=name, after=1, limit=2
    )
    assert ([event["seq"] for event in page["events"]], page["more"]) == ([2, 3], True)


def untagged(value: Any) -> Any:
    """What REST shows, without the `type` of events: over gRPC their place tells what they are."""
    if isinstance(value, list):
        return [untagged(each) for each in value]
    if isinstance(value, dict):
        return {name: untagged(each) for name, each in value.items() if (name, each) != ("type", "event")}
    return value


def said(error: grpc.aio.AioRpcError) -> tuple[StatusCode, Any]:
    """The status of a refusal and our code in it."""
    trailing = error.trailing_metadata()
    assert trailing is not None
    return error.code(), dict(trailing).get("unique-cs-code")


async def test_the_desk_refuses_as_rest_does(road: grpc.aio.Channel, town: World) -> None:
    rest = await town.contact("curious")
    _, sent = await begin(road, rest.token)
    asked: list[tuple[Desk, str, Any, Frame, tuple[StatusCode, str]]] = [
        (
            Desk(road, None),
            "ListEvents",
            pb.ListEventsRequest(),
            {},
            (StatusCode.UNAUTHENTICATED, "unauthorized"),
        ),
        (
            Desk(road, rest.token),
            "SetConversationStatus",
            pb.SetConversationStatusRequest(),
            {"conversation": sent["conversation"], "status": "resolved"},
            (StatusCode.PERMISSION_DENIED, "forbidden"),
        ),
        (
            Desk(road, rest.token),
            "ListEvents",
            pb.ListEventsRequest(),
            {"conversation": "1"},
            (StatusCode.NOT_FOUND, "not_found"),
        ),
        (
            Desk(road, rest.token),
            "ListConversations",
            pb.ListConversationsRequest(),
            {"limit": 101},
            (StatusCode.INVALID_ARGUMENT, "invalid"),
        ),
    ]
    for desk, name, request, fields, wanted in asked:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await desk.ask(name, request, pb.ListEventsResponse, **fields)
        assert said(refused.value) == wanted
    listed = pb.ListConversationsRequest(), pb.ListConversationsResponse
    page = await Desk(road, rest.token).ask("ListConversations", *listed)
    assert [each["id"] for each in page["conversations"]] == [sent["conversation"]]


# What gRPC's tools ask for


async def test_who_needs_no_token_holds_nothing(road: grpc.aio.Channel) -> None:
    """Calls that stay for as long as a client likes are few, and there is no way to watch."""
    watch: Any = road.unary_stream("/grpc.health.v1.Health/Watch")
    assert await watch(b"").code() is StatusCode.UNIMPLEMENTED
    asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    calls: list[Any] = []
    for _ in range(MOST_ASKING + 1):
        info: Any = road.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")()
        await info.write(asked)
        calls.append(info)
        if len(calls) <= MOST_ASKING:
            assert await info.read() is not grpc.aio.EOF
    assert await calls[-1].code() is StatusCode.RESOURCE_EXHAUSTED
    for info in calls:
        info.cancel()


async def test_health_and_reflection(road: grpc.aio.Channel) -> None:
    check: Any = road.unary_unary("/grpc.health.v1.Health/Check")
    for name in ("", "unique_cs.v1.Messaging", "unique_cs.v1.Desk"):
        payload = health_pb2.HealthCheckRequest(service=name).SerializeToString()
        answer = health_pb2.HealthCheckResponse.FromString(await check(payload))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    info: Any = road.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")()
    for request in (
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="unique_cs.v1.Messaging"),
    ):
        await info.write(request.SerializeToString())
    services = reflection_pb2.ServerReflectionResponse.FromString(await info.read())
    names = {each.name for each in services.list_services_response.service}
    assert {"unique_cs.v1.Messaging", "unique_cs.v1.Desk", "grpc.health.v1.Health"} <= names
    files = reflection_pb2.ServerReflectionResponse.FromString(await info.read())
    described = files.file_descriptor_response.file_descriptor_proto
    assert pb.DESCRIPTOR.serialized_pb in described
    await info.done_writing()


# Clients that know the definition only


@pytest.mark.parametrize("guide", ["guides/grpc.md", "zh-CN/guides/grpc.md"])
async def test_the_example_of_the_guide(port: int, town: World, tmp_path: Path, guide: str) -> None:
    """It is run as it stands, with code that is generated as the guide says."""
    rest = await town.contact("reader")
    [example] = re.findall(r"^```python\n(.*?)^```", (DOCS / guide).read_text(), re.MULTILINE | re.DOTALL)
    [generate] = re.findall(r"^python (-m grpc_tools.*)$", (DOCS / guide).read_text(), re.MULTILINE)
    (tmp_path / "proto").symlink_to(PROTO)
    await run(tmp_path, *generate.split())
    for folder in ("unique_cs", "unique_cs/v1"):  # else the installed package is found first
        (tmp_path / folder / "__init__.py").touch()
    script = example.replace("chat.example.com:8081", f"127.0.0.1:{port}")
    script += f"\n\nimport asyncio\n\nasyncio.run(main({rest.token!r}))\n"
    (tmp_path / "talk.py").write_text(script)
    await run(tmp_path, "talk.py")
    [conversation] = (await rest.conversations())["conversations"]
    assert conversation["last_message"]["data"]["body"]["text"] == "hello"


async def run(folder: Path, *words: str) -> None:
    """Run Python in a folder."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=folder, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, said.decode()


@pytest.fixture(scope="module")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """What npm has of gRPC, which is installed once, into pytest's cache."""
    assert request.config.cache is not None
    home = request.config.cache.mkdir("npm-grpc")
    return install(home, "@grpc/grpc-js@1", "@grpc/proto-loader@0.8")


async def test_grpc_js(port: int, town: World, tmp_path: Path, node_modules: Path) -> None:
    """The client of npm reads the definition itself: connects, sends, resumes with a replay, half-closes."""
    owner, rest = await town.agent(), await town.contact("node")
    script = tmp_path / "talk.cjs"
    script.write_text(_NODE)
    process = await asyncio.create_subprocess_exec(
        node(),
        script,
        env={**os.environ, "NODE_PATH": str(node_modules)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    where = {"address": f"127.0.0.1:{port}", "proto": str(PROTO), "tokens": [rest.token, owner.token]}
    said, _ = await asyncio.wait_for(process.communicate(json.dumps(where).encode()), 30)
    assert process.returncode == 0, said.decode()
    assert json.loads(said) == {
        "sent": [1, 2],
        "replayed": ["two"],
        "repeated": 2,
        "closed": 1000,
        "status": 0,
        "listed": "two",
        "refused": ["not_found", 5],
    }


_NODE = """
const grpc = require('@grpc/grpc-js')
const loader = require('@grpc/proto-loader')
const { address, proto, tokens } = JSON.parse(require('fs').readFileSync(0))
const options = { keepCase: true, longs: Number, oneofs: true, includeDirs: [proto] }
const { Messaging, Desk } = grpc.loadPackageDefinition(
  loader.loadSync('unique_cs/v1/messaging.proto', options)).unique_cs.v1
const plain = grpc.credentials.createInsecure()
setTimeout(() => { console.log('too late'); process.exit(2) }, 20000)

function talk(connect, on) {
  const call = new Messaging(address, plain).Connect()
  let goodbye = null
  call.on('data', (one) => {
    if (one.frame === 'close') goodbye = one.close.code
    on(one.frame, one[one.frame], call)
  })
  call.on('error', () => {}) // the status says it, too
  call.write({ connect: { token: tokens[0], ...connect } })
  return new Promise((resolve) => call.on('status', ({ code }) => resolve({ closed: goodbye, status: code })))
}

async function main() {
  const send = (n, text) => ({ send: { n, body: { text: { text } } } })
  const found = { sent: [], replayed: [] }
  let session, first, epoch
  await talk({ c: 1 }, (kind, frame, call) => {
    if (kind === 'connected') {
      session = frame.session
      call.write(send(1, 'one'))
      call.write(send(2, 'two'))
    }
    if (kind === 'subscribed') epoch = frame.epoch
    if (kind === 'sent') { found.sent.push(frame.n); first ??= frame }
    if (found.sent.length === 2) call.cancel()
  })
  const since = { [first.conversation]: { epoch, seq: first.seq } }
  Object.assign(found, await talk({ c: 2, session, since }, (kind, frame, call) => {
    if (kind === 'event') found.replayed.push(frame.message_created.body.text.text)
    if (kind === 'event') { call.write(send(2, 'two')); call.end() }
    if (kind === 'sent') found.repeated = frame.n
  }))
  const metadata = new grpc.Metadata()
  metadata.set('authorization', 'Bearer ' + tokens[1])
  const desk = new Desk(address, plain)
  const list = await new Promise((resolve, reject) =>
    desk.ListConversations({}, metadata, (error, page) => (error ? reject(error) : resolve(page))))
  const mine = list.conversations.find((one) => one.id === first.conversation)
  found.listed = mine.last_message.message_created.body.text.text
  found.refused = await new Promise((resolve) =>
    desk.ListEvents({ conversation: '1' }, metadata, (error) =>
      resolve([error.metadata.get('unique-cs-code')[0], error.code])))
  console.log(JSON.stringify(found))
  process.exit(0)
}
main().catch((error) => { console.log(error); process.exit(1) })
"""

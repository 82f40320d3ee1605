"""Behind Debian's nginx: the fallback with its default settings, WebSocket where the upgrade is passed on."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.debian import program
from tests.support.world import answered, inhabited, running, until
from unique_cs.bench.process import free_port
from unique_cs.client import Connected, Road, Sent
from unique_cs.client.http import PATH

_UPGRADE = """
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
"""

_CONFIG = """
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {upstream}; proxy_read_timeout {timeout}s; }}
        location /ws {{ proxy_pass {upstream};{upgrade}
        }}
    }}
}}
"""


@asynccontextmanager
async def nginx(
    folder: Path, upstream: str, *, upgrade: bool = False, timeout: int = 60
) -> AsyncIterator[str]:
    """A proxy before `upstream`, with nginx's defaults (its read timeout is 60 s); yields its address."""
    binary = program("nginx", "nginx-light")
    folder.mkdir()  # noqa: ASYNC240 - before anything runs
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            # Else the workers are another user, who may not enter the folder.
            user="user root;\n" if os.geteuid() == 0 else "",
            folder=folder,
            port=port,
            upstream=upstream,
            upgrade=_UPGRADE if upgrade else "",
            timeout=timeout,
        )
    )
    process = await asyncio.create_subprocess_exec(
        binary, "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")
    )
    try:
        await _listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@pytest.mark.parametrize("road", ["http", "poll", "websocket"])
async def test_both_talk_through_nginx(tmp_path: Path, road: Road) -> None:
    async with (
        running(tmp_path, rate_limits="off") as server,
        nginx(tmp_path / "nginx", server.url, upgrade=road == "websocket") as url,
        inhabited(server) as town,
    ):
        visitor = await town.client("ann", await town.contact("ann"), roads=(road,), url=url)
        owner = await town.client("owner", await town.agent(), contact=False, roads=(road,), url=url)
        (first,) = await answered([visitor.say("v0")])
        await until(lambda: first.conversation in owner.recorder.positions())
        sends = [visitor.say(f"v{i}") for i in range(1, 10)]
        sends += [owner.say(f"o{i}", first.conversation) for i in range(10)]
        assert all(isinstance(answer, Sent) for answer in await answered(sends))
        await until(lambda: f"o{9}" in visitor.texts())
        assert [isinstance(item, Connected) for item in visitor.recorder.told].count(True) == 1
        assert await town.verdict() == []


async def test_a_client_goes_over_http_where_nginx_passes_no_upgrade(tmp_path: Path) -> None:
    async with (
        running(tmp_path, rate_limits="off") as server,
        nginx(tmp_path / "nginx", server.url) as url,
        inhabited(server) as town,
    ):
        visitor = await town.client("ann", await town.contact("ann"), roads=("websocket", "http"), url=url)
        (sent,) = await answered([visitor.say("v0")])
        assert isinstance(sent, Sent)
        assert await town.verdict() == []


async def test_comment_lines_keep_an_idle_stream(tmp_path: Path) -> None:
    """A proxy that gives up after less than two comments' time does not get to."""
    async with (
        running(tmp_path, rate_limits="off") as server,
        nginx(tmp_path / "nginx", server.url, timeout=17) as url,
        inhabited(server) as town,
    ):
        rest = await town.contact("ann")
        headers = {"Authorization": f"Bearer {rest.token}"}
        loop = asyncio.get_running_loop()
        began, comments = loop.time(), 0
        async with (
            httpx2.AsyncClient(base_url=url, timeout=20, trust_env=False) as http,
            http.stream("POST", PATH, json={"type": "connect"}, headers=headers) as answer,
        ):
            async for line in answer.aiter_lines():
                comments += line.startswith(":")
                if comments == 2:
                    break
        sys.stdout.write(f"kept for {loop.time() - began:.0f} s\n")
        assert comments == 2

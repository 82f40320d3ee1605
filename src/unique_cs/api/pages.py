"""The built web assets: console, demo shop, widget."""

import gzip
import re
from asyncio import to_thread
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, SkipValidation
from litestar.response import Redirect
from msgspec import Struct

from unique_cs.api.deps import AnyRequest, Deps, Injected
from unique_cs.domain.people import Inbox
from unique_cs.errors import not_found

HASHED: Final = re.compile(r"/assets/[^/]+-[A-Za-z0-9_-]{8}\.[a-z0-9]+$")
"""Files that change their name with their content, as Vite names them."""

_FOREVER: Final = "public, max-age=31536000, immutable"
_SOON: Final = "public, max-age=300"
_SQUEEZED: Final = ("text/", "application/javascript", "application/json", "image/svg")
_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
_POLICY: Final = (
    "default-src 'self'; img-src 'self' data: blob: https: http:; media-src 'self' blob: https: http:; "
    "font-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors "
)
_ORIGIN: Final = re.compile(r"^[^\s;,']+$")
_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>unique-cs</title>
<h1>The web pages are not built</h1>
<p>The server runs. Its pages are made by <code>make run</code>, or come with the released package.</p>
<h1 lang="zh-CN">网页尚未构建</h1>
<p lang="zh-CN">服务器已在运行。网页由 <code>make run</code> 构建，正式发布的安装包已自带。</p>
</html>
"""


class Asset(Struct, frozen=True):
    """A file, as it is sent."""

    content: bytes
    squeezed: bytes
    media_type: str
    etag: str
    cache: str


class Assets:
    """The files of one folder, by name; read when first asked for, then held."""

    def __init__(self, folder: Path) -> None:
        self._files = {str(each.relative_to(folder)): each for each in folder.rglob("*") if each.is_file()}
        self._held: dict[str, Asset] = {}

    async def get(self, name: str) -> Asset | None:
        """Return the file, or None. Only names that were in the folder at the start are looked at."""
        held = self._held.get(name)
        if held is None and name in self._files:
            held = self._held[name] = await to_thread(_read, self._files[name])
        return held


Held = NamedDependency[SkipValidation[Assets]]


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    media_type = _TYPES.get(path.suffix) or guess_type(path.name)[0] or "application/octet-stream"
    if media_type == "text/html":
        media_type, cache = "text/html", "no-store"
    else:
        cache = _FOREVER if HASHED.search(path.as_posix()) else _SOON
    small = gzip.compress(content, mtime=0) if media_type.startswith(_SQUEEZED) else content
    etag = f'"{sha256(content).hexdigest()[:24]}"'
    return Asset(content, small if len(small) < len(content) else b"", media_type, etag, cache)


def _send(request: AnyRequest, asset: Asset, ancestors: str = "'none'") -> Response[bytes]:
    headers = {
        "cache-control": asset.cache,
        "content-security-policy": _POLICY + ancestors,
        "etag": asset.etag,
        "vary": "accept-encoding",
    }
    if request.headers.get("if-none-match") == asset.etag:
        return Response(b"", status_code=304, headers=headers, media_type=asset.media_type)
    content = asset.content
    if asset.squeezed and "gzip" in request.headers.get("accept-encoding", ""):
        content = asset.squeezed
        headers["content-encoding"] = "gzip"
    return Response(content, headers=headers, media_type=asset.media_type)


async def _page(
    assets: Assets, request: AnyRequest, name: str, ancestors: str = "'none'", status: int = 200
) -> Response[Any]:
    """A page of an application; a clear word where the pages are not built."""
    asset = await assets.get(name)
    if asset is None:
        return Response(_NOT_BUILT, status_code=503, media_type="text/html")
    return _send(request, asset, ancestors)


async def _file(assets: Assets, request: AnyRequest, name: str) -> Response[Any]:
    asset = await assets.get(name)
    if asset is None:
        raise not_found("no such file")
    return _send(request, asset)


@get("/")
async def home() -> Redirect:
    """Lead to the demo shop."""
    return Redirect("/demo/", status_code=307)


@get(["/console", "/console/{path:path}"])
async def console(request: AnyRequest, assets: Held, path: FromPath[str] = "") -> Response[Any]:
    """The agents' console; its own router knows the pages."""
    name = path.strip("/")
    if "." in name.rpartition("/")[2]:
        return await _file(assets, request, f"console/{name}")
    return await _page(assets, request, "console/index.html")


@get(["/demo", "/demo/{path:path}"])
async def demo(request: AnyRequest, assets: Held, path: FromPath[str] = "") -> Response[Any]:
    """The demo shop."""
    name = path.strip("/")
    return await (
        _file(assets, request, f"demo/{name}") if name else _page(assets, request, "demo/index.html")
    )


@get("/demo/config.json")
async def demo_config(deps: Injected) -> dict[str, str]:
    """Say which inbox the demo shop embeds: the oldest."""
    inboxes = deps.records.inboxes()
    if not inboxes:
        raise not_found("there is no inbox yet")
    return {"inbox": inboxes[0].key}


@get("/widget.js")
async def loader(request: AnyRequest, assets: Held) -> Response[Any]:
    """The script that a site embeds."""
    return await _file(assets, request, "loader/widget.js")


@get(["/widget", "/widget/{path:path}"])
async def widget(
    request: AnyRequest, assets: Held, deps: Injected, path: FromPath[str] = "", inbox: FromQuery[str] = ""
) -> Response[Any]:
    """The panel in the loader's frame, and its files."""
    name = path.strip("/")
    if name and name != "index.html":
        return await _file(assets, request, f"widget/{name}")
    # The page reads the first one.
    is_plain = len(request.query_params.getall("inbox", [])) < 2
    return await _page(assets, request, "widget/index.html", _ancestors(deps, inbox, is_plain=is_plain))


@get("/chat/{key:str}")
async def chat(request: AnyRequest, assets: Held, deps: Injected, key: FromPath[str]) -> Response[Any]:
    """The panel as a page of its own."""
    if deps.records.inbox_by_key(key) is None:
        raise not_found("no inbox has this key")
    # The page reads its address as it was written.
    *before, name = request.scope["raw_path"].removesuffix(b"/").split(b"/")
    is_plain = before == [b"", b"chat"] and unquote(name) == key
    return await _page(assets, request, "widget/index.html", _ancestors(deps, key, is_plain=is_plain))


def _ancestors(deps: Deps, key: str, *, is_plain: bool) -> str:
    """Who may show the panel in a frame: the inbox's own sites, or anybody if it names none.

    Nobody, where the address is not plain: the page may find another inbox in it than we do.
    """
    if not is_plain:
        return "'none'"
    inbox: Inbox | None = deps.records.inbox_by_key(key)
    allowed = [origin for origin in inbox.allowed_origins if _ORIGIN.match(origin)] if inbox else []
    return " ".join(["'self'", *allowed]) if allowed else "*"


router = Router(
    "/",
    route_handlers=[home, console, demo, demo_config, loader, widget, chat],
    include_in_schema=False,
)

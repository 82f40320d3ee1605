"""The web assets, and how browsers are told to treat them."""

import gzip
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.unit.api.harness import INBOX, NO_ASSETS, OTHER, is_problem, opened

FILES = {
    "console/index.html": "<title>console</title>",
    "console/assets/index-B1x_9-Zq.js": "let console = 1;\n" * 200,
    "console/favicon.svg": "<svg/>",
    "console/apple-touch-icon.png": "no hash",
    "demo/index.html": "<title>demo</title>",
    "loader/widget.js": "let loader = 1;",
    "widget/index.html": "<title>widget</title>",
    "widget/assets/panel-AbCdEf12.css": "a{}",
    "secret.txt": "not below any page",
}


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "assets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "outside.txt").write_text("outside")
    return tmp_path / "assets"


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/console/", "console/index.html"),
        ("/console", "console/index.html"),
        ("/console/conversations/123", "console/index.html"),
        ("/console/favicon.svg", "console/favicon.svg"),
        ("/demo/", "demo/index.html"),
        ("/widget.js", "loader/widget.js"),
        ("/widget/?inbox=shop", "widget/index.html"),
        ("/widget/assets/panel-AbCdEf12.css", "widget/assets/panel-AbCdEf12.css"),
        ("/chat/shop", "widget/index.html"),
    ],
)
async def test_what_is_where(assets: Path, path: str, file: str) -> None:
    async with opened(assets=assets) as harness:
        answer = await harness.anyone.get(path)
        assert (answer.status_code, answer.text) == (200, FILES[file])


async def test_the_root_leads_to_the_demo_shop(assets: Path) -> None:
    async with opened(assets=assets) as harness:
        answer = await harness.anyone.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "/demo/")
        assert await harness.anyone.ok("GET", "/demo/config.json") == {"inbox": "shop"}


@pytest.mark.parametrize(
    "path",
    [
        "/console/missing.js",
        "/console/../secret.txt",
        "/console/..%2fsecret.txt",
        "/console/%2e%2e/%2e%2e/outside.txt",
        "/widget/../../outside.txt",
        "/widget//etc/passwd",
        "/demo/missing",
        "/chat/unknown",
        "/secret.txt",
        # The framework's own pages would load scripts of others, and one takes half a second to make.
        "/schema",
        "/api/schema",
        "/api/schema/openapi.yaml",
    ],
)
async def test_nothing_else_is_served(assets: Path, path: str) -> None:
    async with opened(assets=assets) as harness:
        assert is_problem(await harness.anyone.get(path), 404, "not_found")


async def test_hashed_files_stay_forever_and_pages_are_never_kept(assets: Path) -> None:
    async with opened(assets=assets) as harness:
        hashed = await harness.anyone.get("/console/assets/index-B1x_9-Zq.js")
        assert "immutable" in hashed.headers["cache-control"]
        assert hashed.headers["content-type"] == "text/javascript; charset=utf-8"
        icon = await harness.anyone.get("/console/apple-touch-icon.png")
        assert icon.headers["cache-control"] == "public, max-age=300"
        for page in ("/console/", "/chat/shop", "/demo/"):
            assert (await harness.anyone.get(page)).headers["cache-control"] == "no-store"
        loader = await harness.anyone.get("/widget.js")
        assert loader.headers["cache-control"] == "public, max-age=300"
        unchanged = await harness.anyone.get("/widget.js", headers={"if-none-match": loader.headers["etag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_large_files_are_squeezed_for_who_takes_it(assets: Path) -> None:
    path = "/console/assets/index-B1x_9-Zq.js"
    async with opened(assets=assets) as harness:
        squeezed = await harness.anyone.get(path, headers={"accept-encoding": "gzip, br"})
        assert squeezed.headers["content-encoding"] == "gzip"
        assert int(squeezed.headers["content-length"]) < 200
        assert squeezed.text == FILES["console/assets/index-B1x_9-Zq.js"]
        plain = await harness.anyone.get(path, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == "accept-encoding"
        assert len(gzip.compress(plain.content)) < len(plain.content)


async def test_scripts_come_from_here_only_and_only_the_panel_may_be_framed(assets: Path) -> None:
    async with opened(assets=assets) as harness:
        for path, ancestors in (
            ("/console/", "frame-ancestors 'none'"),
            ("/demo/", "frame-ancestors 'none'"),
            ("/widget/?inbox=shop", "frame-ancestors *"),
            ("/chat/shop", "frame-ancestors *"),
        ):
            policy = (await harness.anyone.get(path)).headers["content-security-policy"]
            assert policy.startswith("default-src 'self';")
            assert "unsafe" not in policy
            assert policy.endswith(ancestors)


async def test_an_inbox_that_names_its_sites_is_framed_by_those_only(assets: Path) -> None:
    async with opened(assets=assets) as harness:
        harness.records._inboxes[4] = OTHER  # type: ignore[attr-defined]  # the twin in memory
        for path in ("/widget/?inbox=other", "/chat/other"):
            policy = (await harness.anyone.get(path)).headers["content-security-policy"]
            assert policy.endswith("frame-ancestors 'self' https://shop.example")
        harness.records._inboxes[3] = replace(INBOX, allowed_origins=["https://a.example"])  # type: ignore[attr-defined]  # as above
        policy = (await harness.anyone.get("/chat/shop")).headers["content-security-policy"]
        assert policy.endswith("frame-ancestors 'self' https://a.example")


@pytest.mark.parametrize(
    "path",
    [
        "/widget/?inbox=other&inbox=nobody",
        "/widget/?inbox=nobody&inbox=other",
        "/widget/?%69nbox=other&inbox=",
        "/chat//shop?inbox=other",
        "/%63hat/shop?inbox=other",
    ],
)
async def test_an_address_with_two_meanings_is_framed_by_nobody(assets: Path, path: str) -> None:
    """The page takes the inbox from its address by itself, and so may take another one than the server."""
    async with opened(assets=assets) as harness:
        harness.records._inboxes[4] = OTHER  # type: ignore[attr-defined]  # the twin in memory
        answer = await harness.anyone.get(path)
        assert answer.headers["content-security-policy"].endswith("frame-ancestors 'none'")


async def test_pages_that_are_not_built_say_so() -> None:
    async with opened(assets=NO_ASSETS) as harness:
        for path in ("/console/", "/demo/", "/chat/shop"):
            answer = await harness.anyone.get(path)
            assert answer.status_code == 503
            assert "make run" in answer.text
            assert "网页尚未构建" in answer.text
        assert is_problem(await harness.anyone.get("/widget.js"), 404, "not_found")

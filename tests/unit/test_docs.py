"""The documentation says what the code does: settings, codes, links, commands."""

import json
import re
from pathlib import Path
from secrets import token_hex
from time import time_ns
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from litestar.routes import HTTPRoute

from unique_cs.__main__ import main
from unique_cs.actions.identity import read_identity
from unique_cs.api import agents, auth, contacts, conversations, health, messages
from unique_cs.config import PREFIX, Settings
from unique_cs.domain.people import Inbox
from unique_cs.errors import HTTP_STATUS, Code
from unique_cs.protocol import close
from unique_cs.telemetry import metrics

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
CHINESE = ROOT / "docs" / "zh-CN"
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")})
TRANSPORTS = {"GET /ws", "POST /api/v1/stream", "POST /api/v1/stream/{session}"}
ROW = re.compile(r"^\| `?(?P<name>[^|`]+?)`? \| (?P<second>[^|]*?) \| (?P<third>[^|]*?) \|$", re.MULTILINE)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def rows(page: str) -> dict[str, tuple[str, str]]:
    """Read a reference page's tables: the first column to the other two."""
    text = (REFERENCE / page).read_text()
    return {row["name"]: (row["second"], row["third"]) for row in ROW.finditer(text)}


def default_as_documented(value: Any) -> str:
    """Write a default as settings.md does."""
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    return f"`{value}`" if str(value) else "empty"


def documented_settings() -> dict[str, str]:
    return {name: default for name, (default, _) in rows("settings.md").items() if name.startswith(PREFIX)}


def test_every_setting_is_documented_with_its_default_and_no_other() -> None:
    fields = msgspec.structs.fields(Settings)
    expected = {PREFIX + field.name.upper(): default_as_documented(field.default) for field in fields}
    assert documented_settings() == expected


def test_every_error_code_is_documented_with_its_status() -> None:
    documented = {name: status for name, (status, _) in rows("protocol.md").items() if name in set(Code)}
    assert documented == {code.value: str(HTTP_STATUS[code]) for code in Code}


def test_every_close_code_is_documented_and_no_other() -> None:
    documented = {int(name) for name in rows("protocol.md") if re.fullmatch(r"4\d{3}", name)}
    assert documented == {code.code for code in close.ALL}


@pytest.mark.parametrize("reconnect", [False, True])
def test_the_documented_duty_after_a_close_is_that_of_the_table(reconnect: bool) -> None:
    duties = {name: duty for name, (_, duty) in rows("protocol.md").items()}
    for code in close.ALL:
        if code.reconnect is reconnect and code is not close.REPLACED:
            stays_away = duties[str(code.code)].startswith("does not come back")
            assert stays_away is not reconnect, code


def test_every_metric_is_documented_with_its_kind_and_no_other() -> None:
    documented = {name: kind for name, (kind, _) in rows("metrics.md").items() if name != "metric"}
    assert documented == {family.name: family.type for family in metrics.registry.collect()}


def test_every_route_of_rest_is_documented_and_no_other() -> None:
    routers = [module.router for module in (agents, auth, contacts, conversations, health, messages)]
    routes = {
        f"{method} {re.sub(r'{.*?}', '{id}', route.path)}"
        for router in routers
        for route in router.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
    }
    text = (REFERENCE / "protocol.md").read_text()
    documented = set(re.findall(r"`((?:GET|POST|PATCH|DELETE|PUT) /[^?`\s]+)", text)) - TRANSPORTS
    assert documented == {route for route in routes if not route.startswith("OPTIONS")}


def inside(page: Path) -> list[str]:
    """Give the files that a page links to, without their anchors."""
    targets = (match["target"].split("#")[0] for match in LINK.finditer(page.read_text()))
    return [target for target in targets if target and "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [target for target in inside(page) if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_every_page_is_reached_from_a_readme(readme: str) -> None:
    entrances = {ROOT / "docs/index.md", ROOT / "docs/zh-CN/index.md"}
    reached, ahead = set[Path](), {ROOT / readme}
    while ahead:
        reached |= ahead
        found = {(page.parent / link).resolve() for page in ahead for link in inside(page)}
        ahead = found & set(PAGES) - reached
    assert set(PAGES) - reached == entrances


def test_every_page_of_the_site_is_in_its_navigation_once() -> None:
    listed = sorted(re.findall(r'= "([^"]+\.md)"', (ROOT / "zensical.toml").read_text()))
    pages = {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")}
    assert listed == sorted(pages - {"decisions/template.md"})


def test_the_readmes_are_equal_in_rank() -> None:
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))
    for pattern in (r"^## ", r"^```", r"^\| ", r"^make ", r"<script [^>]*>"):
        counts = [len(re.findall(pattern, text, re.MULTILINE)) for text in (english, chinese)]
        assert counts[0] == counts[1], pattern


MIRRORED = sorted(
    page.relative_to(ROOT / "docs")
    for page in (*ROOT.glob("docs/guides/*.md"), *ROOT.glob("docs/operations/*.md"))
)
MEASURED = Path("operations/performance.md")
"""What was measured stands on the English page only."""


@pytest.mark.parametrize("page", MIRRORED, ids=str)
def test_a_guide_is_the_same_in_chinese(page: Path) -> None:
    """Section by section: headings, examples, and the rows of tables and lists."""
    english, chinese = (shape((root / page).read_text()) for root in (ROOT / "docs", CHINESE))
    if page == MEASURED:
        english = english[: len(chinese)]
    assert chinese == english


def shape(text: str) -> list[str]:
    """What a page is made of, without its words: headings, and in their order blocks, rows and points."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
            found += [line] if inside else []
        elif not inside and (mark := re.match(r"#+ |\||- |\d+\. ", line)):
            found.append(mark[0])
    return found


@pytest.mark.parametrize("page", ["settings.md", "metrics.md"])
def test_a_reference_page_is_the_same_in_chinese(page: str) -> None:
    def names(folder: Path) -> list[tuple[str, str]]:
        rows_ = ROW.finditer((folder / page).read_text())
        return [(row["name"], row["second"].replace("空", "empty")) for row in rows_ if "`" in row[0]]

    assert names(CHINESE / "reference") == names(REFERENCE)


def test_every_verb_is_documented_and_every_verb_in_the_docs_is_one() -> None:
    verbs = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    table = set(re.findall(r"^\| `make ([a-z0-9-]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert table == verbs - {"help"}
    for page in PAGES:
        used = set(re.findall(r"(?:`|^)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE))
        assert used <= verbs, page


def test_every_command_in_the_docs_is_one_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    commands = set(re.findall(r"^  ([a-z-]+) ", capsys.readouterr().err, re.MULTILINE))
    for page in PAGES:
        used = set(re.findall(r"unique-cs ((?!-)[a-z-]+)(?:`|$| *--)", page.read_text(), re.MULTILINE))
        assert used <= commands, page


def blocks(page: Path, language: str) -> list[str]:
    """Give a page's fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_every_json_example_is_json() -> None:
    examples = blocks(REFERENCE / "protocol.md", "json")
    assert len(examples) > 5
    for text in examples:
        rest = text.strip()
        while rest:
            frame, end = json.JSONDecoder().raw_decode(rest)
            assert frame["type"]
            rest = rest[end:].lstrip()


@pytest.mark.parametrize("guide", ["guides/embed.md", "zh-CN/guides/embed.md"])
def test_the_identity_token_of_the_embedding_guide_is_accepted(guide: str) -> None:
    inbox = Inbox(1, "Website", "k1", identity_secret=token_hex(32))
    (example,) = blocks(ROOT / "docs" / guide, "python")
    names = {
        "inbox_key": inbox.key,
        "inbox_secret": inbox.identity_secret,
        "user": SimpleNamespace(id=7, name="Ann"),
    }
    exec(example, names)
    identity = read_identity(inbox, str(names["token"]), time_ns() // 1_000_000)
    assert (identity.subject, identity.name) == ("7", "Ann")

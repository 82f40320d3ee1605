"""The checks behind `make check` find what they are for, and let the rest pass."""

import re
from pathlib import Path

import pytest

from scripts import check_shape, check_words, shared, web


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("class TicketStore: ...", "ticket"),
        ("def close_tickets(): ...", "ticket"),
        ("def show(tenant): ...", "tenant"),
        ("customer_id = 1", "customer"),
        ("HTTPRoom = 1", "room"),
    ],
)
def test_a_banned_word_in_a_defined_name_is_found(line: str, word: str) -> None:
    assert [found for _, _, found in check_words.banned(line)] == [word]


@pytest.mark.parametrize(
    "line",
    [
        "import ticket",
        "library.ticket()",
        "text = 'ticket'",
        "def roomy(): ...",
        "class Conversation: ...",
        "stage = 1",
    ],
)
def test_other_names_pass(line: str) -> None:
    assert list(check_words.banned(line)) == []


def test_a_function_over_the_bound_is_found_and_one_at_the_bound_passes() -> None:
    function = "def f():\n" + "    pass\n" * (check_shape.FUNCTION - 1)
    assert check_shape.long_functions("a.py", function) == []
    assert check_shape.long_functions("a.py", function + "    pass\n") == [
        "a.py:1: f has 61 lines, 60 are the bound"
    ]


def test_a_module_over_the_bound_is_found_and_one_at_the_bound_passes() -> None:
    assert check_shape.long_module("a.ts", "\n" * check_shape.MODULE) == []
    assert check_shape.long_module("a.ts", "\n" * (check_shape.MODULE + 1)) == [
        "a.ts: 401 lines, 400 are the bound"
    ]


def test_a_docstring_does_not_count_in_the_median() -> None:
    (function,) = check_shape.functions('def f():\n    """One.\n\n    Two.\n    """\n    return 1\n')
    assert check_shape.body_lines(function) == 2


def test_a_digest_changes_with_text_name_and_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shared, "ROOT", tmp_path)
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("a")
    names = {shared.digest([one]), shared.digest([two]), shared.digest([one, two])}
    one.write_text("b")
    assert len(names | {shared.digest([one])}) == 4


def test_the_web_build_depends_on_its_sources_and_on_nothing_that_it_makes() -> None:
    found = {str(path.relative_to(web.WEB)) for path in web.sources()}
    assert "package-lock.json" in found
    assert not any("node_modules" in name for name in found)


def test_no_lock_names_a_host() -> None:
    locks = [*shared.ROOT.glob("requirements*.txt"), web.WEB / "package-lock.json"]
    assert len(locks) == 5
    for lock in locks:
        hosts = re.findall(r"""(?:"resolved": *"|index-url |-links |@ )https?:[^"\s]+""", lock.read_text())
        assert hosts == [], lock


def test_every_locked_python_package_has_a_hash() -> None:
    for lock in shared.ROOT.glob("requirements*.txt"):
        text = lock.read_text()
        pins = re.findall(r"^[a-z0-9.-]+==.*\\$", text, re.MULTILINE)
        assert len(pins) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 0

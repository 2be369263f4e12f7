"""The pages name tests, files and each other: all of them are there."""

import re

import pytest

from servers import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "tests-py").rglob("*.md")])
TESTS = sorted((ROOT / "tests-py").rglob("test_*.py"))
FUNCTIONS = set(re.findall(r"^def (test_\w+)\(", "\n".join(path.read_text() for path in TESTS), re.MULTILINE))
# The tables in which each row names the test that holds it: page, and the heading of the column.
HELD = {"README.md": "held by", "docs/reliability.md": "test"}


def missing(text: str) -> set[str]:
    """The tests and test files that a text names and that are not there."""
    files = set(re.findall(r"`(?:[\w/.-]*/)?(test_\w+\.py)`", text)) - {path.name for path in TESTS}
    return files | set(re.findall(r"`(test_\w+)`", text)) - FUNCTIONS


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the rows of all tables whose last column has this heading."""
    found: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells[-1].rstrip(" |") == heading:
            inside = True
        elif inside and not set(line) <= set("|-"):
            found.append(cells)
    return found


def test_what_is_not_there_is_found() -> None:
    assert missing("`test_docs.py` `test_what_is_not_there_is_found`") == set()
    gone = "test_that_" + "went", "test_" + "gone.py"
    assert missing(f"`{gone[0]}` and `faults/{gone[1]}`") == set(gone)
    assert rows("| a | test |\n|---|---|\n| b | c |\n\n| d | e |\n| f | g |", "test") == [["b", "c"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_is_named_exists(page) -> None:
    assert missing(page.read_text()) == set()


@pytest.mark.parametrize("page", HELD)
def test_every_promise_names_a_test(page: str) -> None:
    table = rows((ROOT / page).read_text(), HELD[page])
    assert len(table) > 15
    for row in table:
        assert re.search(r"`test_\w+(\.py)?`", row[-1]), row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]

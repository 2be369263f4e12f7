"""docs/patterns.md shows the programs in client-examples/patterns, and each says what it should.

``UPDATE_DOCS=1`` writes the programs into the page.
"""

import os
import re
import subprocess
import sys

import pytest

from servers import ROOT, Server

PATTERNS = ROOT / "client-examples/patterns"
PAGE = ROOT / "docs/patterns.md"
PLACE = re.compile(r"<!-- (\w+\.py) -->\n(?:```python\n.*?\n```\n)?", re.S)

SAYS = {
    "chain": ["completed: loaded 9 25 49"],
    "fan": ["completed: 23 letters in 4 regions"],
    "map_reduce": ["completed: the squares of 1000 numbers are 332833500 together"],
    "branch": ["completed: book: check, ship, bill, tell", "completed: unicorn: check, back-order, tell"],
    "cleanup": ["failed: machine given back"],
    "saga": [
        "completed: nothing fails: book flight, book hotel, book car",
        "completed: hotel fails: book flight, undo flight",
        "completed: car fails: book flight, book hotel, undo hotel, undo flight too",
    ],
    "approval": [
        "completed: RESULT Ada: paid, approved by Ada",
        "completed: FAIL too expensive: turned down",
        "completed: no answer: turned down",
    ],
    "subworkflow": ["completed: published after system, unit"],
    "poll": ["completed: ready when asked for the 4th time"],
}


@pytest.mark.parametrize("name", SAYS)
def test_a_pattern_says_what_it_should(server: Server, name: str) -> None:
    command = [sys.executable, PATTERNS / "run.py", name, "--url", f"redis://127.0.0.1:{server.port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    first, *said = done.stdout.splitlines()
    assert first.startswith(f"{name}: ")
    assert [line.strip() for line in said if line] == SAYS[name]
    assert done.stderr == ""


def test_every_pattern_is_run() -> None:
    programs = {path.stem for path in PATTERNS.glob("*.py")} - {"space", "run"}
    assert programs == set(SAYS)


def test_the_page_shows_the_programs() -> None:
    page = PAGE.read_text()
    shown = PLACE.sub(
        lambda found: f"<!-- {found[1]} -->\n```python\n{(PATTERNS / found[1]).read_text().rstrip()}\n```\n", page
    )
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(shown)
    assert page == shown or os.environ.get("UPDATE_DOCS"), "docs/patterns.md is stale: run make docs"
    assert {found[1] for found in PLACE.finditer(page)} == {f"{name}.py" for name in SAYS}

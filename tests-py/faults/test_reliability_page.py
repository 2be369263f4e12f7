"""docs/reliability.md names every file of faults, and the judge knows every promise. That the tests that it
names exist is the subject of test_docs.py."""

import re

from servers import ROOT

PAGE = (ROOT / "docs/reliability.md").read_text()
TESTS = sorted((ROOT / "tests-py").rglob("test_*.py"))


def test_every_fault_is_on_the_page() -> None:
    for path in TESTS:
        if path.parent.name == "faults" and path.stem not in ("test_judge", "test_reliability_page"):
            names = re.findall(r"^def (test_\w+)\(", path.read_text(), re.M)
            assert path.name in PAGE or any(f"`{name}`" in PAGE for name in names), path.name


def test_every_violation_of_the_judge_is_in_its_table() -> None:
    source = (ROOT / "tests-py/faults/judge.py").read_text()
    kinds = set(re.findall(r'Violation\("(\w+)"', source))
    table = set(re.findall(r"^\| (\w+) \|", source, re.M)) - {"violation"}
    assert kinds == table


def test_every_violation_of_the_judge_is_shown_to_be_seen() -> None:
    source, tests = ((ROOT / "tests-py/faults" / name).read_text() for name in ("judge.py", "test_judge.py"))
    assert not [kind for kind in re.findall(r'Violation\("(\w+)"', source) if f'"{kind}"' not in tests]

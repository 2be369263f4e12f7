"""docs/reliability.md names tests that exist, and every file of faults."""

import re

from servers import ROOT

PAGE = (ROOT / "docs/reliability.md").read_text()
TESTS = sorted((ROOT / "tests-py").rglob("test_*.py"))


def test_every_test_that_is_named_exists() -> None:
    names = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(names) > 15
    source = "\n".join(path.read_text() for path in TESTS)
    assert not [name for name in names if f"def {name}(" not in source]
    files = set(re.findall(r"`(test_\w+\.py)`", PAGE))
    assert not files - {path.name for path in TESTS}


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

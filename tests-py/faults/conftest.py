"""Fixtures of the fault tests: a seed for every choice, how long to go on, and counts of what was done.

`make test` runs the quick form. WF_SOAK=20 makes twenty times as many rounds on every server, WF_SEED
repeats a run's choices; a failure prints its seed.
"""

import os
from collections import Counter
from collections.abc import Generator, Iterator
from random import Random, SystemRandom

import pytest

from crowd import Crowd, Plan
from fixtures import Count, MakeCrowd, Rounds
from judge import lost_tasks
from voice import Where

SOAK = max(1.0, float(os.environ.get("WF_SOAK") or 1))
SEED = pytest.StashKey[int]()
SECONDS = 120


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "quick_on(flavour): the quick form runs on this server only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The quick form leaves out what it costs too much to run everywhere; a soak has more time."""
    named = os.environ.get("FLAVOURS") or os.environ.get("WF_SERVER")
    asked = SOAK > 1 or config.getoption("--flavour") or named
    kept, left_out = [], []
    for item in items:
        marker = item.get_closest_marker("quick_on")
        flavour = getattr(item, "callspec", None) and item.callspec.params.get("flavour")
        (left_out if marker and not asked and flavour not in marker.args else kept).append(item)
        if SOAK > 1 and marker_of_this_folder(item):
            item.add_marker(pytest.mark.timeout(SECONDS * SOAK))
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def marker_of_this_folder(item: pytest.Item) -> bool:
    return item.path.parent.name == "faults"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows by which seed it can be repeated."""
    report = yield
    if report.failed and (seed := item.stash.get(SEED, None)) is not None:
        report.sections.append(("seed", f"WF_SEED={seed}"))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the run did, as counts."""
    counts: Counter[str] = Counter()
    for report in [one for reports in terminalreporter.stats.values() for one in reports]:
        if getattr(report, "when", None) == "teardown":
            for name, value in report.user_properties:
                if name.startswith("count "):
                    counts[name.removeprefix("count ")] += value
    if counts:
        terminalreporter.section("faults")
        for name, value in sorted(counts.items()):
            terminalreporter.line(f"{name}: {value:,}")


@pytest.fixture
def seed(request: pytest.FixtureRequest, count: Count) -> int:
    """The number from which everything that is left to chance follows."""
    chosen = int(os.environ.get("WF_SEED") or SystemRandom().randrange(1 << 32))
    request.node.stash[SEED] = chosen
    count("seeds")
    return chosen


@pytest.fixture
def rng(seed: int) -> Random:
    return Random(seed)


@pytest.fixture
def rounds() -> Rounds:
    """How many rounds to make where the quick form makes so many."""
    return lambda quick: round(quick * SOAK)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Count:
    """Counts what was done, for the summary: `count("kills")`."""

    def add(what: str, how_many: int = 1) -> None:
        request.node.user_properties.append((f"count {what}", how_many))

    return add


@pytest.fixture
def make_crowd(seed: int, count: Count) -> Iterator[MakeCrowd]:
    """A maker of crowds: `make_crowd(where, workers=20)`."""
    made: list[Crowd] = []

    def make(where: Where | dict[str, Where], **plan: object) -> Crowd:
        made.append(Crowd(Plan(seed=seed, **plan), where))
        return made[-1]

    yield make
    for crowd in made:
        count("operations", crowd.record.calls)
        count("connections lost or left", crowd.record.reconnects)
        count("tasks completed", crowd.done())
        if crowd.result is not None:
            lost = lost_tasks(crowd.record, crowd.result)
            count("tasks lost" if crowd.rules.lossless else "tasks lost that had not been replicated", lost)

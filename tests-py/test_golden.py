"""What earlier versions wrote is loaded by this one, on every server: see golden/README.md.

Their leases ran out long ago, and what was finished has been kept long enough: so the servers that
load them live at the time at which they were written.
"""

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from clocks import Clock
from golden_files import GOLDEN, MONTH, PLACES, space_at
from history import digest, holds, portrait
from servers import Server
from waiting import now_ms
from workflows import single

SETS = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
FILES = ("dump.rdb", "effects.aof", "snapshot.aof", "preamble.aof")
Load = Callable[[str, str], Server]


@pytest.fixture
def load(fresh_server: Callable[..., Server], clock: Clock) -> Load:
    """Starts a server on a golden file, a moment after it was written."""

    def started(name: str, file: str) -> Server:
        clock.set(written_at(name) + 1_000 - now_ms())
        aof = file.endswith(".aof")
        server = fresh_server(f"appendonly {'yes' if aof else 'no'}", "appendfsync always")
        server.stop()
        shutil.rmtree(server.directory / "appendonlydir", ignore_errors=True)
        # Servers take an AOF of one file, as they were before Redis 7, and go on with many.
        shutil.copy(GOLDEN / name / file, server.directory / ("appendonly.aof" if aof else "dump.rdb"))
        return server.start()

    return started


def expected_of(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / name / "expected.json").read_text())


def written_at(name: str) -> int:
    """When the last workflow of a set was pushed."""
    return max(one["created"] for space in expected_of(name)["spaces"].values() for one in space["workflows"])


def check(server: Server, expected: dict[str, Any]) -> None:
    for place, then in expected["spaces"].items():
        ids = [wid.encode(errors="surrogateescape") for wid in then["ids"]]
        workflows, stats = portrait(space_at(server, place), ids)
        holds(workflows, then["workflows"], place)
        holds(stats, then["stats"], place)
        # The first set knew neither.
        assert space_at(server, place).listed("FAILED") == then.get("dead", space_at(server, place).listed("FAILED"))
        holds(space_at(server, place).settings(), then.get("settings", {}), place)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", SETS)
def test_a_file_of_an_earlier_version(load: Load, name: str, file: str) -> None:
    expected = expected_of(name)
    server = load(name, file)
    check(server, expected)
    # It goes through what is written now.
    server.client().execute_command("DEBUG", "RELOAD")
    check(server, expected)

    jobs, halted = (space_at(server, place) for place in PLACES)
    tokens = expected["tokens"]
    assert jobs.complete(tokens["completed"]) == [2]
    assert jobs.extend(MONTH, tokens["running"]) == [1]
    assert jobs.complete(tokens["running"]) == [1]
    last = jobs.claim_one("w", "WITHRESULTS")
    assert (last.name, last.results) == ("t2", {"t1": None})
    assert jobs.complete(last.token) == [1]
    assert halted.complete(tokens["halted"]) == [1]
    assert halted.claim("w") == []
    assert (halted.release("ALL"), halted.release("TYPE", "x"), halted.release("ID", "paused")) == (1, 1, 1)
    assert halted.work_off("w") == ["t1", "only"]
    for place in PLACES:
        assert space_at(server, place).push(single()) == str(expected["next id"][place])


@pytest.mark.parametrize("name", SETS)
def test_both_snapshots_of_a_set_are_one_state(load: Load, name: str) -> None:
    """Effects tell more: this version counts what the earlier one only carried out."""
    seen = set()
    for file in ("dump.rdb", "snapshot.aof"):
        server = load(name, file)
        seen.add(tuple(digest(server.client(db=db), key) for db, key in PLACES.values()))
    assert len(seen) == 1

"""Work under way in a space, for tests in which the servers of it change: all kinds of it that a module
with layout 2 of the files knows. None of it falls due while a test looks.
"""

from dataclasses import dataclass
from typing import Any

from history import HOUR, portrait
from servers import Server
from space import Space, Task
from workflows import chain, diamond, loose, single, task, workflow


@dataclass
class Work:
    """Tasks that are held while the servers change."""

    held: Task
    half: Task
    done: Task
    resumed: Task


def begin(server: Server, jobs: Space) -> Work:
    """Leases held, retries and delays waiting, types and workflows paused, a join half done."""
    jobs.push(chain(3, type="long"), "ID", "held", "INPUT", "in")
    held = jobs.claim_one("alice", "TYPES", 1, "long", "LEASE", HOUR)
    jobs.push(diamond(), "ID", "join", "PRIORITY", 1)
    top = jobs.claim_one("bob", "LEASE", HOUR)
    jobs.complete(top.token, "RESULT", "of the top")
    left, right = jobs.claim("bob", "COUNT", 2, "LEASE", HOUR)
    jobs.complete(left.token, "RESULT", "of one side")

    for wid in ("retry", "dead letter"):
        jobs.push(single(type="again", max_attempts=3, backoff={"delay_ms": HOUR}), "ID", wid)
    again, failed = jobs.claim("carol", "TYPES", 1, "again", "COUNT", 2, "LEASE", HOUR)
    assert jobs.fail(again.token, "ERROR", "later", failed.token, "ERROR", "never", "NORETRY") == [2, 1]
    jobs.push(single(type="delayed"), "ID", "delayed", "DELAY", HOUR, "TIMEOUT", 9 * HOUR)
    jobs.push(single(type="paused"), "ID", "paused type")
    jobs.push(chain(2, type="work"), "ID", "paused", "PAUSED")
    jobs.push(single(type="work"), "ID", "cancelled")
    jobs.call("CANCEL", "cancelled")
    jobs.pause("TYPE", "paused")
    jobs.configure("default-lease-ms", 2 * HOUR)

    jobs.push(loose(2, type="lost"), "ID", "lost")
    resumed = jobs.claim("dave", "TYPES", 1, "lost", "COUNT", 2, "LEASE", 1)[0]
    server.wait_until(lambda: set(jobs.states("lost").values()) == {"ready"}, what="leases to run out")
    return Work(held=held, half=right, done=left, resumed=resumed)


def go_on(jobs: Space, work: Work) -> None:
    """More of it, for a replica that is there already."""
    assert jobs.extend(2 * HOUR, work.held.token) == [1]
    jobs.push(workflow(task("a", type="x"), task("b", ["a"], type="x", delay_ms=HOUR), task("c", ["a"], type="x")))
    jobs.complete(jobs.claim_one("erin", "TYPES", 1, "x", "LEASE", HOUR).token)
    jobs.push(single(type="again", max_attempts=2, backoff={"delay_ms": HOUR}), "ID", "retried")
    jobs.fail(jobs.claim_one("carol", "TYPES", 1, "again", "LEASE", HOUR).token, "ERROR", b"\x00\xff")
    jobs.pause("ID", "join")
    work.resumed = jobs.claim_one("dave", "TYPES", 1, "lost", "LEASE", HOUR)


def seen(jobs: Space) -> dict[str, Any]:
    """What clients see of the space."""
    workflows, stats = portrait(jobs, [entry["id"].encode() for entry in jobs.listed()])
    return {
        "workflows": workflows,
        "stats": stats,
        "listed": jobs.listed(),
        "failed": jobs.listed("FAILED"),
    }


def end(jobs: Space, work: Work) -> None:
    """The old tokens are good, what waited goes on waiting, and all of it comes to its end."""
    assert jobs.complete(work.done.token) == [2], "a repeated acknowledgement is known"
    assert jobs.extend(HOUR, work.held.token) == [1]
    assert jobs.complete(work.half.token, "RESULT", "of the other side") == [1]
    assert jobs.claim("w", "TYPES", 1, "work") == [], "the join is paused, and so is the other workflow"
    assert jobs.release("ID", "join", "paused") == 2
    bottom = jobs.claim_one("w", "TYPES", 1, "work", "MAXPRIORITY", 1, "WITHRESULTS")
    assert (bottom.workflow, bottom.attempt) == ("join", 1)
    assert sorted(bottom.results.values()) == [b"of one side", b"of the other side"]
    assert jobs.complete(bottom.token) == [1]
    assert jobs.claim("w", "TYPES", 2, "paused", "delayed") == []
    assert jobs.states("retry") == jobs.states("retried") == {"only": "delayed"}
    assert jobs.settings("default-lease-ms") == {"default-lease-ms": 2 * HOUR}
    assert jobs.complete(work.held.token, work.resumed.token) == [1, 1]
    assert jobs.recover("dave") == []
    assert jobs.release("TYPE", "paused") == 1
    jobs.work_off("w")
    assert [jobs.state(wid) for wid in ("held", "join", "paused", "paused type", "lost")] == ["completed"] * 5


def use_what_is_new(jobs: Space) -> None:
    """Effects that the older version has no word for."""
    jobs.define("new", workflow(task("a", type="new"), task("b", ["a"], type="new"), task("c", ["a"], type="new")))
    jobs.start("new", "ID", "new")
    assert jobs.complete(jobs.claim_one("w", "TYPES", 1, "new").token, "RESULT", "r", "SKIP", "b") == [1]
    jobs.push(workflow(task("s", signal=True), task("t", [{"task": "s", "on": "always"}], type="new")), "ID", "signal")
    assert jobs.signal("signal", "s", "RESULT", "yes") == 1

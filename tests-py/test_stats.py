"""WF.STATS: what a space holds, by state and by type."""

import json

from servers import Server
from space import Space
from waiting import eventually
from workflows import chain, loose, single, task, workflow

TYPE_FIELDS = {
    "paused", "ready", "running", "delayed", "oldest_ready_ms", "completed", "failed",
    "wait_p50_ms", "wait_p95_ms", "wait_p99_ms", "run_p50_ms", "run_p95_ms", "run_p99_ms",
}  # fmt: skip


def test_counts_by_state_follow_the_tasks(jobs: Space) -> None:
    jobs.push(chain(3))
    jobs.push(loose(2), "ID", "bad")
    jobs.push(single(), "PAUSED")
    first = jobs.claim_one("w")
    jobs.complete(first.token)
    second = jobs.claim_one("w")
    assert second.workflow == "1", "the oldest workflow goes on first"
    bad = jobs.claim_one("w")
    jobs.fail(bad.token)
    stats = jobs.stats()
    assert {state: n for state, n in stats["workflows"].items() if n} == {"running": 1, "paused": 1, "failed": 1}
    assert {state: n for state, n in stats["tasks"].items() if n} == {
        "completed": 1,
        "running": 1,
        "waiting": 2,
        "failed": 1,
        "cancelled": 1,
    }
    assert set(stats["workflows"]) == {"running", "paused", "completed", "failed", "cancelled"}
    assert set(stats["tasks"]) == {
        "waiting", "delayed", "ready", "running", "completed", "failed", "skipped", "cancelled",
    }  # fmt: skip


def test_each_type_by_itself(jobs: Space) -> None:
    jobs.push(workflow(task("a", type="x"), task("b", type="x"), task("c", type="y")))
    jobs.complete(jobs.claim_one("w", "TYPES", 1, "x").token)
    jobs.claim_one("w", "TYPES", 1, "y")
    types = jobs.stats()["types"]
    assert TYPE_FIELDS <= types["x"].keys()
    assert (types["x"]["ready"], types["x"]["running"], types["x"]["completed"]) == (1, 0, 1)
    assert (types["y"]["ready"], types["y"]["running"], types["y"]["completed"]) == (0, 1, 0)
    eventually(lambda: jobs.stats()["types"]["x"]["oldest_ready_ms"] > 0, what="the oldest ready task to age")


def test_percentiles_are_in_order(jobs: Space) -> None:
    jobs.push(loose(50))
    jobs.work_off("w")
    x = jobs.stats()["types"]["work"]
    assert x["completed"] == 50
    for what in ("wait", "run"):
        p50, p95, p99 = (float(x[f"{what}_{p}_ms"]) for p in ("p50", "p95", "p99"))
        assert 0 <= p50 <= p95 <= p99 < 60_000


def test_a_missing_key_is_null(server: Server, resp: int) -> None:
    assert server.client(resp).execute_command("WF.STATS", "k") is None


def test_flat_arrays_in_resp2(server: Server) -> None:
    server.client().execute_command("WF.PUSH", "k", json.dumps(single()))
    flat = server.client(2).execute_command("WF.STATS", "k")
    assert flat[::2] == list(server.client(3).execute_command("WF.STATS", "k"))
    workflows = flat[flat.index(b"workflows") + 1]
    assert workflows[workflows.index(b"running") + 1] == 1

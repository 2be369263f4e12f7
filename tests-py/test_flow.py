"""Edges with conditions, failures that are borne, workflows that go on after one."""

from collections.abc import Callable
from typing import Any

import pytest

from history import HOUR, digest
from refusals import refused
from servers import Server
from space import Space, plain
from workflows import Document, chain, single, task, workflow


def on(parent: str, condition: str) -> dict[str, str]:
    return {"task": parent, "on": condition}


def after(name: str, parent: str, condition: str, **fields: Any) -> Document:
    return task(name, **fields) | {"parents": [on(parent, condition)]}


def tokens(jobs: Space, count: int = 100) -> dict[str, str]:
    """Claims what there is; tokens by the names of the tasks."""
    return {claimed.name: claimed.token for claimed in jobs.claim("w", "COUNT", count, "LEASE", HOUR)}


def saga() -> Document:
    """book -> pay -> ship, each undone when the next one fails."""
    return workflow(
        task("book"),
        task("pay", ["book"]),
        task("ship", ["pay"]),
        after("refund", "ship", "failure"),
        after("unbook", "pay", "failure"),
        after("report", "ship", "always"),
    )


# Which edges hold


@pytest.mark.parametrize("ends", ["complete", "fail"])
def test_a_task_runs_when_its_edges_hold_and_is_skipped_otherwise(jobs: Space, ends: str) -> None:
    wid = jobs.push(
        workflow(
            task("a"), after("good", "a", "success"), after("bad", "a", "failure"), after("any", "a", "always")
        )
    )
    a = jobs.claim_one("w").token
    assert (jobs.complete(a) if ends == "complete" else jobs.fail(a)) == [1]
    runs, skipped = ("good", "bad") if ends == "complete" else ("bad", "good")
    assert jobs.claim_names("w") == [runs, "any"]
    assert jobs.states(wid)[skipped] == "skipped"


def test_all_edges_must_hold_and_all_parents_must_have_ended(jobs: Space) -> None:
    both = {"parents": ["a", on("b", "failure")]}
    wid = jobs.push(workflow(task("a"), task("b"), task("c") | both))
    held = tokens(jobs)
    jobs.fail(held["b"])
    assert jobs.states(wid)["c"] == "waiting", "a runs on"
    jobs.complete(held["a"])
    assert jobs.claim_names("w") == ["c"]


def test_children_of_the_skipped_see_that(jobs: Space) -> None:
    wid = jobs.push(
        workflow(
            task("a"),
            after("undo", "a", "failure"),
            task("after undo", ["undo"]),
            after("always", "after undo", "always"),
            after("on failure", "after undo", "failure"),
        )
    )
    jobs.complete(jobs.claim_one("w").token)
    states = jobs.states(wid)
    assert (states["undo"], states["after undo"], states["on failure"]) == ("skipped",) * 3
    assert jobs.claim_names("w") == ["always"]


def test_a_skipped_task_says_why(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), after("undo", "a", "failure")))
    jobs.complete(jobs.claim_one("w").token)
    found = jobs.tasks(wid)["undo"]
    assert (found["state"], found["attempts"], found["worker"], found["started"]) == ("skipped", 0, None, None)
    assert found["finished"] is not None
    words = plain(jobs.call("WHY", wid, "undo"))["words"]
    assert "was skipped" in words and "runs on failure of 'a', which completed" in words


def test_one_long_line_of_skips_is_one_step(jobs: Space) -> None:
    length = 5_000
    tasks = [task("t0")] + [after(f"t{n}", f"t{n - 1}", "failure" if n == 1 else "success") for n in range(1, length)]
    wid = jobs.push(workflow(*tasks))
    jobs.complete(jobs.claim_one("w").token)
    shown = jobs.get(wid)
    assert (shown["state"], shown["counts"]["skipped"]) == ("completed", length - 1)


# What a failure means


def test_a_failure_that_an_edge_handled_does_not_fail_the_workflow(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), after("undo", "a", "failure")))
    jobs.fail(jobs.claim_one("w").token, "ERROR", "no")
    assert jobs.state(wid) == "running"
    jobs.complete(jobs.claim_one("w").token)
    assert (jobs.state(wid), jobs.get(wid)["error"]) == ("completed", None)
    assert jobs.states(wid) == {"a": "failed", "undo": "completed"}


def test_a_saga_undoes_what_was_done(jobs: Space) -> None:
    wid = jobs.push(saga())
    assert jobs.work_off("w", "COUNT", 1)[:3] == ["book", "pay", "ship"]
    assert jobs.state(wid) == "completed"
    wid = jobs.push(saga())
    for _ in range(2):
        jobs.complete(jobs.claim_one("w").token)
    jobs.fail(jobs.claim_one("w").token)
    assert jobs.claim_names("w") == ["refund", "report"]
    assert jobs.states(wid)["unbook"] == "skipped"


def test_a_failed_handler_fails_the_workflow(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), after("undo", "a", "failure")))
    jobs.fail(jobs.claim_one("w").token, "ERROR", "first")
    jobs.fail(jobs.claim_one("w").token, "ERROR", "second")
    assert (jobs.state(wid), plain(jobs.call("WHY", wid))["error"]) == ("failed", "second")


def test_a_failure_that_is_borne_does_not_fail_the_workflow(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a", on_failure="continue"), after("b", "a", "always"), task("c", ["a"]), task("d")))
    held = tokens(jobs)
    jobs.fail(held["a"])
    assert jobs.states(wid) == {"a": "failed", "b": "ready", "c": "skipped", "d": "running"}
    jobs.complete(held["d"])
    jobs.work_off("w")
    assert jobs.state(wid) == "completed"


def test_the_first_failure_cancels_all_but_what_its_edges_still_reach(jobs: Space) -> None:
    wid = jobs.push(
        workflow(task("a"), task("b"), task("c", ["b"]), after("clean", "c", "always"), task("tell", ["clean"]))
    )
    held = tokens(jobs, 1)
    jobs.fail(held["a"])
    assert jobs.states(wid) == {
        "a": "failed", "b": "cancelled", "c": "cancelled", "clean": "ready", "tell": "waiting",
    }  # fmt: skip
    assert (jobs.state(wid), jobs.get(wid)["finished"]) == ("failed", None)
    clean = jobs.claim_one("w").token
    assert jobs.extend(1000, clean) == [1], "nobody wants it to stop"
    jobs.complete(clean)
    assert jobs.work_off("w") == ["tell"]
    assert jobs.state(wid) == "failed" and jobs.get(wid)["finished"] is not None


def test_without_fail_fast_all_runs_that_still_can(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), task("b"), task("c", ["b"]), task("d", ["a", "c"]), fail_fast=False))
    jobs.fail(jobs.claim_one("w").token, "ERROR", "no")
    assert jobs.state(wid) == "running"
    assert jobs.work_off("w") == ["b", "c"]
    assert jobs.states(wid)["d"] == "skipped"
    assert (jobs.state(wid), plain(jobs.call("WHY", wid))["error"]) == ("failed", "no")


def test_cleaning_up_is_tried_again_in_a_stopped_workflow(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), after("clean", "a", "always", max_attempts=2, backoff={"delay_ms": 0})))
    jobs.fail(jobs.claim_one("w").token)
    assert jobs.fail(jobs.claim_one("w").token) == [2]
    assert jobs.complete(jobs.claim_one("w").token) == [1]
    assert jobs.state(wid) == "failed"


def test_a_cancelled_workflow_cleans_up(jobs: Space) -> None:
    wid = jobs.push(saga())
    jobs.complete(jobs.claim_one("w").token)
    assert jobs.call("CANCEL", wid) == 1
    assert jobs.claim_names("w") == ["report"]
    assert jobs.states(wid) | {"book": "", "report": ""} == {
        "book": "", "pay": "cancelled", "ship": "cancelled", "refund": "skipped", "unbook": "skipped", "report": "",
    }  # fmt: skip
    assert jobs.get(wid)["finished"] is None


def test_what_a_deadline_leaves_runs_even_when_it_was_paused(jobs: Space, server: Server) -> None:
    wid = jobs.push(workflow(task("a"), after("clean", "a", "always")), "TIMEOUT", 20)
    jobs.pause("ID", wid)
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the deadline")
    assert jobs.work_off("w") == ["clean"]
    assert jobs.get(wid)["finished"] is not None


# WF.RETRY


def test_a_retry_runs_what_lies_behind_the_failure_again(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), task("b", ["a"]), after("clean", "a", "always"), task("x", priority=0)))
    jobs.complete(jobs.claim_one("w").token)
    jobs.fail(jobs.claim_one("w").token)
    jobs.complete(jobs.claim_one("w").token, "RESULT", "cleaned")
    assert jobs.states(wid) == {"a": "failed", "b": "cancelled", "clean": "completed", "x": "completed"}
    assert jobs.retry(wid) == 1
    assert jobs.states(wid) == {"a": "ready", "b": "waiting", "clean": "waiting", "x": "completed"}
    assert jobs.tasks(wid)["clean"]["result"] is None
    assert jobs.work_off("w") == ["a", "b", "clean"]
    assert jobs.state(wid) == "completed"


def test_a_retry_leaves_failures_that_were_handled(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), after("undo", "a", "failure"), task("b", ["undo"])))
    jobs.fail(jobs.claim_one("w").token)
    jobs.complete(jobs.claim_one("w").token)
    jobs.fail(jobs.claim_one("w").token)
    assert jobs.retry(wid) == 1
    assert jobs.states(wid) == {"a": "failed", "undo": "completed", "b": "ready"}


def test_a_retry_of_one_task_leaves_what_lies_behind_another(jobs: Space) -> None:
    both = {"parents": ["a", "b"]}
    wid = jobs.push(workflow(task("a"), task("b"), task("c") | both, after("d", "a", "always"), fail_fast=False))
    held = tokens(jobs)
    jobs.fail(held["a"], held["b"])
    jobs.work_off("w")
    assert jobs.retry(wid, "TASK", "a") == 1
    assert jobs.states(wid) == {"a": "ready", "b": "failed", "c": "skipped", "d": "waiting"}
    assert jobs.work_off("w") == ["a", "d"]
    assert jobs.state(wid) == "failed"


# Documents


@pytest.mark.parametrize(
    ("document", "names"),
    [
        (workflow(task("a"), after("b", "a", "never")), ("task 'b'", "on", "success")),
        (workflow(task("a"), task("b") | {"parents": [{"on": "always"}]}), ("task 'b'", "task")),
        (workflow(task("a"), task("b") | {"parents": [on("a", "always") | {"x": 1}]}), ("task 'b'", "x")),
        (workflow(task("a"), task("b") | {"parents": [7]}), ("task 'b'", "parents")),
        (workflow(task("a"), task("b") | {"parents": ["a", on("a", "failure")]}), ("task 'b'", "'a'", "two")),
        (workflow(task("a"), after("b", "c", "always")), ("task 'b'", "unknown parent 'c'")),
        (workflow(after("a", "a", "always")), ("task 'a'",)),
        (workflow(after("a", "b", "always"), after("b", "a", "failure")), ("cycle",)),
        (single(on_failure="ignore"), ("task 'only'", "on_failure", "continue")),
        (single(on_failure=True), ("task 'only'", "on_failure")),
        (workflow(task("a"), fail_fast="no"), ("fail_fast", "true or false")),
        (workflow(task("a"), fail_fast=False) | {"defaults": {"on_failure": "continue"}}, ("on_failure",)),
    ],
)
def test_what_is_no_condition_is_refused(jobs: Space, document: Document, names: tuple[str, ...]) -> None:
    with refused("INVALID", *names):
        jobs.push(document)
    assert jobs.client.exists(jobs.key) == 0


def test_an_edge_from_both_ends_has_the_childs_condition(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a", children=["b"]), after("b", "a", "failure")))
    jobs.complete(jobs.claim_one("w").token)
    assert jobs.states(wid)["b"] == "skipped"


def test_workflows_that_flow_alike_share_a_shape_and_others_do_not(jobs: Space) -> None:
    documents = [chain(2), chain(2, on_failure="continue"), chain(2) | {"fail_fast": False}]
    documents.append(workflow(task("t0"), after("t1", "t0", "always")))
    ids = [jobs.push(document) for document in documents for _ in range(2)]
    for claimed in jobs.claim("w", "COUNT", len(ids)):
        jobs.fail(claimed.token)
    assert [jobs.states(wid)["t1"] for wid in ids] == ["cancelled"] * 2 + ["skipped"] * 4 + ["ready"] * 2


def test_drawings_show_conditions(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), after("b", "a", "failure"), task("c", ["a"])))
    dot = jobs.call("GRAPH", wid).decode()
    assert '  t0 -> t1 [style=dashed, label="failure"];' in dot and "  t0 -> t2;" in dot
    assert "  t0 -. failure .-> t1" in jobs.call("GRAPH", wid, "MERMAID").decode()


# What survives


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_it_survives_restart_rewrite_and_promotion(fresh_server: Callable[..., Server], preamble: str) -> None:
    primary = fresh_server("appendonly yes", f"aof-use-rdb-preamble {preamble}")
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    stopped = jobs.push(
        workflow(task("a"), task("b"), after("clean", "b", "always"), after("undo", "a", "failure", on_failure="continue"))
    )
    going = jobs.push(workflow(task("a", on_failure="continue"), task("b", ["a"]), task("c"), fail_fast=False))
    waiting = jobs.push(saga())
    held = jobs.claim("w", "COUNT", 4, "LEASE", HOUR)
    by_place = {(one.workflow, one.name): one.token for one in held}
    jobs.fail(by_place[stopped, "b"], by_place[going, "a"])
    seen = [jobs.states(wid) for wid in (stopped, going, waiting)]
    assert seen[0] == {"a": "running", "b": "failed", "clean": "ready", "undo": "waiting"}
    replica.wait_in_sync(primary)
    before = digest(primary.client())
    assert digest(replica.client()) == before
    primary.restart()
    assert digest(primary.client()) == before, "from the effects"
    jobs = Space(primary.client(), "jobs")
    jobs.client.bgrewriteaof()
    primary.wait_until(lambda: not jobs.client.info("persistence")["aof_rewrite_in_progress"], what="the rewrite")
    primary.restart()
    assert digest(primary.client()) == before, "from the rewritten file"
    replica.client().replicaof("NO", "ONE")
    for server in (primary, replica):
        there = Space(server.client(), "jobs")
        assert [there.states(wid) for wid in (stopped, going, waiting)] == seen
        there.fail(by_place[stopped, "a"])
        there.complete(by_place[going, "c"])
        assert set(there.work_off("x")) >= {"clean", "undo"}
        assert there.get(stopped)["finished"] is not None
        assert there.state(going) == "completed"

"""WF.RETRY: what failed in a failed workflow runs again."""

import json
from typing import Any

import pytest
import redis

from blocked import Queue, served
from history import HOUR, digest
from refusals import refused
from servers import Server
from space import Space
from test_dead_letters import fail_one, later, names
from waiting import now_ms
from workflows import Document, chain, diamond, loose, single, task, workflow


def test_a_failed_task_and_what_was_cancelled_behind_it_run_again(jobs: Space) -> None:
    wid = jobs.push(chain(3, max_attempts=2, backoff={"delay_ms": 0}))
    done = jobs.claim_one("w")
    jobs.complete(done.token, "RESULT", "kept")
    for _ in range(2):
        old = jobs.claim_one("w")
        jobs.fail(old.token, "ERROR", "no")
    assert jobs.states(wid) == {"t0": "completed", "t1": "failed", "t2": "cancelled"}
    before = now_ms()
    assert jobs.retry(wid) == 1
    assert jobs.states(wid) == {"t0": "completed", "t1": "ready", "t2": "waiting"}
    seen = jobs.get(wid)
    assert (seen["state"], seen["finished"]) == ("running", None)
    again = jobs.tasks(wid)["t1"]
    assert (again["attempts"], again["failures"], again["lost"], again["error"]) == (0, 0, 0, None)
    assert (again["worker"], again["started"], again["finished"]) == (None, None, None)
    assert again["ready"] >= before
    assert jobs.tasks(wid)["t0"]["result"] == "kept", "what completed stays completed"
    assert jobs.listed("FAILED") == []
    assert jobs.stats()["dead"] == 0

    assert (jobs.complete(old.token), jobs.fail(old.token), jobs.extend(HOUR, old.token)) == ([0], [0], [0])
    fresh = jobs.claim_one("w", "WITHRESULTS")
    assert (fresh.name, fresh.attempt, fresh.results) == ("t1", 1, {"t0": b"kept"})
    assert jobs.fail(fresh.token) == [2], "attempts start over"
    assert jobs.work_off("w") == ["t1", "t2"]
    assert jobs.state(wid) == "completed"
    assert jobs.complete(done.token) == [2]


def test_it_can_fail_and_be_retried_again(jobs: Space) -> None:
    wid = jobs.push(single())
    for turn in range(5):
        assert jobs.fail(jobs.claim_one("w").token, "ERROR", f"turn {turn}") == [1]
        assert [letter["error"] for letter in jobs.listed("FAILED")] == [f"turn {turn}"]
        assert jobs.state(wid) == "failed"
        assert jobs.retry(wid) == 1
    assert jobs.work_off("w") == ["only"]
    assert jobs.state(wid) == "completed"


def test_answers_that_change_nothing(jobs: Space) -> None:
    assert jobs.retry("nothing") == -1
    assert jobs.client.exists("jobs") == 0
    running, completed = jobs.push(chain(2)), jobs.push(single(type="x"))
    jobs.complete(jobs.claim_one("w", "TYPES", 1, "x").token)
    failed = jobs.push(workflow(task("good", type="y"), task("bad", ["good"], type="y"), task("behind", ["bad"])))
    for acknowledge in (jobs.complete, jobs.fail):
        acknowledge(jobs.claim_one("w", "TYPES", 1, "y").token)
    before = digest(jobs.client)
    assert jobs.retry("nothing") == -1
    assert (jobs.retry(running), jobs.retry(completed)) == (0, 0)
    assert (jobs.retry(running, "TASK", "t0"), jobs.retry(completed, "TASK", "only")) == (0, 0)
    assert jobs.retry(failed, "TASK", "unknown") == -1
    assert (jobs.retry(failed, "TASK", "good"), jobs.retry(failed, "TASK", "behind")) == (0, 0)
    assert digest(jobs.client) == before
    assert jobs.retry(failed) == 1
    assert jobs.retry(failed) == 0, "it runs again already"


def broken(jobs: Space) -> tuple[str, dict[str, str]]:
    """Two branches that failed, each with something behind it, and a join of both. Tokens by name."""
    wid = jobs.push(
        workflow(
            task("left"), task("right"), task("after left", ["left"]), task("after right", ["right"]),
            task("join", ["after left", "after right"]), task("apart"),
        )
    )  # fmt: skip
    left, right = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    assert jobs.fail(left.token, "ERROR", "left", right.token, "ERROR", "right") == [1, 1]
    return wid, {"left": left.token, "right": right.token}


def test_one_task_and_what_does_not_lie_behind_another(jobs: Space) -> None:
    wid, tokens = broken(jobs)
    assert jobs.retry(wid, "TASK", "left") == 1
    assert jobs.states(wid) == {
        "left": "ready",
        "right": "failed",
        "after left": "waiting",
        "after right": "cancelled",
        "join": "cancelled",
        "apart": "ready",
    }
    assert jobs.state(wid) == "running", "though a task of it has failed"
    assert names(jobs.listed("FAILED")) == [(wid, "right")]
    assert jobs.complete(tokens["left"]) == [0]
    assert jobs.get(wid)["counts"]["failed"] == 1
    assert jobs.work_off("w") == ["left", "after left", "apart"]
    seen = jobs.get(wid)
    assert seen["state"] == "failed", "what is left has failed"
    assert seen["finished"] is not None
    assert jobs.tasks(wid)["right"]["error"] == "right"

    assert jobs.retry(wid, "TASK", "right") == 1
    assert jobs.work_off("w") == ["right", "after right", "join"]
    assert jobs.state(wid) == "completed"


def test_all_failed_tasks_at_once(jobs: Space) -> None:
    wid, _ = broken(jobs)
    assert jobs.retry(wid) == 1
    assert jobs.claim_names("w") == ["left", "right", "apart"]
    assert len(jobs.recover("w")) == 3
    assert len(jobs.work_off("w")) == 6
    assert jobs.state(wid) == "completed"
    assert jobs.listed("FAILED") == []


def test_one_after_the_other_while_it_runs(jobs: Space) -> None:
    """A workflow that runs again is not failed: the other task has to wait for it to fail again."""
    wid, _ = broken(jobs)
    assert jobs.retry(wid, "TASK", "left") == 1
    assert jobs.retry(wid, "TASK", "right") == 0
    assert jobs.fail(jobs.claim_one("w").token) == [1]
    assert jobs.state(wid) == "failed"
    assert jobs.retry(wid) == 1
    assert jobs.get(wid)["counts"]["failed"] == 0


def test_while_it_still_runs_down(jobs: Space) -> None:
    wid = jobs.push(workflow(task("bad"), task("good"), task("end", ["bad", "good"])))
    bad, good = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    jobs.fail(bad.token)
    assert jobs.get(wid)["finished"] is None
    assert jobs.retry(wid) == 1
    assert jobs.states(wid) == {"bad": "ready", "good": "running", "end": "waiting"}
    assert jobs.extend(HOUR, good.token) == [1], "no more asked to stop"
    assert jobs.complete(good.token) == [1]
    assert jobs.work_off("w") == ["bad", "end"]
    assert jobs.state(wid) == "completed"


def test_delays_of_tasks_hold_again(jobs: Space) -> None:
    wid = jobs.push(workflow(task("bad"), task("later", delay_ms=HOUR)))
    jobs.fail(jobs.claim_one("w").token)
    before = now_ms()
    assert jobs.retry(wid) == 1
    assert jobs.states(wid) == {"bad": "ready", "later": "delayed"}
    assert jobs.tasks(wid)["later"]["due"] >= before + HOUR


def test_the_deadline_starts_over(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(), "TIMEOUT", HOUR)
    first = jobs.get(wid)["deadline"]
    jobs.fail(jobs.claim_one("w").token)
    later(first - HOUR)
    before = now_ms()
    jobs.retry(wid)
    assert before + HOUR <= jobs.get(wid)["deadline"] <= now_ms() + HOUR
    assert jobs.get(wid)["deadline"] > first


def test_a_workflow_that_timed_out_runs_again(server: Server, jobs: Space) -> None:
    wid = jobs.push(chain(3), "TIMEOUT", 80)
    jobs.complete(jobs.claim_one("w").token)
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the deadline")
    assert jobs.states(wid) == {"t0": "completed", "t1": "cancelled", "t2": "cancelled"}
    assert jobs.listed("FAILED") == []
    assert jobs.retry(wid, "TASK", "t1") == 0
    assert jobs.retry(wid) == 1
    seen = jobs.get(wid)
    assert (seen["state"], seen["error"], seen["finished"]) == ("running", None, None)
    assert jobs.states(wid) == {"t0": "completed", "t1": "ready", "t2": "waiting"}
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the deadline that started over")
    assert jobs.get(wid)["error"] == "timed out after 80 ms"


def test_a_poisoned_task_starts_over(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(max_deliveries=2))
    for _ in range(2):
        jobs.claim_one("crashing")
        jobs.recover("crashing")
    assert jobs.state(wid) == "failed"
    assert jobs.retry(wid) == 1
    assert jobs.tasks(wid)["only"]["lost"] == 0
    jobs.claim_one("crashing")
    jobs.recover("crashing")
    assert jobs.work_off("w") == ["only"]


def test_waiting_workers_are_given_what_runs_again(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(3))
    jobs.fail(jobs.claim_one("w").token)
    waiters = Queue(server).joins(4)
    jobs.retry(wid)
    server.wait_until(lambda: len(served(waiters)) == 3, what="three to be served")
    assert [waiter.names() for waiter in waiters[:3]] == [["t0"], ["t1"], ["t2"]]


def test_a_paused_workflow_that_failed(jobs: Space) -> None:
    wid = jobs.push(loose(2))
    token = jobs.claim_one("w").token
    jobs.pause("ID", wid)
    jobs.fail(token)
    assert jobs.state(wid) == "failed"
    assert jobs.retry(wid) == 1
    jobs.release("ID", wid)
    assert jobs.work_off("w") == ["t0", "t1"]
    assert jobs.state(wid) == "completed"


def test_a_diamond_whose_side_failed(jobs: Space) -> None:
    wid = jobs.push(diamond())
    jobs.complete(jobs.claim_one("w").token)
    left, right = jobs.claim("w", "COUNT", 2)
    jobs.complete(left.token)
    jobs.fail(right.token)
    assert jobs.retry(wid, "TASK", "right") == 1
    assert jobs.work_off("w") == ["right", "bottom"], "a join that had counted one parent"
    assert jobs.state(wid) == "completed"


def test_it_is_one_of_what_is_finished_no_more(jobs: Space) -> None:
    wid = jobs.push(single())
    jobs.fail(jobs.claim_one("w").token)
    assert jobs.get(wid)["expires"] is not None
    jobs.retry(wid)
    assert jobs.get(wid)["expires"] is None
    stats = jobs.stats()["workflows"]
    assert (stats["failed"], stats["running"]) == (0, 1)


def test_it_adds_work_so_a_full_server_refuses_it(jobs: Space) -> None:
    wid = fail_one(jobs)
    jobs.client.config_set("maxmemory", 1)
    for command in (["RETRY", wid], ["PUSH", json.dumps(single())]):
        with refused("OOM"):
            jobs.call(*command)
    jobs.client.config_set("maxmemory", 0)
    assert jobs.retry(wid) == 1


def test_the_event(server: Server, jobs: Space) -> None:
    wid = fail_one(jobs)
    jobs.client.config_set("notify-keyspace-events", "KEA")
    subscriber = server.client().pubsub()
    subscriber.subscribe("__keyevent@0__:workflow.retried")
    subscriber.get_message(timeout=5)
    jobs.retry(wid)
    message = server.wait_until(lambda: subscriber.get_message(timeout=0.1), what="the event")
    assert message["data"] == b"jobs"
    subscriber.close()


BAD_ARGUMENTS: list[list[Any]] = [[], ["w", "TASK"], ["w", "TASK", "a", "b"], ["w", "COLOUR", "red"], ["w", "x"]]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=str)
def test_arguments_that_make_no_sense(jobs: Space, arguments: list[str]) -> None:
    with pytest.raises(redis.ResponseError):
        jobs.call("RETRY", *arguments)


def document_of(size: int) -> Document:
    """A failed root with everything behind it."""
    return workflow(task("root"), *(task(f"t{i}", ["root"]) for i in range(size)))


def test_a_large_workflow_runs_again(jobs: Space) -> None:
    wid = jobs.push(document_of(20_000))
    jobs.fail(jobs.claim_one("w").token)
    assert jobs.get(wid)["counts"]["cancelled"] == 20_000
    assert jobs.retry(wid) == 1
    assert jobs.get(wid)["counts"]["waiting"] == 20_000
    jobs.complete(jobs.claim_one("w").token)
    assert len(jobs.claim("w", "COUNT", 10_000)) == 10_000

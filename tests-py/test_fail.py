"""WF.FAIL: a failed task fails its workflow, what runs runs down, and it is never completed."""

from servers import Server
from space import Space
from workflows import chain, fan, loose, task, workflow


def test_a_failed_task_fails_its_workflow(jobs: Space) -> None:
    wid = jobs.push(chain(3))
    assert jobs.fail(jobs.claim_one("w").token, "ERROR", "disk full") == [1]
    assert jobs.states(wid) == {"t0": "failed", "t1": "cancelled", "t2": "cancelled"}
    assert jobs.tasks(wid)["t0"]["error"] == "disk full"
    workflow = jobs.get(wid)
    assert workflow["state"] == "failed"
    assert workflow["finished"] >= workflow["created"]
    assert jobs.claim("w") == []


def test_what_runs_runs_down_and_what_did_not_start_is_cancelled(jobs: Space) -> None:
    wid = jobs.push(workflow(task("bad"), task("good"), task("ready"), task("child", ["good"])))
    bad, good = jobs.claim("w", "COUNT", 2)
    assert jobs.fail(bad.token, "ERROR", "no") == [1]
    assert jobs.states(wid) == {"bad": "failed", "good": "running", "ready": "cancelled", "child": "cancelled"}
    assert jobs.get(wid)["state"] == "failed"
    assert jobs.get(wid)["finished"] is None, "something of it still runs"
    assert jobs.extend(1000, good.token) == [2], "extended, but please stop"
    assert jobs.complete(good.token) == [1]
    assert jobs.states(wid)["child"] == "cancelled"
    assert jobs.get(wid)["state"] == "failed"
    assert jobs.get(wid)["finished"] is not None


def test_a_second_failure_counts_too(jobs: Space) -> None:
    wid = jobs.push(loose(2))
    one, two = (task.token for task in jobs.claim("w", "COUNT", 2))
    assert jobs.fail(one, "ERROR", "first", two, "ERROR", "second") == [1, 1]
    assert [task["error"] for task in jobs.tasks(wid).values()] == ["first", "second"]


def test_repeats_and_contradictions(jobs: Space) -> None:
    jobs.push(loose(2))
    failed, completed = (task.token for task in jobs.claim("w", "COUNT", 2))
    jobs.complete(completed)
    assert jobs.fail(failed, "ERROR", "once") == [1]
    assert jobs.fail(failed, "ERROR", "twice") == [1], "a repeat is answered as the first time"
    assert jobs.complete(failed) == [0], "a contradiction"
    assert jobs.fail(completed) == [0]
    assert jobs.fail(f"nothing-0-{'0' * 8}") == [-1]
    assert jobs.tasks("1")["t0"]["error"] == "once"


def test_the_error_text_is_optional_and_binary_safe(jobs: Space) -> None:
    wid = jobs.push(loose(2))
    one, two = (task.token for task in jobs.claim("w", "COUNT", 2))
    assert jobs.fail(one, two, "ERROR", b"nul \x00 \xff\r\n") == [1, 1]
    reply = jobs.client.execute_command("WF.GET", jobs.key, wid, "TASKS")
    assert reply[b"tasks"][1][b"error"] == b"nul \x00 \xff\r\n"


def test_a_lease_that_runs_out_in_a_failed_workflow_cancels_the_task(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2))
    bad, _ = jobs.claim("w", "COUNT", 2, "LEASE", 100)
    jobs.fail(bad.token)
    server.wait_until(lambda: jobs.states(wid)["t1"] == "cancelled", what="the running task to end")
    assert jobs.get(wid)["finished"] is not None


def test_other_workflows_go_on(jobs: Space) -> None:
    jobs.push(fan(3), "ID", "bad")
    jobs.push(fan(3), "ID", "good")
    jobs.fail(jobs.claim_one("w").token)
    assert len(jobs.work_off("w")) == 4
    assert (jobs.state("bad"), jobs.state("good")) == ("failed", "completed")

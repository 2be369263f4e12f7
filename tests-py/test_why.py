"""WF.WHY: why a workflow or a task is not running, as fields and in words."""

from collections.abc import Callable
from typing import Any

import pytest

from blocked import Queue
from history import BINARY, HOUR, live
from refusals import refused
from servers import Server
from space import Space, plain
from waiting import now_ms
from workflows import chain, diamond, join, loose, single, task, workflow

TASK_FIELDS = {
    "workflow", "task", "type", "state", "reason", "reasons", "words", "since", "open_parents", "parents",
    "due", "pauses", "ahead", "last_asked", "worker", "attempt", "deadline", "failures", "error",
}  # fmt: skip
WORKFLOW_FIELDS = {"workflow", "state", "words", "finished", "error", "pauses", "counts", "holding", "tasks"}


def why(space: Space, wid: str | bytes, name: str | bytes | None = None) -> dict[str, Any]:
    """The answer, which must be there."""
    reply = space.call("WHY", wid, *([] if name is None else [name]))
    assert reply is not None
    answer = plain(reply)
    assert set(answer) == (WORKFLOW_FIELDS if name is None else TASK_FIELDS)
    assert answer["words"].endswith(".") and answer["words"].isprintable()
    if name is not None:
        assert answer["reason"] == answer["reasons"][0]
    return answer


# A task


def test_a_task_that_waits_for_parents(jobs: Space) -> None:
    wid = jobs.push(diamond())
    bottom = why(jobs, wid, "bottom")
    assert (bottom["state"], bottom["reasons"], bottom["open_parents"]) == ("waiting", ["waiting"], 2)
    assert bottom["parents"] == [{"name": "left", "state": "waiting"}, {"name": "right", "state": "waiting"}]
    assert bottom["words"] == "Task 'bottom' waits for 2 parents: 'left' (waiting) and 'right' (waiting)."
    jobs.complete(jobs.claim_one("w").token)
    jobs.complete(jobs.claim_one("w").token)
    assert why(jobs, wid, "bottom")["parents"] == [{"name": "right", "state": "ready"}]


def test_many_parents_are_counted_and_the_first_shown(jobs: Space) -> None:
    end = why(jobs, jobs.push(join(70)), "end")
    assert (end["open_parents"], len(end["parents"])) == (70, 16)
    assert end["words"].endswith("'root0' (ready), 'root1' (ready), 'root2' (ready) and 67 more.")


def test_a_task_that_is_delayed(jobs: Space) -> None:
    wid = jobs.push(single(), "DELAY", HOUR)
    answer = why(jobs, wid, "only")
    assert (answer["reasons"], answer["failures"], answer["error"]) == (["delayed"], 0, None)
    assert answer["due"] == jobs.tasks(wid)["only"]["due"]
    assert answer["words"] in (f"Task 'only' is delayed for another {left} min." for left in (59, 60))


def test_a_task_that_is_tried_again(jobs: Space) -> None:
    wid = jobs.push(single(max_attempts=5, backoff={"delay_ms": HOUR}))
    jobs.fail(jobs.claim_one("w").token, "ERROR", b"boom\n\xff")
    answer = why(jobs, wid, "only")
    assert (answer["reason"], answer["failures"], answer["worker"], answer["attempt"]) == ("delayed", 1, "w", 1)
    assert answer["words"].endswith(r"after 1 failed attempt: boom\n\xff.")


def test_a_task_that_is_ready(server: Server, jobs: Space) -> None:
    before = now_ms()
    wid = jobs.push(workflow(task("a", type="x"), task("b", type="x"), task("c", type="y"), task("d", type="x")))
    answers = {name: why(jobs, wid, name) for name in "abcd"}
    assert {name: answer["ahead"] for name, answer in answers.items()} == {"a": 0, "b": 1, "c": 0, "d": 2}
    assert all(answer["reasons"] == ["ready"] for answer in answers.values())
    assert all(before <= answer["since"] <= now_ms() for answer in answers.values())
    assert "behind 2 in the queue of type 'x'; no worker is known to have asked for that type" in answers["d"]["words"]
    jobs.push(single(type="x", priority=1))
    assert why(jobs, wid, "a")["ahead"] == 1


def test_how_far_ahead_is_counted(jobs: Space) -> None:
    jobs.push(loose(1001))
    wid = jobs.push(single())
    answer = why(jobs, wid, "only")
    assert answer["ahead"] == 1000
    assert "behind 1000 or more" in answer["words"]


def test_when_a_worker_asked(jobs: Space) -> None:
    wid = jobs.push(workflow(*(task(name, type=name) for name in "xyz")))

    def last_asked() -> dict[str, int | None]:
        return {name: why(jobs, wid, name)["last_asked"] for name in "xyz"}

    assert last_asked() == {"x": None, "y": None, "z": None}
    before = now_ms()
    jobs.claim("w", "TYPES", 2, "x", "unseen", "MAXPRIORITY", 0)
    asked = last_asked()
    assert asked["x"] is not None and before <= asked["x"] <= now_ms()
    assert (asked["y"], asked["z"]) == (None, None)
    assert "a worker last asked for that type" in why(jobs, wid, "x")["words"]
    jobs.claim("w", "MAXPRIORITY", 0)
    asked = last_asked()
    assert None not in asked.values() and len({asked["y"], asked["z"]}) == 1


def test_asking_is_no_change(jobs: Space) -> None:
    jobs.push(single(priority=9), "ID", "x")
    (before,) = jobs.client.execute_command("DEBUG", "DIGEST-VALUE", "jobs")
    dirty = jobs.client.info("persistence")["rdb_changes_since_last_save"]
    assert jobs.claim("w", "MAXPRIORITY", 0) == []
    assert why(jobs, "x", "only")["last_asked"]
    assert jobs.client.execute_command("DEBUG", "DIGEST-VALUE", "jobs") == [before]
    assert jobs.client.info("persistence")["rdb_changes_since_last_save"] == dirty
    jobs.client.execute_command("DEBUG", "RELOAD")
    assert why(jobs, "x", "only")["last_asked"] is None
    jobs.claim("w", "MAXPRIORITY", 0)
    jobs.client.execute_command("COPY", "jobs", "copy")
    assert why(Space(jobs.client, "copy"), "x", "only")["last_asked"] is None


def test_a_client_that_waits_asks_now(server: Server, jobs: Space) -> None:
    wid = jobs.push(workflow(task("a", type="x"), task("b", type="y")))
    jobs.pause("ALL")
    waiter = Queue(server).join("TYPES", 1, "x")
    before = now_ms()
    answer = why(jobs, wid, "a")
    assert answer["last_asked"] >= before
    assert answer["words"].endswith("; a worker waits for it.")
    assert why(jobs, wid, "b")["last_asked"] is None
    jobs.release("ALL")
    assert waiter.names() == ["a"]


def test_a_task_that_runs_and_one_that_completed(server: Server, jobs: Space) -> None:
    wid = jobs.push(single())
    claimed = jobs.claim_one("me", "LEASE", HOUR)
    running = why(jobs, wid, "only")
    assert (running["reasons"], running["worker"], running["attempt"]) == (["running"], "me", 1)
    assert (running["deadline"], running["last_asked"]) == (claimed.deadline, None)
    assert running["since"] == jobs.tasks(wid)["only"]["started"]
    assert "under worker 'me', attempt 1, and it is leased for another" in running["words"]
    jobs.complete(claimed.token)
    done = why(jobs, wid, "only")
    assert (done["reasons"], done["since"]) == (["completed"], jobs.tasks(wid)["only"]["finished"])
    assert done["words"].startswith("Task 'only' completed ")


def test_tasks_that_failed_and_were_cancelled(jobs: Space) -> None:
    wid = jobs.push(chain(2))
    jobs.fail(jobs.claim_one("w").token, "ERROR", "no luck")
    failed, cancelled = why(jobs, wid, "t0"), why(jobs, wid, "t1")
    assert (failed["reasons"], failed["error"]) == (["failed"], "no luck")
    assert failed["words"].endswith(" ago: no luck.")
    assert cancelled["reasons"] == ["cancelled"]
    assert cancelled["words"].startswith("Task 't1' was cancelled ")


def test_pauses_of_all_kinds(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), task("b", ["a"]), task("c", delay_ms=HOUR)))
    jobs.pause("TYPE", "work")
    a = why(jobs, wid, "a")
    assert (a["reasons"], a["pauses"]) == (["paused", "ready"], ["type"])
    jobs.pause("ALL")
    jobs.pause("ID", wid)
    for name, reasons in (("a", ["paused", "ready"]), ("b", ["waiting", "paused"]), ("c", ["delayed", "paused"])):
        answer = why(jobs, wid, name)
        assert (answer["reasons"], answer["pauses"]) == (reasons, ["workflow", "type", "space"])
        assert " is held by the pause of the workflow, type 'work' and the space" in answer["words"]
    jobs.release("ALL")
    jobs.release("TYPE", "work")
    assert why(jobs, wid, "a")["pauses"] == ["workflow"]
    assert why(jobs, wid, "a")["words"].startswith("Task 'a' is held by the pause of the workflow; it has been ready")


def test_a_running_task_in_a_paused_workflow_is_not_held(jobs: Space) -> None:
    wid = jobs.push(chain(2))
    claimed = jobs.claim_one("w", "LEASE", HOUR)
    jobs.pause("ID", wid)
    assert (why(jobs, wid, "t0")["reasons"], why(jobs, wid, "t0")["pauses"]) == (["running"], [])
    jobs.complete(claimed.token)
    assert why(jobs, wid, "t1")["reasons"] == ["paused"], "its parents have ended"


# A workflow


def test_a_workflow_and_the_tasks_that_hold_it_up(jobs: Space) -> None:
    wid = jobs.push(diamond())
    jobs.complete(jobs.claim_one("w").token)
    jobs.claim_one("w", "LEASE", HOUR)
    answer = why(jobs, wid)
    assert (answer["workflow"], answer["state"], answer["holding"]) == (wid, "running", 2)
    assert [held["task"] for held in answer["tasks"]] == ["left", "right"]
    left = why(jobs, wid, "left")
    assert {**answer["tasks"][0], "words": None} == {**left, "words": None}
    assert {state: n for state, n in answer["counts"].items() if n} == {
        "completed": 1, "running": 1, "ready": 1, "waiting": 1,
    }  # fmt: skip
    words = f"Workflow '{wid}' is running; 1 of 4 tasks ended, 2 hold it up, first 'left': it has been running for "
    assert answer["words"].startswith(words)


def test_a_wide_workflow_shows_the_first_of_many(jobs: Space) -> None:
    answer = why(jobs, jobs.push(loose(100)))
    assert (answer["holding"], len(answer["tasks"])) == (100, 16)
    assert [held["ahead"] for held in answer["tasks"]] == list(range(16))


def test_workflows_that_ended(server: Server, jobs: Space) -> None:
    done, failed = jobs.push(single()), jobs.push(workflow(task("x"), task("y")))
    late = jobs.push(single(), "TIMEOUT", 1)
    server.wait_until(lambda: jobs.state(late) == "failed", what="a workflow to time out")
    jobs.complete(jobs.claim_one("w").token)
    x, y = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    jobs.fail(y.token, "ERROR", "no luck")
    down = why(jobs, failed)
    assert (down["state"], down["finished"], down["error"], down["holding"]) == ("failed", None, "no luck", 1)
    words = f"Workflow '{failed}' failed: task 'y' failed: no luck; 1 of 2 tasks ended, 1 holds it up, first 'x': it has "
    assert down["words"].startswith(words)
    jobs.complete(x.token)
    ended = {done: ("completed", None), failed: ("failed", "no luck"), late: ("failed", "timed out after 1 ms")}
    for wid, (state, error) in ended.items():
        answer = why(jobs, wid)
        assert (answer["state"], answer["error"], answer["tasks"], answer["holding"]) == (state, error, [], 0)
        assert answer["finished"] == jobs.get(wid)["finished"]
        assert answer["words"].startswith(f"Workflow '{wid}' {state} ")


def test_a_paused_workflow(jobs: Space) -> None:
    wid = jobs.push(single(), "PAUSED")
    assert (why(jobs, wid)["state"], why(jobs, wid)["pauses"]) == ("paused", ["workflow"])
    jobs.pause("ALL")
    assert why(jobs, wid)["pauses"] == ["workflow", "space"]
    words = f"Workflow '{wid}' is paused, and so is the space; 0 of 1 task ended, 1 holds it up"
    assert why(jobs, wid)["words"].startswith(words)


# The reply


def test_unknown_is_null(server: Server, resp: int) -> None:
    client = server.client(resp)
    assert client.execute_command("WF.WHY", "k", "w") is None
    assert client.exists("k") == 0
    Space(server.client(), "k").push(single())
    assert client.execute_command("WF.WHY", "k", "2") is None
    assert client.execute_command("WF.WHY", "k", "1", "nothing") is None
    assert client.execute_command("WF.WHY", "k", "1", "") is None


def test_maps_are_flat_arrays_in_resp2(server: Server) -> None:
    Space(server.client(), "k").push(diamond(), "DELAY", HOUR)
    for arguments in (["1"], ["1", "bottom"]):
        as_map = server.client(3).execute_command("WF.WHY", "k", *arguments)
        flat = server.client(2).execute_command("WF.WHY", "k", *arguments)
        assert flat[::2] == list(as_map)
    parents = [[b"name", name, b"state", b"waiting"] for name in (b"left", b"right")]
    assert flat[flat.index(b"parents") + 1] == parents


def test_names_of_any_bytes(jobs: Space) -> None:
    wid = BINARY + b"\n'"
    jobs.push(workflow(task("new\nline \u202e", type="ty\tpe"), task("wörk", ["new\nline \u202e"])), "ID", wid)
    jobs.claim_one(BINARY, "LEASE", HOUR)
    assert jobs.call("WHY", wid)[b"workflow"] == wid
    answer = why(jobs, wid, "new\nline \u202e")
    assert (answer["task"], answer["type"]) == ("new\nline \u202e", "ty\tpe")
    assert r"Task 'new\nline \u{202e}' has been running" in answer["words"]
    assert r"under worker '\0\xff bin=ary%\r\n'" in answer["words"]
    assert "Task 'wörk' waits" in why(jobs, wid, "wörk")["words"]


def test_arguments(jobs: Space) -> None:
    jobs.push(single())
    with refused("ERR", "more"):
        jobs.call("WHY", "1", "only", "more")
    with refused("LIMIT", "task"):
        jobs.call("WHY", "1", "n" * 513)


def test_a_replica_says_the_same_but_for_who_asked(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    live(primary, jobs)
    replica.wait_in_sync(primary)
    other = Space(replica.client(), "jobs")
    seen = set()
    for wid in range(1, 60):
        if jobs.call("GET", wid) is None:
            continue
        for name in [None, *jobs.tasks(str(wid))]:
            one, two = why(jobs, str(wid), name), why(other, str(wid), name)
            for answer in (one, two):
                for each in [answer, *answer.get("tasks", [])]:
                    del each["words"]
                    each.pop("last_asked", None)
            assert one == two
            seen.update(one.get("reasons", []))
    assert {"waiting", "delayed", "paused", "ready", "running", "completed", "failed", "cancelled"} <= seen


@pytest.mark.parametrize("command", [["1"], ["1", "only"]])
def test_in_a_transaction_and_in_a_script(jobs: Space, command: list[str]) -> None:
    jobs.push(single())
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.WHY", "jobs", *command)
        (answer,) = transaction.execute()
    assert plain(answer)["workflow"] == "1"
    script = "return redis.call('WF.WHY', KEYS[1], unpack(ARGV))"
    assert b"workflow" in jobs.client.eval(script, 1, "jobs", *command)

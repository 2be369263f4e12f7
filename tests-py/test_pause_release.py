"""WF.PAUSE and WF.RELEASE: three independent flags, each over the task states, undone by its own."""

from space import Space
from workflows import chain, loose, single, task, workflow


def test_a_paused_workflow_hands_out_nothing_and_keeps_its_order(jobs: Space) -> None:
    jobs.push(loose(2), "ID", "a")
    jobs.push(loose(2), "ID", "b")
    assert jobs.pause("ID", "a") == 1
    assert jobs.pause("ID", "a") == 0, "nothing changed"
    assert [claim.workflow for claim in jobs.claim("w", "COUNT", 9)] == ["b", "b"]
    assert jobs.states("a") == {"t0": "ready", "t1": "ready"}
    jobs.push(loose(1), "ID", "c")
    assert jobs.release("ID", "a") == 1
    assert jobs.release("ID", "a") == 0
    assert [claim.workflow for claim in jobs.claim("w", "COUNT", 9)] == ["a", "a", "c"], "the oldest first, as before"


def test_running_tasks_run_down_and_children_wait_for_the_release(jobs: Space) -> None:
    wid = jobs.push(chain(2))
    first = jobs.claim_one("w")
    jobs.pause("ID", wid)
    assert jobs.extend(1000, first.token) == [1], "a pause asks nobody to stop"
    assert jobs.complete(first.token) == [1]
    assert jobs.states(wid) == {"t0": "completed", "t1": "waiting"}
    assert jobs.claim("w") == []
    assert jobs.get(wid)["state"] == "paused"
    assert jobs.get(wid)["paused"] == 1
    jobs.release("ID", wid)
    assert jobs.states(wid)["t1"] == "ready"
    assert jobs.get(wid)["state"] == "running"
    assert jobs.work_off("w") == ["t1"]


def test_a_paused_workflow_can_complete_and_fail(jobs: Space) -> None:
    good, bad = jobs.push(single()), jobs.push(loose(2))
    one, two = jobs.claim("w", "COUNT", 2)
    jobs.pause("ID", good, bad)
    assert jobs.complete(one.token) == [1]
    assert jobs.state(good) == "completed"
    assert jobs.fail(two.token) == [1]
    assert jobs.state(bad) == "failed"
    assert jobs.states(bad)["t1"] == "cancelled"


def test_a_paused_type_touches_no_other_type(jobs: Space) -> None:
    jobs.push(workflow(task("x", type="x"), task("y", type="y")))
    assert jobs.pause("TYPE", "x") == 1
    assert jobs.pause("TYPE", "x", "y") == 1
    assert jobs.release("TYPE", "y") == 1
    assert jobs.claim_names("w") == ["y"]
    assert jobs.stats()["types"]["x"]["paused"] == 1
    jobs.push(workflow(task("later", type="x")))
    assert jobs.claim_names("w") == [], "it holds for later workflows as well"
    jobs.release("TYPE", "x")
    assert jobs.claim_names("w") == ["x", "later"]


def test_a_type_can_be_paused_before_it_is_seen(jobs: Space) -> None:
    jobs.push(single())
    assert jobs.pause("TYPE", "unseen") == 1
    jobs.push(workflow(task("u", type="unseen")))
    assert jobs.claim_names("w") == ["only"]
    jobs.release("TYPE", "unseen")
    assert jobs.claim_names("w") == ["u"]


def test_all_pauses_the_space(jobs: Space) -> None:
    jobs.push(loose(2))
    assert jobs.pause("ALL") == 1
    assert jobs.pause("ALL") == 0
    jobs.push(single("later"))
    assert jobs.claim_names("w") == []
    assert jobs.stats()["paused"] == 1
    assert jobs.release("ALL") == 1
    assert jobs.release("ALL") == 0
    assert jobs.claim_names("w") == ["t0", "t1", "later"]


def test_the_three_flags_are_independent(jobs: Space) -> None:
    wid = jobs.push(workflow(task("t", type="x")))
    jobs.pause("ID", wid)
    jobs.pause("TYPE", "x")
    jobs.pause("ALL")
    for release in (["ALL"], ["ID", wid]):
        assert jobs.release(*release) == 1
        assert jobs.claim("w") == []
    assert jobs.release("TYPE", "x") == 1
    assert jobs.claim_names("w") == ["t"]


def test_unknown_ids_and_a_missing_key_count_nothing(jobs: Space) -> None:
    assert jobs.pause("ID", "nothing") == 0
    assert jobs.release("ALL") == 0
    assert jobs.client.exists(jobs.key) == 0
    wid = jobs.push(single())
    assert jobs.pause("ID", "nothing", wid, wid) == 1

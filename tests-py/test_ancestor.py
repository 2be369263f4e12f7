"""What the Lua library that came before this module could do holds, and its bugs do not.

Its behaviours: typed tasks, priorities by value, pause and release, cleanup while tasks run,
recovery by worker name, a failed task fails its workflow, dangling references are rejected, and its
documents push unchanged. Its bugs: joins that never fired, an error when claiming on empty, a
maximum priority that was a rank, a pause that reached further than it was told.
"""

import json

from refusals import refused
from space import Space
from workflows import join, loose, sample_text, single, task, workflow


def test_its_sample_pushes_unchanged(jobs: Space) -> None:
    wid = jobs.push(sample_text())
    assert jobs.get(wid)["name"] == "TestWorkflow"
    order = []
    while tasks := jobs.claim("w", "TYPES", 1, "", "COUNT", 10):
        order.append([(task.name, task.payload) for task in tasks])
        jobs.complete(*(task.token for task in tasks))
    assert order == [
        [("TestNode1", b"Node1")],
        [("TestNode2", b"Node2")],
        [("TestNode3", b"Node3"), ("TestNode4", b"Node4")],
    ]
    assert jobs.state(wid) == "completed"


def test_its_field_names_and_a_priority_in_a_string(jobs: Space) -> None:
    def node(name: str, priority: int | str) -> dict[str, object]:
        return {"Name": name, "Type": "T", "Payload": "", "Priority": priority, "WorkflowId": "x", "Workflow": "x"}

    jobs.push(json.dumps({"Name": "W", "Tasks": [node("late", "200"), node("soon", 7), node("now", "1")]}))
    assert jobs.claim_names("w", "TYPES", 1, "T") == ["now", "soon", "late"]


def test_typed_tasks(jobs: Space) -> None:
    jobs.push(workflow(task("a", type="gpu"), task("b", type="cpu")))
    assert jobs.claim_names("w", "TYPES", 1, "cpu") == ["b"]
    assert jobs.claim_names("w", "TYPES", 1, "cpu") == []
    assert jobs.claim_names("w", "TYPES", 1, "gpu") == ["a"]


def test_priorities_by_value(jobs: Space) -> None:
    jobs.push(workflow(*(task(f"p{p}", priority=p) for p in (9, 10, 100, 2))))
    assert jobs.claim_names("w") == ["p2", "p9", "p10", "p100"], "as numbers, not as text"


def test_pause_and_release(jobs: Space) -> None:
    wid = jobs.push(sample_text())
    first = jobs.claim_one("w")
    jobs.pause("ID", wid)
    assert jobs.complete(first.token) == [1], "a running task runs down"
    assert jobs.claim("w") == [], "its child waits for the release"
    jobs.release("ID", wid)
    assert jobs.work_off("w") == ["TestNode2", "TestNode3", "TestNode4"], "in order"


def test_cleanup_while_tasks_run(jobs: Space) -> None:
    wid, other = jobs.push(sample_text()), jobs.push(sample_text())
    running = jobs.claim_one("w")
    assert jobs.delete(wid) == 1
    assert jobs.complete(running.token) == [-1]
    assert len(jobs.work_off("w")) == 4
    assert jobs.state(other) == "completed"
    assert jobs.stats()["tasks"]["running"] == 0


def test_recovery_by_worker_name(jobs: Space) -> None:
    jobs.push(loose(2))
    mine = jobs.claim_one("mine")
    theirs = jobs.claim_one("theirs")
    assert jobs.recover("mine") == [mine.token]
    assert jobs.claim_names("mine") == [mine.name]
    assert jobs.complete(theirs.token) == [1]


def test_a_failed_task_fails_the_workflow(jobs: Space) -> None:
    wid = jobs.push(sample_text())
    jobs.fail(jobs.claim_one("w").token, "ERROR", "boom")
    assert jobs.state(wid) == "failed"
    assert jobs.claim("w") == []


def test_dangling_references_are_rejected(jobs: Space) -> None:
    document = json.loads(sample_text())
    document["Tasks"][0]["Children"] = ["TestNode9"]
    with refused("INVALID", "TestNode1", "TestNode9"):
        jobs.push(document)


def test_bug_a_join_of_three_works(jobs: Space) -> None:
    wid = jobs.push(join(3))
    assert jobs.work_off("w") == ["root0", "root1", "root2", "end"]
    assert jobs.state(wid) == "completed"


def test_bug_claiming_on_empty_is_no_error(jobs: Space) -> None:
    assert jobs.claim("w") == []
    jobs.delete(jobs.push(single()))
    assert jobs.claim("w") == []


def test_bug_maxpriority_is_a_value(jobs: Space) -> None:
    jobs.push(workflow(task("only", priority=50)))
    assert jobs.claim("w", "MAXPRIORITY", 49) == []
    assert jobs.claim_names("w", "MAXPRIORITY", 50) == ["only"]


def test_bug_pausing_touches_nothing_else(jobs: Space) -> None:
    paused, other = jobs.push(sample_text()), jobs.push(sample_text())
    before = jobs.get(other, "TASKS")
    jobs.pause("ID", paused)
    assert jobs.get(other, "TASKS") == before
    assert len(jobs.work_off("w")) == 4
    assert jobs.state(other) == "completed"
    jobs.release("ID", paused)
    assert len(jobs.work_off("w")) == 4
    assert jobs.state(paused) == "completed"

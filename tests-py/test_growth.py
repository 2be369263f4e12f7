"""WF.ADD: a running task adds tasks to its own workflow."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from blocked import Queue, served
from files import aof_commands, rewrite_aof
from history import HOUR, digest
from refusals import refused
from servers import Server
from space import Document, Space, Task, plain
from workflows import chain, fan, single, task, workflow

Fresh = Callable[..., Server]


def first(jobs: Space, document: Document, *options: Any) -> tuple[str, Task]:
    """A workflow that was pushed, and its first task, which runs."""
    wid = jobs.push(document, *options)
    return wid, jobs.claim_one("w", "LEASE", HOUR)


def item(number: int, **fields: Any) -> Document:
    return {"name": f"item-{number}", "type": "item", "payload": str(number), **fields}


# What an added task may wait for


def test_a_task_adds_tasks_to_its_workflow(jobs: Space) -> None:
    wid, root = first(jobs, single("root"), "INPUT", "given", "PRIORITY", 7)
    assert jobs.add(root.token, task("a", ["root"]), task("b"), task("c", ["b"], payload={"n": 1})) == 3
    assert jobs.states(wid) == {"root": "running", "a": "waiting", "b": "ready", "c": "waiting"}
    shown = jobs.get(wid)
    assert (shown["counts"]["waiting"], shown["counts"]["ready"], shown["priority"]) == (2, 1, 7)
    assert jobs.stats()["tasks"]["waiting"] == 2
    b = jobs.claim_one("w", "LEASE", HOUR)
    assert (b.name, b.token.split("-")[1], b.input) == ("b", "2", b"given")
    assert jobs.complete(root.token, "RESULT", "rooted", b.token) == [1, 1]
    a, c = jobs.claim("w", "COUNT", 5, "WITHRESULTS")
    assert (a.name, a.results, c.name, c.payload) == ("a", {"root": b"rooted"}, "c", b'{"n": 1}')
    assert jobs.state(wid) == "running"
    assert jobs.complete(a.token, c.token) == [1, 1]
    assert jobs.state(wid) == "completed"


def test_what_waits_may_be_made_to_wait_for_more(jobs: Space) -> None:
    wid, root = first(jobs, chain(2))
    assert jobs.add(root.token, item(1, children=["t1"]), item(2, children=["t1", "item-1"])) == 2
    assert jobs.complete(root.token) == [1]
    assert jobs.states(wid) == {"t0": "completed", "t1": "waiting", "item-1": "waiting", "item-2": "ready"}
    assert jobs.work_off("w") == ["item-2", "item-1", "t1"]
    assert jobs.state(wid) == "completed"


def test_a_child_that_waits_no_more_is_refused(jobs: Space) -> None:
    wid, root = first(jobs, workflow(task("root"), task("other"), task("later", ["root", "other"])))
    before = jobs.get(wid, "TASKS")
    for begun in ("root", "other"):
        with refused("INVALID", "task 'item-1': child", begun, "waits no more"):
            jobs.add(root.token, item(1, children=["later", begun]))
    assert jobs.get(wid, "TASKS") == before


def test_parents_that_have_ended_are_done(jobs: Space) -> None:
    wid, root = first(jobs, workflow(task("root"), task("second", ["root"])))
    jobs.complete(root.token, "RESULT", "early")
    second = jobs.claim_one("w", "LEASE", HOUR)
    assert jobs.add(second.token, task("a", ["root"]), task("b", ["root"], delay_ms=HOUR)) == 2
    assert jobs.states(wid) == {"root": "completed", "second": "running", "a": "ready", "b": "delayed"}
    assert jobs.claim_one("w", "WITHRESULTS").results == {"root": b"early"}


def test_conditions_come_with_what_is_added(jobs: Space) -> None:
    """The workflow had none; from then on a failure that is handled does not stop it."""
    wid, root = first(jobs, workflow(task("root"), task("end", ["root"])))
    undo = {"name": "undo", "type": "undo", "parents": [{"task": "item-1", "on": "failure"}]}
    assert jobs.add(root.token, item(1), undo, task("skipped", [{"task": "root", "on": "failure"}])) == 3
    jobs.fail(jobs.claim_one("w", "TYPES", 1, "item").token)
    assert jobs.states(wid)["undo"] == "ready" and jobs.state(wid) == "running"
    jobs.complete(root.token)
    assert jobs.states(wid) == {
        "root": "completed", "end": "ready", "item-1": "failed", "undo": "ready", "skipped": "skipped",
    }  # fmt: skip
    late = jobs.claim_one("w", "TYPES", 1, "undo", "LEASE", HOUR)
    assert jobs.add(late.token, task("again", [{"task": "item-1", "on": "failure"}]), task("not", ["item-1"])) == 2
    assert [jobs.states(wid)[name] for name in ("again", "not")] == ["ready", "skipped"]
    jobs.complete(late.token)
    assert sorted(jobs.work_off("w")) == ["again", "end"]
    assert jobs.state(wid) == "completed"


def test_defaults_hold_for_what_is_added(jobs: Space) -> None:
    wid, root = first(jobs, single())
    assert jobs.add(root.token, item(1), item(2, max_attempts=1), defaults={"max_attempts": 3}) == 2
    one, two = jobs.claim("w", "TYPES", 1, "item", "COUNT", 2)
    assert jobs.fail(one.token, "RETRY", HOUR, two.token) == [2, 1]
    assert jobs.state(wid) == "failed"


def test_a_waiting_client_gets_what_is_added(server: Server, jobs: Space) -> None:
    _, root = first(jobs, single())
    queue = Queue(server)
    waiters = queue.joins(2, "TYPES", 1, "item")
    assert jobs.add(root.token, item(1), item(2, parents=["item-1"])) == 2
    queue.barrier()
    assert served(waiters) == [waiters[0].name]


# Tokens and repeats


def test_tokens_are_judged_as_by_complete(jobs: Space) -> None:
    wid, root = first(jobs, single("root", max_attempts=2))
    body = json.dumps([item(1)])
    assert jobs.call("ADD", f"{wid}-7-00000000", body) == -1
    assert jobs.call("ADD", "nothing-0-00000000", body) == -1
    assert jobs.call("ADD", f"{wid}-0-00000000", body) == 0
    assert Space(jobs.client, "missing").call("ADD", root.token, body) == -1
    assert jobs.client.exists("missing") == 0
    jobs.fail(root.token, "RETRY", 0)
    assert jobs.call("ADD", root.token, body) == 0, "the attempt is over"
    again = jobs.claim_one("w")
    assert jobs.call("ADD", root.token, body) == 0, "stale"
    assert jobs.call("ADD", again.token, body) == 1
    jobs.complete(again.token)
    assert jobs.call("ADD", again.token, json.dumps([item(2)])) == 0, "it has ended"
    assert set(jobs.tasks(wid)) == {"root", "item-1"}


def test_a_lease_that_ran_out_is_good_until_the_next_claim(jobs: Space, server: Server) -> None:
    wid = jobs.push(single("root"))
    root = jobs.claim_one("w", "LEASE", 1)
    server.wait_until(lambda: jobs.states(wid)["root"] == "ready", what="the end of the lease")
    assert jobs.add(root.token, item(1)) == 1


def test_a_repeated_call_is_told_so_and_changes_nothing(jobs: Space) -> None:
    wid, root = first(jobs, single("root"))
    assert jobs.add(root.token, item(1), item(2, parents=["item-1"])) == 2
    before = digest(jobs.client)
    with refused("EXISTS", "task 'item-1' is there already"):
        jobs.add(root.token, item(1), item(2, parents=["item-1"]))
    jobs.client.config_set("workflow.max-tasks", 3)
    with refused("EXISTS", "item-1"):
        jobs.add(root.token, item(1), item(2, parents=["item-1"]))
    with refused("EXISTS", "root"):
        jobs.add(root.token, item(3), task("root"))
    assert digest(jobs.client) == before
    assert len(jobs.tasks(wid)) == 3


def test_a_stopped_workflow_wants_no_more(jobs: Space) -> None:
    wid, root = first(jobs, workflow(task("root"), task("end", ["root"])))
    jobs.call("CANCEL", wid)
    assert jobs.add(root.token, item(1)) == 0
    assert set(jobs.tasks(wid)) == {"root", "end"}


def test_what_survives_a_failure_may_add_what_survives_it(jobs: Space) -> None:
    clean = task("clean", [{"task": "root", "on": "always"}])
    wid, root = first(jobs, workflow(task("root"), clean, task("other", type="none")))
    jobs.fail(root.token)
    assert jobs.state(wid) == "failed"
    token = jobs.claim_one("w", "LEASE", HOUR).token
    assert jobs.add(token, task("loose"), task("behind", ["clean"]), task("after", ["behind"])) == 3
    assert jobs.states(wid) == {
        "root": "failed", "clean": "running", "other": "cancelled",
        "loose": "cancelled", "behind": "waiting", "after": "waiting",
    }  # fmt: skip
    jobs.complete(token)
    assert jobs.work_off("w") == ["behind", "after"]
    assert jobs.get(wid)["finished"] is not None


def test_what_was_added_stays_when_the_workflow_is_retried(jobs: Space) -> None:
    wid, root = first(jobs, single("root"))
    jobs.add(root.token, item(1, parents=["root"]), item(2))
    jobs.complete(jobs.claim_one("w", "TYPES", 1, "item").token)
    jobs.fail(root.token)
    assert jobs.states(wid) == {"root": "failed", "item-1": "cancelled", "item-2": "completed"}
    assert jobs.retry(wid) == 1
    again = jobs.claim_one("w", "LEASE", HOUR)
    with refused("EXISTS", "item-1"):
        jobs.add(again.token, item(1, parents=["root"]), item(2))
    jobs.complete(again.token)
    assert jobs.work_off("w") == ["item-1"]
    assert jobs.state(wid) == "completed"


def test_behind_a_failure_that_a_retry_left_nothing_starts(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), task("b"), task("c", ["a"])))
    jobs.fail(*(one.token for one in jobs.claim("w", "COUNT", 2, "LEASE", HOUR)))
    assert jobs.retry(wid, "TASK", "b") == 1
    token = jobs.claim_one("w", "LEASE", HOUR).token
    assert jobs.add(token, task("d", ["a"]), task("e", ["d"]), task("f", ["b"])) == 3
    assert jobs.states(wid) == {
        "a": "failed", "b": "running", "c": "cancelled", "d": "cancelled", "e": "cancelled", "f": "waiting",
    }  # fmt: skip
    jobs.complete(token)
    assert jobs.work_off("w") == ["f"]
    assert jobs.state(wid) == "failed"


def test_a_paused_workflow_grows_and_holds_what_is_added(jobs: Space) -> None:
    wid, root = first(jobs, single("root"))
    jobs.pause("ID", wid)
    assert jobs.add(root.token, item(1)) == 1
    assert jobs.claim("w") == []
    jobs.release("ID", wid)
    assert jobs.claim_names("w") == ["item-1"]


# What is refused


@pytest.mark.parametrize(
    ("tasks", "code", "words"),
    [
        ([], "INVALID", ["no tasks"]),
        ({}, "INVALID", ["no tasks"]),
        (None, "INVALID", ["'tasks' must be an array of tasks"]),
        (7, "INVALID", ["'tasks' must be an array of tasks"]),
        ("x", "INVALID", ["'tasks' must be an array of tasks"]),
        ([7], "INVALID", ["array of objects"]),
        ([{}], "INVALID", ["task at index 0", "no name"]),
        ({"name": "n", "tasks": []}, "INVALID", ["unknown field 'name'"]),
        ({"priority": 1, "tasks": []}, "INVALID", ["unknown field 'priority'"]),
        ([{"name": "x", "colour": 1}], "INVALID", ["task 'x'", "unknown field 'colour'"]),
        ([{"name": "x"}, {"name": "x"}], "INVALID", ["task 'x'", "another task has this name"]),
        ([{"name": "x", "parents": ["nobody"]}], "INVALID", ["task 'x'", "unknown parent 'nobody'"]),
        ([{"name": "x", "children": ["nobody"]}], "INVALID", ["task 'x'", "unknown child 'nobody'"]),
        ([{"name": "x", "children": ["x"]}], "INVALID", ["its own parent"]),
        ([{"name": "x", "parents": ["t2"], "children": ["t1"]}], "INVALID", ["cycle", "t1", "t2", "x"]),
        ([{"name": "x", "parents": ["y"]}, {"name": "y", "parents": ["x"]}], "INVALID", ["cycle"]),
        ([{"name": "x", "parents": ["t0", {"task": "t0", "on": "always"}]}], "INVALID", ["two conditions"]),
        ([{"name": "x" * 513}], "LIMIT", ["'name' is longer"]),
        ([{"name": f"x{i}"} for i in range(6)], "LIMIT", ["tasks", "workflow.max-tasks"]),
        ([{"name": "x", "parents": ["t0", "t1", "t2"]}], "LIMIT", ["workflow.max-edges"]),
        ([{"name": "x", "payload": "p" * 101}], "LIMIT", ["workflow.max-payload-bytes"]),
        ([{"name": "x", "type": "new 1"}, {"name": "y", "type": "new 2"}], "LIMIT", ["workflow.max-types"]),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(jobs: Space, tasks: Any, code: str, words: list[str]) -> None:
    _, root = first(jobs, chain(3))
    for name, value in (("tasks", 8), ("edges", 4), ("payload-bytes", 100), ("types", 2)):
        jobs.client.config_set(f"workflow.max-{name}", value)
    before = digest(jobs.client)
    with refused(code, *words):
        jobs.call("ADD", root.token, json.dumps(tasks))
    assert digest(jobs.client) == before
    assert jobs.call("ADD", root.token, json.dumps([{"name": f"x{i}"} for i in range(5)])) == 5, "as much as fits"


@pytest.mark.parametrize(
    "text",
    [b"", b"[", b"[{]", b"[] []", b'[{"name":"a",}]', b"\x00", b'["\xff"]', b"[" * 200, b'[{"payload":' * 60, b"\xef\xbb\xbf[]"],
)
def test_hostile_json_is_refused(jobs: Space, text: bytes) -> None:
    _, root = first(jobs, single())
    before = digest(jobs.client)
    with refused("LIMIT" if text.startswith(b"[[") or b"payload" in text else "INVALID", "document"):
        jobs.call("ADD", root.token, text)
    with refused("ERR", "invalid token"):
        jobs.call("ADD", "not a token", text)
    assert digest(jobs.client) == before


# A thousand items


def items(count: int) -> list[Document]:
    """A task each, and one that gathers what they give."""
    names = [f"item-{number}" for number in range(count)]
    return [*(item(number, parents=["root"]) for number in range(count)), task("reduce", names, type="reduce")]


def work(jobs: Space, count: int) -> None:
    claimed = jobs.claim("mapper", "TYPES", 1, "item", "COUNT", count, "LEASE", HOUR)
    assert len(claimed) == count
    done = [part for one in claimed for part in (one.token, "RESULT", int(one.payload) ** 2)]
    assert jobs.complete(*done) == [1] * count


def gather(jobs: Space) -> int:
    reduce = jobs.claim_one("reducer", "TYPES", 1, "reduce", "WITHRESULTS")
    assert jobs.complete(reduce.token) == [1]
    return sum(int(result or b"0") for result in reduce.results.values())


SQUARES = sum(number**2 for number in range(1000))


def test_map_and_reduce_over_a_thousand_items(jobs: Space) -> None:
    wid, root = first(jobs, single("root"))
    assert jobs.add(root.token, *items(1000)) == 1001
    assert jobs.get(wid)["counts"]["waiting"] == 1001
    assert jobs.complete(root.token) == [1]
    work(jobs, 1000)
    assert gather(jobs) == SQUARES
    assert jobs.state(wid) == "completed"


def test_workflows_that_grow_alike_share_a_shape(jobs: Space) -> None:
    """Only the first pays for names and edges."""
    roots = [first(jobs, single("root"))[1] for _ in range(3)]
    sizes = [jobs.client.memory_usage("jobs", samples=0)]
    for root in roots:
        jobs.add(root.token, *items(200))
        sizes.append(jobs.client.memory_usage("jobs", samples=0))
    assert sizes[2] - sizes[1] < (sizes[1] - sizes[0]) * 0.6


WAYS: dict[str, tuple[list[str], Callable[[Server], Any]]] = {
    "rdb": ([], lambda server: (server.client().execute_command("SAVE"), server.restart(hard=True))),
    "aof": (["appendonly yes", "appendfsync always"], lambda server: server.restart(hard=True)),
    "rewritten aof": (
        ["appendonly yes", "aof-use-rdb-preamble no"],
        lambda server: (rewrite_aof(server), server.restart(hard=True)),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_restart_in_the_middle(fresh_server: Fresh, way: str) -> None:
    config, restart = WAYS[way]
    server = fresh_server(*config)
    jobs = Space(server.client(), "jobs")
    wid, root = first(jobs, single("root"))
    jobs.add(root.token, *items(1000))
    jobs.complete(root.token)
    work(jobs, 400)
    held = jobs.claim("mapper", "TYPES", 1, "item", "COUNT", 3, "LEASE", HOUR)
    before = digest(jobs.client)
    restart(server)
    jobs = Space(server.client(), "jobs")
    assert digest(jobs.client) == before
    assert jobs.add(held[0].token, item(1000, children=["reduce"], payload="0")) == 1
    assert jobs.complete(*(part for one in held for part in (one.token, "RESULT", int(one.payload) ** 2))) == [1] * 3
    work(jobs, 598)
    assert gather(jobs) == SQUARES
    assert jobs.state(wid) == "completed"


def test_a_replica_grows_along_and_goes_on_when_it_is_promoted(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    _, root = first(jobs, single("root"))
    jobs.add(root.token, *items(1000))
    with refused("INVALID"):
        jobs.add(root.token, item(2000, parents=["reduce"], children=["item-1"]))
    jobs.complete(root.token)
    work(jobs, 500)
    replica.wait_in_sync(primary)
    assert digest(replica.client()) == digest(jobs.client)
    primary.stop()
    replica.promote()
    jobs = Space(replica.client(), "jobs")
    work(jobs, 500)
    assert gather(jobs) == SQUARES


def test_the_effect_has_what_is_added_and_no_more(fresh_server: Fresh) -> None:
    server = fresh_server("appendonly yes", "appendfsync always")
    jobs = Space(server.client(), "jobs")
    wid, root = first(jobs, fan(500))
    other = jobs.claim_one("w", "LEASE", HOUR).token if jobs.push(fan(500)) else ""
    assert jobs.add(root.token, item(1, children=["leaf7"])) == 1
    assert jobs.add(other, item(1, children=["leaf7"])) == 1
    effects = [command[2:] for command in aof_commands(server) if command[0] == b"WF.APPLY" and command[2] == b"add"]
    (kind, _, adder, blueprint, shape, payloads), again = effects
    assert (kind, adder, payloads) == (b"add", f"{wid}-0".encode(), b"1:1")
    assert json.loads(shape) == {"tasks": [{"name": "item-1", "type": "item", "children": ["leaf7"]}]}
    assert again[3:] == [blueprint, b"", b"1:1"], "the shape is there already"
    jobs.push(workflow(*fan(500)["tasks"], item(1, children=["leaf7"])))
    *_, pushed = (command for command in aof_commands(server) if command[0] == b"WF.APPLY" and command[2] == b"push")
    assert pushed[6] == b"-" and pushed[9:11] == [blueprint, b""], "and is that of one that is pushed whole"


def test_people_see_what_was_added(jobs: Space) -> None:
    wid, root = first(jobs, single("root"))
    jobs.add(root.token, item(1, parents=["root"]))
    assert "item-1" in plain(jobs.call("GRAPH", wid))
    why = plain(jobs.call("WHY", wid, "item-1"))
    assert why["reason"] == "waiting" and "root" in why["words"]
    assert [one["counts"]["waiting"] if "counts" in one else 1 for one in jobs.listed()] == [1]
    jobs.delete(wid)
    assert jobs.stats()["tasks"]["waiting"] == 0

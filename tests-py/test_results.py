"""Results: where they go, and when they are freed."""

import json
import random
from collections.abc import Callable

import pytest

from history import HOUR, digest
from refusals import refused
from servers import Server
from space import Space
from test_persistence import WAYS
from workflows import Document, chain, diamond, fan, join, single, task, workflow

KILOBYTE = 1 << 10


def after(name: str, parent: str, condition: str) -> Document:
    return task(name) | {"parents": [{"task": parent, "on": condition}]}


def results(jobs: Space, wid: str) -> dict[str, str]:
    """The results that are there, by the names of their tasks."""
    shown = jobs.tasks(wid).values()
    return {one["name"]: one["result"] for one in shown if one["result"] is not None}


def step(jobs: Space, count: int = 1) -> list[str]:
    """Claims tasks and completes them, each with its name as the result."""
    held = jobs.claim("w", "COUNT", count, "LEASE", HOUR)
    for one in held:
        assert jobs.complete(one.token, "RESULT", one.name) == [1]
    return [one.name for one in held]


def work_off(jobs: Space) -> list[str]:
    names: list[str] = []
    while done := step(jobs):
        names += done
    return names


def test_a_result_is_freed_when_the_last_child_has_completed(jobs: Space) -> None:
    wid = jobs.push(diamond())
    step(jobs)
    assert results(jobs, wid) == {"top": "top"}
    left, right = jobs.claim("w", "COUNT", 2, "WITHRESULTS")
    assert left.results == right.results == {"top": b"top"}
    assert jobs.complete(right.token, "RESULT", "right") == [1]
    assert results(jobs, wid) == {"top": "top", "right": "right"}
    assert jobs.complete(left.token, "RESULT", "left") == [1]
    assert results(jobs, wid) == {"left": "left", "right": "right"}
    bottom = jobs.claim_one("w", "WITHRESULTS")
    assert bottom.results == {"left": b"left", "right": b"right"}
    assert jobs.complete(bottom.token, "RESULT", "bottom") == [1]
    assert results(jobs, wid) == {"bottom": "bottom"}, "what no child wants is the result of the workflow"
    assert jobs.state(wid) == "completed"


@pytest.mark.parametrize("order", ["forwards", "backwards", "outwards", "inwards", "shuffled"])
def test_in_whatever_order_the_children_complete(jobs: Space, order: str) -> None:
    width = 41
    wid = jobs.push(fan(width))
    step(jobs)
    tokens = [one.token for one in jobs.claim("w", "COUNT", width, "LEASE", HOUR)]
    places = list(range(width))
    match order:
        case "backwards":
            places.reverse()
        case "outwards":
            places.sort(key=lambda place: abs(place - width // 2))
        case "inwards":
            places.sort(key=lambda place: -abs(place - width // 2))
        case "shuffled":
            random.Random(7).shuffle(places)
    for place in places[:-1]:
        jobs.complete(tokens[place])
        assert results(jobs, wid) == {"root": "root"}
    jobs.complete(tokens[places[-1]])
    assert results(jobs, wid) == {}


def test_keep_result_keeps_it(jobs: Space) -> None:
    kept = workflow(task("a", keep_result=True), task("b", ["a"], keep_result=None), task("c", ["b"], keep_result=False))
    wid = jobs.push(kept)
    assert work_off(jobs) == ["a", "b", "c"]
    assert results(jobs, wid) == {"a": "a", "c": "c"}


def test_defaults_keep_results_unless_a_task_says_otherwise(jobs: Space) -> None:
    tasks = [*chain(3)["tasks"], task("t3", ["t2"], keep_result=False), task("t4", ["t3"])]
    wid = jobs.push({"tasks": tasks, "defaults": {"keep_result": True}})
    work_off(jobs)
    assert set(results(jobs, wid)) == {"t0", "t1", "t2", "t4"}


def test_documents_of_one_spelling_share_what_they_keep(jobs: Space) -> None:
    """The second is not read but recognised."""
    kept = [jobs.push(workflow(task("a", keep_result=True), task("b", ["a"]))) for _ in range(3)]
    plain = [jobs.push(workflow(task("a"), task("b", ["a"]))) for _ in range(3)]
    work_off(jobs)
    assert [set(results(jobs, wid)) for wid in kept + plain] == [{"a", "b"}] * 3 + [{"b"}] * 3


@pytest.mark.parametrize("value", [1, 0, "true", [], {}])
def test_keep_result_is_true_or_false(jobs: Space, value: object) -> None:
    with refused("INVALID", "task 'only'", "keep_result", "true or false"):
        jobs.push(single(keep_result=value))
    with refused("INVALID", "keep_result", "true or false"):
        jobs.push({**single(), "defaults": {"keep_result": value}})
    with refused("INVALID", "keep_result", "twice"):
        jobs.push('{"tasks":[{"name":"a","keep_result":true,"keep_result":true}]}')
    assert jobs.client.exists("jobs") == 0


def test_a_child_that_failed_or_was_cancelled_may_want_it_again(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), *(task(name, ["a"]) for name in "bcd")))
    step(jobs)
    one, two, _ = (held.token for held in jobs.claim("w", "COUNT", 3, "LEASE", HOUR))
    jobs.complete(one)
    jobs.fail(two, "NORETRY")
    jobs.recover("w")
    assert jobs.states(wid) == {"a": "completed", "b": "completed", "c": "failed", "d": "cancelled"}
    assert results(jobs, wid) == {"a": "a"}
    assert jobs.retry(wid) == 1
    again = jobs.claim("w", "COUNT", 3, "WITHRESULTS")
    assert [held.results for held in again] == [{"a": b"a"}] * 2
    jobs.complete(*(held.token for held in again))
    assert results(jobs, wid) == {}


def test_a_workflow_that_runs_down_frees_what_its_completed_children_had(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), task("b", ["a"]), task("bad")))
    a, bad = (held.token for held in jobs.claim("w", "COUNT", 2, "LEASE", HOUR))
    jobs.complete(a, "RESULT", "a")
    b = jobs.claim_one("w").token
    jobs.fail(bad)
    jobs.complete(b)
    assert (jobs.state(wid), results(jobs, wid)) == ("failed", {})


FLOWS = {
    "a condition": workflow(task("a"), task("b", ["a"]), after("c", "b", "always")),
    "fail_fast": {**chain(3), "fail_fast": False},
    "on_failure": workflow(task("a"), task("b", ["a"], on_failure="continue"), task("c", ["b"])),
}


@pytest.mark.parametrize("why", FLOWS)
def test_where_tasks_can_be_skipped_results_stay_until_the_workflow_has_completed(jobs: Space, why: str) -> None:
    wid = jobs.push(FLOWS[why])
    step(jobs, 1)
    step(jobs, 1)
    assert len(results(jobs, wid)) == 2
    step(jobs, 1)
    assert jobs.state(wid) == "completed"
    assert len(results(jobs, wid)) == 1, "that of the last task"


def test_a_flow_that_failed_keeps_its_results_for_a_retry(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), task("bad"), after("b", "a", "always"), task("c", ["b", "bad"])))
    a, bad = (held.token for held in jobs.claim("w", "COUNT", 2, "LEASE", HOUR))
    jobs.complete(a, "RESULT", "a")
    jobs.fail(bad)
    assert work_off(jobs) == ["b"]
    assert (jobs.state(wid), results(jobs, wid)) == ("failed", {"a": "a", "b": "b"})
    jobs.retry(wid)
    work_off(jobs)
    assert (jobs.state(wid), results(jobs, wid)) == ("completed", {"c": "c"})


def test_after_a_choice_results_stay_until_the_workflow_has_completed(jobs: Space) -> None:
    wid = jobs.push(workflow(*chain(5)["tasks"], task("no", ["t1"]), task("behind", ["no"])))
    step(jobs)
    assert jobs.complete(jobs.claim_one("w").token, "RESULT", "t1", "SKIP", "no") == [1]
    step(jobs, 1)
    step(jobs, 1)
    assert set(results(jobs, wid)) == {"t0", "t1", "t2", "t3"}
    step(jobs, 1)
    assert jobs.state(wid) == "completed"
    assert results(jobs, wid) == {"t4": "t4"}


def test_results_do_not_pile_up_in_memory(jobs: Space) -> None:
    """A chain that hands on a result of 100 KB never holds more than two."""
    size = 100 * KILOBYTE
    wid = jobs.push(chain(20))
    most = 0
    for number in range(20):
        held = jobs.claim_one("w", "WITHRESULTS")
        assert [len(result or b"") for result in held.results.values()] == ([size] if number else [])
        assert jobs.complete(held.token, "RESULT", "x" * size) == [1]
        most = max(most, jobs.client.memory_usage("jobs") or 0)
    assert most < 2 * size
    jobs.delete(wid)
    assert (jobs.client.memory_usage("jobs") or 0) < size / 2


@pytest.mark.parametrize("document", [chain(3), {**chain(3), "fail_fast": False}], ids=["plain", "flow"])
def test_finished_workflows_are_charged_for_what_they_still_have(jobs: Space, document: Document) -> None:
    size = 64 * KILOBYTE
    jobs.configure("retain-bytes", 2 * size)
    wid = jobs.push(document)
    for number in range(3):
        jobs.complete(jobs.claim_one("w").token, *(["RESULT", "x" * size] if number < 2 else []))
    jobs.push(single(), "ID", "next")
    jobs.claim("w")
    assert jobs.state(wid) == "completed", "what was freed does not count"
    document = json.loads(json.dumps(document))
    for one in document["tasks"]:
        one["keep_result"] = True
    fat = jobs.push(document, "PRIORITY", 0)
    for _ in range(3):
        jobs.complete(jobs.claim_one("w").token, "RESULT", "x" * size)
    jobs.claim("w")
    assert jobs.call("GET", fat) is None, "what is kept does"


def half_way(jobs: Space) -> list[str]:
    """Results that are freed, kept, and still wanted; the ids."""
    ids = [
        jobs.push(diamond(), "ID", "plain"),
        jobs.push({**diamond(), "fail_fast": False}, "ID", "flow"),
        jobs.push({**diamond(), "defaults": {"keep_result": True}}, "ID", "kept"),
    ]
    for _ in range(3):
        step(jobs, 3)
    jobs.push(diamond(), "ID", "begun", "PRIORITY", 0)
    step(jobs, 1)
    ids.append("begun")
    return ids


@pytest.mark.parametrize("way", WAYS)
def test_what_was_freed_stays_so_and_the_rest_is_freed_later(fresh_server: Callable[..., Server], way: str) -> None:
    config, reload = WAYS[way]
    server = fresh_server(*config)
    jobs = Space(server.client(), "jobs")
    ids = half_way(jobs)
    before, shown = digest(jobs.client), [results(jobs, wid) for wid in ids]
    assert {frozenset(one) for one in shown} >= {frozenset({"top"})}
    reload(server)
    jobs = Space(server.client(), "jobs")
    assert (digest(jobs.client), [results(jobs, wid) for wid in ids]) == (before, shown)
    work_off(jobs)
    assert {jobs.state(wid) for wid in ids} == {"completed"}
    assert [set(results(jobs, wid)) for wid in ids] == [
        {"bottom"},
        {"bottom"},
        {"top", "left", "right", "bottom"},
        {"bottom"},
    ]


def test_a_replica_frees_what_its_primary_does(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    ids = half_way(jobs)
    replica.wait_in_sync(primary)
    copy = Space(replica.client(), "jobs")
    assert digest(copy.client) == digest(jobs.client)
    assert [results(copy, wid) for wid in ids] == [results(jobs, wid) for wid in ids]
    replica.promote()
    for space in (jobs, copy):
        work_off(space)
    assert [results(copy, wid) for wid in ids] == [results(jobs, wid) for wid in ids]


def test_a_join_frees_all_its_parents_at_once(jobs: Space) -> None:
    wid = jobs.push(join(30))
    step(jobs, 30)
    assert len(results(jobs, wid)) == 30
    end = jobs.claim_one("w", "WITHRESULTS")
    assert set(end.results.values()) == {f"root{number}".encode() for number in range(30)}
    jobs.complete(end.token, "RESULT", "end")
    assert results(jobs, wid) == {"end": "end"}

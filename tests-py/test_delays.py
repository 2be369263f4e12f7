"""Delays: workflows that start later (DELAY, AT) and tasks that wait after their parents (delay_ms).

That something is not ready is shown beside a witness that became ready later than it would have.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from blocked import Queue, served
from history import HOUR
from refusals import refused
from servers import Server
from space import Space
from waiting import eventually, now_ms
from workflows import chain, fan, join, loose, single, task, workflow

MAX_DURATION = 10 * 365 * 24 * HOUR


def ready(jobs: Space, wid: str, name: str = "only") -> Callable[[], bool]:
    return lambda: jobs.states(wid)[name] == "ready"


def witnessed(server: Server, jobs: Space, due: int) -> None:
    """Returns when the server has made something ready that was due after `due`."""
    witness = Space(jobs.client, "witness")
    wid = witness.push(single(), "AT", max(due, now_ms()) + 50)
    server.wait_until(ready(witness, wid), what="a task that is due later")


# DELAY and AT


@pytest.mark.parametrize("option", ["DELAY", "AT"])
def test_a_delayed_push_starts_later(server: Server, jobs: Space, option: str) -> None:
    before = now_ms()
    wid = jobs.push(fan(2), option, 120 if option == "DELAY" else before + 120)
    seen = jobs.tasks(wid)
    assert before + 120 <= seen["root"]["due"] <= now_ms() + 120
    assert {name: one["state"] for name, one in seen.items()} == {
        "root": "delayed",
        "leaf0": "waiting",
        "leaf1": "waiting",
    }
    assert seen["root"]["ready"] is None
    assert seen["leaf0"]["due"] is None
    assert jobs.state(wid) == "running"
    assert jobs.claim("w") == []
    server.wait_until(ready(jobs, wid, "root"), what="the root to be due")
    after = jobs.tasks(wid)["root"]
    assert after["due"] is None
    assert after["ready"] >= seen["root"]["due"], "never before its time"
    assert jobs.work_off("w") == ["root", "leaf0", "leaf1"]
    assert jobs.state(wid) == "completed"


def test_all_roots_are_delayed(jobs: Space) -> None:
    wid = jobs.push(join(3), "DELAY", HOUR)
    assert jobs.get(wid)["counts"]["delayed"] == 3
    assert jobs.states(wid)["end"] == "waiting"
    assert len({one["due"] for one in jobs.tasks(wid).values()} - {None}) == 1


def test_with_nobody_connected_and_on_time(server: Server, jobs: Space) -> None:
    """Within 10 ms, and what the timer and a busy machine add to that."""
    key, wids = jobs.key, [jobs.push(single(), "AT", now_ms() + 100 + 23 * i) for i in range(9)]
    due = [jobs.tasks(wid)["only"]["due"] for wid in wids]
    server.close_clients()
    eventually(lambda: now_ms() > due[-1] + 200, what="time to pass")
    jobs = Space(server.client(), key)
    seen = [jobs.tasks(wid)["only"] for wid in wids]
    assert {one["state"] for one in seen} == {"ready"}, "it was done before anybody asked"
    late = sorted(one["ready"] - moment for one, moment in zip(seen, due, strict=True))
    assert late[0] >= 0, late
    assert late[len(late) // 2] <= 40, late


def test_the_replies_are_in_time_for_those_who_wait(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(), "DELAY", 100)
    waiter = Queue(server).join()
    due = jobs.tasks(wid)["only"]["due"]
    assert served([waiter]) == []
    assert waiter.names() == ["only"]
    assert due <= now_ms() < due + 2_000


def test_a_claim_notices_before_it_looks(jobs: Space) -> None:
    """What one client sends at once is carried out in one turn: no timer comes between."""
    with jobs.client.pipeline(transaction=False) as turn:
        turn.execute_command("WF.PUSH", jobs.key, '{"tasks":[{"name":"a","type":"t"}]}', "DELAY", 1)
        turn.execute_command("DEBUG", "SLEEP", 0.02)
        turn.execute_command("WF.CLAIM", jobs.key, "w")
        _, _, claimed = turn.execute()
    assert [one[2] for one in claimed] == [b"a"]


@pytest.mark.parametrize("options", [["DELAY", 0], ["AT", 0], ["AT", 1], ["AT", "now"], ["AT", "past"]], ids=str)
def test_what_is_due_already_is_ready_at_once(jobs: Space, options: list[Any]) -> None:
    moments = {"now": now_ms(), "past": now_ms() - HOUR}
    wid = jobs.push(loose(2), *(moments.get(option, option) for option in options))
    assert set(jobs.states(wid).values()) == {"ready"}
    assert jobs.claim_names("w") == ["t0", "t1"]


def test_the_longest_delay(jobs: Space) -> None:
    by_delay, by_time = jobs.push(single(), "DELAY", MAX_DURATION), jobs.push(single(), "AT", now_ms() + MAX_DURATION)
    assert {jobs.states(wid)["only"] for wid in (by_delay, by_time)} == {"delayed"}
    assert jobs.tasks(by_delay)["only"]["due"] >= now_ms() + MAX_DURATION - 10_000
    both = jobs.push(single(delay_ms=MAX_DURATION), "DELAY", MAX_DURATION)
    assert jobs.tasks(both)["only"]["due"] >= now_ms() + 2 * MAX_DURATION - 10_000
    assert jobs.claim("w") == []


BAD_OPTIONS: dict[str, tuple[list[Any], str]] = {
    "negative": (["DELAY", -1], "DELAY"),
    "too long": (["DELAY", MAX_DURATION + 1], "DELAY"),
    "no number": (["DELAY", "soon"], "DELAY"),
    "a fraction": (["DELAY", "0.5"], "DELAY"),
    "nothing": (["DELAY"], "DELAY"),
    "a time before all times": (["AT", -1], "AT"),
    "too far": (["AT", 2**53], "AT"),
    "no time": (["AT", "noon"], "AT"),
    "both": (["DELAY", 5, "AT", 5], "AT"),
    "both, the other way round": (["AT", 5, "DELAY", 5], "DELAY"),
    "no retention": (["RETAIN", "long"], "RETAIN"),
    "negative retention": (["RETAIN", -1], "RETAIN"),
    "too long a retention": (["RETAIN", MAX_DURATION + 1], "RETAIN"),
    "no timeout": (["TIMEOUT", 0], "TIMEOUT"),
    "negative timeout": (["TIMEOUT", -1], "TIMEOUT"),
    "too long a timeout": (["TIMEOUT", MAX_DURATION + 1], "TIMEOUT"),
}


@pytest.mark.parametrize("bad", BAD_OPTIONS)
def test_options_that_make_no_sense(jobs: Space, bad: str) -> None:
    options, name = BAD_OPTIONS[bad]
    with refused("ERR", name):
        jobs.push(single(), *options)
    assert jobs.client.exists(jobs.key) == 0


def test_a_push_that_was_there_already_moves_nothing(jobs: Space) -> None:
    jobs.push(single(), "ID", "w", "DELAY", HOUR)
    before = jobs.get("w", "TASKS")
    assert jobs.call("PUSH", '{"tasks":[{"name":"a","type":"t"}]}', "ID", "w", "NX", "DELAY", 0) is None
    assert jobs.get("w", "TASKS") == before


# delay_ms of a task


def test_delay_of_a_task_counts_from_its_parents_end(server: Server, jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), task("b"), task("end", ["a", "b"], delay_ms=120)))
    a, b = jobs.claim("w", "COUNT", 2)
    jobs.complete(a.token)
    assert jobs.states(wid)["end"] == "waiting"
    before = now_ms()
    jobs.complete(b.token)
    due = jobs.tasks(wid)["end"]["due"]
    assert jobs.states(wid)["end"] == "delayed"
    assert before + 120 <= due <= now_ms() + 120
    server.wait_until(ready(jobs, wid, "end"), what="the end to be due")
    assert jobs.tasks(wid)["end"]["ready"] >= due
    assert jobs.work_off("w") == ["end"]


def test_delay_of_a_root_adds_to_that_of_the_push(jobs: Space) -> None:
    document = workflow(task("plain"), task("own", delay_ms=HOUR), task("zero", delay_ms=0))
    before = now_ms()
    wids = [jobs.push(document), jobs.push(document, "DELAY", 2 * HOUR), jobs.push(document, "AT", before + 3 * HOUR)]
    after = now_ms()
    assert jobs.states(wids[0]) == {"plain": "ready", "own": "delayed", "zero": "ready"}
    for wid, pushed in zip(wids, (0, 2 * HOUR, 3 * HOUR), strict=True):
        seen = jobs.tasks(wid)
        assert before + pushed + HOUR <= seen["own"]["due"] <= after + pushed + HOUR
        if pushed:
            assert before + pushed <= seen["plain"]["due"] == seen["zero"]["due"] <= after + pushed
    past = jobs.push(document, "AT", before - HOUR)
    assert jobs.states(past) == jobs.states(wids[0])
    assert jobs.tasks(past)["own"]["due"] >= before + HOUR, "a time that has passed is now"


def test_delay_is_not_repeated_by_a_retry_or_a_lost_lease(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(delay_ms=60, max_attempts=2, backoff={"delay_ms": 0}))
    server.wait_until(ready(jobs, wid), what="the task to be due")
    assert jobs.fail(jobs.claim_one("w").token) == [2]
    assert jobs.states(wid)["only"] == "ready"
    jobs.claim_one("w")
    jobs.recover("w")
    assert jobs.states(wid)["only"] == "ready"


def test_defaults_delay_every_task(server: Server, jobs: Space) -> None:
    wid = jobs.push({**chain(2), "defaults": {"delay_ms": 60}})
    server.wait_until(ready(jobs, wid, "t0"), what="the first to be due")
    assert jobs.work_off("w") == ["t0"]
    assert jobs.states(wid)["t1"] == "delayed"
    server.wait_until(ready(jobs, wid, "t1"), what="the second to be due")
    assert jobs.work_off("w") == ["t1"]


# Order


def test_what_is_due_together_is_claimed_in_the_order_of_the_space(server: Server, jobs: Space) -> None:
    at = now_ms() + 1_000
    jobs.push(loose(2), "AT", at)
    jobs.push(workflow(task("urgent", priority=1), task("late", priority=200), task("third")), "AT", at)
    jobs.push(single("sooner", priority=150), "AT", at - 60)
    waiters = Queue(server).joins(6)
    server.wait_until(lambda: len(served(waiters)) == 6, what="all to be served")
    assert [waiter.names() for waiter in waiters] == [["sooner"], ["urgent"], ["t0"], ["t1"], ["third"], ["late"]]


def test_waiting_workers_are_woken_in_order_of_arrival(server: Server, jobs: Space) -> None:
    waiters = Queue(server).joins(8)
    last = now_ms() + 1_000
    for i in range(8):
        jobs.push(single(f"task {i}"), "AT", last - 20 * i)
    server.wait_until(lambda: len(served(waiters)) == 8, what="all to be served")
    assert [waiter.names() for waiter in waiters] == [[f"task {i}"] for i in reversed(range(8))]


def test_more_than_a_turn_takes(server: Server, jobs: Space) -> None:
    """Everything due comes, in bounded batches; those who wait get the first."""
    at = now_ms() + 1_500
    wids = [jobs.push(loose(1_000), "AT", at) for _ in range(5)]
    waiter = Queue(server).join("COUNT", 3)
    server.wait_until(lambda: jobs.stats()["tasks"]["delayed"] == 0, what="all to be due")
    assert waiter.names() == ["t0", "t1", "t2"]
    assert jobs.stats()["tasks"]["ready"] == 4_997
    first = [claimed.workflow for claimed in jobs.claim("w", "COUNT", 10_000)]
    assert first == [wid for place, wid in enumerate(wids) for _ in range(1_000 - 3 * (place == 0))]


def test_many_spaces(server: Server, jobs: Space) -> None:
    spaces = [Space(jobs.client, f"space-{i}") for i in range(200)]
    for i, space in enumerate(spaces):
        space.push(single(), "DELAY", 100 + i % 50)
    server.wait_until(lambda: jobs.client.info("workflow")["workflow_tasks_ready"] == 200, what="all to be due")
    assert jobs.client.info("workflow")["workflow_tasks_delayed"] == 0


# Pauses


def test_in_a_paused_workflow_what_is_due_waits_for_the_release(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2), "DELAY", 50)
    later = jobs.push(single(), "DELAY", HOUR)
    due = jobs.tasks(wid)["t0"]["due"]
    assert jobs.pause("ID", wid, later) == 2
    witnessed(server, jobs, due)
    assert set(jobs.states(wid).values()) == {"delayed"}
    assert jobs.tasks(wid)["t0"]["due"] == due
    waiter = Queue(server).join()
    assert jobs.release("ID", wid, later) == 2
    assert waiter.names() == ["t0"]
    server.wait_until(ready(jobs, wid, "t1"), what="the other to follow")
    assert jobs.states(later)["only"] == "delayed"


def test_a_paused_push_with_a_delay_is_delayed_from_the_push(server: Server, jobs: Space) -> None:
    before = now_ms()
    wid = jobs.push(chain(2), "PAUSED", "DELAY", 60)
    seen = jobs.tasks(wid)["t0"]
    assert (seen["state"], jobs.get(wid)["state"]) == ("delayed", "paused")
    assert before + 60 <= seen["due"] <= now_ms() + 60
    witnessed(server, jobs, seen["due"])
    assert jobs.states(wid)["t0"] == "delayed"
    jobs.release("ID", wid)
    server.wait_until(ready(jobs, wid, "t0"), what="it to be ready after the release")


def test_a_paused_push_without_a_delay_waits_and_its_tasks_delay_counts_from_the_release(jobs: Space) -> None:
    wid = jobs.push(workflow(task("plain"), task("own", delay_ms=HOUR)), "PAUSED")
    assert jobs.states(wid) == {"plain": "waiting", "own": "waiting"}
    pushed = jobs.get(wid)["created"]
    eventually(lambda: now_ms() > pushed + 20, what="time to pass")
    before = now_ms()
    jobs.release("ID", wid)
    assert jobs.states(wid) == {"plain": "ready", "own": "delayed"}
    assert jobs.tasks(wid)["own"]["due"] >= before + HOUR


def test_parents_that_end_in_a_pause_delay_their_child_from_the_release(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a"), task("b", ["a"], delay_ms=HOUR)))
    token = jobs.claim_one("w").token
    jobs.pause("ID", wid)
    jobs.complete(token)
    assert jobs.states(wid)["b"] == "waiting"
    done = jobs.tasks(wid)["a"]["finished"]
    eventually(lambda: now_ms() > done + 20, what="time to pass")
    before = now_ms()
    jobs.release("ID", wid)
    assert jobs.states(wid)["b"] == "delayed"
    assert jobs.tasks(wid)["b"]["due"] >= before + HOUR


def test_a_pause_of_a_type_or_of_all_holds_back_what_is_due(server: Server, jobs: Space) -> None:
    """These two flags say what may be handed out; the workflow itself goes on."""
    jobs.push(workflow(task("x", type="x"), task("y", type="y")), "DELAY", 50)
    jobs.pause("TYPE", "x")
    jobs.pause("ALL")
    witnessed(server, jobs, now_ms() + 50)
    assert jobs.claim("w") == []
    jobs.release("ALL")
    assert jobs.claim_names("w") == ["y"]
    jobs.release("TYPE", "x")
    assert jobs.claim_names("w") == ["x"]


# What ends a delay


def test_what_is_delayed_is_cancelled_when_its_workflow_fails(server: Server, jobs: Space) -> None:
    wid = jobs.push(workflow(task("bad"), task("delayed", delay_ms=60), task("behind", ["delayed"])))
    due = jobs.tasks(wid)["delayed"]["due"]
    jobs.fail(jobs.claim_one("w").token)
    assert jobs.states(wid) == {"bad": "failed", "delayed": "cancelled", "behind": "cancelled"}
    assert jobs.get(wid)["finished"] is not None
    assert jobs.tasks(wid)["delayed"]["due"] is None
    witnessed(server, jobs, due)
    assert jobs.states(wid)["delayed"] == "cancelled"
    assert jobs.stats()["next_due"] == jobs.get(wid)["expires"], "what happens next is that it is removed"


@pytest.mark.parametrize(
    "remove", [["WF.DELETE", "jobs", "1"], ["DEL", "jobs"], ["UNLINK", "jobs"], ["FLUSHALL"]], ids=str
)
def test_a_workflow_that_is_removed_before_its_time(server: Server, jobs: Space, remove: list[str]) -> None:
    jobs.push(loose(100), "DELAY", 60)
    jobs.client.execute_command(*remove)
    witnessed(server, jobs, now_ms() + 60)
    assert jobs.claim("w") == []
    assert jobs.push(single()) == ("2" if remove[0] == "WF.DELETE" else "1")


MOVES: dict[str, Callable[[Space], Any]] = {
    "RENAME": lambda jobs: jobs.client.rename("jobs", "new"),
    "RESTORE": lambda jobs: (jobs.client.restore("new", 0, jobs.client.dump("jobs")), jobs.client.delete("jobs")),
    "COPY": lambda jobs: (jobs.client.copy("jobs", "new"), jobs.client.delete("jobs")),
    "MOVE and back": lambda jobs: (
        jobs.client.rename("jobs", "new"),
        jobs.client.move("new", 1),
        jobs.client.swapdb(0, 1),
    ),
}


@pytest.mark.parametrize("way", MOVES)
def test_under_another_name_it_is_due_all_the_same(server: Server, jobs: Space, way: str) -> None:
    wid = jobs.push(single(), "DELAY", 250)
    due = jobs.tasks(wid)["only"]["due"]
    MOVES[way](jobs)
    moved = Space(server.client(), "new")
    assert moved.tasks(wid)["only"]["due"] == due
    server.wait_until(ready(moved, wid), what="it to be due under the new name")
    assert moved.tasks(wid)["only"]["ready"] >= due


# What is told of it


def test_next_due_is_the_earliest(server: Server, jobs: Space) -> None:
    jobs.push(single(), "DELAY", 2 * HOUR)
    sooner = jobs.push(single(), "DELAY", HOUR)
    soon = jobs.push(single(), "DELAY", 150)
    seen = jobs.stats()
    assert (seen["delayed"], seen["retrying"]) == (3, 0)
    assert seen["next_due"] == jobs.tasks(soon)["only"]["due"]
    assert seen["types"]["work"]["delayed"] == 3
    assert jobs.client.info("workflow")["workflow_tasks_delayed"] == 3
    server.wait_until(ready(jobs, soon), what="the first to be due")
    assert jobs.stats()["next_due"] == jobs.tasks(sooner)["only"]["due"]
    jobs.delete(sooner)
    assert jobs.stats()["next_due"] > time.time() * 1000 + HOUR
    assert jobs.stats()["delayed"] == 1


def test_a_delayed_task_costs_no_wait(server: Server, jobs: Space) -> None:
    """The time that tasks wait for a worker begins when they are ready."""
    wid = jobs.push(single(), "DELAY", 300)
    waiter = Queue(server).join()
    assert waiter.names() == ["only"]
    seen = jobs.tasks(wid)["only"]
    assert seen["started"] - seen["ready"] < 200
    assert float(jobs.stats()["types"]["work"]["wait_p50_ms"]) < 200

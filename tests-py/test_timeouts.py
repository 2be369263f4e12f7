"""Two limits besides the lease: of an attempt (timeout_ms of a task) and of a whole workflow.

A lease says that the worker lives; a timeout how long the work may take, however alive it is.
"""

from collections.abc import Callable

import pytest

from blocked import Queue, served
from history import HOUR
from refusals import refused
from servers import Server
from space import Space
from waiting import eventually, now_ms
from workflows import chain, loose, single, task, workflow


def state_is(jobs: Space, wid: str, name: str, state: str) -> Callable[[], bool]:
    return lambda: jobs.states(wid)[name] == state


# An attempt


def test_an_attempt_that_takes_too_long_has_failed(server: Server, jobs: Space) -> None:
    wid = jobs.push(chain(2, timeout_ms=90))
    claimed = jobs.claim_one("w", "LEASE", HOUR)
    started = jobs.tasks(wid)["t0"]["started"]
    assert claimed.deadline == started + 90, "the worker is told when it must be done"
    assert jobs.tasks(wid)["t0"]["deadline"] == started + 90
    server.wait_until(state_is(jobs, wid, "t0", "failed"), what="the timeout")
    seen = jobs.tasks(wid)["t0"]
    assert seen["error"] == "timed out after 90 ms"
    assert (seen["failures"], seen["lost"], seen["deadline"]) == (1, 0, None)
    assert seen["finished"] >= started + 90
    assert (jobs.state(wid), jobs.states(wid)["t1"]) == ("failed", "cancelled")
    assert jobs.get(wid)["error"] is None, "that is for the workflow's own deadline"
    stats = jobs.stats()
    assert (stats["tasks_timed_out"], stats["lease_expiries"], stats["workflows_timed_out"]) == (1, 0, 0)
    assert jobs.complete(claimed.token) == [0]


def test_with_nobody_connected(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(timeout_ms=80))
    deadline = jobs.claim_one("w", "LEASE", HOUR).deadline
    server.close_clients()
    eventually(lambda: now_ms() > deadline + 300, what="time to pass")
    jobs = Space(server.client(), "jobs")
    seen = jobs.tasks(wid)["only"]
    assert (seen["state"], seen["error"]) == ("failed", "timed out after 80 ms")
    assert 0 <= seen["finished"] - deadline < 300


def test_no_heartbeat_extends_past_it(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(timeout_ms=300))
    claimed = jobs.claim_one("w", "LEASE", 100)
    started = jobs.tasks(wid)["only"]["started"]
    codes = []

    def over() -> bool:
        codes.extend(jobs.extend(HOUR if len(codes) % 2 else 100, claimed.token))
        seen = jobs.tasks(wid)["only"]
        assert seen["state"] != "running" or seen["deadline"] <= started + 300
        return codes[-1] == 0

    server.wait_until(over, what="the timeout")
    assert codes[0] == 1
    server.wait_until(state_is(jobs, wid, "only", "failed"), what="the attempt to fail")
    assert jobs.extend(HOUR, claimed.token) == [0]
    seen = jobs.tasks(wid)["only"]
    assert (seen["error"], seen["lost"]) == ("timed out after 300 ms", 0)


def test_a_timed_out_attempt_is_retried_as_a_failed_one(server: Server, jobs: Space) -> None:
    document = single(timeout_ms=60, max_attempts=3, backoff={"kind": "fixed", "delay_ms": 70})
    wid = jobs.push(document)
    for failures in (1, 2):
        claimed = server.wait_until(lambda: jobs.claim("w", "LEASE", HOUR), what="the next attempt")[0]
        assert claimed.attempt == failures
        server.wait_until(state_is(jobs, wid, "only", "delayed"), what="the timeout")
        seen = jobs.tasks(wid)["only"]
        assert (seen["failures"], seen["error"]) == (failures, "timed out after 60 ms")
        assert seen["due"] >= claimed.deadline + 70
        assert jobs.stats()["retrying"] == 1
        assert jobs.fail(claimed.token) == [2], "spent, as after WF.FAIL"
        assert jobs.complete(claimed.token) == [0]
        assert jobs.extend(HOUR, claimed.token) == [0]
    server.wait_until(lambda: jobs.claim("w", "LEASE", HOUR), what="the last attempt")
    server.wait_until(state_is(jobs, wid, "only", "failed"), what="the last timeout")
    assert jobs.state(wid) == "failed"
    stats = jobs.stats()
    assert (stats["tasks_timed_out"], stats["attempts_retried"]) == (3, 2)


def test_a_waiting_worker_gets_what_timed_out(server: Server, jobs: Space) -> None:
    jobs.push(single(timeout_ms=80, max_attempts=2, backoff={"delay_ms": 0}))
    first = jobs.claim_one("stuck", "LEASE", HOUR)
    waiter = Queue(server).join()
    (second,) = waiter.tasks()
    assert (second.attempt, now_ms() >= first.deadline) == (2, True)


def test_a_lease_shorter_than_the_timeout_is_lost_not_failed(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(timeout_ms=HOUR))
    before = now_ms()
    claimed = jobs.claim_one("w", "LEASE", 50)
    assert before + 50 <= claimed.deadline <= now_ms() + 50
    server.wait_until(state_is(jobs, wid, "only", "ready"), what="the lease to run out")
    seen = jobs.tasks(wid)["only"]
    assert (seen["failures"], seen["lost"], seen["error"]) == (0, 1, None)
    assert (jobs.stats()["tasks_timed_out"], jobs.stats()["lease_expiries"]) == (0, 1)
    again = jobs.claim_one("w", "LEASE", HOUR)
    assert again.attempt == 2
    assert jobs.complete(again.token) == [1]


def test_a_late_heartbeat_takes_the_attempt_up_within_its_timeout(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(timeout_ms=HOUR))
    token = jobs.claim_one("w", "LEASE", 1).token
    server.wait_until(state_is(jobs, wid, "only", "ready"), what="the lease to run out")
    assert jobs.extend(2 * HOUR, token) == [1]
    assert jobs.states(wid)["only"] == "running"
    assert jobs.tasks(wid)["only"]["deadline"] <= now_ms() + HOUR


def test_each_attempt_has_its_own_time(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(timeout_ms=HOUR, max_attempts=3, backoff={"delay_ms": 0}))
    first = jobs.claim_one("w", "LEASE", 2 * HOUR)
    eventually(lambda: now_ms() > first.deadline - HOUR + 20, what="time to pass")
    jobs.fail(first.token)
    second = jobs.claim_one("w", "LEASE", 2 * HOUR)
    assert second.deadline >= first.deadline + 20
    eventually(lambda: now_ms() > second.deadline - HOUR + 20, what="time to pass")
    (third,) = jobs.resume("w", "LEASE", 2 * HOUR)
    assert third.deadline >= second.deadline + 20, "an attempt that is taken up starts anew"
    assert jobs.tasks(wid)["only"]["deadline"] == third.deadline


def test_a_task_that_is_done_in_time(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2, timeout_ms=100))
    jobs.complete(jobs.claim_one("w").token)
    jobs.claim_one("w")
    server.wait_until(state_is(jobs, wid, "t1", "failed"), what="the other to time out")
    assert jobs.states(wid)["t0"] == "completed"


def test_a_timeout_in_a_workflow_that_has_failed(server: Server, jobs: Space) -> None:
    wid = jobs.push(workflow(task("bad"), task("slow", timeout_ms=100, max_attempts=5)))
    bad, _ = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    jobs.fail(bad.token)
    server.wait_until(lambda: jobs.get(wid)["finished"] is not None, what="the other to end")
    assert jobs.states(wid)["slow"] == "failed", "it is not tried again"
    assert jobs.tasks(wid)["slow"]["error"] == "timed out after 100 ms"


def test_a_timeout_in_a_paused_workflow(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(timeout_ms=80, max_attempts=2, backoff={"delay_ms": 0}))
    jobs.claim_one("w", "LEASE", HOUR)
    jobs.pause("ID", wid)
    server.wait_until(lambda: jobs.tasks(wid)["only"]["failures"] == 1, what="the timeout")
    assert jobs.claim("w") == []
    jobs.release("ID", wid)
    assert [again.attempt for again in server.wait_until(lambda: jobs.claim("w"), what="the next attempt")] == [2]


def test_defaults_of_the_workflow_hold_for_each_task(jobs: Space) -> None:
    document = workflow(task("inherits"), task("own", timeout_ms=2 * HOUR), defaults={"timeout_ms": HOUR})
    wid = jobs.push(document)
    inherits, own = jobs.claim("w", "COUNT", 2, "LEASE", 10 * HOUR)
    seen = jobs.tasks(wid)
    assert inherits.deadline == seen["inherits"]["started"] + HOUR
    assert own.deadline == seen["own"]["started"] + 2 * HOUR
    assert jobs.get(wid)["deadline"] is None, "that is a limit for tasks"


# A workflow


def test_a_workflow_past_its_deadline_has_failed(server: Server, jobs: Space) -> None:
    document = workflow(
        task("running"),
        task("behind", ["running"]),
        task("ready"),
        task("delayed", delay_ms=HOUR),
        task("retrying", max_attempts=2),
        timeout_ms=250,
    )
    wid = jobs.push(document)
    created = jobs.get(wid)["created"]
    assert jobs.get(wid)["deadline"] == created + 250
    running = jobs.claim_one("w", "LEASE", HOUR)
    jobs.claim_one("ready", "LEASE", HOUR)
    retrying = jobs.claim_one("w", "LEASE", HOUR)
    jobs.fail(retrying.token, "RETRY", HOUR)
    jobs.recover("ready")
    expected = {
        "running": "running",
        "behind": "waiting",
        "ready": "ready",
        "delayed": "delayed",
        "retrying": "delayed",
    }
    assert jobs.states(wid) == expected
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the deadline")
    assert jobs.states(wid) == {name: "running" if name == "running" else "cancelled" for name in expected}
    seen = jobs.get(wid)
    assert (seen["error"], seen["finished"]) == ("timed out after 250 ms", None)
    assert jobs.stats()["workflows_timed_out"] == 1

    assert jobs.extend(HOUR, running.token) == [2], "please stop"
    assert jobs.complete(running.token) == [1]
    assert jobs.states(wid)["behind"] == "cancelled"
    seen = jobs.get(wid)
    assert (seen["state"], seen["error"]) == ("failed", "timed out after 250 ms")
    assert seen["finished"] >= created + 250


def test_a_workflow_of_which_nothing_runs_is_finished_by_its_deadline(server: Server, jobs: Space) -> None:
    wid = jobs.push(chain(3), "TIMEOUT", 60)
    deadline = jobs.get(wid)["deadline"]
    server.close_clients()
    eventually(lambda: now_ms() > deadline + 300, what="time to pass")
    jobs = Space(server.client(), "jobs")
    seen = jobs.get(wid)
    assert (seen["state"], seen["error"]) == ("failed", "timed out after 60 ms")
    assert 0 <= seen["finished"] - deadline < 300, "it was done before anybody asked"
    assert set(jobs.states(wid).values()) == {"cancelled"}
    assert jobs.claim("w") == []


def test_timeout_of_the_push_wins(jobs: Space) -> None:
    document = {**single(), "timeout_ms": HOUR}
    for options, timeout in (([], HOUR), (["TIMEOUT", 2 * HOUR], 2 * HOUR), (["TIMEOUT", 70_000], 70_000)):
        seen = jobs.get(jobs.push(document, *options))
        assert seen["deadline"] == seen["created"] + timeout
    assert jobs.get(jobs.push(single()))["deadline"] is None
    assert jobs.get(jobs.push({**single(), "timeout_ms": None}))["deadline"] is None


def test_the_time_of_a_workflow_begins_when_it_may(jobs: Space) -> None:
    at = now_ms() + 5 * HOUR
    assert jobs.get(jobs.push(single(), "AT", at, "TIMEOUT", HOUR))["deadline"] == at + HOUR
    past = jobs.get(jobs.push(single(), "AT", 5, "TIMEOUT", HOUR))
    assert past["deadline"] == past["created"] + HOUR


def test_a_workflow_that_ends_in_time(server: Server, jobs: Space) -> None:
    good, bad = jobs.push(single(), "TIMEOUT", 120), jobs.push(single(), "TIMEOUT", 120)
    late = jobs.push(single(), "TIMEOUT", 160)
    jobs.complete(jobs.claim_one("w").token)
    jobs.fail(jobs.claim_one("w").token, "ERROR", "own")
    server.wait_until(lambda: jobs.state(late) == "failed", what="one whose deadline is later")
    assert (jobs.state(good), jobs.get(good)["error"]) == ("completed", None)
    assert (jobs.state(bad), jobs.get(bad)["error"]) == ("failed", None)
    assert jobs.tasks(bad)["only"]["error"] == "own"
    assert jobs.stats()["workflows_timed_out"] == 1


def test_a_workflow_that_has_failed_runs_down_past_its_deadline(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2), "TIMEOUT", 100)
    late = jobs.push(single(), "TIMEOUT", 150)
    bad, good = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    jobs.fail(bad.token)
    server.wait_until(lambda: jobs.state(late) == "failed", what="one whose deadline is later")
    assert jobs.get(wid)["error"] is None
    assert jobs.complete(good.token) == [1]


def test_a_pause_stops_no_clock(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2), "TIMEOUT", 80, "PAUSED")
    delayed = jobs.push(single(), "DELAY", 20, "TIMEOUT", 80)
    jobs.pause("ID", delayed)
    for one in (wid, delayed):
        server.wait_until(lambda one=one: jobs.state(one) == "failed", what="the deadline of a paused workflow")
        assert jobs.get(one)["error"] == "timed out after 80 ms"
        assert set(jobs.states(one).values()) == {"cancelled"}


def test_waiting_workers_are_not_given_what_is_over(server: Server, jobs: Space) -> None:
    jobs.push(single(), "TIMEOUT", 60, "DELAY", 0, "PAUSED", "ID", "over")
    waiter = Queue(server).join()
    server.wait_until(lambda: jobs.state("over") == "failed", what="the deadline")
    assert jobs.release("ID", "over") in (0, 1)
    assert served([waiter]) == []
    jobs.push(single("next"))
    assert waiter.names() == ["next"]


def test_deadlines_of_many_workflows(server: Server, jobs: Space) -> None:
    wids = [jobs.push(chain(2), "TIMEOUT", 100 + i % 7) for i in range(500)]
    server.wait_until(lambda: jobs.stats()["workflows"]["failed"] == 500, what="all deadlines")
    assert jobs.stats()["workflows_timed_out"] == 500
    assert {jobs.get(wid)["error"] for wid in wids} == {f"timed out after {100 + i} ms" for i in range(7)}
    assert jobs.stats()["tasks"]["cancelled"] == 1000


@pytest.mark.parametrize("timeout", [0, -1, 315_360_000_001, "x"])
def test_the_range_of_the_documents_timeout(jobs: Space, timeout: int | str) -> None:
    with refused("INVALID", "timeout_ms"):
        jobs.push({**single(), "timeout_ms": timeout})

"""Lost deliveries: a task that kills its workers is not for ever. And what is told of failures and losses.

A delivery is lost when its lease runs out or its worker recovers; that costs no attempt.
"""

from history import HOUR
from servers import Server
from space import Space
from test_retries import fail_again, fixed, state_is
from workflows import chain, loose, single


def lose(server: Server, jobs: Space, wid: str, worker: str = "killer", name: str = "only") -> str:
    """Claims the task and lets its lease run out; the token."""
    token = jobs.claim_one(worker, "LEASE", 1).token
    server.wait_until(lambda: jobs.states(wid)[name] != "running", what="the lease to run out")
    return token


def test_a_task_that_kills_its_workers_fails(server: Server, jobs: Space) -> None:
    wid = jobs.push(chain(2, max_deliveries=3))
    for lost in (1, 2):
        lose(server, jobs, wid, name="t0")
        seen = jobs.tasks(wid)["t0"]
        assert (seen["state"], seen["lost"], seen["failures"], seen["error"]) == ("ready", lost, 0, None)
    lose(server, jobs, wid, worker="the last", name="t0")
    assert jobs.states(wid) == {"t0": "failed", "t1": "cancelled"}
    seen = jobs.tasks(wid)["t0"]
    assert seen["error"] == "lost 3 times without an acknowledgement, last by the last"
    assert (seen["lost"], seen["attempts"], seen["worker"]) == (3, 3, "the last")
    assert jobs.state(wid) == "failed"
    assert jobs.stats()["tasks_poisoned"] == 1


def test_five_deliveries_are_the_default(server: Server, jobs: Space) -> None:
    wid = jobs.push(single())
    for _ in range(4):
        lose(server, jobs, wid)
    assert jobs.states(wid)["only"] == "ready"
    lose(server, jobs, wid)
    assert jobs.tasks(wid)["only"]["error"] == "lost 5 times without an acknowledgement, last by killer"


def test_a_default_of_the_module_for_deliveries(server: Server, jobs: Space) -> None:
    jobs.client.config_set("workflow.default-max-deliveries", 1)
    wid = jobs.push(single())
    lose(server, jobs, wid)
    assert jobs.states(wid)["only"] == "failed"


def test_failing_and_losing_are_counted_apart(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(max_attempts=3, max_deliveries=3, backoff=fixed(0)))
    for counts in ((0, 1), (1, 1), (1, 2), (2, 2)):
        if jobs.tasks(wid)["only"]["lost"] < counts[1]:
            lose(server, jobs, wid)
        else:
            fail_again(jobs, 1)
        seen = jobs.tasks(wid)["only"]
        assert (seen["failures"], seen["lost"]) == counts
        assert seen["state"] == "ready"
    assert seen["attempts"] == 4
    assert jobs.complete(jobs.claim_one("w").token) == [1], "five were handed out, neither limit is reached"


def test_recovered_deliveries_are_lost_ones(jobs: Space) -> None:
    wid = jobs.push(single(max_deliveries=3))
    token = jobs.claim_one("crashing").token
    assert jobs.recover("crashing") == [token]
    assert jobs.tasks(wid)["only"]["lost"] == 1
    jobs.claim_one("crashing")
    (resumed,) = jobs.resume("crashing")
    assert (resumed.attempt, jobs.tasks(wid)["only"]["lost"]) == (3, 2)
    assert jobs.resume("crashing") == [], "that was the third crash"
    seen = jobs.tasks(wid)["only"]
    assert seen["state"] == "failed"
    assert seen["error"] == "lost 3 times without an acknowledgement, last by crashing"
    assert jobs.state(wid) == "failed"


def test_a_task_that_fails_by_recover_is_in_its_reply(jobs: Space) -> None:
    wid = jobs.push(single(max_deliveries=1))
    token = jobs.claim_one("crashing").token
    assert jobs.recover("crashing") == [token]
    assert jobs.states(wid)["only"] == "failed"
    assert jobs.recover("crashing") == []


def test_a_late_acknowledgement_is_accepted_and_the_count_stays(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(max_deliveries=2))
    token = lose(server, jobs, wid)
    assert jobs.extend(HOUR, token) == [1]
    assert jobs.tasks(wid)["only"]["lost"] == 1
    assert jobs.complete(token) == [1]
    assert jobs.tasks(wid)["only"]["lost"] == 1


def test_after_it_failed_for_good_an_acknowledgement_is_too_late(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(max_deliveries=1))
    token = lose(server, jobs, wid)
    assert jobs.complete(token) == [0]
    assert jobs.extend(HOUR, token) == [0]
    assert jobs.states(wid)["only"] == "failed"


def test_a_lease_lost_in_a_failed_workflow_is_no_poison(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2, max_deliveries=1))
    bad = jobs.claim_one("w", "LEASE", HOUR)
    jobs.claim_one("w", "LEASE", 100)
    jobs.fail(bad.token)
    server.wait_until(state_is(jobs, wid, "t1", "cancelled"), what="the other to end")
    assert jobs.stats()["tasks_poisoned"] == 0


def test_a_copy_of_a_space_counts_nothing(jobs: Space) -> None:
    wid = jobs.push(single(max_deliveries=1))
    token = jobs.claim_one("w", "LEASE", HOUR).token
    jobs.client.copy("jobs", "copy")
    seen = Space(jobs.client, "copy").tasks(wid)["only"]
    assert (seen["state"], seen["lost"], seen["failures"]) == ("ready", 0, 0), "its worker works for the first one"
    assert jobs.complete(token) == [1]


# What is told of it


def test_counters_of_the_space(server: Server, jobs: Space) -> None:
    empty = Space(jobs.client, "empty")
    empty.delete(empty.push(single()))
    counters = ("lease_expiries", "attempts_retried", "tasks_timed_out", "tasks_poisoned", "workflows_timed_out")
    names = ("delayed", "retrying", "dead", "signals", "next_due", *counters)
    order = list(empty.stats())
    assert order[order.index("paused") + 1 :][: len(names)] == list(names)
    assert [empty.stats()[name] for name in names] == [0, 0, 0, 0, None, 0, 0, 0, 0, 0]

    wid = jobs.push(loose(4, max_attempts=2, backoff=fixed(HOUR)))
    jobs.push(single(), "DELAY", 2 * HOUR)
    lose(server, jobs, wid, name="t0")
    tokens = [claimed.token for claimed in jobs.claim("w", "COUNT", 4, "LEASE", 9 * HOUR)]
    jobs.fail(tokens[0], tokens[1], "RETRY", 2 * HOUR)
    seen = jobs.stats()
    assert (seen["delayed"], seen["retrying"], seen["dead"]) == (3, 2, 0)
    assert (seen["lease_expiries"], seen["attempts_retried"]) == (1, 2)
    assert seen["next_due"] == jobs.tasks(wid)["t0"]["due"]
    assert seen["tasks"]["delayed"] == 3
    assert seen["types"]["work"]["delayed"] == 3
    jobs.fail(tokens[2], "NORETRY")
    seen = jobs.stats()
    assert (seen["delayed"], seen["retrying"], seen["dead"], seen["attempts_retried"]) == (1, 0, 1, 2)

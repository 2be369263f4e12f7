"""WF.EXTEND: the heartbeat of a long task."""

from servers import Server
from space import Space
from workflows import loose, single


def test_an_extended_lease_outlives_its_first_deadline(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2))
    kept, dropped = jobs.claim("w", "COUNT", 2, "LEASE", 150)
    assert jobs.extend(60_000, kept.token) == [1]
    server.wait_until(lambda: jobs.states(wid)[dropped.name] == "ready", what="the other lease to run out")
    assert jobs.states(wid)[kept.name] == "running"


def test_a_lease_may_be_shortened(server: Server, jobs: Space) -> None:
    wid = jobs.push(single())
    task = jobs.claim_one("w")
    assert jobs.extend(20, task.token) == [1]
    server.wait_until(lambda: jobs.states(wid)["only"] == "ready", what="the shorter lease to run out")


def test_codes_in_order(jobs: Space) -> None:
    jobs.push(loose(3))
    done, running, again = jobs.claim("w", "COUNT", 3)
    jobs.complete(done.token)
    assert jobs.extend(1000, done.token, running.token, f"nothing-0-{'0' * 8}", again.token, again.token) == [
        0,
        1,
        -1,
        1,
        1,
    ]


def test_a_late_extension_counts_while_nobody_else_has_claimed(server: Server, jobs: Space) -> None:
    wid = jobs.push(single())
    task = jobs.claim_one("w", "LEASE", 20)
    server.wait_until(lambda: jobs.states(wid)["only"] == "ready", what="the lease to run out")
    assert jobs.extend(60_000, task.token) == [1]
    assert jobs.states(wid)["only"] == "running"
    assert jobs.claim("other") == []
    assert jobs.complete(task.token) == [1]


def test_the_token_of_a_task_that_went_elsewhere_is_stale(server: Server, jobs: Space) -> None:
    jobs.push(single())
    task = jobs.claim_one("w", "LEASE", 20)
    server.wait_until(lambda: jobs.claim("other"), what="another worker to get the task")
    assert jobs.extend(60_000, task.token) == [0]

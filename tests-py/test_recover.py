"""WF.RECOVER: a worker that restarts under its old name gives back or takes up its work."""

from servers import Server
from space import Space
from workflows import chain, loose


def test_without_resume_the_tasks_are_ready_again(jobs: Space) -> None:
    jobs.push(loose(3))
    mine = jobs.claim("me", "COUNT", 2)
    other = jobs.claim_one("other")
    assert sorted(jobs.recover("me")) == sorted(task.token for task in mine)
    assert jobs.complete(mine[0].token) == [0], "taken back, so the old token is stale"
    assert jobs.recover("me") == []
    again = jobs.claim("anyone", "COUNT", 9)
    assert [(task.name, task.attempt) for task in again] == [("t0", 2), ("t1", 2)]
    assert jobs.complete(other.token) == [1], "the others keep theirs"


def test_with_resume_the_worker_gets_them_again_with_new_tokens(jobs: Space) -> None:
    jobs.push(loose(2), "INPUT", "i")
    old = jobs.claim("me", "COUNT", 2)
    new = jobs.resume("me")
    assert [(task.name, task.attempt, task.input) for task in new] == [("t0", 2, b"i"), ("t1", 2, b"i")]
    assert jobs.complete(*(task.token for task in old)) == [0, 0]
    assert jobs.complete(*(task.token for task in new)) == [1, 1]
    assert jobs.state("1") == "completed"


def test_resume_takes_a_lease(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(1))
    jobs.claim_one("me")
    (task,) = jobs.resume("me", "LEASE", 20)
    server.wait_until(lambda: jobs.states(wid)["t0"] == "ready", what="the lease to run out")
    assert jobs.complete(task.token) == [1]


def test_a_worker_that_holds_nothing(jobs: Space) -> None:
    assert jobs.recover("me") == []
    assert jobs.client.exists(jobs.key) == 0
    jobs.push(chain(1))
    jobs.complete(jobs.claim_one("me").token)
    assert jobs.recover("me") == []
    assert jobs.resume("me") == []


def test_a_task_whose_lease_went_to_another_is_not_recovered(server: Server, jobs: Space) -> None:
    jobs.push(loose(1))
    jobs.claim_one("me", "LEASE", 20)
    (task,) = server.wait_until(lambda: jobs.claim("other"), what="another worker to get the task")
    assert jobs.recover("me") == []
    assert jobs.complete(task.token) == [1]


def test_in_a_failed_workflow_a_recovered_task_is_cancelled(jobs: Space) -> None:
    wid = jobs.push(loose(2))
    (bad,) = jobs.claim("other")
    jobs.claim_one("me")
    jobs.fail(bad.token)
    jobs.recover("me")
    assert jobs.states(wid)["t1"] == "cancelled"
    assert jobs.get(wid)["finished"] is not None


def test_in_a_paused_workflow_a_recovered_task_waits(jobs: Space) -> None:
    wid = jobs.push(loose(1))
    jobs.claim_one("me")
    jobs.pause("ID", wid)
    assert len(jobs.recover("me")) == 1
    assert jobs.claim("anyone") == []
    jobs.release("ID", wid)
    assert jobs.claim_names("anyone") == ["t0"]

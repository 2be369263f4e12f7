"""WF.DELETE: whole workflows go, whatever they are doing."""

from space import Space
from workflows import diamond, loose, single


def test_it_counts_what_it_removed(jobs: Space) -> None:
    one, two = jobs.push(single()), jobs.push(single(), "ID", "own")
    assert jobs.delete(one, "nothing", two, two) == 2
    assert jobs.client.execute_command("WF.GET", jobs.key, one) is None
    assert jobs.claim("w") == []


def test_running_leases_become_unknown(jobs: Space) -> None:
    wid = jobs.push(diamond())
    token = jobs.claim_one("w").token
    assert jobs.delete(wid) == 1
    assert jobs.complete(token) == [-1]
    assert jobs.fail(token) == [-1]
    assert jobs.extend(1000, token) == [-1]
    assert jobs.recover("w") == []


def test_a_token_of_a_deleted_workflow_does_not_work_on_its_successor(jobs: Space) -> None:
    jobs.push(single(), "ID", "same")
    old = jobs.claim_one("w").token
    jobs.delete("same")
    jobs.push(single(), "ID", "same")
    new = jobs.claim_one("w").token
    assert jobs.complete(old) == [0]
    assert jobs.complete(new) == [1]


def test_the_others_keep_their_order_and_counts(jobs: Space) -> None:
    ids = [jobs.push(loose(2)) for _ in range(3)]
    jobs.claim_one("w")
    assert jobs.delete(ids[1]) == 1
    assert [task.workflow for task in jobs.claim("w", "COUNT", 9)] == [ids[0], ids[2], ids[2]]
    stats = jobs.stats()
    assert stats["workflows"]["running"] == 2
    assert stats["tasks"]["running"] == 4


def test_the_space_stays_when_its_last_workflow_goes(jobs: Space) -> None:
    jobs.delete(jobs.push(single()))
    assert jobs.client.type(jobs.key) == b"workflows"
    assert jobs.client.delete(jobs.key) == 1
    assert jobs.client.exists(jobs.key) == 0
    assert jobs.push(single()) == "1", "DEL forgets everything"

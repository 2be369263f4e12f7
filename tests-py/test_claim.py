"""WF.CLAIM: order, types, counts, leases, and the shape of what is handed out."""

import json
import re
import time

from redis import Redis

from servers import Server
from space import Space
from workflows import chain, diamond, loose, single, task, workflow


def test_the_reply_is_the_same_array_in_both_protocols(server: Server, resp: int) -> None:
    client: Redis = server.client(resp)
    client.execute_command("WF.PUSH", "k", json.dumps(single("n", payload="p")), "ID", "w1", "INPUT", "i")
    before = int(time.time() * 1000)
    (claimed,) = client.execute_command("WF.CLAIM", "k", "me", "LEASE", 5000)
    token, wid, name, kind, attempt, deadline, payload, given = claimed
    assert re.fullmatch(rb"w1-0-[0-9a-f]{8}", token)
    assert (wid, name, kind, attempt, payload, given) == (b"w1", b"n", b"work", 1, b"p", b"i")
    assert before + 5000 <= deadline <= int(time.time() * 1000) + 5000
    assert client.execute_command("WF.CLAIM", "k", "me") == []


def test_claiming_on_empty_is_an_empty_array(jobs: Space) -> None:
    assert jobs.claim("w") == []
    assert jobs.client.exists(jobs.key) == 0, "and creates no key"


def test_the_oldest_workflow_comes_first_then_push_order(jobs: Space) -> None:
    for name in ("old", "new"):
        jobs.push(workflow(task(f"{name}-1"), task(f"{name}-2")))
    assert jobs.claim_names("w") == ["old-1", "old-2", "new-1", "new-2"]


def test_a_child_of_an_old_workflow_comes_before_a_new_workflow(jobs: Space) -> None:
    jobs.push(chain(2), "ID", "old")
    jobs.push(chain(2), "ID", "new")
    first = jobs.claim_one("w")
    jobs.complete(first.token)
    assert [(task.workflow, task.name) for task in jobs.claim("w", "COUNT", 2)] == [("old", "t1"), ("new", "t0")]


def test_priority_wins_over_age_and_zero_is_the_most_urgent(jobs: Space) -> None:
    jobs.push(workflow(task("later", priority=101), task("usual"), task("soon", priority=1), task("now", priority=0)))
    assert jobs.claim_names("w") == ["now", "soon", "usual", "later"]


def test_maxpriority_is_a_value_not_a_rank(jobs: Space) -> None:
    jobs.push(workflow(task("a", priority=5), task("b", priority=10), task("c", priority=11)))
    assert jobs.claim_names("w", "MAXPRIORITY", 4) == []
    assert jobs.claim_names("w", "MAXPRIORITY", 10) == ["a", "b"]
    assert jobs.claim_names("w") == ["c"]


def test_types_restrict_and_keep_the_order(jobs: Space) -> None:
    jobs.push(workflow(*(task(f"t{i}", type=kind) for i, kind in enumerate(["x", "y", "z", "x", ""]))))
    assert jobs.claim_names("w", "TYPES", 1, "none") == []
    assert jobs.claim_names("w", "TYPES", 2, "z", "y") == ["t1", "t2"]
    assert jobs.claim_names("w", "TYPES", 1, "") == ["t4"]
    assert jobs.claim_names("w") == ["t0", "t3"]


def test_a_type_may_be_called_like_an_option(jobs: Space) -> None:
    jobs.push(workflow(task("t", type="COUNT")))
    assert jobs.claim_names("TYPES", "TYPES", 1, "COUNT") == ["t"]


def test_count_is_the_most_that_is_handed_out(jobs: Space) -> None:
    jobs.push(loose(5))
    assert len(jobs.claim("w")) == 1
    assert len(jobs.claim("w", "COUNT", 3)) == 3
    assert len(jobs.claim("w", "COUNT", 3)) == 1


def test_withresults_adds_what_the_parents_returned(jobs: Space) -> None:
    jobs.push(diamond())
    top = jobs.claim_one("w", "WITHRESULTS")
    assert top.results == {}
    jobs.complete(top.token, "RESULT", "not a parent of bottom")
    left, right = jobs.claim("w", "COUNT", 2)
    jobs.complete(left.token, "RESULT", b"\x00l", right.token)
    bottom = jobs.claim_one("w", "WITHRESULTS")
    assert set(bottom.results) == {"left", "right"}
    assert bottom.results["left"] == b"\x00l"
    assert not bottom.results["right"]


def test_lease_of_the_claim_wins_over_the_task_over_the_configuration(jobs: Space) -> None:
    jobs.client.config_set("workflow.default-lease-ms", 1_000_000)
    jobs.push(workflow(task("claim", lease_ms=2_000_000), task("task", lease_ms=2_000_000), task("config")))
    now = int(time.time() * 1000)
    claims = [jobs.claim_one("w", "LEASE", 3_000_000), jobs.claim_one("w"), jobs.claim_one("w")]
    assert [round((claim.deadline - now) / 1_000_000) for claim in claims] == [3, 2, 1]


def test_a_lease_that_ran_out_frees_the_task_for_anyone(server: Server, jobs: Space) -> None:
    jobs.push(single())
    first = jobs.claim_one("slow", "LEASE", 30)
    second = server.wait_until(lambda: jobs.claim("other"), what="the lease to run out")[0]
    assert (second.name, second.attempt) == (first.name, 2)
    assert second.token != first.token
    assert jobs.complete(first.token) == [0], "the old token is stale"
    assert jobs.complete(second.token) == [1]


def test_a_lease_runs_out_without_anybody_claiming(server: Server, jobs: Space) -> None:
    wid = jobs.push(single())
    jobs.claim_one("w", "LEASE", 30)
    server.wait_until(lambda: jobs.states(wid)["only"] == "ready", what="expiry from the timer")


def test_a_hundred_thousand_leases_run_out_in_bounded_batches(server: Server, jobs: Space) -> None:
    jobs.push(loose(100_000, max_deliveries=10_000))
    for _ in range(10):
        assert len(jobs.claim("w", "COUNT", 10_000, "LEASE", 300)) == 10_000
    server.wait_until(lambda: jobs.stats()["tasks"]["ready"] == 100_000, 30, "all leases to run out")


def test_a_reply_is_bounded_in_bytes(jobs: Space) -> None:
    """A thousand tasks with an INPUT of a megabyte each once made a reply of a gigabyte."""
    megabyte = b"x" * (1 << 20)
    jobs.push(loose(60), "INPUT", megabyte)
    first = jobs.claim("w", "COUNT", 60)
    assert 30 <= len(first) <= 34
    assert len(jobs.claim("w", "COUNT", 60)) == 60 - len(first)


def test_a_reply_names_no_more_than_so_many_parents(jobs: Space) -> None:
    """A claim of 1,000 tasks that wait for 1,000 others each kept the server busy for a sixth of a second."""
    side = 400
    before = [task(f"a{place}") for place in range(side)]
    after = [task(f"b{place}", parents=[one["name"] for one in before]) for place in range(side)]
    jobs.push(workflow(*before, *after))
    jobs.complete(*(claimed.token for claimed in jobs.claim("w", "COUNT", side)))
    command = ("WF.CLAIM", jobs.key, "w", "COUNT", side, "WITHRESULTS")
    assert [len(jobs.client.execute_command(*command)) for _ in range(3)] == [250, 150, 0]

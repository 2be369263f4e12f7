"""Leases: when they run out, who notices, what the old token is still worth, and when nothing expires.

That nothing expired is shown against a witness: something that the server does only after the
moment at which it would have expired.
"""

import time
from collections.abc import Callable

import pytest
import redis

from history import HOUR
from servers import Server
from space import Space, Task
from waiting import eventually
from workflows import loose, single, task, workflow


def passed(deadline: int) -> bool:
    """A deadline, and a while more in which a timer would have noticed it, lie behind us."""
    return time.time() * 1000 > deadline + 300


def expired(server: Server, client: redis.Redis) -> int:
    return client.info("workflow")["workflow_leases_expired"]


# Who notices


def test_the_timer_notices_with_nobody_connected(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(3))
    before = expired(server, jobs.client)
    claimed = jobs.claim("w", "COUNT", 3, "LEASE", 30)
    server.close_clients()
    eventually(lambda: passed(claimed[-1].deadline), what="time to pass")
    looker = Space(server.client(), "jobs")
    assert expired(server, looker.client) == before + 3, "it was done before anybody asked"
    assert set(looker.states(wid).values()) == {"ready"}


def test_a_lease_is_noticed_soon(server: Server, jobs: Space) -> None:
    """Within 200 ms on a busy machine; the timer itself is good for some 10 ms."""
    wid = jobs.push(single(max_deliveries=9))
    late = []
    for _ in range(5):
        claimed = jobs.claim_one("w", "LEASE", 20)
        server.wait_until(lambda: jobs.states(wid)["only"] == "ready", what="the lease to run out")
        late.append(jobs.tasks(wid)["only"]["ready"] - claimed.deadline)
    assert min(late) >= 0, "never before its time"
    assert sorted(late)[2] < 200, late


def test_a_claim_notices_before_it_looks(jobs: Space) -> None:
    """What one client sends at once is carried out in one turn: no timer comes between."""
    jobs.push(single())
    with jobs.client.pipeline(transaction=False) as turn:
        turn.execute_command("WF.CLAIM", jobs.key, "first", "LEASE", 1)
        turn.execute_command("DEBUG", "SLEEP", 0.02)
        turn.execute_command("WF.CLAIM", jobs.key, "second")
        first, _, second = turn.execute()
    assert (first[0][4], second[0][4]) == (1, 2), "attempts"


def test_the_shortest_and_the_longest_lease_stand_side_by_side(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2))
    month = 30 * 24 * HOUR
    jobs.claim_one("long", "LEASE", month)
    jobs.claim_one("short", "LEASE", 1)
    server.wait_until(lambda: jobs.states(wid)["t1"] == "ready", what="the short one to run out")
    assert jobs.states(wid)["t0"] == "running"


def test_extend_moves_the_end_in_both_directions(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2))
    longer, shorter = jobs.claim("w", "COUNT", 2, "LEASE", 400)
    assert jobs.extend(HOUR, longer.token) == [1]
    assert jobs.extend(1, shorter.token) == [1]
    server.wait_until(lambda: jobs.states(wid)["t1"] == "ready", what="the shorter one to run out")
    eventually(lambda: passed(longer.deadline), what="time to pass")
    assert jobs.states(wid)["t0"] == "running"


def test_leases_of_many_spaces_end_by_themselves(server: Server, jobs: Space) -> None:
    spaces = [Space(jobs.client, f"space-{i}") for i in range(200)]
    for i, space in enumerate(spaces):
        space.push(single())
        space.claim_one("w", "LEASE", 100 + i % 50)
    server.wait_until(lambda: jobs.client.info("workflow")["workflow_tasks_ready"] == 200, what="all leases to run out")


# What the old token is worth


def run_out(server: Server, jobs: Space, count: int = 1) -> list[Task]:
    """Tasks whose leases have run out, and which nobody has claimed again."""
    wid = jobs.push(loose(count))
    claimed = jobs.claim("slow", "COUNT", count, "LEASE", 1)
    server.wait_until(lambda: set(jobs.states(wid).values()) == {"ready"}, what="the leases to run out")
    return claimed


def test_late_but_nobody_else_came(server: Server, jobs: Space) -> None:
    completed, failed, extended = run_out(server, jobs, 3)
    assert jobs.extend(HOUR, extended.token) == [1]
    assert jobs.states("1")["t2"] == "running", "taken up again"
    assert jobs.tasks("1")["t2"]["worker"] == "slow"
    assert jobs.complete(completed.token, "RESULT", "late") == [1]
    assert jobs.complete(completed.token) == [2]
    assert jobs.fail(failed.token, "ERROR", "late") == [1]
    assert jobs.extend(HOUR, extended.token) == [2]
    assert jobs.complete(extended.token) == [1]
    assert jobs.states("1") == {"t0": "completed", "t1": "failed", "t2": "completed"}


def test_stale_from_the_moment_another_claims(server: Server, jobs: Space) -> None:
    (old,) = run_out(server, jobs)
    new = jobs.claim_one("other")
    assert (new.name, new.attempt) == (old.name, 2)
    assert jobs.complete(old.token) == [0]
    assert jobs.fail(old.token) == [0]
    assert jobs.extend(HOUR, old.token) == [0]
    assert jobs.states("1") == {"t0": "running"}
    assert jobs.tasks("1")["t0"]["worker"] == "other"
    assert jobs.complete(new.token) == [1]
    assert jobs.complete(old.token) == [0], "a repeat of the new one, not of the old one"


def test_a_second_expiry_keeps_only_the_newest(server: Server, jobs: Space) -> None:
    (oldest,) = run_out(server, jobs)
    newest = jobs.claim_one("other", "LEASE", 1)
    server.wait_until(lambda: jobs.states("1")["t0"] == "ready", what="the second lease to run out")
    assert jobs.complete(oldest.token) == [0]
    assert jobs.complete(newest.token) == [1]


def test_a_task_that_comes_back_has_its_old_place_in_the_order(server: Server, jobs: Space) -> None:
    run_out(server, jobs, 2)
    jobs.push(workflow(task("urgent", priority=1), task("young")))
    assert jobs.claim_names("w") == ["urgent", "t0", "t1", "young"]


def test_what_others_see_of_an_expired_task(server: Server, jobs: Space) -> None:
    (old,) = run_out(server, jobs)
    seen = jobs.tasks("1")["t0"]
    assert (seen["state"], seen["attempts"]) == ("ready", 1)
    assert seen["ready"] >= old.deadline
    assert jobs.stats()["types"]["work"]["running"] == 0
    assert jobs.recover("slow") == [], "it does not hold it any more"


# Where the length comes from


def test_a_lease_of_the_task_and_of_the_configuration_end(server: Server, jobs: Space) -> None:
    jobs.client.config_set("workflow.default-lease-ms", 25)
    wid = jobs.push(workflow(task("own", lease_ms=20), task("default"), task("claim", lease_ms=1)))
    jobs.claim("w", "COUNT", 2)
    jobs.claim_one("w", "LEASE", HOUR)
    server.wait_until(
        lambda: jobs.states(wid) == {"own": "ready", "default": "ready", "claim": "running"}, what="two to run out"
    )


# When nothing expires


@pytest.mark.parametrize("pause", ["WRITE", "ALL"])
def test_nothing_expires_in_a_client_pause(server: Server, jobs: Space, pause: str) -> None:
    wid = jobs.push(loose(2))
    witness = Space(jobs.client, "witness")
    witness.push(single())
    before = expired(server, jobs.client)
    claimed = jobs.claim("w", "COUNT", 2, "LEASE", 60)
    looker = server.client()
    jobs.client.execute_command("CLIENT", "PAUSE", 700 if pause == "ALL" else 10_000, pause)
    eventually(lambda: passed(claimed[-1].deadline), what="time to pass")
    if pause == "WRITE":
        assert expired(server, looker) == before
        assert set(jobs.states(wid).values()) == {"running"}, "a look is allowed, and changes nothing"
        looker.execute_command("CLIENT", "UNPAUSE")
    server.wait_until(lambda: expired(server, looker) == before + 2, what="them to expire after the pause")
    ready_at = [task["ready"] for task in jobs.tasks(wid).values()]
    assert pause == "WRITE" or min(ready_at) >= claimed[0].deadline + 300, "not before the pause was over"


def test_the_primary_survives_a_pause_with_a_replica(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server("appendonly yes")
    replica = fresh_server(replica_of=primary)
    jobs, copy = Space(primary.client(), "jobs"), Space(replica.client(), "jobs")
    wid = jobs.push(loose(500))
    claimed = jobs.claim("w", "COUNT", 500, "LEASE", 50)
    replica.wait_in_sync(primary)
    jobs.client.execute_command("CLIENT", "PAUSE", 10_000, "WRITE")
    offset = jobs.client.info("replication")["master_repl_offset"]
    eventually(lambda: passed(claimed[-1].deadline), what="time to pass")
    assert jobs.client.info("replication")["master_repl_offset"] == offset, "nothing is sent in a pause"
    jobs.client.execute_command("CLIENT", "UNPAUSE")
    primary.wait_until(lambda: set(copy.states(wid).values()) == {"ready"}, what="the expiry on the replica")


def test_a_replica_expires_nothing_by_itself_until_it_is_promoted(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server()
    replica = fresh_server("workflow.grace-ms 500", replica_of=primary)
    jobs, copy = Space(primary.client(), "jobs"), Space(replica.client(), "jobs")
    wid = jobs.push(loose(2))
    replica.wait_in_sync(primary)
    token = jobs.claim_one("w", "LEASE", 400).token
    deadline = jobs.claim_one("w", "LEASE", 400).deadline
    replica.wait_until(lambda: set(copy.states(wid).values()) == {"running"}, what="the claims on the replica")
    primary.kill9()
    eventually(lambda: passed(deadline), what="time to pass")
    assert copy.states(wid) == {"t0": "running", "t1": "running"}
    promoted = time.time() * 1000
    replica.promote()
    assert copy.claim("greedy") == [], "the grace has begun"
    assert copy.complete(token) == [1], "a worker that comes back in time"
    replica.wait_until(lambda: copy.states(wid) == {"t0": "completed", "t1": "ready"}, what="the other to expire")
    assert copy.tasks(wid)["t1"]["ready"] >= promoted + 500


@pytest.mark.parametrize("grace", [0, 1500])
def test_grace_after_a_restart(fresh_server: Callable[..., Server], grace: int) -> None:
    server = fresh_server("appendonly yes", "appendfsync always", f"workflow.grace-ms {grace}")
    jobs = Space(server.client(), "jobs")
    wid = jobs.push(single())
    deadline = jobs.claim_one("w", "LEASE", 300).deadline
    server.kill9()
    eventually(lambda: passed(deadline), what="the lease to run out while the server is away")
    start = time.time() * 1000
    server.start()
    jobs = Space(server.client(), "jobs")
    if grace:
        assert jobs.claim("early") == []
        assert jobs.states(wid) == {"only": "running"}
    server.wait_until(lambda: jobs.states(wid) == {"only": "ready"}, what="the lease to run out")
    assert jobs.tasks(wid)["only"]["ready"] >= start + grace
    assert jobs.claim_one("late").attempt == 2


def test_no_grace_for_a_server_that_started_empty(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("workflow.grace-ms 3600000")
    jobs = Space(server.client(), "jobs")
    wid = jobs.push(single())
    jobs.claim_one("w", "LEASE", 20)
    server.wait_until(lambda: jobs.states(wid) == {"only": "ready"}, what="the lease to run out")

"""Whatever happens to the server in the middle of a wait, the wait ends at its time, once, with nobody
connected: a restart from an RDB file or an AOF, a full resync, a promotion.

The waits: a backoff, a delay, a lease, the timeout of an attempt, the deadline of a workflow, and
the time that a finished workflow is kept. Each is set up to end soon, then the fault comes, then
nobody is connected until all of them must be over.
"""

from collections.abc import Callable
from typing import Any

import pytest

from blocked import Queue, served
from files import rewrite_aof
from history import HOUR, digest, live
from servers import Server
from space import Space
from test_persistence import WAYS
from waiting import eventually, now_ms
from workflows import chain, loose, single, task, workflow

Fresh = Callable[..., Server]

# A replica of this one is sent what comes after the full copy at once, not a second later.
PRIMARY = "repl-diskless-sync no"

# Long enough for the fault to come before the end on a busy machine; if not, nothing else is lost.
SOON = 1_200
LATE = 400


def set_up(jobs: Space, soon: int = SOON) -> dict[str, int]:
    """One workflow for each wait, named after it; when each wait ends."""
    jobs.push(single(type="backoff", max_attempts=3, backoff={"kind": "fixed", "delay_ms": soon}), "ID", "backoff")
    jobs.fail(jobs.claim_one("w", "TYPES", 1, "backoff", "LEASE", HOUR).token, "ERROR", "of the first")
    jobs.push(chain(2, type="delay"), "ID", "delay", "DELAY", soon)
    jobs.push(single(type="lease"), "ID", "lease")
    jobs.claim_one("gone", "TYPES", 1, "lease", "LEASE", soon)
    jobs.push(single(type="attempt", timeout_ms=soon, max_attempts=2, backoff={"delay_ms": 0}), "ID", "attempt")
    jobs.claim_one("stuck", "TYPES", 1, "attempt", "LEASE", HOUR)
    jobs.push(chain(2, type="deadline"), "ID", "deadline", "TIMEOUT", soon)
    jobs.push(single(type="retention"), "ID", "retention", "RETAIN", soon)
    jobs.complete(jobs.claim_one("w", "TYPES", 1, "retention").token)
    moments = {
        "backoff": jobs.tasks("backoff")["only"]["due"],
        "delay": jobs.tasks("delay")["t0"]["due"],
        "lease": jobs.tasks("lease")["only"]["deadline"],
        "attempt": jobs.tasks("attempt")["only"]["deadline"],
        "deadline": jobs.get("deadline")["deadline"],
        "retention": jobs.get("retention")["expires"],
    }
    assert all(now_ms() < moment <= now_ms() + soon for moment in moments.values()), moments
    return moments


def check_over(jobs: Space, moments: dict[str, int], since: dict[str, int] | int = 0) -> None:
    """Every wait has ended, not before its time, and soon after it, or after the server could."""
    first, lost, timed = (jobs.tasks(wid)["only"] for wid in ("backoff", "lease", "attempt"))
    delayed, over = jobs.tasks("delay"), jobs.get("deadline", "TASKS")
    assert (first["state"], first["failures"], first["error"]) == ("ready", 1, "of the first")
    assert (delayed["t0"]["state"], delayed["t1"]["state"]) == ("ready", "waiting")
    assert (lost["state"], lost["lost"], lost["failures"]) == ("ready", 1, 0)
    assert (timed["state"], timed["failures"], timed["lost"]) == ("ready", 1, 0)
    assert timed["error"] == f"timed out after {SOON} ms"
    assert (over["state"], over["error"]) == ("failed", f"timed out after {SOON} ms")
    assert {one["state"] for one in over["tasks"]} == {"cancelled"}
    assert jobs.call("GET", "retention") is None
    ended = {
        "backoff": first["ready"],
        "delay": delayed["t0"]["ready"],
        "lease": lost["ready"],
        "attempt": timed["ready"],
        "deadline": over["finished"],
    }
    for wait, moment in ended.items():
        possible = since[wait] if isinstance(since, dict) else since
        assert moment >= moments[wait], f"{wait} ended before its time"
        assert moment <= max(moments[wait], possible) + LATE, f"{wait} ended late"


def check_it_goes_on(jobs: Space) -> None:
    """The tasks are handed out in their order, as the attempts that they are, and complete."""
    claimed = jobs.claim("next", "COUNT", 10)
    assert [(task.workflow, task.attempt) for task in claimed] == [
        ("backoff", 2),
        ("delay", 1),
        ("lease", 2),
        ("attempt", 2),
    ]
    assert jobs.complete(*(task.token for task in claimed)) == [1, 1, 1, 1]
    assert jobs.work_off("next") == ["t1"]
    assert {jobs.state(wid) for wid in ("backoff", "delay", "lease", "attempt")} == {"completed"}


def nobody_until_over(server: Server, moments: dict[str, int], since: int) -> Space:
    """Nobody is connected until everything must have happened."""
    server.close_clients()
    over = max(*moments.values(), since) + LATE
    eventually(lambda: now_ms() > over, what="time to pass")
    return Space(server.client(), "jobs")


@pytest.mark.parametrize("way", ["SAVE", "AOF", "AOF rewritten with preamble", "AOF rewritten without preamble"])
def test_a_restart_in_the_middle(fresh_server: Fresh, way: str) -> None:
    config, reload = WAYS[way]
    server = fresh_server(*config)
    moments = set_up(Space(server.client(), "jobs"))
    reload(server)
    since = now_ms()
    jobs = Space(server.client(), "jobs")
    if since < min(moments.values()):
        assert jobs.tasks("backoff")["only"]["due"] == moments["backoff"], "the moment is the same"
        assert jobs.tasks("delay")["t0"]["due"] == moments["delay"]
        assert jobs.get("deadline")["deadline"] == moments["deadline"]
        assert jobs.get("retention")["expires"] == moments["retention"]
    jobs = nobody_until_over(server, moments, since)
    check_over(jobs, moments, since)
    check_it_goes_on(jobs)


def test_a_promotion_in_the_middle(fresh_server: Fresh) -> None:
    primary = fresh_server(PRIMARY)
    replica = fresh_server(replica_of=primary)
    moments = set_up(Space(primary.client(), "jobs"))
    replica.wait_in_sync(primary)
    assert now_ms() < min(moments.values()), "too slow a machine for this test"
    primary.kill9()
    replica.promote()
    since = now_ms()
    jobs = nobody_until_over(replica, moments, since)
    check_over(jobs, moments, since)
    check_it_goes_on(jobs)


def test_a_promotion_after_all_of_it(fresh_server: Fresh) -> None:
    """A replica does nothing by itself, and all at once when it is promoted."""
    primary = fresh_server(PRIMARY)
    replica = fresh_server(replica_of=primary)
    moments = set_up(Space(primary.client(), "jobs"))
    replica.wait_in_sync(primary)
    primary.kill9()
    jobs = nobody_until_over(replica, moments, now_ms())
    assert [jobs.states(wid).popitem()[1] for wid in ("backoff", "lease", "attempt")] == [
        "delayed",
        "running",
        "running",
    ]
    assert (jobs.states("delay")["t0"], jobs.state("deadline")) == ("delayed", "running")
    assert jobs.state("retention") == "completed"
    since = now_ms()
    replica.promote()
    jobs = nobody_until_over(replica, moments, since)
    check_over(jobs, moments, since)
    check_it_goes_on(jobs)


def test_a_replica_follows(fresh_server: Fresh) -> None:
    """Nobody but the replica is connected; afterwards it holds the same, and goes on when promoted."""
    primary = fresh_server(PRIMARY)
    replica = fresh_server(replica_of=primary)
    moments = set_up(Space(primary.client(), "jobs"))
    jobs = nobody_until_over(primary, moments, 0)
    check_over(jobs, moments)
    replica.wait_in_sync(primary)
    assert digest(replica.client()) == digest(primary.client())
    copy = Space(replica.client(), "jobs")
    check_over(copy, moments)
    primary.kill9()
    replica.promote()
    check_it_goes_on(copy)


def test_a_resync_in_the_middle(fresh_server: Fresh) -> None:
    primary = fresh_server(PRIMARY)
    moments = set_up(Space(primary.client(), "jobs"))
    replica = fresh_server(replica_of=primary)
    primary.kill9()
    replica.promote()
    since = now_ms()
    jobs = nobody_until_over(replica, moments, since)
    check_over(jobs, moments, since)
    check_it_goes_on(jobs)


@pytest.mark.parametrize("grace", [0, 1_500])
def test_what_was_due_while_the_server_was_away(fresh_server: Fresh, grace: int) -> None:
    """Leases, timeouts and deadlines wait for the grace, in which workers reconnect; the rest does not."""
    server = fresh_server("appendonly yes", "appendfsync always", f"workflow.grace-ms {grace}")
    moments = set_up(Space(server.client(), "jobs"), SOON)
    server.kill9()
    eventually(lambda: now_ms() > max(moments.values()), what="time to pass")
    before = now_ms()
    server.start()
    since = now_ms()
    jobs = Space(server.client(), "jobs")
    if grace:
        server.wait_until(lambda: jobs.stats()["delayed"] == 0, what="what was delayed")
        server.wait_until(lambda: jobs.call("GET", "retention") is None, what="what was kept")
        if now_ms() < before + grace - 100:
            assert jobs.states("lease")["only"] == jobs.states("attempt")["only"] == "running"
            assert jobs.state("deadline") == "running"
    waits = {wait: since + (grace if wait in ("lease", "attempt", "deadline") else 0) for wait in moments}
    jobs = nobody_until_over(server, moments, max(waits.values()))
    check_over(jobs, moments, waits)
    for moment in (jobs.tasks("lease")["only"]["ready"], jobs.get("deadline")["finished"]):
        assert moment >= before + grace
    check_it_goes_on(jobs)


def test_a_worker_that_comes_back_in_the_grace_keeps_its_attempt(fresh_server: Fresh) -> None:
    server = fresh_server("appendonly yes", "appendfsync always", "workflow.grace-ms 1500")
    jobs = Space(server.client(), "jobs")
    wid = jobs.push(loose(2))
    back, gone = jobs.claim("w", "COUNT", 2, "LEASE", 100)
    server.kill9()
    eventually(lambda: now_ms() > gone.deadline + 100, what="the leases to end while the server is away")
    server.start()
    jobs = Space(server.client(), "jobs")
    assert jobs.extend(HOUR, back.token) == [1]
    server.wait_until(lambda: jobs.states(wid)["t1"] == "ready", what="the other lease to run out")
    seen = jobs.tasks(wid)
    assert (seen["t0"]["state"], seen["t0"]["lost"], seen["t1"]["lost"]) == ("running", 0, 1)
    assert jobs.complete(back.token) == [1]


# Those who wait


@pytest.mark.parametrize("fault", ["restart", "promotion"])
def test_waiting_workers_are_woken_in_order(fresh_server: Fresh, fault: str) -> None:
    """They came back after the fault; each is given what is due at its time."""
    server = fresh_server("appendonly yes", "appendfsync always")
    jobs = Space(server.client(), "jobs")
    start = now_ms() + 1_500
    for number in range(4):
        jobs.push(single(f"delay {number}"), "AT", start + 80 * number)
    jobs.push(single("retry", max_attempts=2))
    token = jobs.claim_one("w", "LEASE", HOUR).token
    assert jobs.fail(token, "RETRY", start + 320 - now_ms()) == [2]
    if fault == "promotion":
        replica = fresh_server(replica_of=server)
        server.kill9()
        replica.promote()
        server = replica
    else:
        server.restart(hard=True)
    waiters = Queue(server).joins(6)
    server.wait_until(lambda: len(served(waiters)) >= 5, what="five to be served")
    assert [waiter.names() for waiter in waiters[:5]] == [[f"delay {number}"] for number in range(4)] + [["retry"]]
    assert served(waiters[5:]) == []


def test_a_coordinated_failover(fresh_server: Fresh) -> None:
    """FAILOVER pauses writes until the replica has caught up; timers may write nothing meanwhile."""
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    for number in range(200):
        jobs.push(loose(3), "AT", now_ms() + 5 * number, "RETAIN", 0)
        jobs.push(chain(2), "TIMEOUT", 5 * number + 1, "RETAIN", 0)
    jobs.client.execute_command("FAILOVER")
    primary.wait_until(lambda: jobs.client.info("replication")["role"] == "slave", 20, "the failover")
    after = Space(replica.client(), "jobs")
    replica.wait_until(lambda: after.stats()["tasks"]["ready"] == 600, what="all to be due on the new primary")
    replica.wait_until(lambda: after.stats()["workflows"]["failed"] == 0, what="what timed out to be removed")
    assert after.stats()["workflows_timed_out"] == 200
    primary.wait_in_sync(replica)
    assert digest(replica.client()) == digest(primary.client())


@pytest.mark.parametrize("pause", ["WRITE", "ALL"])
def test_nothing_happens_in_a_client_pause(server: Server, jobs: Space, pause: str) -> None:
    moments = set_up(jobs, 300)
    looker = server.client()
    before = digest(looker)
    jobs.client.execute_command("CLIENT", "PAUSE", 900 if pause == "ALL" else 10_000, pause)
    if pause == "WRITE":
        eventually(lambda: now_ms() > max(moments.values()) + LATE, what="time to pass")
        assert digest(looker) == before
        looker.execute_command("CLIENT", "UNPAUSE")
    looking = Space(looker, "jobs")
    server.wait_until(lambda: looking.state("deadline") == "failed", what="the deadline after the pause")
    server.wait_until(lambda: looking.states("delay")["t0"] == "ready", what="the delay after the pause")
    server.wait_until(lambda: looking.call("GET", "retention") is None, what="the removal after the pause")


# One choice, made once


def test_a_delay_that_is_drawn_is_the_same_everywhere(fresh_server: Fresh) -> None:
    primary = fresh_server("appendonly yes", "appendfsync always")
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    wid = jobs.push(loose(100, max_attempts=2, backoff={"delay_ms": HOUR, "jitter": 1}))
    jobs.fail(*(claimed.token for claimed in jobs.claim("w", "COUNT", 100)))
    due = [one["due"] for one in jobs.tasks(wid).values()]
    assert len(set(due)) > 90
    replica.wait_in_sync(primary)
    assert [one["due"] for one in Space(replica.client(), "jobs").tasks(wid).values()] == due
    primary.restart(hard=True)
    assert [one["due"] for one in Space(primary.client(), "jobs").tasks(wid).values()] == due


def test_every_state_is_the_same_everywhere(fresh_server: Fresh) -> None:
    primary = fresh_server("appendonly yes", "appendfsync always", "aof-use-rdb-preamble no")
    followed = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    for _ in range(2):
        live(primary, jobs)
    seen: dict[str, Any] = {"first": digest(jobs.client)}
    followed.wait_in_sync(primary)
    seen["a replica that followed"] = digest(followed.client())
    jobs.client.restore("restored", 0, jobs.client.dump("jobs"))
    seen["RESTORE"] = digest(jobs.client, "restored")
    # A copy gives back what runs in the first one, so it is the next copy that is equal.
    jobs.client.copy("jobs", "copy")
    jobs.client.copy("copy", "again")
    jobs.client.restore("restored", 0, jobs.client.dump("copy"), replace=True)
    assert len({digest(jobs.client, key) for key in ("copy", "again", "restored")}) == 1
    jobs.client.delete("copy", "again", "restored")
    for reload in ("RELOAD", "LOADAOF"):
        jobs.client.execute_command("DEBUG", reload)
        seen[reload] = digest(jobs.client)
    late = fresh_server(replica_of=primary)
    seen["a replica that came late"] = digest(late.client())
    for preamble in ("no", "yes"):
        primary.client().config_set("aof-use-rdb-preamble", preamble)
        rewrite_aof(primary)
        primary.restart(hard=True)
        seen[f"rewritten, preamble {preamble}"] = digest(primary.client())
    assert seen == dict.fromkeys(seen, seen["first"])


def test_two_that_go_on_alike(fresh_server: Fresh) -> None:
    """A copy, and the copy of a reloaded space, hand out the same and end the same."""
    server = fresh_server()
    jobs = Space(server.client(), "jobs")
    document = workflow(task("a", delay_ms=300), task("b", max_attempts=2), task("c", ["a", "b"]), timeout_ms=HOUR)
    wid = jobs.push(document)
    jobs.fail(jobs.claim_one("w").token, "RETRY", 400)
    jobs.client.copy("jobs", "copy")
    jobs.client.restore("restored", 0, jobs.client.dump("jobs"))
    spaces = [jobs, Space(jobs.client, "copy"), Space(jobs.client, "restored")]
    for space in spaces:
        server.wait_until(lambda space=space: "delayed" not in space.states(wid).values(), what="all to be due")
        assert space.work_off("w") == ["a", "b", "c"]
        assert space.state(wid) == "completed"
        assert space.get(wid)["deadline"] == jobs.get(wid)["deadline"]

"""WF.WORKERS: who works on a space, and what came of it."""

from collections.abc import Callable
from typing import Any

from files import rewrite_aof
from history import BINARY, HOUR, live
from servers import Server
from space import Space, plain
from waiting import now_ms
from workflows import chain, loose, single

COUNTS = ("held", "claims", "completions", "failures", "lost")


def workers(space: Space) -> dict[str, dict[str, Any]]:
    """Every worker by its name."""
    return {worker["name"]: worker for worker in plain(space.call("WORKERS"))}


def counts(space: Space, worker: str) -> tuple[int, ...]:
    return tuple(workers(space)[worker][field] for field in COUNTS)


def test_an_array_of_maps_by_name_and_flat_arrays_in_resp2(server: Server) -> None:
    jobs = Space(server.client(), "jobs")
    jobs.push(loose(3))
    for name in ("b", "a", BINARY):
        jobs.claim_one(name, "LEASE", HOUR)
    maps, flat = (server.client(resp).execute_command("WF.WORKERS", "jobs") for resp in (3, 2))
    assert [worker[b"name"] for worker in maps] == [BINARY, b"a", b"b"]
    for one, other in zip(maps, flat, strict=True):
        assert dict(zip(other[::2], other[1::2], strict=True)) == one
        assert set(one) == {b"name", b"held", b"last_seen", *(field.encode() for field in COUNTS)}


def test_a_missing_key_and_one_without_workers(jobs: Space, resp: int) -> None:
    assert jobs.call("WORKERS") == []
    assert jobs.client.exists("jobs") == 0
    jobs.push(loose(1))
    assert jobs.call("WORKERS") == []


def test_what_is_counted(server: Server, jobs: Space) -> None:
    before = now_ms()
    jobs.push({**loose(5), "defaults": {"max_attempts": 2, "backoff": {"delay_ms": HOUR}}})
    done, again, dead, stays, taken = (task.token for task in jobs.claim("w", "COUNT", 5, "LEASE", HOUR))
    assert counts(jobs, "w") == (5, 5, 0, 0, 0)
    jobs.complete(done, done)
    assert counts(jobs, "w") == (4, 5, 1, 0, 0), "a repeated acknowledgement is none"
    jobs.fail(again, dead, "NORETRY")
    assert counts(jobs, "w") == (2, 5, 1, 2, 0)
    jobs.extend(HOUR, stays)
    jobs.extend(1, taken)
    server.wait_until(lambda: counts(jobs, "w") == (1, 5, 1, 2, 1), what="a lease to run out")
    assert before <= workers(jobs)["w"]["last_seen"] <= now_ms()


def test_a_timeout_is_a_failure_and_no_sign_of_life(server: Server, jobs: Space) -> None:
    jobs.push(single(timeout_ms=1))
    task = jobs.claim_one("w", "LEASE", HOUR)
    seen = workers(jobs)["w"]["last_seen"]
    server.wait_until(lambda: jobs.state(task.workflow) == "failed", what="an attempt to time out")
    assert counts(jobs, "w") == (0, 1, 0, 1, 0)
    assert workers(jobs)["w"]["last_seen"] == seen


def test_recovering_is_a_sign_of_life_and_a_loss(server: Server, jobs: Space) -> None:
    jobs.push(loose(2))
    jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    seen = workers(jobs)["w"]["last_seen"]
    server.wait_until(lambda: now_ms() > seen, what="the clock to move")
    jobs.resume("w", "LEASE", HOUR)
    assert counts(jobs, "w") == (2, 4, 0, 0, 2)
    resumed = workers(jobs)["w"]["last_seen"]
    assert resumed > seen
    server.wait_until(lambda: now_ms() > resumed, what="the clock to move")
    jobs.recover("w")
    assert counts(jobs, "w") == (0, 4, 0, 0, 4)
    assert workers(jobs)["w"]["last_seen"] > resumed


def test_a_late_acknowledgement_is_the_one_whose_lease_ran_out(server: Server, jobs: Space) -> None:
    wid = jobs.push(single())
    task = jobs.claim_one("late", "LEASE", 1)
    server.wait_until(lambda: jobs.states(wid)["only"] == "ready", what="a lease to run out")
    assert jobs.complete(task.token) == [1]
    assert counts(jobs, "late") == (0, 1, 1, 0, 1)


def test_a_name_goes_with_the_last_workflow_that_remembers_it(jobs: Space) -> None:
    first, second = jobs.push(chain(2)), jobs.push(single())
    for _ in range(2):
        jobs.complete(jobs.claim_one("w").token)
    jobs.claim_one("other", "LEASE", HOUR)
    assert counts(jobs, "w") == (0, 2, 2, 0, 0)
    jobs.delete(first)
    assert list(workers(jobs)) == ["other"]
    jobs.recover("other")
    jobs.claim_one("w", "LEASE", HOUR)
    assert counts(jobs, "w") == (1, 1, 0, 0, 0), "it begins anew"
    assert list(workers(jobs)) == ["w"], "who handed on all it had is forgotten"
    assert jobs.state(second) == "running"


def test_replicas_and_files_have_the_same(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server("appendonly yes", "appendfsync always", "repl-diskless-sync yes")
    followed = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    live(primary, jobs)
    late = fresh_server(replica_of=primary)
    live(primary, jobs)
    known = workers(jobs)
    assert {"w", "gone", "dead", "late"} & known.keys()
    for replica in (followed, late):
        replica.wait_in_sync(primary)
        assert workers(Space(replica.client(), "jobs")) == known
    for rewritten in (False, True):
        if rewritten:
            rewrite_aof(primary)
        primary.restart(hard=True)
        assert workers(Space(primary.client(), "jobs")) == known
    followed.promote()
    promoted = Space(followed.client(), "jobs")
    promoted.push(single(priority=0, type="after"))
    promoted.claim_one("w", "TYPES", 1, "after", "LEASE", HOUR)
    assert workers(promoted)["w"]["claims"] == known["w"]["claims"] + 1


def test_a_copy_keeps_the_counts_and_holds_nothing(jobs: Space) -> None:
    jobs.push(loose(2))
    jobs.complete(jobs.claim_one("w").token)
    jobs.claim_one("w", "LEASE", HOUR)
    jobs.client.execute_command("COPY", "jobs", "copy")
    copy = Space(jobs.client, "copy")
    assert counts(copy, "w") == (0, 2, 1, 0, 0)
    assert counts(jobs, "w") == (1, 2, 1, 0, 0)

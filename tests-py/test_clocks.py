"""The wall clock of the server's machine steps, drifts, or has gone on for a day while it was down.

A small library preloaded into the server moves what it reads (clock_shim.c); monotonic clocks go on,
and so does the clock of the test. docs/time.md says which clock decides what.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from blocked import Queue, served
from clocks import Clock
from history import HOUR
from servers import Server
from space import Space, Task
from waiting import eventually, work_for
from workflows import loose, single, task, workflow

DAY = 24 * HOUR
# A worker that extends so often lives, on a busy machine too.
LEASE = 2_000
BEAT = 0.25
# What is due in a moment is done in a moment, whatever the wall clock says.
SOON = 4

STEPS = {"an hour forward": HOUR, "an hour back": -HOUR, "a day forward": DAY, "a second back": -1_000}
HOURS = ["an hour forward", "an hour back"]


@pytest.fixture
def clocked(clock: Clock, fresh_server: Callable[..., Server]) -> Server:
    return fresh_server("appendonly yes", "appendfsync always")


@pytest.fixture
def space(clocked: Server) -> Space:
    return Space(clocked.client(), "jobs")


class Living:
    """A worker that lives: it extends what it holds, and remembers what it was told."""

    def __init__(self, jobs: Space, tasks: list[Task]):
        self._jobs, self._tokens = jobs, [task.token for task in tasks]
        self.codes: set[int] = set()

    def work(self, beats: int = 4) -> None:
        for _ in range(beats):
            work_for(BEAT)
            self.codes.update(self._jobs.extend(LEASE, *self._tokens))

    def kept_all(self, wid: str) -> None:
        """Nothing was lost, nothing was burned, and the work still counts."""
        assert self.codes == {1}
        seen = self._jobs.tasks(wid).values()
        assert {(one["state"], one["attempts"], one["failures"], one["lost"]) for one in seen} == {("running", 1, 0, 0)}
        assert self._jobs.complete(*self._tokens) == [1] * len(self._tokens)
        assert self._jobs.state(wid) == "completed"


def server_time(space: Space) -> float:
    seconds, micros = space.client.time()
    return seconds * 1000 + micros / 1000


def test_the_clock_of_the_server_is_moved(clock: Clock, space: Space) -> None:
    moved = 0
    for step in STEPS.values():
        clock.step(step)
        moved += step
        # A server may answer from a reading that it took a moment ago.
        eventually(lambda at=moved: abs(server_time(space) - time.time() * 1000 - at) < 100, what="the step")


# Living workers


@pytest.mark.parametrize("step", STEPS)
def test_living_workers_keep_their_leases(clocked: Server, space: Space, clock: Clock, step: str) -> None:
    wid = space.push(loose(300))
    worker = Living(space, space.claim("w", "COUNT", 300, "LEASE", LEASE))
    greedy = Queue(clocked).join(block=0)
    worker.work(2)
    clock.step(STEPS[step])
    worker.work()
    assert served([greedy]) == []
    worker.kept_all(wid)
    assert space.stats()["lease_expiries"] == 0


def test_there_and_back(clocked: Server, space: Space, clock: Clock) -> None:
    wid = space.push(loose(10))
    worker = Living(space, space.claim("w", "COUNT", 10, "LEASE", LEASE))
    for step in (HOUR, -HOUR, -DAY, DAY, 5_000, -5_000):
        clock.step(step)
        worker.work(1)
    worker.work(2)
    worker.kept_all(wid)


@pytest.mark.parametrize("rate", [0.1, -0.1])
def test_drift(clocked: Server, space: Space, clock: Clock, rate: float) -> None:
    """A tenth too fast or too slow: a lease is then a tenth shorter or longer than it says."""
    wid = space.push(workflow(*(task(f"t{i}") for i in range(20)), task("later", ["t0"])))
    delayed = space.push(single(type="delayed"), "DELAY", 500)
    worker = Living(space, space.claim("w", "COUNT", 20, "LEASE", LEASE))
    for _ in range(10):
        clock.step(round(BEAT * 1000 * rate))
        worker.work(1)
    assert worker.codes == {1}
    assert space.stats()["lease_expiries"] == 0
    assert space.states(wid)["t0"] == "running"
    assert space.states(delayed)["only"] == "ready"


def test_attempts_are_not_burned_by_a_step(clocked: Server, space: Space, clock: Clock) -> None:
    """Half an hour for an attempt: an hour that never was does not count."""
    wid = space.push(loose(5, timeout_ms=HOUR // 2, max_attempts=3), "TIMEOUT", HOUR // 2)
    worker = Living(space, space.claim("w", "COUNT", 5, "LEASE", LEASE))
    clock.step(HOUR)
    worker.work()
    worker.kept_all(wid)


def test_the_first_commands_after_a_step(clocked: Server, space: Space, clock: Clock) -> None:
    """They see all of it or nothing: no attempt is taken for over, no deadline is moved twice."""
    wid = space.push(workflow(*(task(f"t{i}", timeout_ms=HOUR // 2) for i in range(3))), "TIMEOUT", HOUR // 2)
    failed = space.push(single(type="f"), "TIMEOUT", HOUR // 2)
    space.fail(space.claim_one("w", "TYPES", 1, "f").token)
    one, two, three = space.claim("w", "COUNT", 3, "LEASE", LEASE)
    for _ in range(3):
        clock.step(HOUR)
        with space.client.pipeline(transaction=False) as turn:
            turn.execute_command("WF.EXTEND", "jobs", LEASE, one.token, two.token, three.token)
            turn.execute_command("WF.RETRY", "jobs", failed)
            assert turn.execute()[0] == [1, 1, 1]
        fresh = space.push(single(type="fresh"), "TIMEOUT", HOUR // 2)
        work_for(BEAT)
        now = server_time(space)
        assert space.extend(LEASE, one.token) == [1]
        for task_map in space.tasks(wid).values():
            assert now - LEASE < task_map["deadline"] <= now + LEASE + 500
            assert (task_map["state"], task_map["lost"], task_map["failures"]) == ("running", 0, 0)
        for one_id in (wid, failed, fresh):
            assert space.get(one_id)["deadline"] <= now + HOUR // 2 + 500
        assert space.extend(LEASE, two.token, three.token) == [1, 1]


def test_a_step_right_behind_a_claim(clocked: Server, space: Space, clock: Clock) -> None:
    """Readings are whole milliseconds: a claim in the millisecond of the step came before it."""
    space.push(workflow(*(task(f"t{i}", timeout_ms=HOUR // 2) for i in range(40))))
    for _ in range(40):
        held = space.claim_one("w", "LEASE", LEASE)
        clock.step(HOUR)
        assert space.extend(LEASE, held.token) == [1]
        assert space.complete(held.token) == [1]


# Dead workers, and everything else that waits


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("order", ["set before the step", "set after the step"])
def test_everything_that_is_due_soon_happens_soon(
    clocked: Server, space: Space, clock: Clock, step: str, order: str
) -> None:
    """Nothing stalls for the hour by which the clock went back."""
    waiter = Queue(clocked).join("TYPES", 1, "delay", block=0)
    if order == "set after the step":
        space.push(single(), "DELAY", 1)
        clock.step(STEPS[step])
    space.push(single(type="delay"), "ID", "delay", "DELAY", 300)
    space.push(workflow(task("a", type="a"), task("b", ["a"], type="b", delay_ms=300)), "ID", "task")
    space.complete(space.claim_one("w", "TYPES", 1, "a").token)
    space.push(single(type="backoff", max_attempts=2), "ID", "backoff")
    space.fail(space.claim_one("w", "TYPES", 1, "backoff").token, "RETRY", 300)
    space.push(single(type="lease"), "ID", "lease")
    space.claim_one("dead", "TYPES", 1, "lease", "LEASE", 300)
    space.push(single(type="attempt", timeout_ms=300), "ID", "attempt")
    space.claim_one("stuck", "TYPES", 1, "attempt", "LEASE", HOUR)
    space.push(single(type="deadline"), "ID", "deadline", "TIMEOUT", 300)
    space.push(single(type="retention"), "ID", "retention", "RETAIN", 300)
    space.complete(space.claim_one("w", "TYPES", 1, "retention").token)
    if order == "set before the step":
        clock.step(STEPS[step])
    start = time.monotonic()

    def over() -> bool:
        assert space.states("task")["b"] == "ready"
        assert space.states("backoff")["only"] == "ready"
        assert space.states("lease")["only"] == "ready"
        assert space.states("attempt")["only"] == "failed"
        assert space.state("deadline") == "failed"
        assert space.call("GET", "retention") is None
        assert served([waiter])
        return True

    clocked.wait_until(over, SOON - (time.monotonic() - start), "everything that was due")


@pytest.mark.parametrize("step", HOURS)
def test_what_is_due_much_later_stays(clocked: Server, space: Space, clock: Clock, step: str) -> None:
    wid = space.push(single(), "DELAY", 3 * DAY)
    kept = space.push(single(type="x"), "RETAIN", 3 * DAY)
    space.complete(space.claim_one("w", "TYPES", 1, "x").token)
    soon = space.push(single(), "DELAY", 200)
    clock.step(STEPS[step])
    clocked.wait_until(lambda: space.states(soon)["only"] == "ready", SOON, "what is due")
    assert space.states(wid)["only"] == "delayed"
    assert space.state(kept) == "completed"


@pytest.mark.parametrize("step", HOURS)
def test_the_space_works_on(clocked: Server, space: Space, clock: Clock, step: str) -> None:
    """Pushed, claimed, failed, retried, completed, paged: before, and after."""

    def one_life() -> None:
        wid = space.push(workflow(task("a", max_attempts=2, backoff={"delay_ms": 50}), task("b", ["a"])))
        assert space.fail(space.claim_one("w").token) == [2]
        clocked.wait_until(lambda: space.states(wid)["a"] == "ready", SOON, "the retry")
        assert space.work_off("w") == ["a", "b"]
        assert space.state(wid) == "completed"
        assert wid in {one["id"] for one in space.listed("NEWER", HOUR // 2)}
        stats = space.stats()["types"]["work"]
        assert 0 <= float(stats["run_p50_ms"]) <= float(stats["wait_p99_ms"]) + HOUR

    for by in (0, STEPS[step], -STEPS[step]):
        before = server_time(space)
        clock.step(by)
        eventually(lambda at=before + by: abs(server_time(space) - at) < 500, what="the step")
        one_life()


# A server that stands still


def test_a_server_that_stood_still(clocked: Server, space: Space) -> None:
    """Nobody could extend meanwhile, so no lease runs out before workers had the grace to come back."""
    space.client.config_set("workflow.grace-ms", 1_500)
    wid = space.push(loose(20))
    worker = Living(space, space.claim("w", "COUNT", 20, "LEASE", LEASE))
    delayed = space.push(single(type="d"), "DELAY", 500)
    os.kill(clocked.pid, signal.SIGSTOP)
    work_for(3)
    os.kill(clocked.pid, signal.SIGCONT)
    worker.work()
    assert space.states(delayed)["only"] == "ready"
    worker.kept_all(wid)


# Across a restart


def test_a_restart_after_a_day(clock: Clock, fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("appendonly yes", "appendfsync always", "workflow.grace-ms 1500")
    jobs = Space(server.client(), "jobs")
    wid = jobs.push(loose(50))
    tasks = jobs.claim("w", "COUNT", 50, "LEASE", LEASE)
    delayed = jobs.push(single(type="d"), "DELAY", HOUR)
    later = jobs.push(single(type="d"), "DELAY", 2 * DAY)
    dead = jobs.push(single(type="dead"))
    jobs.claim_one("dead", "TYPES", 1, "dead", "LEASE", LEASE)
    server.kill9()
    clock.step(DAY)
    server.start()
    jobs = Space(server.client(), "jobs")
    greedy = Queue(server).join("TYPES", 1, "work", block=0)
    worker = Living(jobs, tasks)
    worker.codes.update(jobs.extend(LEASE, *(task.token for task in tasks)))
    server.wait_until(lambda: jobs.states(delayed)["only"] == "ready", SOON, "what was due meanwhile")
    worker.work(5)
    server.wait_until(lambda: jobs.states(dead)["only"] == "ready", SOON, "the lease of the dead to run out")
    assert served([greedy]) == []
    assert jobs.states(later)["only"] == "delayed"
    worker.kept_all(wid)


@pytest.mark.parametrize("step", HOURS)
def test_a_replica_with_another_clock(
    clock: Clock, fresh_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str
) -> None:
    """Promoted, it goes by its own clock; living workers have the grace to come back."""
    primary = fresh_server()
    monkeypatch.setenv("WF_CLOCK", str(tmp_path / "other"))
    Clock(tmp_path / "other").step(STEPS[step])
    replica = fresh_server("workflow.grace-ms 1500", replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    wid = jobs.push(loose(20))
    tasks = jobs.claim("w", "COUNT", 20, "LEASE", 20_000)
    replica.wait_in_sync(primary)
    primary.kill9()
    replica.promote()
    after = Space(replica.client(), "jobs")
    worker = Living(after, tasks)
    worker.work(8)
    worker.kept_all(wid)
    fresh = after.push(single(), "DELAY", 200)
    replica.wait_until(lambda: after.states(fresh)["only"] == "ready", SOON, "a delay on the new primary")

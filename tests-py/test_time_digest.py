"""DEBUG DIGEST-VALUE covers everything that waits: as test_digest.py, for what has a time.

Every kind of change changes it, and of two spaces that differ in one detail the digests differ.
"""

from collections.abc import Callable
from typing import Any

import pytest

from history import HOUR, digest
from servers import Server
from space import Space
from test_digest import Command, Life, in_one_millisecond, push
from waiting import eventually, now_ms
from workflows import single, task, workflow

AT = now_ms() + 50 * HOUR
BACKOFF = {"kind": "fixed", "delay_ms": HOUR, "max_ms": 2 * HOUR, "jitter": 0.5}

TWINS: dict[str, tuple[Command, Command]] = {
    "delay": (push(single(), "DELAY", HOUR), push(single(), "DELAY", HOUR + 1)),
    "delay or none": (push(single(), "DELAY", HOUR), push(single(), "DELAY", 0)),
    "at": (push(single(), "AT", AT), push(single(), "AT", AT + 1)),
    "timeout of the push": (push(single(), "TIMEOUT", HOUR), push(single(), "TIMEOUT", HOUR + 1)),
    "timeout or none": (push(single(), "TIMEOUT", HOUR), push(single())),
    "retain": (push(single(), "RETAIN", 5), push(single(), "RETAIN", 6)),
    "retain or the setting": (push(single(), "RETAIN", 24 * HOUR), push(single())),
    "max_attempts": (push(single(max_attempts=2)), push(single(max_attempts=3))),
    "max_deliveries": (push(single(max_deliveries=2)), push(single(max_deliveries=3))),
    "timeout_ms": (push(single(timeout_ms=2)), push(single(timeout_ms=3))),
    "delay_ms": (push(single(delay_ms=HOUR)), push(single(delay_ms=HOUR + 1))),
    "delay_ms of a child": (
        push(workflow(task("a"), task("b", ["a"], delay_ms=1))),
        push(workflow(task("a"), task("b", ["a"], delay_ms=2))),
    ),
    "kind": (push(single(backoff=BACKOFF)), push(single(backoff={**BACKOFF, "kind": "linear"}))),
    "delay of the backoff": (push(single(backoff=BACKOFF)), push(single(backoff={**BACKOFF, "delay_ms": HOUR - 1}))),
    "most of the backoff": (push(single(backoff=BACKOFF)), push(single(backoff={**BACKOFF, "max_ms": HOUR}))),
    "jitter": (push(single(backoff=BACKOFF)), push(single(backoff={**BACKOFF, "jitter": 0.501}))),
    "retry": (["WF.FAIL", "A", "RETRY", HOUR], ["WF.FAIL", "A", "RETRY", HOUR + 1]),
    "retry or not": (["WF.FAIL", "A", "RETRY", HOUR], ["WF.FAIL", "A", "NORETRY"]),
    "error of a retry": (["WF.FAIL", "A", "RETRY", 0, "ERROR", "x"], ["WF.FAIL", "A", "RETRY", 0]),
    "which is retried": (["WF.FAIL", "A", "RETRY", HOUR], ["WF.FAIL", "B", "RETRY", HOUR]),
    "setting": (["WF.CONFIG", "SET", "retain-count", 5], ["WF.CONFIG", "SET", "retain-count", 6]),
    "which setting": (["WF.CONFIG", "SET", "retain-count", 5], ["WF.CONFIG", "SET", "retain-bytes", 5]),
    "setting or its default": (["WF.CONFIG", "SET", "default-max-deliveries", 5], ["WF.CONFIG", "GET", "*"]),
    "what runs again": (["WF.RETRY", "dead", "TASK", "a"], ["WF.RETRY", "dead", "TASK", "b"]),
    "one or both": (["WF.RETRY", "dead", "TASK", "a"], ["WF.RETRY", "dead"]),
}


class Waiting(Life):
    """A life in which A and B may be retried, and two tasks are dead."""

    def __init__(self, server: Server, jobs: Space):
        super().__init__(server, jobs)
        jobs.configure("default-max-attempts", 5)
        jobs.push(workflow(*(task(name, type="dead") for name in "ab")), "ID", "dead")
        one, two = (claimed.token for claimed in jobs.claim("x", "TYPES", 1, "dead", "COUNT", 2, "LEASE", HOUR))
        jobs.fail(one, "NORETRY", two, "NORETRY")


@pytest.mark.parametrize("twins", TWINS)
def test_two_spaces_that_differ_in_one_detail_differ(server: Server, jobs: Space, twins: str) -> None:
    life = Waiting(server, jobs)
    one, two = TWINS[twins]
    for other, equal in ((one, True), (two, False)):
        eventually(lambda o=other: in_one_millisecond(jobs.client, life, one, o), what="both in one millisecond")
        assert (digest(jobs.client, "one") == digest(jobs.client, "two")) is equal


def due(life: Waiting) -> None:
    wid = life.jobs.push(single(type="due"), "DELAY", 40)
    life.server.wait_until(lambda: life.jobs.states(wid)["only"] == "ready", what="it to be due")


def timed_out(life: Waiting) -> None:
    wid = life.jobs.push(single(type="t", timeout_ms=20))
    life.jobs.claim_one("w", "TYPES", 1, "t", "LEASE", HOUR)
    life.server.wait_until(lambda: life.jobs.states(wid)["only"] != "running", what="the timeout")


def over(life: Waiting) -> None:
    wid = life.jobs.push(single(type="o"), "TIMEOUT", 20)
    life.server.wait_until(lambda: life.jobs.state(wid) == "failed", what="the deadline")


def lost(life: Waiting) -> None:
    life.jobs.recover("me")


CHANGES: dict[str, Callable[[Waiting], Any]] = {
    "push with a delay": lambda life: life.jobs.push(single(), "DELAY", HOUR),
    "due": due,
    "retry later": lambda life: life.jobs.fail(life.a, "RETRY", HOUR),
    "retry at once": lambda life: life.jobs.fail(life.a, "RETRY", 0),
    "timed out": timed_out,
    "deadline": over,
    "lost": lost,
    "run again": lambda life: life.jobs.retry("dead"),
    "one task again": lambda life: life.jobs.retry("dead", "TASK", "a"),
    "a setting": lambda life: life.jobs.configure("retain-failed-ms", HOUR),
    "a setting taken back": lambda life: life.jobs.configure("default-max-attempts", "default"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_state_changes_it(server: Server, jobs: Space, change: str) -> None:
    life = Waiting(server, jobs)
    before = digest(jobs.client)
    CHANGES[change](life)
    after = digest(jobs.client)
    assert after != before
    jobs.client.execute_command("DEBUG", "RELOAD")
    assert digest(jobs.client) == after
    jobs.client.restore("copy", 0, jobs.client.dump("jobs"))
    assert digest(jobs.client, "copy") == after


def test_what_changes_nothing_does_not_change_it(server: Server, jobs: Space) -> None:
    life = Waiting(server, jobs)
    jobs.fail(life.a, "RETRY", HOUR)
    before = digest(jobs.client)
    jobs.fail(life.a, "NORETRY")
    jobs.complete(life.a)
    jobs.extend(HOUR, life.a)
    jobs.retry("w")
    jobs.retry("nothing")
    jobs.retry("dead", "TASK", "nothing")
    jobs.listed()
    jobs.listed("FAILED")
    jobs.settings()
    jobs.configure("default-max-attempts", 5)
    assert digest(jobs.client) == before

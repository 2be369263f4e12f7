"""Retries: an attempt that failed is made again later.

Attempts that fail (WF.FAIL) and deliveries that are lost (test_deliveries.py) are counted apart.
"""

from collections.abc import Callable
from typing import Any

import pytest

from blocked import Queue, served
from history import HOUR
from refusals import refused
from servers import Server
from space import Space
from waiting import now_ms
from workflows import Document, chain, loose, single, task, workflow

MAX_DURATION = 10 * 365 * 24 * HOUR
SECOND = 1000


def fixed(delay_ms: int) -> Document:
    return {"kind": "fixed", "delay_ms": delay_ms}


def fail_again(jobs: Space, times: int, name: str = "only") -> str:
    """Fails the one task that can be claimed so often, each time retried at once; the last token."""
    token = ""
    for _ in range(times):
        claimed = jobs.claim_one("w", "LEASE", HOUR)
        assert claimed.name == name
        assert jobs.fail(claimed.token, "ERROR", "again", "RETRY", 0) == [2]
        token = claimed.token
    return token


def state_is(jobs: Space, wid: str, name: str, state: str) -> Callable[[], bool]:
    return lambda: jobs.states(wid)[name] == state


# A life with failures


def test_fails_twice_and_then_succeeds(server: Server, jobs: Space) -> None:
    wid = jobs.push(workflow(task("a", max_attempts=3, backoff=fixed(300)), task("b", ["a"])))
    for failures in (1, 2):
        before = now_ms()
        assert jobs.fail(jobs.claim_one("w", "LEASE", HOUR).token, "ERROR", f"no {failures}") == [2]
        seen = jobs.tasks(wid)["a"]
        assert (seen["state"], seen["failures"], seen["attempts"]) == ("delayed", failures, failures)
        assert (seen["error"], seen["lost"]) == (f"no {failures}", 0)
        assert before + 300 <= seen["due"] <= now_ms() + 300
        assert jobs.claim("w") == [], "not before it is due"
        server.wait_until(state_is(jobs, wid, "a", "ready"), what="the retry to be due")
        again = jobs.tasks(wid)["a"]
        assert again["ready"] >= seen["due"], "never before its time"
        assert (again["due"], again["error"]) == (None, f"no {failures}")
    third = jobs.claim_one("w", "LEASE", HOUR)
    assert (third.name, third.attempt) == ("a", 3)
    assert jobs.tasks(wid)["a"]["error"] == "no 2", "what happened before, while it runs"
    assert jobs.complete(third.token, "RESULT", "yes") == [1]
    done = jobs.tasks(wid)["a"]
    assert (done["state"], done["error"], done["result"], done["failures"]) == ("completed", None, "yes", 2)
    assert jobs.work_off("w") == ["b"]
    assert jobs.state(wid) == "completed"


def test_the_last_attempt_is_final(jobs: Space) -> None:
    wid = jobs.push(chain(2, max_attempts=3, backoff=fixed(0)))
    fail_again(jobs, 2, "t0")
    assert jobs.fail(jobs.claim_one("w").token, "ERROR", "last") == [1]
    assert jobs.states(wid) == {"t0": "failed", "t1": "cancelled"}
    assert jobs.state(wid) == "failed"
    seen = jobs.tasks(wid)["t0"]
    assert (seen["error"], seen["attempts"], seen["failures"]) == ("last", 3, 3)
    assert seen["finished"] is not None


def test_one_attempt_is_the_default(jobs: Space) -> None:
    wid = jobs.push(single(backoff=fixed(5)))
    assert jobs.fail(jobs.claim_one("w").token) == [1]
    assert jobs.state(wid) == "failed"


def test_a_failure_without_delay_is_ready_at_once(server: Server, jobs: Space) -> None:
    jobs.push(workflow(task("none", max_attempts=2, backoff=fixed(0), type="a")))
    waiter = Queue(server).join("TYPES", 1, "b")
    jobs.push(workflow(task("given", max_attempts=2, backoff=fixed(HOUR), type="b")))
    first = waiter.tasks()[0]
    waiter = Queue(server).join("TYPES", 1, "b")
    assert jobs.fail(jobs.claim_one("w").token) == [2]
    again = jobs.claim_one("w")
    assert (again.name, again.attempt) == ("none", 2)
    assert jobs.fail(first.token, "RETRY", 0) == [2]
    assert [task.attempt for task in waiter.tasks()] == [2], "a waiting worker gets it in that moment"


def test_a_retry_that_is_due_wakes_a_waiting_worker(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(max_attempts=2, backoff=fixed(80)))
    token = jobs.claim_one("w").token
    waiter = Queue(server).join()
    jobs.fail(token)
    due = jobs.tasks(wid)["only"]["due"]
    assert served([waiter]) == []
    (given,) = waiter.tasks()
    assert given.attempt == 2
    assert now_ms() >= due


def test_a_retried_task_has_its_old_place_in_the_order(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2, max_attempts=2, backoff=fixed(20)))
    jobs.fail(jobs.claim_one("w").token)
    jobs.push(workflow(task("urgent", priority=1), task("young")))
    server.wait_until(state_is(jobs, wid, "t0", "ready"), what="the retry to be due")
    assert jobs.claim_names("w") == ["urgent", "t0", "t1", "young"]


# How long it is put off

EXPONENTIAL = {"delay_ms": 5 * SECOND}
BACKOFFS: dict[str, tuple[Document | None, list[int]]] = {
    "fixed": (fixed(5 * SECOND), [5, 5, 5, 5]),
    "linear": ({"kind": "linear", "delay_ms": 5 * SECOND}, [5, 10, 15, 20]),
    "exponential": ({"kind": "exponential", "delay_ms": 5 * SECOND}, [5, 10, 20, 40]),
    "exponential if not said": (EXPONENTIAL, [5, 10, 20, 40]),
    "jitter 0": ({**EXPONENTIAL, "jitter": 0}, [5, 10, 20]),
    "null is not given": ({**EXPONENTIAL, "kind": None, "max_ms": None, "jitter": None}, [5, 10, 20]),
    "at most": ({**EXPONENTIAL, "max_ms": 12 * SECOND}, [5, 10, 12, 12]),
    "at most, linear": ({"kind": "linear", "delay_ms": 5 * SECOND, "max_ms": 11 * SECOND}, [5, 10, 11]),
    "at most the delay": ({**EXPONENTIAL, "max_ms": 5 * SECOND}, [5, 5, 5]),
    "at most an hour if not said": ({"delay_ms": 1800 * SECOND}, [1800, 3600, 3600]),
    "at most a long delay": ({"delay_ms": 2 * HOUR}, [7200, 7200]),
    "a second if not said": ({"kind": "fixed"}, [1, 1]),
    "nothing said": ({}, [1, 2, 4]),
    "none": (None, [1, 2, 4]),
    "the longest": ({"delay_ms": MAX_DURATION}, [MAX_DURATION // SECOND] * 2),
    "more than there can be": ({"delay_ms": 3 * HOUR, "max_ms": MAX_DURATION}, [10_800 * 2**n for n in range(5)]),
}


@pytest.mark.parametrize("kind", BACKOFFS)
def test_backoff_by_number_of_failures(jobs: Space, kind: str) -> None:
    backoff, expected = BACKOFFS[kind]
    for failures, seconds in enumerate(expected):
        wid = jobs.push(single(max_attempts=100, **({} if backoff is None else {"backoff": backoff})))
        fail_again(jobs, failures)
        token = jobs.claim_one("w").token
        before = now_ms()
        assert jobs.fail(token) == [2]
        due = jobs.tasks(wid)["only"]["due"]
        assert before <= due - seconds * SECOND <= now_ms(), f"after {failures + 1} failures"


def test_backoff_does_not_overflow(jobs: Space) -> None:
    kinds = ("fixed", "linear", "exponential")
    wid = jobs.push(
        workflow(
            *(
                task(
                    kind, max_attempts=65_535, backoff={"kind": kind, "delay_ms": MAX_DURATION, "max_ms": MAX_DURATION}
                )
                for kind in kinds
            )
        )
    )
    for _ in range(100):
        tasks = jobs.claim("w", "COUNT", 3)
        assert jobs.fail(*(part for one in tasks for part in (one.token, "RETRY", 0))) == [2, 2, 2]
    before = now_ms()
    jobs.fail(*(one.token for one in jobs.claim("w", "COUNT", 3)))
    for kind in kinds:
        assert before <= jobs.tasks(wid)[kind]["due"] - MAX_DURATION <= now_ms()


@pytest.mark.parametrize("jitter", [0.25, 0.125, 1])
def test_jitter_takes_up_to_its_part_away(jobs: Space, jitter: float) -> None:
    count, delay = 300, 1_000_000
    wid = jobs.push(loose(count, max_attempts=2, backoff={"kind": "fixed", "delay_ms": delay, "jitter": jitter}))
    tokens = [claimed.token for claimed in jobs.claim("w", "COUNT", count)]
    before = now_ms()
    assert jobs.fail(*tokens) == [2] * count
    after = now_ms()
    due = [seen["due"] for seen in jobs.tasks(wid).values()]
    assert before + delay * (1 - jitter) <= min(due) <= max(due) <= after + delay
    assert len(set(due)) > count / 2, "each has its own"
    spread = (max(due) - min(due)) / (delay * jitter)
    assert spread > 0.8, "over the whole range"


def test_retry_wins_over_the_backoff(jobs: Space) -> None:
    wid = jobs.push(loose(4, max_attempts=3, backoff=fixed(5 * SECOND)))
    one, two, three, four = (claimed.token for claimed in jobs.claim("w", "COUNT", 4))
    before = now_ms()
    assert jobs.fail(one, "RETRY", HOUR, "ERROR", "one", three, four, "RETRY", MAX_DURATION) == [2, 2, 2]
    after = now_ms()
    seen = jobs.tasks(wid)
    for name, delay in (("t0", HOUR), ("t2", 5 * SECOND), ("t3", MAX_DURATION)):
        assert before + delay <= seen[name]["due"] <= after + delay
    assert [seen[name]["error"] for name in seen] == ["one", None, None, None]
    assert jobs.fail(two, "NORETRY", "ERROR", "two") == [1], "the end, though there are attempts left"
    assert jobs.tasks(wid)["t1"]["error"] == "two"
    assert jobs.state(wid) == "failed"
    assert jobs.states(wid) == {"t0": "cancelled", "t1": "failed", "t2": "cancelled", "t3": "cancelled"}


def test_retry_does_not_add_attempts(jobs: Space) -> None:
    wid = jobs.push(single(max_attempts=2))
    fail_again(jobs, 1)
    assert jobs.fail(jobs.claim_one("w").token, "RETRY", 10) == [1]
    assert jobs.state(wid) == "failed"


def test_each_token_of_a_call_has_its_own_options(jobs: Space) -> None:
    """Each in a workflow of its own: one that fails takes its workflow along."""
    wids = [jobs.push(single(max_attempts=2)) for _ in range(4)]
    tokens = [claimed.token for claimed in jobs.claim("w", "COUNT", 4)]
    arguments = [tokens[0], "NORETRY", "ERROR", "a", tokens[1], "ERROR", "b", "RETRY", HOUR, tokens[2], tokens[3]]
    assert jobs.fail(*arguments, "NORETRY") == [1, 2, 2, 1]
    assert [jobs.states(wid)["only"] for wid in wids] == ["failed", "delayed", "delayed", "failed"]
    assert [jobs.tasks(wid)["only"]["error"] for wid in wids] == ["a", "b", None, None]


BAD_OPTIONS: dict[str, list[Any]] = {
    "negative": ["RETRY", -1],
    "too long": ["RETRY", MAX_DURATION + 1],
    "no number": ["RETRY", "soon"],
    "a fraction": ["RETRY", "1.5"],
    "nothing": ["RETRY"],
    "both": ["RETRY", 5, "NORETRY"],
    "both, the other way round": ["NORETRY", "RETRY", 5],
}


@pytest.mark.parametrize("options", BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_options_that_make_no_sense(jobs: Space, options: list[Any]) -> None:
    wid = jobs.push(loose(2, max_attempts=2))
    one, two = (claimed.token for claimed in jobs.claim("w", "COUNT", 2))
    with refused("ERR", "RETRY"):
        jobs.fail(one, two, *options)
    assert set(jobs.states(wid).values()) == {"running"}, "nothing is changed"


# What the tokens are worth


def test_the_token_of_an_attempt_that_is_to_be_made_again_is_spent(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(max_attempts=3, backoff=fixed(30)))
    token = jobs.claim_one("w", "LEASE", HOUR).token
    assert jobs.fail(token, token) == [2, 2], "a repeat in one call"

    def is_spent() -> None:
        assert jobs.fail(token, "ERROR", "other") == [2], "answered as the first time"
        assert jobs.fail(token, "NORETRY") == [2]
        assert jobs.complete(token) == [0]
        assert jobs.extend(HOUR, token) == [0]
        assert (jobs.tasks(wid)["only"]["failures"], jobs.tasks(wid)["only"]["error"]) == (1, None)

    is_spent()
    server.wait_until(state_is(jobs, wid, "only", "ready"), what="the retry to be due")
    is_spent()
    newer = jobs.claim_one("w", "LEASE", HOUR).token
    assert (jobs.fail(token), jobs.complete(token), jobs.extend(HOUR, token)) == ([0], [0], [0])
    assert jobs.complete(newer) == [1]
    assert jobs.fail(token) == [0]


def test_a_failure_after_the_lease_ran_out_counts(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(max_attempts=2, backoff=fixed(HOUR)))
    token = jobs.claim_one("slow", "LEASE", 1).token
    server.wait_until(state_is(jobs, wid, "only", "ready"), what="the lease to run out")
    assert jobs.fail(token, "ERROR", "late") == [2]
    seen = jobs.tasks(wid)["only"]
    assert (seen["state"], seen["failures"], seen["lost"], seen["error"]) == ("delayed", 1, 1, "late")


# Retries and what else happens to a workflow


def test_in_a_failed_workflow_every_failure_is_final(jobs: Space) -> None:
    wid = jobs.push(workflow(task("bad"), task("other", max_attempts=9), task("third", max_attempts=9)))
    bad, other, third = (claimed.token for claimed in jobs.claim("w", "COUNT", 3))
    assert jobs.fail(third, "RETRY", HOUR) == [2]
    assert jobs.fail(bad) == [1]
    assert jobs.states(wid) == {"bad": "failed", "other": "running", "third": "cancelled"}
    assert jobs.fail(other, "RETRY", 5) == [1]
    assert jobs.states(wid)["other"] == "failed"
    assert jobs.get(wid)["finished"] is not None


def test_in_a_paused_workflow_a_retry_waits_for_the_release(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(max_attempts=2, backoff=fixed(20)))
    other = jobs.push(single("witness", max_attempts=2, backoff=fixed(60)))
    mine, witness = jobs.claim("w", "COUNT", 2)
    jobs.pause("ID", wid)
    assert jobs.fail(mine.token, witness.token) == [2, 2]
    server.wait_until(state_is(jobs, other, "witness", "ready"), what="one that is due later")
    assert jobs.states(wid)["only"] == "delayed"
    jobs.release("ID", wid)
    server.wait_until(state_is(jobs, wid, "only", "ready"), what="the retry after the release")


def test_a_workflow_can_be_deleted_while_it_waits_for_a_retry(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(max_attempts=2, backoff=fixed(20)))
    other = jobs.push(single("witness", max_attempts=2, backoff=fixed(60)))
    jobs.fail(*(claimed.token for claimed in jobs.claim("w", "COUNT", 2)))
    assert jobs.delete(wid) == 1
    server.wait_until(state_is(jobs, other, "witness", "ready"), what="one that is due later")
    assert jobs.claim_names("w") == ["witness"]


def test_completed_tasks_do_not_run_again(jobs: Space) -> None:
    wid = jobs.push(chain(3, max_attempts=2, backoff=fixed(0)))
    assert jobs.complete(jobs.claim_one("w").token) == [1]
    fail_again(jobs, 1, "t1")
    assert jobs.work_off("w") == ["t1", "t2"]
    assert [seen["attempts"] for seen in jobs.tasks(wid).values()] == [1, 2, 1]


def test_it_all_works_in_a_transaction_and_in_a_script(jobs: Space) -> None:
    wid = jobs.push(loose(2, max_attempts=2))
    one, two = (claimed.token for claimed in jobs.claim("w", "COUNT", 2))
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.FAIL", jobs.key, one, "RETRY", 0)
        transaction.execute_command("WF.CLAIM", jobs.key, "w")
        (code,), (again,) = transaction.execute()
    assert (code, again[4]) == (2, 2)
    script = "return redis.call('WF.FAIL', KEYS[1], ARGV[1], 'RETRY', 3600000)"
    assert jobs.client.eval(script, 1, jobs.key, two) == [2]
    assert jobs.states(wid) == {"t0": "running", "t1": "delayed"}


# Where the numbers come from


def test_defaults_of_the_workflow(jobs: Space) -> None:
    own = {"kind": "linear", "delay_ms": 7 * SECOND}
    document = workflow(
        task("inherits"),
        task("more", max_attempts=3),
        task("once", max_attempts=1),
        task("own", backoff=own),
        task("null", max_attempts=None, backoff=None),
        task("empty", backoff={}),
        defaults={"max_attempts": 2, "backoff": {"kind": "fixed", "delay_ms": 3 * SECOND, "max_ms": 4 * SECOND}},
    )
    delays = {"inherits": 3, "more": 3, "own": 7, "null": 3, "empty": 1}
    wid = jobs.push(document)
    tokens = {claimed.name: claimed.token for claimed in jobs.claim("w", "COUNT", 6)}
    before = now_ms()
    assert jobs.fail(*(tokens[name] for name in delays)) == [2] * 5
    after = now_ms()
    for name, seconds in delays.items():
        assert before <= jobs.tasks(wid)[name]["due"] - seconds * SECOND <= after, name
    assert jobs.fail(tokens["once"]) == [1]

    for failures, name, code in ((1, "inherits", 1), (1, "more", 2), (2, "more", 1)):
        wid = jobs.push(
            workflow(*(one for one in document["tasks"] if one["name"] == name), defaults=document["defaults"])
        )
        fail_again(jobs, failures, name)
        assert jobs.fail(jobs.claim_one("w").token) == [code], (name, failures)


def test_a_default_lease_of_the_workflow(jobs: Space) -> None:
    jobs.push(workflow(task("inherits"), task("own", lease_ms=2 * HOUR), defaults={"lease_ms": HOUR}))
    before = now_ms()
    inherits, own = jobs.claim("w", "COUNT", 2)
    after = now_ms()
    assert before + HOUR <= inherits.deadline <= after + HOUR
    assert before + 2 * HOUR <= own.deadline <= after + 2 * HOUR


def test_a_default_of_the_module(server: Server, jobs: Space) -> None:
    jobs.client.config_set("workflow.default-max-attempts", 2)
    wid = jobs.push(workflow(task("default", backoff=fixed(0)), task("own", ["default"], max_attempts=1)))
    assert jobs.fail(jobs.claim_one("w").token) == [2]
    assert jobs.work_off("w", "COUNT", 1)[0] == "default"
    assert jobs.states(wid)["default"] == "completed"


GOOD: dict[str, Document] = {
    "fewest": {"max_attempts": 1, "max_deliveries": 1},
    "most": {"max_attempts": 65_535, "max_deliveries": 65_535},
    "no delay": {"backoff": {"delay_ms": 0, "max_ms": 0}},
    "longest": {"backoff": {"delay_ms": MAX_DURATION, "max_ms": MAX_DURATION}, "timeout_ms": MAX_DURATION},
    "delay": {"delay_ms": MAX_DURATION},
    "shortest": {"timeout_ms": 1, "delay_ms": 0, "lease_ms": 1},
    "jitter": {"backoff": {"jitter": 0.123}},
    "jitter one": {"backoff": {"jitter": 1}},
    "jitter 1.0": {"backoff": {"jitter": 1.0}},
    "all null": dict.fromkeys(("max_attempts", "max_deliveries", "backoff", "timeout_ms", "delay_ms", "lease_ms")),
}


@pytest.mark.parametrize("where", ["task", "defaults"])
@pytest.mark.parametrize("fields", GOOD.values(), ids=GOOD)
def test_what_a_document_may_say(jobs: Space, fields: Document, where: str) -> None:
    jobs.push(single(**fields) if where == "task" else {**single(), "defaults": fields})
    payload = jobs.client.dump(jobs.key)
    jobs.client.restore("copy", 0, payload)


BAD: dict[str, tuple[Document, str]] = {
    "no attempt": ({"max_attempts": 0}, "max_attempts"),
    "too many attempts": ({"max_attempts": 65_536}, "max_attempts"),
    "attempts are no text": ({"max_attempts": "many"}, "max_attempts"),
    "attempts are whole": ({"max_attempts": 1.5}, "max_attempts"),
    "attempts are not below zero": ({"max_attempts": -1}, "max_attempts"),
    "no delivery": ({"max_deliveries": 0}, "max_deliveries"),
    "too many deliveries": ({"max_deliveries": 65_536}, "max_deliveries"),
    "backoff is an object": ({"backoff": 5}, "backoff"),
    "backoff is no list": ({"backoff": []}, "backoff"),
    "kind": ({"backoff": {"kind": "cubic"}}, "kind"),
    "kind is text": ({"backoff": {"kind": 1}}, "kind"),
    "delay below zero": ({"backoff": {"delay_ms": -1}}, "delay_ms"),
    "delay too long": ({"backoff": {"delay_ms": MAX_DURATION + 1}}, "delay_ms"),
    "most too long": ({"backoff": {"max_ms": MAX_DURATION + 1}}, "max_ms"),
    "most below the delay": ({"backoff": {"delay_ms": 10, "max_ms": 9}}, "max_ms"),
    "most below the delay that is not said": ({"backoff": {"max_ms": 999}}, "max_ms"),
    "jitter above one": ({"backoff": {"jitter": 1.5}}, "jitter"),
    "jitter below zero": ({"backoff": {"jitter": -0.1}}, "jitter"),
    "jitter is a number": ({"backoff": {"jitter": "much"}}, "jitter"),
    "unknown in backoff": ({"backoff": {"colour": "red"}}, "colour"),
    "no timeout": ({"timeout_ms": 0}, "timeout_ms"),
    "timeout too long": ({"timeout_ms": MAX_DURATION + 1}, "timeout_ms"),
    "delay of the task below zero": ({"delay_ms": -1}, "delay_ms"),
    "delay of the task too long": ({"delay_ms": MAX_DURATION + 1}, "delay_ms"),
    "no lease": ({"lease_ms": 0}, "lease_ms"),
    "lease too long": ({"lease_ms": 30 * 24 * HOUR + 1}, "lease_ms"),
}


@pytest.mark.parametrize("where", ["task", "defaults"])
@pytest.mark.parametrize("bad", BAD)
def test_what_a_document_may_not_say(jobs: Space, bad: str, where: str) -> None:
    fields, name = BAD[bad]
    with refused("INVALID", name):
        jobs.push(single(**fields) if where == "task" else {**single(), "defaults": fields})
    assert jobs.client.exists(jobs.key) == 0


@pytest.mark.parametrize("field", ["name", "type", "payload", "priority", "parents", "colour", "MaxAttempts"])
def test_what_cannot_be_a_default(jobs: Space, field: str) -> None:
    with refused("INVALID", field):
        jobs.push({**single(), "defaults": {field: 1}})
    with refused("INVALID", "defaults"):
        jobs.push({**single(), "defaults": [1]})

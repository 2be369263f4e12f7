"""Signals: tasks that no worker runs, and that something outside ends with WF.SIGNAL, or a timeout."""

import pytest

from blocked import Queue, served
from history import BINARY, HOUR, digest
from refusals import refused
from servers import Server
from signal_gates import at_the_gate, gated, why
from space import Space, plain
from waiting import eventually, now_ms
from workflows import Document, single, task, workflow

# What a signal does


def test_a_signal_completes_its_task(jobs: Space) -> None:
    wid = at_the_gate(jobs)
    assert jobs.claim("w") == [], "nobody claims it"
    assert jobs.signal(wid, "approve", "RESULT", BINARY) == 1
    claimed = jobs.claim_one("w", "WITHRESULTS")
    assert (claimed.name, claimed.results) == ("publish", {"approve": BINARY})
    assert jobs.complete(claimed.token) == [1]
    assert jobs.state(wid) == "completed"
    seen = jobs.get(wid, "TASKS")["tasks"][1]
    assert (seen["worker"], seen["attempts"], seen["started"], seen["failures"]) == (None, 0, None, 0)
    assert seen["ready"] <= seen["finished"] <= now_ms()
    assert jobs.signal(wid, "approve") == 2, "also when the workflow is over"


def test_a_signal_fails_its_task(jobs: Space) -> None:
    wid = at_the_gate(jobs)
    assert jobs.signal(wid, "approve", "fail", "not like this") == 1
    assert (jobs.state(wid), jobs.states(wid)["publish"]) == ("failed", "cancelled")
    (letter,) = jobs.listed("FAILED")
    assert (letter["name"], letter["error"], letter["attempts"]) == ("approve", "not like this", 0)
    assert (letter["type"], letter["worker"], letter["failures"], letter["lost"]) == ("", None, 0, 0)
    assert letter["failed"] == jobs.tasks(wid)["approve"]["finished"]


def test_its_task_may_be_the_first_or_the_only_one(jobs: Space) -> None:
    wid = jobs.push(single(signal=True), "INPUT", "i")
    assert jobs.claim("w", "TYPES", 1, "work") == []
    assert jobs.signal(wid, "only") == 1
    assert (jobs.state(wid), jobs.tasks(wid)["only"]["result"]) == ("completed", None)


def test_what_may_come_early_is_a_parent_beside_the_work(jobs: Space) -> None:
    wid = jobs.push(workflow(task("payment", signal=True), task("pack"), task("ship", ["pack", "payment"])))
    assert jobs.signal(wid, "payment", "RESULT", "10 EUR") == 1
    assert jobs.work_off("w") == ["pack", "ship"]


@pytest.mark.parametrize("end", [["FAIL", "no"], []], ids=["by a signal", "by its timeout"])
def test_a_failure_takes_its_edge(server: Server, jobs: Space, end: list[str]) -> None:
    approve = task("approve", signal=True, timeout_ms=HOUR if end else 30)
    other = task("other", [{"task": "approve", "on": "failure"}])  # type: ignore[list-item]
    wid = jobs.push(workflow(approve, task("next", ["approve"]), other))
    if end:
        assert jobs.signal(wid, "approve", *end) == 1
    server.wait_until(lambda: jobs.states(wid)["other"] == "ready", what="the other way")
    assert jobs.states(wid) == {"approve": "failed", "next": "skipped", "other": "ready"}
    assert jobs.work_off("w") == ["other"]
    assert jobs.state(wid) == "completed"


# What it is answered


@pytest.mark.parametrize("first", [[], ["RESULT", "yes"], ["FAIL", "no"]])
def test_a_repeat_is_known_and_the_contrary_is_late(jobs: Space, first: list[str]) -> None:
    wid = at_the_gate(jobs)
    assert jobs.signal(wid, "approve", *first) == 1
    before = digest(jobs.client)
    completes, fails = (0, 2) if "FAIL" in first else (2, 0)
    for _ in range(2):
        assert jobs.signal(wid, "approve") == jobs.signal(wid, "approve", "RESULT", "other") == completes
        assert jobs.signal(wid, "approve", "FAIL", "other") == fails
    assert digest(jobs.client) == before, "contents of a repeat do not count"


def test_an_early_signal_changes_nothing(server: Server, jobs: Space) -> None:
    wid = jobs.push(gated(delay_ms=60))
    before = digest(jobs.client)
    assert jobs.signal(wid, "approve") == jobs.signal(wid, "approve", "FAIL", "no") == 3
    assert digest(jobs.client) == before
    jobs.complete(jobs.claim_one("w").token)
    assert jobs.states(wid)["approve"] == "delayed"
    assert jobs.signal(wid, "approve") == 3
    server.wait_until(lambda: jobs.signal(wid, "approve") == 1, what="the delay to be over")


def test_a_signal_to_what_will_never_wait(jobs: Space) -> None:
    cancelled = at_the_gate(jobs)
    assert jobs.call("CANCEL", cancelled) == 1
    assert jobs.states(cancelled)["approve"] == "cancelled"
    assert jobs.signal(cancelled, "approve") == jobs.signal(cancelled, "approve", "FAIL", "no") == 0
    failed = jobs.push(workflow(task("bad"), task("approve", signal=True), task("last", ["bad", "approve"])))
    jobs.fail(jobs.claim_one("w").token)
    assert (jobs.states(failed)["approve"], jobs.signal(failed, "approve")) == ("cancelled", 0)
    skips = workflow(task("a"), task("approve", [{"task": "a", "on": "failure"}], signal=True))  # type: ignore[list-item]
    skipped = jobs.push(skips)
    jobs.work_off("w")
    assert (jobs.states(skipped)["approve"], jobs.signal(skipped, "approve")) == ("skipped", 0)


def test_what_is_not_there(jobs: Space) -> None:
    assert jobs.signal("1", "approve") == -1, "nor is the key"
    assert not jobs.client.exists("jobs")
    wid = jobs.push(gated())
    assert jobs.signal("99", "approve") == jobs.signal(wid, "nobody") == jobs.signal(wid, "") == -1


def test_no_token_is_worth_anything(jobs: Space) -> None:
    """A task that was never handed out has no token, not even one of zeros, not even when all is over."""
    wid = jobs.push(single(signal=True))
    tokens = [f"{wid}-0-00000000", f"{wid}-0-00000001"]
    assert jobs.complete(*tokens) == jobs.fail(*tokens) == jobs.extend(HOUR, *tokens) == [0, 0]
    assert jobs.signal(wid, "only") == 1
    assert jobs.complete(*tokens) == jobs.fail(*tokens) == jobs.extend(HOUR, *tokens) == [0, 0]


def test_arguments_that_are_refused(jobs: Space) -> None:
    wid = at_the_gate(jobs)
    before = digest(jobs.client)
    for names, arguments in (
        (["'draft'", "worker"], [wid, "draft"]),
        (["RESULT", "value"], [wid, "approve", "RESULT"]),
        (["FAIL", "value"], [wid, "approve", "FAIL"]),
        (["RESULT", "FAIL", "exclude"], [wid, "approve", "RESULT", "a", "FAIL", "b"]),
        (["RESULT", "FAIL", "exclude"], [wid, "approve", "FAIL", "a", "RESULT", "b"]),
        (["RESULT", "twice"], [wid, "approve", "RESULT", "a", "RESULT", "b"]),
        (["FAIL", "twice"], [wid, "approve", "FAIL", "a", "fail", "b"]),
        (["ERROR"], [wid, "approve", "ERROR", "a"]),
        (["number of arguments"], [wid]),
    ):
        with refused("ERR", *names):
            jobs.call("SIGNAL", *arguments)
    jobs.client.config_set("workflow.max-result-bytes", 3)
    jobs.client.config_set("workflow.max-error-bytes", 3)
    for option, setting in (("RESULT", "max-result-bytes"), ("FAIL", "max-error-bytes")):
        with refused("LIMIT", option, setting):
            jobs.signal(wid, "approve", option, "long")
    with refused("LIMIT", "task"):
        jobs.signal(wid, "n" * 513)
    assert digest(jobs.client) == before
    jobs.client.set("text", "x")
    with refused("WRONGTYPE"):
        Space(jobs.client, "text").signal(wid, "approve")


# The document


@pytest.mark.parametrize(
    "field",
    [{"lease_ms": 5}, {"max_attempts": 2}, {"max_deliveries": 2}, {"backoff": {}}],
    ids=lambda one: next(iter(one)),
)
def test_options_of_workers_are_refused(jobs: Space, field: Document) -> None:
    (name,) = field
    with refused("INVALID", "'only'", f"'{name}'", "signal"):
        jobs.push(single(signal=True, **field))
    jobs.push(single(signal=True, **{name: None}))
    jobs.push({**single(signal=True), "defaults": field})
    jobs.push(single(signal=False, **field))


def test_only_true_and_false(jobs: Space) -> None:
    for value in (1, "true", {}, []):
        with refused("INVALID", "'only'", "'signal'", "true or false"):
            jobs.push(single(signal=value))
    with refused("INVALID", "'defaults'", "'signal'"):
        jobs.push({**single(), "defaults": {"signal": True}})
    for value in (False, None):
        jobs.push(single(signal=value))
    assert jobs.stats()["types"]["work"]["ready"] == 2


def test_of_the_defaults_only_the_delay_holds(jobs: Space) -> None:
    defaults = {"timeout_ms": 40, "delay_ms": HOUR, "lease_ms": 5, "max_attempts": 3, "backoff": {"delay_ms": 1}}
    wid = jobs.push({**single(signal=True), "defaults": defaults})
    assert jobs.tasks(wid)["only"]["state"] == "delayed"
    defaults["delay_ms"] = 0
    wid = jobs.push({**single(signal=True), "defaults": defaults})
    assert (jobs.tasks(wid)["only"]["state"], jobs.tasks(wid)["only"]["deadline"]) == ("ready", None)


# Timeouts


def test_none_in_time(server: Server, jobs: Space) -> None:
    wid = at_the_gate(jobs, timeout_ms=400)
    before = jobs.tasks(wid)["approve"]
    assert before["deadline"] == before["ready"] + 400
    assert jobs.stats()["next_due"] == before["deadline"]
    server.close_clients()
    eventually(lambda: now_ms() > before["deadline"] + 300, what="time to pass with nobody connected")
    came = now_ms()
    jobs = Space(server.client(), "jobs")
    seen = jobs.tasks(wid)["approve"]
    assert (seen["state"], seen["error"], seen["deadline"]) == ("failed", "timed out after 400 ms", None)
    assert before["deadline"] <= seen["finished"] < came, "not when somebody came"
    assert (jobs.state(wid), jobs.stats()["tasks_timed_out"]) == ("failed", 1)
    assert jobs.signal(wid, "approve") == jobs.signal(wid, "approve", "FAIL", "no") == 0, "too late for both"
    assert jobs.listed("FAILED")[0]["error"] == "timed out after 400 ms"


def test_a_timeout_counts_from_when_it_waits(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(signal=True, delay_ms=150, timeout_ms=100))
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the timeout")
    seen = jobs.tasks(wid)["only"]
    assert seen["ready"] >= jobs.get(wid)["created"] + 150
    assert seen["finished"] >= seen["ready"] + 100


def test_several_that_are_late_at_once(server: Server, jobs: Space) -> None:
    """The first fails the workflow, and the others are cancelled with it: also what is delayed."""
    wids = [
        jobs.push(workflow(*(task(f"s{i}", signal=True, timeout_ms=60) for i in range(3)), task("d", delay_ms=60)))
        for _ in range(20)
    ]
    server.wait_until(lambda: jobs.stats()["workflows"]["failed"] == 20, what="all to be late")
    for wid in wids:
        assert sorted(jobs.states(wid).values()) == ["cancelled"] * 3 + ["failed"]


def test_in_time(jobs: Space) -> None:
    wid = at_the_gate(jobs, timeout_ms=HOUR)
    assert jobs.signal(wid, "approve") == 1
    assert jobs.stats()["next_due"] is None


def test_what_is_told(server: Server, jobs: Space) -> None:
    jobs.client.config_set("notify-keyspace-events", "KEA")
    subscriber = server.client().pubsub()
    subscriber.subscribe("__keyspace@0__:jobs")
    subscriber.get_message(timeout=5)
    for end in ([], ["FAIL", "no"]):
        assert jobs.signal(jobs.push(single(signal=True)), "only", *end) == 1
    jobs.push(single(signal=True, timeout_ms=20))
    expected = "workflow.pushed workflow.completed workflow.pushed workflow.failed task.failed workflow.pushed "
    expected += "workflow.failed task.failed task.timedout"
    events: list[str] = []

    def come() -> bool:
        while message := subscriber.get_message(ignore_subscribe_messages=True, timeout=0.01):
            events.append(message["data"].decode())
        return events == expected.split()

    server.wait_until(come, what=f"{expected}, so far {events}")
    subscriber.close()


# Pauses


def test_a_paused_workflow_takes_signals(jobs: Space) -> None:
    wid = at_the_gate(jobs)
    assert jobs.pause("ID", wid) == 1
    assert jobs.signal(wid, "approve") == 1
    assert (jobs.states(wid)["publish"], jobs.claim("w")) == ("waiting", [])
    jobs.release("ID", wid)
    assert jobs.work_off("w") == ["publish"]


def test_what_had_not_begun_to_wait_begins_with_the_release(jobs: Space) -> None:
    wid = jobs.push(single(signal=True, timeout_ms=HOUR), "PAUSED")
    assert (jobs.states(wid)["only"], jobs.signal(wid, "only")) == ("waiting", 3)
    jobs.release("ID", wid)
    assert jobs.tasks(wid)["only"]["deadline"] >= jobs.get(wid)["created"] + HOUR
    assert jobs.signal(wid, "only") == 1


def test_a_pause_holds_the_timeout(server: Server, jobs: Space) -> None:
    wid = at_the_gate(jobs, timeout_ms=600)
    deadline = jobs.tasks(wid)["approve"]["deadline"]
    assert jobs.pause("ID", wid) == 1, "in time"
    assert jobs.stats()["next_due"] is None
    eventually(lambda: now_ms() > deadline + 200, what="time to pass")
    assert jobs.states(wid)["approve"] == "ready"
    assert jobs.tasks(wid)["approve"]["deadline"] == deadline
    jobs.release("ID", wid)
    server.wait_until(lambda: jobs.states(wid)["approve"] == "failed", what="the timeout after the release")


def test_pauses_of_types_and_of_the_space_hold_workers_not_signals(server: Server, jobs: Space) -> None:
    waiter = Queue(server).joins(1)
    jobs.pause("ALL")
    jobs.pause("TYPE", "work")
    timed = jobs.push(single(signal=True, timeout_ms=50))
    wid = jobs.push(single(signal=True))
    assert why(jobs, wid, "only")["pauses"] == []
    assert jobs.signal(wid, "only") == 1
    server.wait_until(lambda: jobs.state(timed) == "failed", what="the timeout")
    assert served(waiter) == []


# What else befalls it


def test_a_retry_waits_anew(server: Server, jobs: Space) -> None:
    wid = at_the_gate(jobs, timeout_ms=400)
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the timeout")
    first = jobs.tasks(wid)["approve"]["ready"]
    assert jobs.retry(wid, "TASK", "approve") == 1
    again = jobs.tasks(wid)["approve"]
    assert (again["state"], again["error"]) == ("ready", None)
    assert again["ready"] > first and again["deadline"] == again["ready"] + 400
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the timeout, again")
    assert jobs.retry(wid) == 1
    assert jobs.signal(wid, "approve", "FAIL", "no") == 1
    assert jobs.signal(wid, "approve", "FAIL", "no") == 2, "not too late any more"
    assert jobs.retry(wid) == 1
    assert jobs.signal(wid, "approve", "RESULT", "yes") == 1
    assert jobs.work_off("w") == ["publish"]


def test_the_deadline_of_the_workflow_ends_the_wait(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(signal=True, timeout_ms=HOUR), "TIMEOUT", 50)
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the deadline")
    assert (jobs.states(wid)["only"], jobs.signal(wid, "only")) == ("cancelled", 0)
    assert (jobs.stats()["signals"], jobs.stats()["tasks_timed_out"]) == (0, 0)


def test_a_deleted_workflow_leaves_nothing(jobs: Space) -> None:
    wid = at_the_gate(jobs, timeout_ms=HOUR)
    assert jobs.delete(wid) == 1
    stats = jobs.stats()
    assert (stats["signals"], stats["next_due"], stats["tasks"]["ready"]) == (0, None, 0)
    assert jobs.signal(wid, "approve") == -1


def test_a_signal_is_taken_when_memory_is_full(jobs: Space) -> None:
    wid = at_the_gate(jobs)
    jobs.client.config_set("maxmemory", 1)
    try:
        assert jobs.signal(wid, "approve", "RESULT", "r" * 1000) == 1
    finally:
        jobs.client.config_set("maxmemory", 0)


def test_a_waiting_worker_gets_what_is_behind(server: Server, jobs: Space) -> None:
    wid = at_the_gate(jobs)
    (waiter,) = waiters = Queue(server).joins(1)
    assert served(waiters) == []
    assert jobs.signal(wid, "approve") == 1
    assert waiter.names() == ["publish"]


def test_in_a_transaction_and_a_script(jobs: Space) -> None:
    wid = at_the_gate(jobs)
    script = "return {redis.call('WF.SIGNAL', KEYS[1], ARGV[1], 'approve'), #redis.call('WF.CLAIM', KEYS[1], 'w')}"
    assert jobs.client.eval(script, 1, "jobs", wid) == [1, 1]
    other = at_the_gate(jobs)
    pipe = jobs.client.pipeline(transaction=True)
    for _ in range(2):
        pipe.execute_command("WF.SIGNAL", "jobs", other, "approve", "FAIL", "no")
    assert pipe.execute() == [1, 2]


# What people see


def test_stats_do_not_lie_about_workers(jobs: Space) -> None:
    jobs.push(workflow(*(task(f"s{i}", signal=True) for i in range(3)), task("t")))
    stats = jobs.stats()
    assert (stats["signals"], stats["tasks"]["ready"], stats["types"]["work"]["ready"]) == (3, 4, 1)
    jobs.work_off("w")
    stats = jobs.stats()
    assert (stats["signals"], stats["tasks"]["ready"], stats["types"]["work"]["ready"]) == (3, 3, 0)
    assert stats["types"]["work"]["oldest_ready_ms"] is None
    waits = stats["types"]["work"]["wait_p50_ms"]
    assert jobs.signal("1", "s0") == jobs.signal("1", "s1", "FAIL", "no") == 1
    work = jobs.stats()["types"]["work"]
    assert (work["completed"], work["failed"], work["wait_p50_ms"]) == (2, 1, waits)


def test_why(jobs: Space) -> None:
    wid = jobs.push(gated(timeout_ms=HOUR))
    early = why(jobs, wid)
    assert (early["reasons"], early["pauses"], early["last_asked"]) == (["waiting"], [], None)
    jobs.complete(jobs.claim_one("w").token)
    seen = why(jobs, wid)
    assert (seen["state"], seen["reason"], seen["reasons"], seen["ahead"]) == ("ready", "signal", ["signal"], None)
    assert (seen["since"] + HOUR, seen["worker"], seen["last_asked"]) == (seen["deadline"], None, None)
    assert "waiting for a signal for" in seen["words"] and "times out in" in seen["words"]
    whole = plain(jobs.call("WHY", wid))
    assert (whole["holding"], whole["tasks"][0]["task"]) == (1, "approve")
    jobs.pause("ID", wid)
    assert why(jobs, wid)["reasons"] == ["signal"]
    assert "while the workflow is paused" in why(jobs, wid)["words"]


def test_graph(jobs: Space) -> None:
    wid = at_the_gate(jobs)
    drawn = jobs.call("GRAPH", wid).decode()
    assert '  t1 [label="approve", fillcolor="#ffe69c", shape=hexagon, style=filled, tooltip="ready"];' in drawn
    assert '  t1{{"approve"}}:::ready' in jobs.call("GRAPH", wid, "MERMAID").decode()
    jobs.call("CANCEL", wid)
    assert 'shape=hexagon, style="filled,dashed"' in jobs.call("GRAPH", wid).decode()

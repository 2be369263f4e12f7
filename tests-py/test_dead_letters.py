"""Dead letters: WF.LIST FAILED shows the tasks that failed for good, WF.RETRY runs them again."""

import json
from typing import Any

import pytest
import redis

from blocked import Queue, served
from history import HOUR, digest
from refusals import refused
from servers import Server
from space import Space
from waiting import eventually, now_ms
from workflows import Document, chain, diamond, loose, single, task, workflow

FIELDS = {"workflow", "name", "type", "error", "attempts", "failures", "lost", "worker", "failed"}


def fail_one(jobs: Space, wid: str | None = None, error: str = "no", **fields: Any) -> str:
    """A workflow whose only task has failed for good; its id."""
    wid = jobs.push(single(**{"type": "dead", **fields}), *(["ID", wid] if wid else []))
    token = jobs.claim_one("w", "TYPES", 1, fields.get("type", "dead"), "LEASE", HOUR).token
    assert jobs.fail(token, "ERROR", error, "NORETRY") == [1]
    return wid


def names(letters: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(letter["workflow"], letter["name"]) for letter in letters]


def later(since: int, by: int = 30) -> int:
    """Waits until the clock has gone on; the time it is then."""
    eventually(lambda: now_ms() > since + by, what="time to pass")
    return now_ms()


# The list


def test_what_a_dead_letter_says(jobs: Space) -> None:
    wid = jobs.push(workflow(task("load", type="etl", max_attempts=2, backoff={"delay_ms": 0}), name="nightly"))
    jobs.claim_one("crashed")
    jobs.recover("crashed")
    jobs.fail(jobs.claim_one("a", "LEASE", HOUR).token, "ERROR", "first")
    before = now_ms()
    jobs.fail(jobs.claim_one("b", "LEASE", HOUR).token, "ERROR", "disk full")
    (letter,) = jobs.listed("FAILED")
    assert letter.keys() == FIELDS
    assert before <= letter.pop("failed") <= now_ms()
    assert letter == {
        "workflow": wid,
        "name": "load",
        "type": "etl",
        "error": "disk full",
        "attempts": 3,
        "failures": 2,
        "lost": 1,
        "worker": "b",
    }


def test_newest_first(jobs: Space) -> None:
    jobs.push(loose(3), "ID", "three")
    fail_one(jobs, "first")
    one, two = jobs.claim("w", "COUNT", 2)
    later(now_ms(), 1)
    jobs.fail(one.token)
    later(now_ms(), 1)
    fail_one(jobs, "last")
    later(now_ms(), 1)
    jobs.fail(two.token)
    assert names(jobs.listed("FAILED")) == [("three", "t1"), ("last", "only"), ("three", "t0"), ("first", "only")]


def test_what_failed_in_one_call_and_one_millisecond_has_an_order(jobs: Space) -> None:
    for _ in range(20):
        jobs.push(single())
    tokens = [claimed.token for claimed in jobs.claim("w", "COUNT", 20)]
    jobs.fail(*tokens)
    expected = [(token.rsplit("-", 2)[0], "only") for token in reversed(tokens)]
    assert names(jobs.listed("FAILED")) == expected
    assert names(jobs.listed("FAILED", "COUNT", 3)) == expected, "across pages too"


def test_each_cause_has_its_own_error(server: Server, jobs: Space) -> None:
    jobs.push(single("lost", max_deliveries=1), "ID", "lost")
    jobs.claim_one("killed", "LEASE", 1)
    server.wait_until(lambda: jobs.state("lost") == "failed", what="the lease to run out")
    jobs.push(single("slow", timeout_ms=20), "ID", "slow")
    jobs.claim_one("sluggish", "LEASE", HOUR)
    server.wait_until(lambda: jobs.state("slow") == "failed", what="the timeout")
    fail_one(jobs, "failed", "own words")
    assert [(letter["workflow"], letter["error"], letter["worker"]) for letter in jobs.listed("FAILED")] == [
        ("failed", "own words", "w"),
        ("slow", "timed out after 20 ms", "sluggish"),
        ("lost", "lost 1 times without an acknowledgement, last by killed", "killed"),
    ]
    assert jobs.stats()["dead"] == 3


def test_what_is_no_dead_letter(jobs: Space) -> None:
    jobs.push(chain(3, max_attempts=2), "ID", "w")
    assert jobs.fail(jobs.claim_one("w").token, "RETRY", HOUR) == [2]
    assert jobs.listed("FAILED") == []
    jobs.push(chain(3), "ID", "v")
    jobs.fail(jobs.claim_one("w").token)
    assert names(jobs.listed("FAILED")) == [("v", "t0")], "and not what was cancelled behind it"


def test_filters(jobs: Space) -> None:
    for wid, name, kind in (("1a", "alpha", "x"), ("2a", "alpine", "y"), ("3b", "beta", "x"), ("4n", None, "y")):
        jobs.push({**single(type=kind), "name": name}, "ID", wid)
        jobs.fail(jobs.claim_one("w").token)
    cases: dict[tuple[Any, ...], list[str]] = {
        (): ["4n", "3b", "2a", "1a"],
        ("TYPE", "x"): ["3b", "1a"],
        ("TYPE", "unseen"): [],
        ("PREFIX", "al"): ["2a", "1a"],
        ("PREFIX", "alpha"): ["1a"],
        ("PREFIX", "1"): [],
        ("PREFIX", ""): ["4n", "3b", "2a", "1a"],
        ("TYPE", "x", "PREFIX", "al"): ["1a"],
        ("NEWER", HOUR): ["4n", "3b", "2a", "1a"],
        ("OLDER", HOUR): [],
        ("OLDER", 0): ["4n", "3b", "2a", "1a"],
        ("OLDER", 0, "NEWER", HOUR, "TYPE", "y"): ["4n", "2a"],
    }
    for options, expected in cases.items():
        for count in ([], ["COUNT", 1], ["COUNT", 3]):
            assert [letter["workflow"] for letter in jobs.listed("FAILED", *options, *count)] == expected, options


def test_age_is_that_of_the_failure(jobs: Space) -> None:
    old = fail_one(jobs)
    jobs.push(single(), "ID", "between")
    failed = jobs.listed("FAILED")[0]["failed"]
    later(failed, 400)
    jobs.fail(jobs.claim_one("w").token)
    half = (now_ms() - failed) // 2
    assert [letter["workflow"] for letter in jobs.listed("FAILED", "NEWER", half)] == ["between"]
    assert [letter["workflow"] for letter in jobs.listed("FAILED", "OLDER", half)] == [old]


def test_a_missing_key_and_an_empty_space(jobs: Space, server: Server, resp: int) -> None:
    for options in ([], ["FAILED"], ["FAILED", "CURSOR", "0"]):
        assert server.client(resp).execute_command("WF.LIST", "jobs", *options) == [b"0", []]
    assert jobs.client.exists("jobs") == 0
    jobs.push(single())
    assert server.client(resp).execute_command("WF.LIST", "jobs", "FAILED") == [b"0", []]


def test_pages(jobs: Space) -> None:
    wids = [fail_one(jobs) for _ in range(25)]
    cursor, pages = "0", []
    while True:
        cursor, page = jobs.page("FAILED", "COUNT", 4, "CURSOR", cursor)
        pages.append([letter["workflow"] for letter in page])
        if cursor == "0":
            break
    assert [wid for page in pages for wid in page] == list(reversed(wids))
    assert max(len(page) for page in pages) == 4
    assert len(jobs.page("FAILED")[1]) == 10, "the default"


def test_a_cursor_survives_any_change(server: Server, jobs: Space) -> None:
    """What is there from the first page to the last is listed once, whatever comes, goes, or is retried."""
    wids = [fail_one(jobs, f"w{number:02}") for number in range(30)]
    cursor, first = jobs.page("FAILED", "COUNT", 10)
    assert [letter["workflow"] for letter in first] == wids[:-11:-1]

    fail_one(jobs, "new")
    jobs.delete(wids[20], wids[19], wids[5])
    assert jobs.retry(wids[18]) == 1
    assert jobs.retry(wids[25]) == 1
    jobs.client.execute_command("DEBUG", "RELOAD")
    jobs.client.rename("jobs", "moved")
    jobs = Space(jobs.client, "moved")
    jobs.fail(*(claimed.token for claimed in jobs.claim("w", "COUNT", 2)))

    rest = []
    while cursor != "0":
        cursor, page = jobs.page("FAILED", "COUNT", 3, "CURSOR", cursor)
        rest += [letter["workflow"] for letter in page]
    expected = [wid for wid in reversed(wids[:20]) if wid not in {wids[19], wids[18], wids[5]}]
    assert rest == expected


BAD_OPTIONS: dict[str, list[Any]] = {
    "COUNT": ["COUNT", 0],
    "COUNT above": ["COUNT", 10_001],
    "COUNT no number": ["COUNT", "all"],
    "OLDER": ["OLDER", -1],
    "NEWER": ["NEWER", "long"],
    "cursor": ["CURSOR", "nonsense"],
    "TYPE": ["TYPE"],
    "PREFIX": ["PREFIX"],
    "COLOUR": ["COLOUR", "red"],
}


@pytest.mark.parametrize("failed", [["FAILED"], []], ids=["FAILED", "workflows"])
@pytest.mark.parametrize("bad", BAD_OPTIONS)
def test_options_that_make_no_sense(jobs: Space, bad: str, failed: list[str]) -> None:
    jobs.push(single())
    with refused("ERR", bad.split()[0] if bad != "COLOUR" else ""):
        jobs.page(*failed, *BAD_OPTIONS[bad])


def test_state_is_not_for_dead_letters(jobs: Space) -> None:
    jobs.push(single())
    with refused("ERR"):
        jobs.page("FAILED", "STATE", "failed")


def test_dead_letters_come_back_in_order(fresh_server: Any) -> None:
    server = fresh_server("appendonly yes", "appendfsync always")
    jobs = Space(server.client(), "jobs")
    jobs.push(loose(5), "ID", "five")
    five = jobs.claim("w", "COUNT", 5, "LEASE", HOUR)
    for number in range(5):
        fail_one(jobs, f"w{number}", f"error {number}")
        jobs.fail(five[(3 * number) % 5].token, "ERROR", "of five")
    before = jobs.listed("FAILED")
    for reload in ("RELOAD", "LOADAOF"):
        jobs.client.execute_command("DEBUG", reload)
        assert jobs.listed("FAILED") == before
    replica = fresh_server(replica_of=server)
    assert Space(replica.client(), "jobs").listed("FAILED") == before
    jobs.client.copy("jobs", "copy")
    assert Space(jobs.client, "copy").listed("FAILED") == before


# Running them again


def test_a_failed_task_and_what_was_cancelled_behind_it_run_again(jobs: Space) -> None:
    wid = jobs.push(chain(3, max_attempts=2, backoff={"delay_ms": 0}))
    done = jobs.claim_one("w")
    jobs.complete(done.token, "RESULT", "kept")
    for _ in range(2):
        old = jobs.claim_one("w")
        jobs.fail(old.token, "ERROR", "no")
    assert jobs.states(wid) == {"t0": "completed", "t1": "failed", "t2": "cancelled"}
    before = now_ms()
    assert jobs.retry(wid) == 1
    assert jobs.states(wid) == {"t0": "completed", "t1": "ready", "t2": "waiting"}
    seen = jobs.get(wid)
    assert (seen["state"], seen["finished"]) == ("running", None)
    again = jobs.tasks(wid)["t1"]
    assert (again["attempts"], again["failures"], again["lost"], again["error"]) == (0, 0, 0, None)
    assert (again["worker"], again["started"], again["finished"]) == (None, None, None)
    assert again["ready"] >= before
    assert jobs.tasks(wid)["t0"]["result"] == "kept", "what completed stays completed"
    assert jobs.listed("FAILED") == []
    assert jobs.stats()["dead"] == 0

    assert (jobs.complete(old.token), jobs.fail(old.token), jobs.extend(HOUR, old.token)) == ([0], [0], [0])
    fresh = jobs.claim_one("w", "WITHRESULTS")
    assert (fresh.name, fresh.attempt, fresh.results) == ("t1", 1, {"t0": b"kept"})
    assert jobs.fail(fresh.token) == [2], "attempts start over"
    assert jobs.work_off("w") == ["t1", "t2"]
    assert jobs.state(wid) == "completed"
    assert jobs.complete(done.token) == [2]


def test_it_can_fail_and_be_retried_again(jobs: Space) -> None:
    wid = jobs.push(single())
    for turn in range(5):
        assert jobs.fail(jobs.claim_one("w").token, "ERROR", f"turn {turn}") == [1]
        assert [letter["error"] for letter in jobs.listed("FAILED")] == [f"turn {turn}"]
        assert jobs.state(wid) == "failed"
        assert jobs.retry(wid) == 1
    assert jobs.work_off("w") == ["only"]
    assert jobs.state(wid) == "completed"


def test_answers_that_change_nothing(jobs: Space) -> None:
    assert jobs.retry("nothing") == -1
    assert jobs.client.exists("jobs") == 0
    running, completed = jobs.push(chain(2)), jobs.push(single(type="x"))
    jobs.complete(jobs.claim_one("w", "TYPES", 1, "x").token)
    failed = jobs.push(workflow(task("good", type="y"), task("bad", ["good"], type="y"), task("behind", ["bad"])))
    for acknowledge in (jobs.complete, jobs.fail):
        acknowledge(jobs.claim_one("w", "TYPES", 1, "y").token)
    before = digest(jobs.client)
    assert jobs.retry("nothing") == -1
    assert (jobs.retry(running), jobs.retry(completed)) == (0, 0)
    assert (jobs.retry(running, "TASK", "t0"), jobs.retry(completed, "TASK", "only")) == (0, 0)
    assert jobs.retry(failed, "TASK", "unknown") == -1
    assert (jobs.retry(failed, "TASK", "good"), jobs.retry(failed, "TASK", "behind")) == (0, 0)
    assert digest(jobs.client) == before
    assert jobs.retry(failed) == 1
    assert jobs.retry(failed) == 0, "it runs again already"


def broken(jobs: Space) -> tuple[str, dict[str, str]]:
    """Two branches that failed, each with something behind it, and a join of both. Tokens by name."""
    wid = jobs.push(
        workflow(
            task("left"), task("right"), task("after left", ["left"]), task("after right", ["right"]),
            task("join", ["after left", "after right"]), task("apart"),
        )
    )  # fmt: skip
    left, right = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    assert jobs.fail(left.token, "ERROR", "left", right.token, "ERROR", "right") == [1, 1]
    return wid, {"left": left.token, "right": right.token}


def test_one_task_and_what_does_not_lie_behind_another(jobs: Space) -> None:
    wid, tokens = broken(jobs)
    assert jobs.retry(wid, "TASK", "left") == 1
    assert jobs.states(wid) == {
        "left": "ready",
        "right": "failed",
        "after left": "waiting",
        "after right": "cancelled",
        "join": "cancelled",
        "apart": "ready",
    }
    assert jobs.state(wid) == "running", "though a task of it has failed"
    assert names(jobs.listed("FAILED")) == [(wid, "right")]
    assert jobs.complete(tokens["left"]) == [0]
    assert jobs.get(wid)["counts"]["failed"] == 1
    assert jobs.work_off("w") == ["left", "after left", "apart"]
    seen = jobs.get(wid)
    assert seen["state"] == "failed", "what is left has failed"
    assert seen["finished"] is not None
    assert jobs.tasks(wid)["right"]["error"] == "right"

    assert jobs.retry(wid, "TASK", "right") == 1
    assert jobs.work_off("w") == ["right", "after right", "join"]
    assert jobs.state(wid) == "completed"


def test_all_failed_tasks_at_once(jobs: Space) -> None:
    wid, _ = broken(jobs)
    assert jobs.retry(wid) == 1
    assert jobs.claim_names("w") == ["left", "right", "apart"]
    assert len(jobs.recover("w")) == 3
    assert len(jobs.work_off("w")) == 6
    assert jobs.state(wid) == "completed"
    assert jobs.listed("FAILED") == []


def test_one_after_the_other_while_it_runs(jobs: Space) -> None:
    """A workflow that runs again is not failed: the other task has to wait for it to fail again."""
    wid, _ = broken(jobs)
    assert jobs.retry(wid, "TASK", "left") == 1
    assert jobs.retry(wid, "TASK", "right") == 0
    assert jobs.fail(jobs.claim_one("w").token) == [1]
    assert jobs.state(wid) == "failed"
    assert jobs.retry(wid) == 1
    assert jobs.get(wid)["counts"]["failed"] == 0


def test_while_it_still_runs_down(jobs: Space) -> None:
    wid = jobs.push(workflow(task("bad"), task("good"), task("end", ["bad", "good"])))
    bad, good = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    jobs.fail(bad.token)
    assert jobs.get(wid)["finished"] is None
    assert jobs.retry(wid) == 1
    assert jobs.states(wid) == {"bad": "ready", "good": "running", "end": "waiting"}
    assert jobs.extend(HOUR, good.token) == [1], "no more asked to stop"
    assert jobs.complete(good.token) == [1]
    assert jobs.work_off("w") == ["bad", "end"]
    assert jobs.state(wid) == "completed"


def test_delays_of_tasks_hold_again(jobs: Space) -> None:
    wid = jobs.push(workflow(task("bad"), task("later", delay_ms=HOUR)))
    jobs.fail(jobs.claim_one("w").token)
    before = now_ms()
    assert jobs.retry(wid) == 1
    assert jobs.states(wid) == {"bad": "ready", "later": "delayed"}
    assert jobs.tasks(wid)["later"]["due"] >= before + HOUR


def test_the_deadline_starts_over(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(), "TIMEOUT", HOUR)
    first = jobs.get(wid)["deadline"]
    jobs.fail(jobs.claim_one("w").token)
    later(first - HOUR)
    before = now_ms()
    jobs.retry(wid)
    assert before + HOUR <= jobs.get(wid)["deadline"] <= now_ms() + HOUR
    assert jobs.get(wid)["deadline"] > first


def test_a_workflow_that_timed_out_runs_again(server: Server, jobs: Space) -> None:
    wid = jobs.push(chain(3), "TIMEOUT", 80)
    jobs.complete(jobs.claim_one("w").token)
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the deadline")
    assert jobs.states(wid) == {"t0": "completed", "t1": "cancelled", "t2": "cancelled"}
    assert jobs.listed("FAILED") == []
    assert jobs.retry(wid, "TASK", "t1") == 0
    assert jobs.retry(wid) == 1
    seen = jobs.get(wid)
    assert (seen["state"], seen["error"], seen["finished"]) == ("running", None, None)
    assert jobs.states(wid) == {"t0": "completed", "t1": "ready", "t2": "waiting"}
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the deadline that started over")
    assert jobs.get(wid)["error"] == "timed out after 80 ms"


def test_a_poisoned_task_starts_over(server: Server, jobs: Space) -> None:
    wid = jobs.push(single(max_deliveries=2))
    for _ in range(2):
        jobs.claim_one("crashing")
        jobs.recover("crashing")
    assert jobs.state(wid) == "failed"
    assert jobs.retry(wid) == 1
    assert jobs.tasks(wid)["only"]["lost"] == 0
    jobs.claim_one("crashing")
    jobs.recover("crashing")
    assert jobs.work_off("w") == ["only"]


def test_waiting_workers_are_given_what_runs_again(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(3))
    jobs.fail(jobs.claim_one("w").token)
    waiters = Queue(server).joins(4)
    jobs.retry(wid)
    server.wait_until(lambda: len(served(waiters)) == 3, what="three to be served")
    assert [waiter.names() for waiter in waiters[:3]] == [["t0"], ["t1"], ["t2"]]


def test_a_paused_workflow_that_failed(jobs: Space) -> None:
    wid = jobs.push(loose(2))
    token = jobs.claim_one("w").token
    jobs.pause("ID", wid)
    jobs.fail(token)
    assert jobs.state(wid) == "failed"
    assert jobs.retry(wid) == 1
    jobs.release("ID", wid)
    assert jobs.work_off("w") == ["t0", "t1"]
    assert jobs.state(wid) == "completed"


def test_a_diamond_whose_side_failed(jobs: Space) -> None:
    wid = jobs.push(diamond())
    jobs.complete(jobs.claim_one("w").token)
    left, right = jobs.claim("w", "COUNT", 2)
    jobs.complete(left.token)
    jobs.fail(right.token)
    assert jobs.retry(wid, "TASK", "right") == 1
    assert jobs.work_off("w") == ["right", "bottom"], "a join that had counted one parent"
    assert jobs.state(wid) == "completed"


def test_it_is_one_of_what_is_finished_no_more(jobs: Space) -> None:
    wid = jobs.push(single())
    jobs.fail(jobs.claim_one("w").token)
    assert jobs.get(wid)["expires"] is not None
    jobs.retry(wid)
    assert jobs.get(wid)["expires"] is None
    stats = jobs.stats()["workflows"]
    assert (stats["failed"], stats["running"]) == (0, 1)


def test_it_adds_work_so_a_full_server_refuses_it(jobs: Space) -> None:
    wid = fail_one(jobs)
    jobs.client.config_set("maxmemory", 1)
    for command in (["RETRY", wid], ["PUSH", json.dumps(single())]):
        with refused("OOM"):
            jobs.call(*command)
    jobs.client.config_set("maxmemory", 0)
    assert jobs.retry(wid) == 1


def test_the_event(server: Server, jobs: Space) -> None:
    wid = fail_one(jobs)
    jobs.client.config_set("notify-keyspace-events", "KEA")
    subscriber = server.client().pubsub()
    subscriber.subscribe("__keyevent@0__:workflow.retried")
    subscriber.get_message(timeout=5)
    jobs.retry(wid)
    message = server.wait_until(lambda: subscriber.get_message(timeout=0.1), what="the event")
    assert message["data"] == b"jobs"
    subscriber.close()


BAD_ARGUMENTS: list[list[Any]] = [[], ["w", "TASK"], ["w", "TASK", "a", "b"], ["w", "COLOUR", "red"], ["w", "x"]]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=str)
def test_arguments_that_make_no_sense(jobs: Space, arguments: list[str]) -> None:
    with pytest.raises(redis.ResponseError):
        jobs.call("RETRY", *arguments)


def document_of(size: int) -> Document:
    """A failed root with everything behind it."""
    return workflow(task("root"), *(task(f"t{i}", ["root"]) for i in range(size)))


def test_a_large_workflow_runs_again(jobs: Space) -> None:
    wid = jobs.push(document_of(20_000))
    jobs.fail(jobs.claim_one("w").token)
    assert jobs.get(wid)["counts"]["cancelled"] == 20_000
    assert jobs.retry(wid) == 1
    assert jobs.get(wid)["counts"]["waiting"] == 20_000
    jobs.complete(jobs.claim_one("w").token)
    assert len(jobs.claim("w", "COUNT", 10_000)) == 10_000

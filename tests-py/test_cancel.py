"""WF.CANCEL: workflows are called off."""

from collections.abc import Callable

import pytest
import redis

from history import digest
from servers import Server
from space import Space, plain
from workflows import chain, diamond, loose, single, task, workflow


def test_what_has_not_started_never_will(jobs: Space) -> None:
    wid = jobs.push(chain(3))
    assert jobs.call("CANCEL", wid, "REASON", "ordered twice") == 1
    shown = jobs.get(wid)
    assert (shown["state"], shown["error"], shown["counts"]["cancelled"]) == ("cancelled", "ordered twice", 3)
    assert shown["finished"] is not None
    assert jobs.claim("w") == []
    assert jobs.stats()["workflows"]["cancelled"] == 1
    why = plain(jobs.call("WHY", wid))
    assert why["error"] == "ordered twice" and "was cancelled" in why["words"]


def test_what_runs_runs_down_and_its_worker_is_told(jobs: Space) -> None:
    wid = jobs.push(diamond())
    token = jobs.claim_one("w").token
    assert jobs.call("CANCEL", wid) == 1
    assert jobs.get(wid)["finished"] is None
    assert jobs.extend(1000, token) == [2]
    assert jobs.complete(token) == [1]
    shown = jobs.get(wid)
    assert (shown["state"], shown["error"]) == ("cancelled", None)
    assert shown["counts"]["completed"] == 1 and shown["counts"]["cancelled"] == 3
    assert jobs.claim("w") == [], "children do not start"


def test_a_failure_of_what_runs_down_leaves_it_cancelled(jobs: Space) -> None:
    wid = jobs.push(workflow(task("a", max_attempts=5), task("b", ["a"])))
    token = jobs.claim_one("w").token
    jobs.call("CANCEL", wid)
    assert jobs.fail(token, "ERROR", "too late") == [1], "not tried again"
    assert jobs.get(wid)["state"] == "cancelled"
    assert jobs.retry(wid) == 0, "it did not fail"


def test_what_waits_to_be_tried_again_is_cancelled(jobs: Space) -> None:
    wid = jobs.push(single(max_attempts=5))
    jobs.fail(jobs.claim_one("w").token, "RETRY", 60_000)
    delayed = jobs.push(single(), "DELAY", 60_000)
    assert jobs.call("CANCEL", wid, delayed) == 2
    assert jobs.stats()["delayed"] == jobs.stats()["retrying"] == 0


def test_it_counts_what_it_cancelled(jobs: Space) -> None:
    done, paused, running = jobs.push(single()), jobs.push(loose(2), "PAUSED"), jobs.push(single())
    jobs.complete(jobs.claim_one("w").token)
    assert jobs.call("CANCEL", done, paused, "nothing", running, running) == 2
    assert [jobs.get(wid)["state"] for wid in (done, paused, running)] == ["completed", "cancelled", "cancelled"]


def test_a_missing_key_has_nothing_to_cancel(jobs: Space) -> None:
    assert jobs.call("CANCEL", "1") == 0
    assert jobs.client.exists(jobs.key) == 0


def test_a_reason_that_is_too_long_changes_nothing(server: Server, jobs: Space) -> None:
    wid = jobs.push(single())
    server.client().config_set("workflow.max-error-bytes", 4)
    with pytest.raises(redis.ResponseError, match="^LIMIT REASON"):
        jobs.call("CANCEL", wid, "REASON", "12345")
    with pytest.raises(redis.ResponseError, match="REASON needs a value"):
        jobs.call("CANCEL", wid, "REASON")
    assert jobs.get(wid)["state"] == "running"


def test_the_reason_counts_as_memory_until_it_goes(jobs: Space) -> None:
    wid = jobs.push(single())
    before = jobs.client.memory_usage(jobs.key)
    jobs.call("CANCEL", wid, "REASON", "x" * 10_000)
    assert before + 10_000 <= jobs.client.memory_usage(jobs.key) < before + 12_000
    jobs.configure("retain-bytes", 5_000)
    jobs.claim("w")
    assert jobs.call("GET", wid) is None, "it is part of what retention by bytes counts"
    assert jobs.client.memory_usage(jobs.key) < before + 1_000


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_it_survives_a_restart_and_reaches_replicas(fresh_server: Callable[..., Server], preamble: str) -> None:
    primary = fresh_server("appendonly yes", f"aof-use-rdb-preamble {preamble}")
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    first, second = jobs.push(diamond()), jobs.push(chain(2))
    token = jobs.claim_one("w").token
    assert jobs.call("CANCEL", first, second, "REASON", b"why\x00\xff") == 2
    replica.wait_in_sync(primary)
    before = digest(primary.client())
    assert digest(replica.client()) == before
    primary.restart()
    assert digest(primary.client()) == before, "from the effects"
    jobs = Space(primary.client(), "jobs")
    jobs.client.bgrewriteaof()
    primary.wait_until(lambda: not jobs.client.info("persistence")["aof_rewrite_in_progress"], what="the rewrite")
    primary.restart()
    assert digest(primary.client()) == before, "from the rewritten file"
    assert Space(primary.client(), "jobs").complete(token) == [1]
    assert Space(primary.client(), "jobs").get(first)["finished"] is not None

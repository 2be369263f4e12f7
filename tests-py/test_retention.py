"""Retention: what is finished is removed by age, number and bytes, oldest first, with nobody connected."""

from collections.abc import Callable
from typing import Any

import pytest

from blocked import Queue
from files import aof_commands
from history import HOUR, digest
from servers import Server
from space import Space
from waiting import eventually, now_ms
from workflows import chain, loose, single, task, workflow

DAY = 24 * HOUR
TEN_YEARS = 10 * 365 * DAY


def next_millisecond() -> None:
    """What finishes in one and the same has no order that users could tell."""
    now = now_ms()
    eventually(lambda: now_ms() > now, what="the next millisecond")


def finish(jobs: Space, wid: str | None = None, *options: Any, good: bool = True) -> str:
    """A workflow of one task that has ended, in a millisecond of its own; its id."""
    wid = jobs.push(single(type="finish"), *(["ID", wid] if wid else []), *options)
    token = jobs.claim_one("w", "TYPES", 1, "finish", "LEASE", HOUR).token
    assert (jobs.complete(token) if good else jobs.fail(token)) == [1]
    next_millisecond()
    return wid


def gone(jobs: Space, *wids: str) -> Callable[[], bool]:
    return lambda: all(jobs.call("GET", wid) is None for wid in wids)


def left(jobs: Space) -> set[str]:
    return {one["id"] for one in jobs.listed("COUNT", 1000)}


# By age


def test_how_long_is_kept_by_default(jobs: Space) -> None:
    good, bad = jobs.get(finish(jobs)), jobs.get(finish(jobs, good=False))
    assert good["expires"] == good["finished"] + DAY
    assert bad["expires"] == bad["finished"] + 7 * DAY
    assert jobs.get(jobs.push(single()))["expires"] is None, "not before it is finished"


@pytest.mark.parametrize("good", [True, False], ids=["completed", "failed"])
def test_each_outcome_has_its_own_age(server: Server, jobs: Space, good: bool) -> None:
    jobs.configure("retain-completed-ms", 120 if good else HOUR, "retain-failed-ms", HOUR if good else 120)
    short, long = finish(jobs, good=good), finish(jobs, good=not good)
    seen = jobs.get(short)
    assert seen["expires"] == seen["finished"] + 120
    server.wait_until(gone(jobs, short), what="it to be removed")
    assert now_ms() >= seen["expires"]
    assert left(jobs) == {long}
    assert jobs.get(long)["expires"] == jobs.get(long)["finished"] + HOUR


def test_with_nobody_connected(server: Server, jobs: Space) -> None:
    jobs.configure("retain-completed-ms", 100)
    for _ in range(20):
        expires = jobs.get(finish(jobs))["expires"]
    server.close_clients()
    eventually(lambda: now_ms() > expires + 400, what="time to pass")
    jobs = Space(server.client(), "jobs")
    assert jobs.stats()["workflows"]["completed"] == 0, "it was done before anybody asked"


@pytest.mark.parametrize("good", [True, False], ids=["completed", "failed"])
def test_retain_of_the_push_wins(server: Server, jobs: Space, good: bool) -> None:
    jobs.configure("retain-completed-ms", 100, "retain-failed-ms", 100)
    kept = finish(jobs, "kept", "RETAIN", HOUR, good=good)
    short = finish(jobs, "short", "RETAIN", 50, good=good)
    longest = finish(jobs, "longest", "RETAIN", TEN_YEARS, good=good)
    usual = finish(jobs, "usual", good=good)
    assert jobs.get(kept)["expires"] == jobs.get(kept)["finished"] + HOUR
    assert jobs.get(longest)["expires"] == jobs.get(longest)["finished"] + TEN_YEARS
    server.wait_until(gone(jobs, usual, short), what="them to be removed")
    assert left(jobs) == {kept, longest}


@pytest.mark.parametrize("good", [True, False], ids=["completed", "failed"])
def test_zero_is_at_once(server: Server, jobs: Space, good: bool) -> None:
    wid = jobs.push(single(), "RETAIN", 0)
    token = jobs.claim_one("w", "LEASE", HOUR).token
    assert jobs.state(wid) == "running"
    acknowledge = jobs.complete if good else jobs.fail
    assert acknowledge(token) == [1]
    server.wait_until(gone(jobs, wid), 2, "it to be removed")
    assert acknowledge(token) == [-1], "it is unknown, as after WF.DELETE"
    assert jobs.push(single()) == "2", "its id is not used again"
    assert jobs.listed("FAILED") == []


def test_a_workflow_that_runs_down_is_not_finished(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(2), "RETAIN", 0)
    bad, good = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    jobs.fail(bad.token)
    other = finish(jobs, None, "RETAIN", 0)
    server.wait_until(gone(jobs, other), what="one that is finished")
    assert jobs.state(wid) == "failed"
    assert jobs.complete(good.token) == [1]
    server.wait_until(gone(jobs, wid), what="it to be removed once nothing runs")


def test_one_that_failed_is_not_removed_while_it_runs_again(server: Server, jobs: Space) -> None:
    wid = finish(jobs, "again", "RETAIN", 150, good=False)
    expires = jobs.get(wid)["expires"]
    assert jobs.retry(wid) == 1
    eventually(lambda: now_ms() > expires + 100, what="time to pass")
    assert jobs.state(wid) == "running"
    jobs.work_off("w")
    server.wait_until(gone(jobs, wid), what="it to be removed after its second end")


def test_a_timed_out_workflow_is_kept_as_a_failed_one(server: Server, jobs: Space) -> None:
    jobs.configure("retain-completed-ms", 0, "retain-failed-ms", 200)
    wid = jobs.push(chain(2), "TIMEOUT", 20)
    server.wait_until(lambda: jobs.state(wid) == "failed", what="the deadline")
    assert jobs.get(wid)["expires"] == jobs.get(wid)["finished"] + 200
    server.wait_until(gone(jobs, wid), what="it to be removed")


def test_a_setting_holds_for_what_is_finished_already(server: Server, jobs: Space) -> None:
    wids = [finish(jobs) for _ in range(5)]
    failed = finish(jobs, good=False)
    own = finish(jobs, "own", "RETAIN", HOUR)
    jobs.configure("retain-completed-ms", 1)
    server.wait_until(gone(jobs, *wids), what="the completed ones to be removed")
    jobs.client.config_set("workflow.retain-failed-ms", 1)
    server.wait_until(gone(jobs, failed), what="the failed one to be removed")
    assert left(jobs) == {own}


def test_a_pause_of_all_stops_no_clock(server: Server, jobs: Space) -> None:
    wid = finish(jobs, None, "RETAIN", 100)
    jobs.pause("ALL")
    server.wait_until(gone(jobs, wid), what="it to be removed")


# By number and bytes


def test_no_more_than_so_many(server: Server, jobs: Space) -> None:
    jobs.configure("retain-count", 3)
    wids = [finish(jobs, good=number % 3 > 0) for number in range(10)]
    running = jobs.push(single())
    server.wait_until(gone(jobs, *wids[:7]), what="the oldest to be removed")
    assert left(jobs) == {*wids[7:], running}, "of both outcomes, and none that runs"


def test_retain_is_no_protection_from_the_number(server: Server, jobs: Space) -> None:
    jobs.configure("retain-count", 1)
    old = finish(jobs, "old", "RETAIN", TEN_YEARS)
    young = finish(jobs, "young")
    server.wait_until(gone(jobs, old), what="the older to be removed")
    assert left(jobs) == {young}


def test_oldest_is_what_finished_first(server: Server, jobs: Space) -> None:
    for wid in ("a", "b", "c"):
        jobs.push(single(type=wid), "ID", wid)
    for wid in ("c", "a", "b"):
        jobs.complete(jobs.claim_one("w", "TYPES", 1, wid).token)
        next_millisecond()
    jobs.configure("retain-count", 2)
    server.wait_until(gone(jobs, "c"), what="the first to be removed")
    assert left(jobs) == {"a", "b"}
    jobs.configure("retain-count", 1)
    server.wait_until(gone(jobs, "a"), what="the second to be removed")
    assert left(jobs) == {"b"}


def test_none_at_all(server: Server, jobs: Space) -> None:
    jobs.configure("retain-count", 0)
    wids = [finish(jobs), finish(jobs, good=False), finish(jobs, "own", "RETAIN", TEN_YEARS)]
    server.wait_until(gone(jobs, *wids), what="all to be removed")
    assert jobs.stats()["workflows"] == dict.fromkeys(jobs.stats()["workflows"], 0)


def test_no_more_than_so_many_bytes(server: Server, jobs: Space) -> None:
    wids = []
    for _ in range(20):
        wids.append(jobs.push(single()))
        jobs.complete(jobs.claim_one("w").token, "RESULT", "r" * 10_000)
        next_millisecond()
    running = jobs.push(single(payload="what is not finished counts for nothing" * 10_000))
    jobs.configure("retain-bytes", 55_000)
    server.wait_until(gone(jobs, *wids[:15]), what="the oldest to be removed")
    assert left(jobs) in ({*wids[15:], running}, {*wids[16:], running})
    jobs.configure("retain-bytes", 0)
    server.wait_until(gone(jobs, *wids), what="all to be removed")
    assert left(jobs) == {running}


def test_a_failed_workflow_keeps_its_payloads_and_they_count(server: Server, jobs: Space) -> None:
    """It may be run again; the payloads of a completed one are let go."""
    good = []
    for _ in range(10):
        good.append(jobs.push(single(payload="p" * 100_000)))
        jobs.complete(jobs.claim_one("w").token)
    jobs.configure("retain-bytes", 50_000)
    bad = []
    for _ in range(4):
        bad.append(jobs.push(single(payload="p" * 10_000)))
        jobs.fail(jobs.claim_one("w").token, "ERROR", "e" * 5_000)
        next_millisecond()
    server.wait_until(gone(jobs, *good, bad[0]), what="the oldest to be removed")
    assert left(jobs) == set(bad[1:])


def test_the_bounds_hold_for_each_space_by_itself(server: Server, jobs: Space) -> None:
    other = Space(jobs.client, "other")
    jobs.configure("retain-count", 1)
    for space in (jobs, other):
        for _ in range(3):
            finish(space)
    server.wait_until(lambda: len(left(jobs)) == 1, what="the older ones to be removed")
    assert len(left(other)) == 3
    jobs.client.config_set("workflow.retain-count", 2)
    server.wait_until(lambda: len(left(other)) == 2, what="the bound of the module to hold where there is none")
    assert len(left(jobs)) == 1


# How it is done


def test_it_reaches_replicas_and_the_aof_as_effects(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server("appendonly yes", "appendfsync always", "aof-use-rdb-preamble no")
    replica = fresh_server(replica_of=primary)
    jobs, copy = Space(primary.client(), "jobs"), Space(replica.client(), "jobs")
    kept = finish(jobs)
    wids = [finish(jobs, None, "RETAIN", 100) for _ in range(5)]
    primary.wait_until(gone(jobs, *wids), what="them to be removed")
    replica.wait_in_sync(primary)
    assert left(copy) == left(jobs) == {kept}
    assert digest(replica.client()) == digest(primary.client())
    removed = [command[command.index(b"delete") + 1] for command in aof_commands(primary) if b"delete" in command]
    assert b" ".join(removed).decode().split(" ") == wids, "oldest first"
    primary.restart(hard=True)
    assert left(Space(primary.client(), "jobs")) == {kept}


def test_a_replica_removes_nothing_by_itself(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs, copy = Space(primary.client(), "jobs"), Space(replica.client(), "jobs")
    wid = finish(jobs, None, "RETAIN", 2_000)
    replica.wait_in_sync(primary)
    primary.kill9()
    expires = copy.get(wid)["expires"]
    eventually(lambda: now_ms() > expires + 300, what="time to pass")
    assert copy.state(wid) == "completed"
    replica.promote()
    replica.wait_until(gone(copy, wid), what="it to be removed by the new primary")


def test_the_event(server: Server, jobs: Space) -> None:
    jobs.client.config_set("notify-keyspace-events", "KEA")
    subscriber = server.client().pubsub()
    subscriber.subscribe("__keyevent@0__:workflow.deleted")
    subscriber.get_message(timeout=5)
    finish(jobs, None, "RETAIN", 0)
    message = server.wait_until(lambda: subscriber.get_message(timeout=0.1), what="the event")
    assert message["data"] == b"jobs"
    subscriber.close()


def test_it_needs_no_memory_and_no_worker(server: Server, jobs: Space) -> None:
    """A full server may always get rid of something."""
    jobs.push(single(), "RETAIN", 50)
    token = jobs.claim_one("w").token
    jobs.client.config_set("maxmemory", 1)
    jobs.complete(token)
    server.wait_until(gone(jobs, "1"), what="it to be removed")
    jobs.client.config_set("maxmemory", 0)


def test_a_large_workflow_is_removed_whole(server: Server, jobs: Space) -> None:
    wid = jobs.push(loose(5_000), "RETAIN", 0)
    other = jobs.push(single(), "RETAIN", 0)
    jobs.complete(*(claimed.token for claimed in jobs.claim("w", "COUNT", 10_000)))
    server.wait_until(gone(jobs, wid, other), what="both to be removed")
    assert sum(jobs.stats()["tasks"].values()) == 0


def test_many_are_removed_in_slices(server: Server, jobs: Space) -> None:
    for _ in range(30):
        with jobs.client.pipeline(transaction=False) as pipeline:
            for _ in range(100):
                pipeline.execute_command("WF.PUSH", "jobs", '{"tasks":[{"name":"a","type":"t"}]}', "RETAIN", 200)
            pipeline.execute()
    waiter = Queue(server).join("TYPES", 1, "later")
    jobs.complete(*(claimed.token for claimed in jobs.claim("w", "COUNT", 5_000)))
    server.wait_until(lambda: jobs.stats()["workflows"]["completed"] == 0, what="all to be removed")
    jobs.push(workflow(task("next", type="later")))
    assert waiter.names() == ["next"]


def test_a_claim_cleans_up_before_it_looks(jobs: Space) -> None:
    """What one client sends at once is carried out in one turn: no timer comes between."""
    wid = jobs.push(single(), "RETAIN", 5)
    jobs.complete(jobs.claim_one("w").token)
    with jobs.client.pipeline(transaction=False) as turn:
        turn.execute_command("DEBUG", "SLEEP", 0.03)
        turn.execute_command("WF.CLAIM", "jobs", "w")
        turn.execute_command("WF.GET", "jobs", wid)
        *_, seen = turn.execute()
    assert seen is None

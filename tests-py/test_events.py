"""What the stream of events is told, how it is set, and what is written about it."""

import json
import os
import re

import pytest
import redis

from event_stream import STREAM, TASK_FIELDS, Entry, Fresh, entries, everything, told
from history import HOUR, live
from refusals import refused
from servers import ROOT, Server
from space import Space, plain
from test_readme import BLOCK, Session, replay, written
from test_readme import plain as timeless
from waiting import now_ms
from workflows import chain, loose, single, task, workflow

# What is told


def test_a_workflow_from_push_to_completed(events: Space) -> None:
    before = now_ms()
    events.push({**chain(3), "name": "nightly"}, "ID", "order-7")
    events.work_off("w")
    pushed, completed = entries(events.client)
    assert before <= int(pushed.pop("at")) <= int(completed.pop("at")) <= now_ms()
    assert before <= int(completed.pop("pushed")) <= now_ms()
    same = {"space": "jobs", "workflow": "order-7", "name": "nightly", "tasks": "3"}
    assert pushed == {"event": "workflow.pushed", **same}
    counts = {"completed": "3", "failed": "0", "skipped": "0", "cancelled": "0"}
    assert completed == {"event": "workflow.completed", **same, **counts}


def test_the_times_are_those_of_the_workflow(events: Space) -> None:
    wid = events.push(single(), "RETAIN", HOUR)
    events.work_off("w")
    shown = events.get(wid)
    (_, completed) = entries(events.client)
    assert (int(completed["pushed"]), int(completed["at"])) == (shown["created"], shown["finished"])


def failed_task(events: Space) -> Entry:
    """The one entry about a task."""
    (entry,) = (entry for entry in entries(events.client) if entry["event"].startswith("task."))
    assert entry.keys() == TASK_FIELDS
    return entry


def test_a_task_that_has_used_up_its_attempts_is_dead(events: Space) -> None:
    events.push(single(max_attempts=2, backoff={"delay_ms": 0}))
    events.fail(events.claim_one("alice").token, "ERROR", "first")
    assert told(events.client) == ["workflow.pushed"], "it is tried again"
    events.fail(events.claim_one("bob").token, "ERROR", "no\0more")
    assert told(events.client) == ["workflow.pushed", "task.dead", "workflow.failed"]
    dead = failed_task(events)
    assert dead["attempt"] == "2" and dead["worker"] == "bob" and dead["error"] == "no\0more"
    assert (dead["task"], dead["type"], dead["cause"]) == ("only", "work", "reported")


def test_a_task_that_may_not_be_tried_again_has_failed(events: Space) -> None:
    events.push(single(max_attempts=2))
    events.fail(events.claim_one("alice").token, "NORETRY")
    assert told(events.client) == ["workflow.pushed", "task.failed", "workflow.failed"]
    assert failed_task(events)["error"] == ""


def test_a_task_of_a_failed_workflow_has_failed(events: Space) -> None:
    events.push(loose(2, max_attempts=3))
    one, two = events.claim("w", "COUNT", 2)
    events.fail(one.token, "NORETRY")
    events.fail(two.token)
    assert told(events.client) == ["workflow.pushed", "task.failed", "task.failed", "workflow.failed"]


def test_the_attempts_of_the_space_and_of_the_module(events: Space) -> None:
    events.client.config_set("workflow.default-max-attempts", 3)
    events.push(single())
    events.fail(events.claim_one("w").token, "NORETRY")
    events.configure("default-max-attempts", 1)
    events.push(single())
    events.fail(events.claim_one("w").token)
    assert [event for event in told(events.client) if event.startswith("task")] == ["task.failed", "task.dead"]


def test_a_lease_that_runs_out(server: Server, events: Space) -> None:
    events.push(single())
    events.claim_one("alice", "LEASE", 5)
    server.wait_until(lambda: told(events.client) == ["workflow.pushed", "task.expired"], what="the entry")
    lost = failed_task(events)
    assert (lost["worker"], lost["attempt"], lost["cause"], lost["error"]) == ("alice", "1", "expired", "")


def test_a_task_that_kills_its_workers(server: Server, events: Space) -> None:
    events.push(single(max_deliveries=1))
    events.claim_one("w", "LEASE", 5)
    expected = ["workflow.pushed", "task.dead", "workflow.failed"]
    server.wait_until(lambda: told(events.client) == expected, what="the entries")
    assert failed_task(events)["cause"] == "expired"


@pytest.mark.parametrize("how", ["recover", "resume"])
def test_a_task_that_is_lost_by_recovery(events: Space, how: str) -> None:
    events.push(single(max_deliveries=1))
    events.claim_one("w")
    getattr(events, how)("w")
    assert told(events.client) == ["workflow.pushed", "task.dead", "workflow.failed"]
    dead = failed_task(events)
    assert dead["cause"] == "recovered" and dead["error"].startswith("lost 1 times")


def test_what_takes_too_long(server: Server, events: Space) -> None:
    events.push(single(timeout_ms=5))
    events.claim_one("w")
    server.wait_until(lambda: len(entries(events.client)) == 3, what="the timeout")
    assert (failed_task(events)["event"], failed_task(events)["cause"]) == ("task.dead", "timeout")
    events.push(single(), "TIMEOUT", 5)
    expected = ["workflow.pushed", "workflow.failed"]
    server.wait_until(lambda: told(events.client)[3:] == expected, what="the deadline")
    assert entries(events.client)[-1]["cancelled"] == "1"


def test_a_task_that_waits_for_a_signal(server: Server, events: Space) -> None:
    wid = events.push(workflow(task("wait", signal=True)))
    events.call("SIGNAL", wid, "wait", "FAIL", "nobody came")
    assert told(events.client) == ["workflow.pushed", "task.failed", "workflow.failed"]
    failed = failed_task(events)
    assert (failed["worker"], failed["attempt"], failed["cause"], failed["error"]) == ("", "0", "signal", "nobody came")
    events.push(workflow(task("wait", signal=True, timeout_ms=5)))
    expected = ["workflow.pushed", "task.failed", "workflow.failed"] * 2
    server.wait_until(lambda: told(events.client) == expected, what="the end of patience")
    assert entries(events.client)[-2]["cause"] == "timeout"
    done = events.push(workflow(task("wait", signal=True)))
    events.call("SIGNAL", done, "wait")
    assert told(events.client)[6:] == ["workflow.pushed", "workflow.completed"]


def test_a_workflow_that_is_started_by_name(events: Space) -> None:
    events.call("DEFINE", "nightly", json.dumps({**single(), "name": "of the document"}))
    wid = plain(events.call("START", "nightly"))
    events.work_off("w")
    assert [(entry["event"], entry["workflow"], entry["name"]) for entry in entries(events.client)] == [
        ("workflow.pushed", wid, "of the document"),
        ("workflow.completed", wid, "of the document"),
    ]


def test_tasks_that_are_skipped(events: Space) -> None:
    events.push(workflow(task("a"), task("b", [{"task": "a", "on": "failure"}]), task("c", ["b"])))
    events.work_off("w")
    last = entries(events.client)[-1]
    assert (last["event"], last["completed"], last["skipped"], last["tasks"]) == ("workflow.completed", "1", "2", "3")


def test_a_workflow_that_is_called_off(events: Space) -> None:
    wid = events.push(chain(2))
    token = events.claim_one("w").token
    events.call("CANCEL", wid, "REASON", "ordered\0twice")
    assert told(events.client) == ["workflow.pushed"], "it runs down"
    events.complete(token)
    last = entries(events.client)[-1]
    assert (last["event"], last["reason"]) == ("workflow.cancelled", "ordered\0twice")
    assert (last["completed"], last["cancelled"], last["tasks"]) == ("1", "1", "2")
    events.push(single(), "ID", "x")
    events.call("CANCEL", "x")
    assert entries(events.client)[-1]["reason"] == ""


def test_a_workflow_that_ends_twice(events: Space) -> None:
    wid = events.push(single())
    events.fail(events.claim_one("w").token)
    events.retry(wid)
    events.work_off("w")
    expected = ["workflow.pushed", "task.dead", "workflow.failed", "workflow.completed"]
    assert told(events.client) == expected


def test_many_that_end_in_one_command(events: Space) -> None:
    ids = [events.push(single()) for _ in range(50)]
    tasks = events.claim("w", "COUNT", 50)
    events.complete(*(task.token for task in tasks))
    ends = [entry["workflow"] for entry in entries(events.client) if entry["event"] == "workflow.completed"]
    assert ends == ids


def test_a_workflow_that_is_removed_as_it_ends(server: Server, events: Space) -> None:
    """The sweep that ends it removes it too, before anybody could look."""
    events.configure("retain-failed-ms", 0)
    wid = events.push({**single(max_deliveries=1), "name": "short"})
    events.claim_one("w", "LEASE", 5)
    server.wait_until(lambda: len(entries(events.client)) == 3, what="the end")
    server.wait_until(lambda: events.call("GET", wid) is None, what="the removal")
    assert [(entry["event"], entry["name"]) for entry in entries(events.client)] == [
        ("workflow.pushed", "short"),
        ("task.dead", "short"),
        ("workflow.failed", "short"),
    ]


def test_any_bytes(server: Server) -> None:
    key, stream = b"\0{jobs}\xff\r\n", b"{jobs}\0\xff %s"
    space = Space(server.client(), key)
    space.configure("events", stream)
    space.push(single(), "ID", b"\0\xff")
    space.fail(b"\0\xff-0-" + space.call("CLAIM", b"w\0")[0][0][-8:], "ERROR", b"\0" * 2_000)
    found = [fields for _, fields in space.client.xrange(stream)]
    assert {fields[b"space"] for fields in found} == {key}
    assert {fields[b"workflow"] for fields in found} == {b"\0\xff"}
    assert (found[1][b"worker"], found[1][b"error"]) == (b"w\0", b"\0" * 1_024)


# Setting it


def test_set_unset_and_get(jobs: Space) -> None:
    assert jobs.settings("ev*") == {"events-maxlen": 100_000, "events": ""}
    for none in ("", "default", "DEFAULT"):
        jobs.configure("EVENTS", STREAM)
        jobs.push(single())
        assert jobs.settings("events") == {"events": STREAM.decode()}
        jobs.configure("events", none)
        jobs.push(single())
        assert jobs.settings("events") == {"events": ""}
    assert told(jobs.client) == ["workflow.pushed"] * 3
    jobs.configure("events", STREAM, "events-maxlen", 5, "retain-count", 7)
    assert jobs.settings() == {**jobs.settings(), "events": STREAM.decode(), "events-maxlen": 5, "retain-count": 7}


def test_the_slot_is_that_of_the_space(jobs: Space) -> None:
    for stream in ("events", "jobs2", "{}jobs", "{jobs", "x{job}", "{JOBS}"):
        with refused("ERR", "'jobs'", f"'{stream}'", "slot"):
            jobs.configure("retain-count", 5, "events", stream)
    assert jobs.client.exists("jobs") == 0
    for stream in ("{jobs}", "x{jobs}y{z}", "{jobs}{"):
        jobs.configure("events", stream)
    other = Space(jobs.client, "a{b}c")
    for stream in ("b", "{b}", "{b}x"):
        other.configure("events", stream)


def test_what_cannot_be_the_stream(jobs: Space) -> None:
    with refused("ERR", "events", "another key"):
        jobs.configure("events", "jobs")
    with refused("LIMIT", "events", "512"):
        jobs.configure("events", "{jobs}" + "x" * 507)
    with refused("ERR", "events", "twice"):
        jobs.configure("events", STREAM, "events", "")
    for value in (-1, 2**32, "x"):
        with refused("ERR", "events-maxlen"):
            jobs.configure("events-maxlen", value)
    jobs.configure("events", "{jobs}" + "x" * 506)


@pytest.mark.parametrize("through", ["directly", "MULTI", "Lua"])
def test_who_may_not_write_to_a_key_cannot_have_it_written_to(server: Server, through: str) -> None:
    admin = server.client()
    admin.execute_command(
        "ACL", "SETUSER", "limited", "reset", "on", "nopass", "+@all", "~jobs", "%R~{jobs}*", "~{jobs}own"
    )
    client = server.client(username="limited", password="x")
    for stream, allowed in ((STREAM, False), ("{jobs}own", True)):
        words = ["WF.CONFIG", "jobs", "SET", "events", stream]
        try:
            if through == "MULTI":
                with client.pipeline(transaction=True) as transaction:
                    transaction.execute_command(*words)
                    (reply,) = transaction.execute()
            elif through == "Lua":
                script = "return redis.call('WF.CONFIG', KEYS[1], 'SET', 'events', ARGV[1])"
                reply = client.eval(script, 1, "jobs", stream)
            else:
                reply = client.execute_command(*words)
            assert allowed and reply == b"OK"
        except redis.exceptions.NoPermissionError:
            assert not allowed
        except redis.ResponseError as error:
            assert not allowed and "NOPERM" in str(error)
    admin.execute_command("ACL", "DELUSER", "limited")


def test_the_length_is_bounded(events: Space) -> None:
    events.configure("events-maxlen", 100)
    for _ in range(500):
        events.push(single())
    assert 100 <= events.client.xlen(STREAM) < 300, "whole nodes of a hundred are trimmed"
    events.configure("events-maxlen", 0)
    for _ in range(500):
        events.push(single())
    assert events.client.xlen(STREAM) >= 600


def test_a_space_without_a_stream_touches_none(server: Server, jobs: Space) -> None:
    live(server, jobs)
    assert jobs.client.keys("*") == [b"jobs"]
    assert jobs.client.info("workflow")["workflow_events_lost"] == 0


# What is written about it

PAGE = ROOT / "docs/events.md"


def test_the_session_is_what_the_server_answers(fresh_server: Fresh) -> None:
    text = PAGE.read_text()
    session = EntrySession(fresh_server().port)
    played = [replay(block, session) for block in BLOCK.findall(text)]
    if os.environ.get("UPDATE_README"):
        fresh = iter(played)
        PAGE.write_text(BLOCK.sub(lambda _: written(next(fresh)), text))
        return
    assert len(played) == 1
    for command, shown, answered in played[0]:
        assert forms(shown) == forms(answered), command
    assert played[0][-1][2] == "(integer) 2", "both entries are acknowledged"


ENTRY = re.compile(r"\b\d{13}-\d\b")
LEASED = re.compile(r"\border-7-0-[0-9a-f]{8}\b")


def forms(answer: str) -> str:
    """An answer without what differs from run to run."""
    return timeless(LEASED.sub("<token>", ENTRY.sub("<id>", answer)))


class EntrySession(Session):
    """A session in which ids of entries and the token stand for those that the server gave."""

    ids: list[str] = []
    token = ""

    def run(self, command: str) -> tuple[str, str]:
        command = LEASED.sub(self.token, command)
        if command.startswith("XACK"):
            command = f"{command[: ENTRY.search(command).start()]}{' '.join(self.ids)}"
        command, answer = super().run(command)
        if leased := LEASED.search(answer):
            self.token = leased[0]
        self.ids = ENTRY.findall(answer) or self.ids
        return command, answer


def test_every_event_and_field_is_written_about(server: Server, events: Space) -> None:
    everything(server, events)
    page = PAGE.read_text()
    for entry in entries(events.client):
        for word in (entry["event"], *entry):
            assert f"`{word}`" in page, word
    assert set(told(events.client)) >= set(re.findall(r"`((?:workflow|task)\.[a-z]+)`", page)) - {"workflow.cancelled"}

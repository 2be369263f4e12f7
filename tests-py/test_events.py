"""The stream of events: every entry once, in one unit with the change it tells of, whoever repeats it."""

import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from blocked import Queue
from files import aof_commands, aof_files, rewrite_aof
from history import HOUR, digest, live
from refusals import refused
from servers import ROOT, Server
from space import Space, plain
from test_readme import BLOCK, Session, replay, written
from test_readme import plain as timeless
from waiting import now_ms
from workflows import chain, loose, single, task, workflow

STREAM = b"{jobs}events"
AOF = ["appendonly yes", "appendfsync always", "aof-use-rdb-preamble no"]
TASK_FIELDS = {"event", "space", "workflow", "name", "at", "task", "type", "worker", "attempt", "cause", "error"}
Fresh = Callable[..., Server]
Entry = dict[str, str]


def entries(client: redis.Redis, stream: bytes = STREAM) -> list[Entry]:
    """All entries, oldest first."""
    return [plain(fields) for _, fields in client.xrange(stream)]


def told(client: redis.Redis, stream: bytes = STREAM) -> list[str]:
    return [entry["event"] for entry in entries(client, stream)]


def tell(server: Server, key: str = "jobs", stream: bytes = STREAM) -> Space:
    """A space of this server that tells what happens."""
    space = Space(server.client(), key)
    space.configure("events", stream)
    return space


@pytest.fixture
def events(server: Server) -> Space:
    return tell(server)


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
    admin.execute_command("ACL", "SETUSER", "limited", "reset", "on", "nopass", "+@all", "~jobs", "%R~{jobs}*", "~{jobs}own")
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


# Exactly once


def units(server: Server) -> list[list[list[bytes]]]:
    """What the AOF holds, each transaction as one, without SELECT."""
    found: list[list[list[bytes]]] = []
    inside = False
    for command in aof_commands(server):
        name = command[0].upper()
        if name == b"MULTI":
            inside = True
            found.append([])
        elif name == b"EXEC":
            inside = False
        elif name != b"SELECT":
            if inside:
                found[-1].append(command)
            else:
                found.append([command])
    return found


def check_units(server: Server) -> None:
    """Each XADD of the AOF is behind the WF.APPLY it belongs to, in one transaction, with its own id."""
    appended = 0
    for unit in units(server):
        for place, command in enumerate(unit):
            if command[0].upper() == b"XADD":
                appended += 1
                assert command[1] == STREAM
                ids = [part for part in command[2:6] if part.count(b"-") == 1 and part[0] in b"0123456789"]
                assert len(ids) == 1 and b"*" not in command, command
                before = [other for other in unit[:place] if other[0].upper() == b"WF.APPLY"]
                assert before, f"an entry without its change: {unit}"
    assert appended == len(entries(server.client()))


def everything(server: Server, jobs: Space) -> None:
    """Entries from commands, timers, waiting clients, MULTI and Lua."""
    live(server, jobs)
    before = len(told(jobs.client))
    with jobs.client.pipeline(transaction=True) as transaction:
        for _ in range(2):
            transaction.execute_command("WF.PUSH", jobs.key, json.dumps(single(type="multi")))
        transaction.execute()
    script = """
        local tasks = redis.call('WF.CLAIM', KEYS[1], 'lua', 'TYPES', 1, 'multi', 'COUNT', 9)
        for _, task in ipairs(tasks) do redis.call('WF.COMPLETE', KEYS[1], task[1]) end
        return #tasks
    """
    assert jobs.client.eval(script, 1, jobs.key) == 2
    assert told(jobs.client)[before:] == ["workflow.pushed"] * 2 + ["workflow.completed"] * 2


def test_the_aof_holds_change_and_entry_as_one(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    jobs = tell(server)
    everything(server, jobs)
    check_units(server)
    before, state, stream = digest(jobs.client), jobs.stats()["workflows"], jobs.client.xrange(STREAM)
    for reload in (["RELOAD"], ["LOADAOF"]):
        server.client().execute_command("DEBUG", *reload)
        assert server.client().xrange(STREAM) == stream
    server.restart(hard=True)
    jobs = Space(server.client(), "jobs")
    assert (digest(jobs.client), jobs.stats()["workflows"]) == (before, state)
    assert jobs.client.xrange(STREAM) == stream
    rewrite_aof(server)
    server.restart(hard=True)
    assert server.client().xrange(STREAM) == stream
    tell_on = Space(server.client(), "jobs")
    tell_on.push(single())
    assert len(tell_on.client.xrange(STREAM)) == len(stream) + 1


def test_a_torn_aof_has_both_or_neither(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    jobs = tell(server)
    jobs.push(single(), "ID", "whole")
    server.kill9()
    (path,) = aof_files(server, "incr")
    whole = path.stat().st_size
    server.start()
    jobs = Space(server.client(), "jobs")
    jobs.push(single(), "ID", "torn")
    server.kill9()
    data = path.read_bytes()
    tail = data[whole:]
    cuts = {whole + place for place in (1, tail.index(b"WF.APPLY"), tail.index(b"XADD"), tail.rindex(b"EXEC"))}
    cuts |= {len(data) - 1, whole + tail.index(b"XADD") - 8, whole + len(tail) * 3 // 4}
    for cut in sorted(cuts):
        path.write_bytes(data[:cut])
        server.start()
        client = server.client()
        assert client.execute_command("WF.GET", "jobs", "torn") is None
        assert [entry["workflow"] for entry in entries(client)] == ["whole"]
        server.kill9()
    path.write_bytes(data)
    server.start()
    assert [entry["workflow"] for entry in entries(server.client())] == ["whole", "torn"]


def whole_digest(server: Server) -> Any:
    return server.client().execute_command("DEBUG", "DIGEST")


def test_replicas_have_every_entry_once_and_go_on(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server(*AOF, replica_of=primary)
    second = fresh_server(replica_of=replica)
    jobs = tell(primary)
    everything(primary, jobs)
    for server in (replica, second):
        server.wait_in_sync(primary)
        assert server.client().xrange(STREAM) == jobs.client.xrange(STREAM)
        assert whole_digest(server) == whole_digest(primary)
        assert server.client().info("workflow")["workflow_events_appended"] == 0
    check_units(replica)
    before = len(told(jobs.client))
    primary.kill9()
    replica.promote()
    jobs = Space(replica.client(), "jobs")
    assert jobs.settings("events") == {"events": STREAM.decode()}
    jobs.push(single())
    second.wait_in_sync(replica)
    assert told(second.client())[before:] == ["workflow.pushed"]
    assert whole_digest(second) == whole_digest(replica)


def test_a_replica_that_can_be_written_to_tells_nothing(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server("replica-read-only no", replica_of=primary)
    tell(primary)
    replica.wait_in_sync(primary)
    Space(replica.client(), "jobs").push(single())
    assert replica.client().exists(STREAM) == 0


def test_a_waiting_client_in_the_unit_of_the_push(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    jobs = tell(server)
    queue = Queue(server)
    waiter = queue.join()
    jobs.push(single(), "ID", "a")
    assert waiter.names() == ["only"]
    (unit,) = [unit for unit in units(server) if any(b"push" in command for command in unit)]
    assert [command[0].upper() for command in unit] == [b"WF.APPLY", b"XADD", b"WF.APPLY"]
    later = queue.join()
    short = jobs.push(single(max_deliveries=2), "ID", "b")
    (held,) = later.tasks()
    last = queue.join()
    jobs.extend(5, held.token)
    assert last.tasks()[0].workflow == short, "the lease ran out and the waiting client has it"
    assert told(jobs.client) == ["workflow.pushed", "workflow.pushed", "task.expired"]
    check_units(server)


def test_who_reads_is_woken_by_a_timer(server: Server, events: Space) -> None:
    events.push(single())
    last = events.client.xrevrange(STREAM, count=1)[0][0]
    reader = server.client()
    events.claim_one("w", "LEASE", 30)
    ((_, ((_, fields),)),) = normal(reader.xread({STREAM: last}, block=10_000))
    assert fields[b"event"] == b"task.expired"


def normal(reply: Any) -> list[Any]:
    """XREAD's reply in the shape of RESP2."""
    if isinstance(reply, dict):
        return [(stream, found[0] if found and isinstance(found[0], list) else found) for stream, found in reply.items()]
    return reply


def test_a_client_pause_only_puts_it_off(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    replica = fresh_server(replica_of=server)
    jobs = tell(server)
    jobs.push(single())
    looker = server.client()
    # Long enough that the pause is there first, however busy the machine.
    ends = jobs.claim_one("w", "LEASE", 1_000).deadline
    looker.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    server.wait_until(lambda: now_ms() > ends + 150, what="the lease to end")
    assert told(looker) == ["workflow.pushed"]
    looker.execute_command("CLIENT", "UNPAUSE")
    server.wait_until(lambda: told(looker) == ["workflow.pushed", "task.expired"], what="the entry")
    replica.wait_in_sync(server)
    assert whole_digest(replica) == whole_digest(server)
    check_units(server)


# When it cannot be told


def test_finishing_work_is_not_refused_when_memory_is_full(server: Server, events: Space) -> None:
    events.push(single())
    token = events.claim_one("w").token
    events.client.config_set("maxmemory", 1)
    try:
        with refused("OOM"):
            events.push(single())
        assert events.complete(token, "RESULT", "done") == [1]
    finally:
        events.client.config_set("maxmemory", 0)
    assert told(events.client) == ["workflow.pushed", "workflow.completed"]


def lost(space: Space) -> tuple[int, int]:
    return space.stats()["events_lost"], space.client.info("workflow")["workflow_events_lost"]


def test_a_key_of_another_type(fresh_server: Fresh) -> None:
    server = fresh_server()
    jobs = tell(server)
    jobs.client.set(STREAM, "a text")
    for _ in range(5):
        jobs.push(single())
    assert jobs.complete(*(task.token for task in jobs.claim("w", "COUNT", 5))) == [1] * 5
    assert lost(jobs) == (10, 10)
    lines = [line for line in server.log().splitlines() if "events of the space 'jobs' are lost" in line]
    assert len(lines) == 1 and "WRONGTYPE" in lines[0] and "{jobs}events" in lines[0]
    assert jobs.client.get(STREAM) == b"a text"
    jobs.client.delete(STREAM)
    jobs.push(single())
    assert (told(jobs.client), lost(jobs)) == (["workflow.pushed"], (10, 10))
    info = jobs.client.info("workflow")
    assert info["workflow_events_appended"] == 1
    jobs.client.copy("jobs", "copy")
    assert Space(jobs.client, "copy").stats()["events_lost"] == 0
    before = digest(jobs.client)
    jobs.client.execute_command("DEBUG", "RELOAD")
    assert (jobs.stats()["events_lost"], digest(jobs.client)) == (0, before), "it is no part of the state"


def test_a_stream_that_has_no_id_left(events: Space) -> None:
    events.client.xadd(STREAM, {"a": "b"}, id="18446744073709551615-18446744073709551615")
    wid = events.push(single())
    events.work_off("w")
    assert events.state(wid) == "completed"
    assert events.stats()["events_lost"] == 2


# The space moves


def test_the_stream_belongs_to_the_state(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    jobs = tell(server)
    without = Space(jobs.client, "{jobs}without")
    without.push(single())
    assert digest(jobs.client) != digest(jobs.client, "{jobs}without")
    before = digest(jobs.client)
    jobs.configure("events", STREAM)
    assert digest(jobs.client) == before
    jobs.configure("events", "{jobs}other")
    assert digest(jobs.client) != before
    jobs.configure("events", STREAM)
    assert digest(jobs.client) == before
    small = jobs.client.memory_usage("jobs")
    jobs.configure("events", "{jobs}" + "x" * 500)
    assert jobs.client.memory_usage("jobs") >= small + 480
    jobs.configure("events", STREAM)
    jobs.client.restore("{jobs}restored", 0, jobs.client.dump("jobs"))
    jobs.client.copy("jobs", "{jobs}copy")
    for preamble in ("no", "yes"):
        jobs.client.config_set("aof-use-rdb-preamble", preamble)
        rewrite_aof(server)
        server.restart(hard=True)
        jobs = Space(server.client(), "jobs")
        for key in ("jobs", "{jobs}restored", "{jobs}copy"):
            assert Space(jobs.client, key).settings("events") == {"events": STREAM.decode()}
    for key in ("{jobs}copy", "{jobs}restored"):
        Space(jobs.client, key).push(single())
    assert [entry["space"] for entry in entries(jobs.client)] == ["{jobs}copy", "{jobs}restored"]


def test_a_space_under_another_name(events: Space) -> None:
    """Without a cluster a stream can be anywhere; only WF.CONFIG insists on one slot."""
    events.client.rename("jobs", "elsewhere")
    moved = Space(events.client, "elsewhere")
    moved.push(single())
    assert [entry["space"] for entry in entries(events.client)] == ["elsewhere"]
    with refused("ERR", "slot"):
        moved.configure("events", STREAM)
    moved.client.rename("elsewhere", STREAM)
    in_the_way = Space(events.client, STREAM)
    in_the_way.push(single())
    assert in_the_way.stats()["events_lost"] == 1


@pytest.fixture
def node(fresh_server: Fresh) -> Iterator[Server]:
    server = fresh_server("cluster-enabled yes", *AOF)
    server.client(resp=2).execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
    server.wait_until(lambda: "cluster_state:ok" in str(server.client(resp=2).execute_command("CLUSTER", "INFO")), 30)
    yield server


def test_a_cluster(node: Server) -> None:
    jobs = tell(node)
    jobs.push(single())
    jobs.claim_one("w", "LEASE", 5)
    node.wait_until(lambda: told(jobs.client) == ["workflow.pushed", "task.expired"], what="the entries")
    assert jobs.work_off("w") == ["only"]
    assert told(jobs.client)[2:] == ["workflow.completed"]
    check_units(node)
    jobs.client.restore("elsewhere", 0, jobs.client.dump("jobs"))
    moved = Space(jobs.client, "elsewhere")
    moved.push(single())
    assert (moved.stats()["events_lost"], len(told(jobs.client))) == (1, 3)
    assert "in another slot" in node.log()
    moved.configure("events", "{elsewhere}events")
    moved.push(single())
    assert told(jobs.client, b"{elsewhere}events") == ["workflow.pushed"]


def test_a_space_under_another_name_of_its_slot(node: Server) -> None:
    jobs = tell(node)
    jobs.push(workflow(task("a")))
    token = jobs.claim_one("w").token
    jobs.client.rename("jobs", "{jobs}2")
    assert Space(jobs.client, "{jobs}2").complete(token) == [1]
    assert told(jobs.client) == ["workflow.pushed", "workflow.completed"]


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

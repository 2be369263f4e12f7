"""WF.DEFINE, WF.START, WF.UNDEFINE, WF.DEFINITIONS: workflows that are started by name."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from blocked import Queue
from files import aof_commands, rewrite_aof
from history import BINARY, HOUR, digest
from refusals import refused
from servers import Server
from space import Space, plain
from waiting import now_ms
from workflows import Document, chain, diamond, fan, join, loose, real_workflows, sample_text, single, task, workflow

FIELDS = ["name", "version", "workflow", "tasks", "bytes", "defined", "started", "last_started"]
MOST = 10_000


def one(space: Space, name: str) -> dict[str, Any]:
    """What WF.DEFINITIONS says of a definition, which must be there."""
    (found,) = [each for each in space.definitions() if each["name"] == name]
    return found


def timeless(space: Space, workflow: str) -> dict[str, Any]:
    """WF.GET with TASKS, times counted from the push."""
    shown = space.get(workflow, "TASKS")
    created = shown["created"]
    for holder in (shown, *shown["tasks"]):
        for field in ("created", "finished", "deadline", "expires", "ready", "due", "started"):
            if holder.get(field) is not None:
                holder[field] -= created
    return shown


# A start is a push


EVERYTHING = workflow(
    task("root", payload={"deep": [1, {"er": None}]}, priority=1, delay_ms=HOUR, lease_ms=5),
    task("mid", ["root"], payload="text \n\u00e4", max_attempts=4, backoff={"kind": "linear", "delay_ms": 7, "jitter": 0.5}),
    task("last", ["root", "mid"], type="other", timeout_ms=50, max_deliveries=2, delay_ms=9),
    priority=42,
    timeout_ms=9 * HOUR,
    defaults={"max_attempts": 2},
)
DOCUMENTS: dict[str, Document | str] = {
    "one task": single(),
    "without a name": {"tasks": [{"name": "a"}]},
    "everything": EVERYTHING,
    "a chain": chain(10, payload="1234567"),
    "a diamond": diamond(),
    "a wide join": join(300),
    "a fan of more than a block": fan(40),
    "long payloads": loose(20, payload="p" * 200),
    "the ancestor's": sample_text(),
    "a flow": workflow(
        task("a", on_failure="continue"),
        {"name": "b", "type": "work", "parents": [{"task": "a", "on": "failure"}]},
        {"name": "c", "type": "work", "parents": [{"task": "a", "on": "always"}, "b"]},
        fail_fast=False,
    ),
}
OPTIONS: dict[str, list[Any]] = {
    "nothing": [],
    "id": ["ID", "own"],
    "input": ["INPUT", BINARY],
    "empty input": ["INPUT", ""],
    "priority": ["PRIORITY", 3],
    "paused": ["PAUSED"],
    "delay": ["DELAY", HOUR],
    "delay and paused": ["DELAY", HOUR, "PAUSED"],
    "a time that has passed": ["AT", 1],
    "timeout": ["TIMEOUT", 5 * HOUR],
    "retain": ["RETAIN", HOUR],
    "all": ["ID", "own", "NX", "INPUT", "i", "PRIORITY", 3, "DELAY", HOUR, "TIMEOUT", HOUR, "RETAIN", 5],
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_started_is_what_would_have_been_pushed(jobs: Space, document: str, options: str) -> None:
    other = Space(jobs.client, "other")
    other.push(DOCUMENTS[document], "ID", "before")
    jobs.define("d", DOCUMENTS[document])
    jobs.start("d", "ID", "before")
    pushed = other.push(DOCUMENTS[document], *OPTIONS[options])
    assert jobs.start("d", *OPTIONS[options]) == pushed
    assert timeless(jobs, pushed) == timeless(other, pushed)
    for space in (jobs, other):
        space.release("ID", pushed)
        space.delete("before")

    def worked_off(space: Space) -> list[Any]:
        done = []
        while tasks := space.claim("w", "COUNT", 100, "LEASE", HOUR, "WITHRESULTS"):
            done += [(t.workflow, t.name, t.type, t.attempt, t.payload, t.input, t.results) for t in tasks]
            space.complete(*(t.token for t in tasks))
        return done

    assert worked_off(jobs) == worked_off(other)
    assert timeless(jobs, pushed)["counts"] == timeless(other, pushed)["counts"]


def test_real_workflows(jobs: Space) -> None:
    for place, document in enumerate(real_workflows()):
        jobs.define(f"real {place}", document)
        wid = jobs.start(f"real {place}")
        assert len(jobs.tasks(wid)) == len(document["tasks"])
        assert len(jobs.work_off("w", "TYPES", 1, document["tasks"][0].get("type", ""))) >= 0
        jobs.delete(wid)
    assert [d["started"] for d in jobs.definitions()] == [1] * len(real_workflows())


def test_ids_are_those_of_pushes(jobs: Space) -> None:
    jobs.define("d", single())
    assert [jobs.start("d"), jobs.push(single()), jobs.start("d")] == ["1", "2", "3"]
    jobs.start("d", "ID", "9")
    assert jobs.start("d") == "10"
    with refused("EXISTS", "9"):
        jobs.start("d", "ID", "9")
    assert jobs.call("START", "d", "ID", "9", "NX") is None
    assert one(jobs, "d")["started"] == 4, "what was not started is not counted"


def test_a_start_wakes_who_waits(server: Server, jobs: Space) -> None:
    jobs.define("d", chain(2))
    queue = Queue(server, "jobs")
    waiter = queue.join()
    jobs.start("d")
    assert waiter.names() == ["t0"]


# Versions


def test_a_new_version_is_for_new_starts(jobs: Space) -> None:
    assert jobs.define("d", chain(2, payload="old")) == 1
    old = jobs.start("d")
    assert jobs.define("d", chain(3, payload="new")) == 2
    assert jobs.define("d", chain(3, payload="newer")) == 3
    new = jobs.start("d")
    assert (len(jobs.tasks(old)), len(jobs.tasks(new))) == (2, 3)
    assert [t.payload for t in jobs.claim("w", "COUNT", 2)] == [b"old", b"newer"]
    found = one(jobs, "d")
    assert (found["version"], found["tasks"], found["started"]) == (3, 3, 1)


def test_each_name_has_its_versions(jobs: Space) -> None:
    assert [jobs.define(name, single()) for name in ("a", "b", "a", "A", BINARY, BINARY)] == [1, 1, 2, 1, 1, 2]
    assert jobs.undefine("a") == 1
    assert jobs.define("a", single()) == 1


def test_what_runs_goes_on_without_its_definition(jobs: Space) -> None:
    jobs.define("d", chain(3))
    wid = jobs.start("d")
    jobs.complete(jobs.claim_one("w").token)
    assert jobs.undefine("d", "d", "nobody") == 1
    assert jobs.definitions() == []
    with refused("UNDEFINED", "'d'"):
        jobs.start("d")
    assert jobs.work_off("w") == ["t1", "t2"]
    assert jobs.state(wid) == "completed"
    assert jobs.client.exists("jobs") == 1


def test_a_definition_outlives_its_workflows(jobs: Space) -> None:
    """Nothing but the definition holds on to the shape."""
    jobs.define("d", diamond())
    for _ in range(3):
        wid = jobs.start("d")
        assert len(jobs.work_off("w")) == 4
        jobs.delete(wid)
    jobs.client.execute_command("DEBUG", "RELOAD")
    jobs.push(fan(3))
    jobs.start("d", "ID", "again")
    assert jobs.states("again").keys() == {"top", "left", "right", "bottom"}


def test_a_shape_that_workflows_share_with_definitions(jobs: Space) -> None:
    """Names are the only thing in which two of one shape differ."""
    jobs.push({**chain(2), "name": "pushed"})
    jobs.define("a", {**chain(2), "name": "started"})
    jobs.define("b", chain(2) | {"name": ""})
    names = [jobs.get(jobs.start(name))["name"] for name in ("a", "b")]
    assert names == ["started", None]
    assert [d["workflow"] for d in jobs.definitions()] == ["started", None]


# WF.DEFINITIONS


def test_what_is_listed(server: Server, jobs: Space) -> None:
    before = now_ms()
    jobs.define("b", {**chain(4), "name": "four"})
    jobs.define("a", single())
    jobs.start("a")
    jobs.start("a", "PAUSED")
    listed = server.client(3).execute_command("WF.DEFINITIONS", "jobs")
    flat = server.client(2).execute_command("WF.DEFINITIONS", "jobs")
    assert [list(plain(each)) for each in listed] == [FIELDS, FIELDS]
    assert [dict(zip(each[::2], each[1::2], strict=True)) for each in flat] == listed
    a, b = jobs.definitions()
    assert (a["name"], a["version"], a["tasks"], a["started"]) == ("a", 1, 1, 2)
    assert (b["name"], b["workflow"], b["tasks"], b["started"], b["last_started"]) == ("b", "four", 4, 0, None)
    assert before <= b["defined"] <= a["defined"] <= a["last_started"] <= now_ms()
    assert 100 < a["bytes"] < b["bytes"] < 2_000


def test_patterns(jobs: Space) -> None:
    for name in ("nightly", "Nightly", "weekly", BINARY):
        jobs.define(name, single())

    def names(pattern: str | bytes) -> list[bytes]:
        return [each[b"name"] for each in jobs.call("DEFINITIONS", "PATTERN", pattern)]

    assert names("*") == [BINARY, b"Nightly", b"nightly", b"weekly"]
    assert names("n*") == [b"nightly"]
    assert names("[Nn]ightl?") == [b"Nightly", b"nightly"]
    assert names(b"\x00*") == [BINARY]
    assert names("") == names("night") == []


def test_a_missing_key(jobs: Space) -> None:
    assert jobs.definitions() == []
    assert jobs.undefine("d") == 0
    with refused("UNDEFINED", "'d'"):
        jobs.start("d")
    with refused("INVALID"):
        jobs.define("d", "{}")
    assert jobs.client.exists("jobs") == 0
    jobs.define("d", single())
    assert jobs.client.type("jobs") == b"workflows"


def test_stats_and_info(jobs: Space) -> None:
    def counted() -> tuple[int, int]:
        return jobs.stats()["definitions"], int(jobs.client.info("workflow")["workflow_definitions"])

    jobs.push(single())
    assert counted() == (0, 0)
    jobs.define("a", single(type="new"))
    jobs.define("b", single())
    jobs.define("b", single())
    assert counted() == (2, 2)
    assert jobs.stats()["types"]["new"]["ready"] == 0, "the types are known from then on"
    jobs.undefine("a")
    assert counted() == (1, 1)
    jobs.client.delete("jobs")
    assert int(jobs.client.info("workflow")["workflow_definitions"]) == 0


# Errors

BAD_DOCUMENTS = [
    "",
    "{",
    "[]",
    "{}",
    '{"tasks":[]}',
    '{"tasks":[{"name":""}]}',
    '{"tasks":[{"name":"a"},{"name":"a"}]}',
    '{"tasks":[{"name":"a","parents":["b"]}]}',
    '{"tasks":[{"name":"a","parents":["b"]},{"name":"b","parents":["a"]}]}',
    '{"tasks":[{"name":"a","colour":1}]}',
    '{"tasks":[{"name":"a","max_attempts":0}]}',
    '{"tasks":[{"name":"a","payload":"' + "p" * (1 << 20) + 'x"}]}',
    '{"name":"' + "n" * 513 + '","tasks":[{"name":"a"}]}',
    b'{"tasks":[{"name":"\xff"}]}',
]


@pytest.mark.parametrize("document", BAD_DOCUMENTS, ids=range(len(BAD_DOCUMENTS)))
def test_the_errors_are_those_of_a_push(jobs: Space, document: str | bytes) -> None:
    jobs.define("d", single())
    before = digest(jobs.client)
    said = []
    for command in (["PUSH", document], ["DEFINE", "d", document]):
        with pytest.raises(redis.ResponseError) as caught:
            jobs.call(*command)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert digest(jobs.client) == before


def test_limits(jobs: Space) -> None:
    assert jobs.define("n" * 512, single()) == 1
    with refused("LIMIT", "name", "512"):
        jobs.define("n" * 513, single())
    with refused("UNDEFINED", "nnnn"):
        jobs.start("n" * 100_000)
    with refused("LIMIT", "INPUT"):
        jobs.start("n" * 512, "INPUT", "i" * ((1 << 20) + 1))
    jobs.client.config_set("workflow.max-types", 1)
    with refused("LIMIT", "max-types"):
        jobs.define("d", single(type="another"))
    assert [len(d["name"]) for d in jobs.definitions()] == [512]


def test_there_are_at_most_so_many(jobs: Space) -> None:
    body = json.dumps(single())
    with jobs.client.pipeline(transaction=False) as pipeline:
        for number in range(MOST):
            pipeline.execute_command("WF.DEFINE", "jobs", f"d{number}", body)
        assert set(pipeline.execute()) == {1}
    with refused("LIMIT", str(MOST)):
        jobs.define("one more", single())
    assert jobs.define("d7", single()) == 2, "no more than before"
    jobs.undefine("d8")
    assert jobs.define("one more", single()) == 1
    assert jobs.stats()["definitions"] == MOST
    before = digest(jobs.client)
    jobs.client.execute_command("DEBUG", "RELOAD")
    assert digest(jobs.client) == before


def test_what_was_defined_under_wider_limits_starts(jobs: Space) -> None:
    jobs.define("d", chain(3, payload="long enough"))
    for limit in ("max-tasks", "max-payload-bytes"):
        jobs.client.config_set(f"workflow.{limit}", 1)
    jobs.start("d")
    assert len(jobs.work_off("w")) == 3


# Files and replicas


def test_an_effect_has_no_document(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("appendonly yes", "appendfsync always")
    jobs = Space(server.client(), "jobs")
    jobs.define("nightly", chain(3, payload="secret"))
    jobs.start("nightly", "INPUT", "i")
    jobs.start("nightly", "DELAY", HOUR)
    jobs.undefine("nightly", "never")
    effects = [command[2:] for command in aof_commands(server) if command[0] == b"WF.APPLY"]
    kinds = [effect[0] for effect in effects]
    assert kinds == [b"define", b"start", b"start", b"undefine"]
    assert [effect[1] for effect in effects] == [b"nightly"] * 4
    for start in effects[1:3]:
        assert sum(len(part) for part in start) < 80
        assert b"secret" not in b"".join(start)


def check(jobs: Space, known: list[dict[str, Any]]) -> None:
    assert jobs.definitions() == known
    assert jobs.define("nightly", chain(2, payload="after")) == 3
    wid = jobs.start("nightly", "PRIORITY", 0)
    assert jobs.claim_one("w", "LEASE", HOUR).payload == b"after"
    assert (one(jobs, "nightly")["started"], len(jobs.tasks(wid))) == (1, 2)
    jobs.start("wait")


def defined(jobs: Space) -> list[dict[str, Any]]:
    jobs.define("nightly", single())
    jobs.start("nightly")
    jobs.define("nightly", {**chain(3, payload="p"), "priority": 5, "timeout_ms": 9 * HOUR})
    jobs.start("nightly", "INPUT", BINARY)
    jobs.define("wait", single(delay_ms=HOUR))
    jobs.start("wait", "PAUSED")
    jobs.define(BINARY, loose(3))
    jobs.define("gone", loose(4))
    jobs.start("gone")
    jobs.undefine("gone")
    return jobs.definitions()


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("rewritten", [False, True], ids=["effects", "rewritten"])
def test_restart_from_the_aof(fresh_server: Callable[..., Server], preamble: str, rewritten: bool) -> None:
    server = fresh_server("appendonly yes", "appendfsync always", f"aof-use-rdb-preamble {preamble}")
    jobs = Space(server.client(), "jobs")
    known = defined(jobs)
    before = digest(jobs.client)
    if rewritten:
        rewrite_aof(server)
    server.restart(hard=True)
    jobs = Space(server.client(), "jobs")
    assert digest(jobs.client) == before
    check(jobs, known)


def test_restart_from_the_rdb_file(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server()
    jobs = Space(server.client(), "jobs")
    known = defined(jobs)
    before = digest(jobs.client)
    jobs.client.save()
    server.restart()
    jobs = Space(server.client(), "jobs")
    assert digest(jobs.client) == before
    check(jobs, known)


def test_replicas_and_promotion(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server()
    followed = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    known = defined(jobs)
    late = fresh_server(replica_of=primary)
    jobs.start("wait")
    known = jobs.definitions()
    for replica in (followed, late):
        replica.wait_in_sync(primary)
        copy = Space(replica.client(), "jobs")
        assert copy.definitions() == known
        assert digest(copy.client) == digest(jobs.client)
    followed.promote()
    check(Space(followed.client(), "jobs"), known)


def test_copies_and_dumps(jobs: Space) -> None:
    known = defined(jobs)
    payload = jobs.client.dump("jobs")
    jobs.client.restore("restored", 0, payload)
    jobs.client.execute_command("COPY", "jobs", "copy")
    jobs.client.rename("jobs", "renamed")
    for key in ("restored", "copy", "renamed"):
        check(Space(jobs.client, key), known)


# In transactions and scripts


def test_in_a_transaction(server: Server, resp: int) -> None:
    client = server.client(resp)
    with client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.DEFINE", "k", "d", json.dumps(single()))
        transaction.execute_command("WF.START", "k", "d")
        transaction.execute_command("WF.START", "k", "nobody")
        transaction.execute_command("WF.DEFINE", "k", "d", json.dumps(chain(2)))
        transaction.execute_command("WF.START", "k", "d", "ID", "own")
        transaction.execute_command("WF.UNDEFINE", "k", "d")
        first, wid, error, second, own, gone = transaction.execute(raise_on_error=False)
    assert (first, wid, second, own, gone) == (1, b"1", 2, b"own", 1)
    assert str(error).startswith("UNDEFINED")


def test_define_when_it_is_missing_from_lua(jobs: Space) -> None:
    script = """
        local started = redis.pcall('WF.START', KEYS[1], ARGV[1])
        if type(started) == 'table' and started.err and started.err:find('^UNDEFINED') then
            redis.call('WF.DEFINE', KEYS[1], ARGV[1], ARGV[2])
            started = redis.call('WF.START', KEYS[1], ARGV[1])
        end
        return started
    """
    for expected in (b"1", b"2"):
        assert jobs.client.eval(script, 1, "jobs", "d", json.dumps(single())) == expected
    assert one(jobs, "d")["version"] == 1


# Memory


def test_a_started_workflow_costs_what_a_pushed_one_does(jobs: Space) -> None:
    started, pushed = Space(jobs.client, "started"), Space(jobs.client, "pushed")
    document = chain(10, payload="1234567")
    started.define("d", document)
    # The first documents of a shape also leave how they were spelled.
    for _ in range(3):
        pushed.push(document)
        started.start("d")
    before = [space.client.memory_usage(space.key) for space in (started, pushed)]
    for _ in range(1_000):
        started.start("d", "INPUT", "i")
        pushed.push(document, "INPUT", "i")
    after = [space.client.memory_usage(space.key) for space in (started, pushed)]
    # Moments take a byte more or less, as the clock will have it.
    assert abs((after[0] - before[0]) - (after[1] - before[1])) < 500


def test_definitions_are_counted_and_come_back(jobs: Space) -> None:
    jobs.push(single())
    empty = jobs.client.memory_usage("jobs")
    jobs.define("d", loose(100, payload="p" * 1_000))
    full = jobs.client.memory_usage("jobs")
    assert 100_000 < full - empty < 130_000
    assert abs(one(jobs, "d")["bytes"] - (full - empty)) < 2_000
    jobs.define("d", single())
    jobs.undefine("d")
    assert jobs.client.memory_usage("jobs") - empty < 300

"""DEBUG DIGEST-VALUE covers the whole state of a space, and every copy of a space has the same.

Three kinds of tests: all ways to a copy end in an equal digest; every kind of change changes it;
and of two spaces that differ in nothing but one detail the digests differ.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from files import rewrite_aof
from history import BINARY, HOUR, digest, live, raw
from servers import Server
from space import Space, Task
from waiting import eventually
from workflows import chain, loose, single, task, workflow

# Equal


def test_on_a_replica_that_followed_and_one_that_came_late(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server()
    followed = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    for _ in range(2):
        live(primary, jobs)
        followed.wait_in_sync(primary)
        assert digest(followed.client()) == digest(jobs.client)
    late = fresh_server(replica_of=primary)
    live(primary, jobs)
    for replica in (followed, late):
        replica.wait_in_sync(primary)
        assert digest(replica.client()) == digest(jobs.client)
    copies = [server.client().execute_command("DEBUG", "DIGEST") for server in (primary, followed, late)]
    assert len(set(copies)) == 1


def test_after_debug_reload_and_restore_of_dump(server: Server, jobs: Space) -> None:
    for _ in range(2):
        live(server, jobs)
        before = digest(jobs.client)
        jobs.client.execute_command("DEBUG", "RELOAD")
        assert digest(jobs.client) == before
        jobs.client.restore("copy", 0, jobs.client.dump("jobs"), replace=True)
        assert digest(jobs.client, "copy") == before
        jobs.client.rename("copy", "moved")
        assert digest(jobs.client, "moved") == before
        jobs.client.restore("again", 0, jobs.client.dump("moved"), replace=True)
        assert digest(jobs.client, "again") == before


def test_after_aof_reload_and_rewrites(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("appendonly yes", "appendfsync always")
    for preamble in ("no", "yes"):
        server.client().config_set("aof-use-rdb-preamble", preamble)
        jobs = Space(server.client(), "jobs")
        live(server, jobs)
        before = digest(jobs.client)
        jobs.client.execute_command("DEBUG", "LOADAOF")
        assert digest(jobs.client) == before, "after DEBUG LOADAOF"
        server.restart(hard=True)
        assert digest(server.client()) == before, "after a restart on the AOF"
        rewrite_aof(server)
        server.restart(hard=True)
        assert digest(server.client()) == before, f"after a rewrite with preamble {preamble}"


def test_what_a_reloaded_space_goes_on_to_do_is_the_same(fresh_server: Callable[..., Server]) -> None:
    """What is worked out on loading (queues, counters, leases) must be as it was: so both go on
    alike under the same commands, one of them with a reload in front of each."""
    plain, reloaded = fresh_server(), fresh_server()
    jobs = Space(plain.client(), "jobs")
    live(plain, jobs)
    other = Space(reloaded.client(), "jobs")
    other.client.restore("jobs", 0, jobs.client.dump("jobs"))
    for step in range(25):
        other.client.execute_command("DEBUG", "RELOAD")
        one, two = (space.claim("w", "COUNT", 3, "LEASE", HOUR, "WITHRESULTS") for space in (jobs, other))
        assert [described(task) for task in one] == [described(task) for task in two], f"step {step}"
        for space, tasks in ((jobs, one), (other, two)):
            if tasks and step % 5 == 4:
                space.fail(raw(tasks)[0])
            if tasks:
                space.complete(*raw(tasks))
        if step % 7 == 3:
            assert jobs.release("ALL") == other.release("ALL")
            assert jobs.release("TYPE", "slow") == other.release("TYPE", "slow")
    assert jobs.stats()["tasks"] == other.stats()["tasks"]


def described(task: Task) -> tuple[Any, ...]:
    return task.workflow, task.name, task.type, task.attempt, task.payload, task.input, task.results


# Different

DOCUMENT = workflow(task("a", priority=9), task("b"), task("child", ["a"]), task("c"))


class Life:
    """A space in the middle of its life, and hands on what is in it."""

    def __init__(self, server: Server, jobs: Space):
        self.server, self.jobs = server, jobs
        jobs.push(DOCUMENT, "ID", "w")
        jobs.push(single(type="x"), "ID", "other")
        jobs.push(chain(2, type="y"), "ID", "paused", "PAUSED")
        jobs.pause("TYPE", "z")
        jobs.define("weekly", DOCUMENT)
        self.a = jobs.claim_one("me", "LEASE", HOUR).token
        self.b = jobs.claim_one("me", "LEASE", HOUR).token

    def expire(self) -> None:
        self.jobs.extend(1, self.a)
        self.server.wait_until(lambda: self.jobs.states("w")["a"] == "ready", what="the lease to run out")

    def all_paused(self) -> None:
        self.jobs.pause("ALL")


CHANGES: dict[str, Callable[[Life], Any]] = {
    "push": lambda life: life.jobs.push(single()),
    "push of a known shape": lambda life: life.jobs.push(DOCUMENT, "ID", "w2"),
    "push paused": lambda life: life.jobs.push(single(), "PAUSED"),
    "define": lambda life: life.jobs.define("nightly", single()),
    "define anew": lambda life: life.jobs.define("weekly", DOCUMENT),
    "start": lambda life: life.jobs.start("weekly"),
    "undefine": lambda life: life.jobs.undefine("weekly"),
    "claim": lambda life: life.jobs.claim_one("you"),
    "complete": lambda life: life.jobs.complete(life.b),
    "complete with a child": lambda life: life.jobs.complete(life.a),
    "complete with a result": lambda life: life.jobs.complete(life.a, "RESULT", "r"),
    "complete the whole workflow": lambda life: life.jobs.complete(
        life.jobs.claim_one("me", "TYPES", 1, "x", "LEASE", HOUR).token
    ),
    "fail": lambda life: life.jobs.fail(life.a),
    "fail with an error": lambda life: life.jobs.fail(life.a, "ERROR", "e"),
    "the last to run down": lambda life: (life.jobs.fail(life.a), life.jobs.complete(life.b)),
    "extend": lambda life: life.jobs.extend(2 * HOUR, life.a),
    "expire": lambda life: life.expire(),
    "late extend": lambda life: (life.expire(), life.jobs.extend(HOUR, life.a)),
    "recover": lambda life: life.jobs.recover("me"),
    "resume": lambda life: life.jobs.resume("me"),
    "pause a workflow": lambda life: life.jobs.pause("ID", "w"),
    "pause a workflow in which nothing is ready": lambda life: life.jobs.pause("ID", "other"),
    "pause a type": lambda life: life.jobs.pause("TYPE", "x"),
    "pause a type nobody has seen": lambda life: life.jobs.pause("TYPE", "unseen"),
    "pause all": lambda life: life.jobs.pause("ALL"),
    "release a workflow": lambda life: life.jobs.release("ID", "paused"),
    "release a type": lambda life: life.jobs.release("TYPE", "z"),
    "delete": lambda life: life.jobs.delete("w"),
    "delete a paused one": lambda life: life.jobs.delete("paused"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_state_changes_it(server: Server, jobs: Space, change: str) -> None:
    life = Life(server, jobs)
    before = digest(jobs.client)
    CHANGES[change](life)
    after = digest(jobs.client)
    assert after != before
    jobs.client.execute_command("DEBUG", "RELOAD")
    assert digest(jobs.client) == after


def test_each_step_of_a_chain_of_changes_is_new(server: Server, jobs: Space) -> None:
    seen = [digest(jobs.client) for _ in [Life(server, jobs)]]

    def new(_: Any) -> None:
        seen.append(digest(jobs.client))
        assert len(set(seen)) == len(seen), "a state that was there before"

    new(jobs.push(single("s"), "ID", "s"))
    new(jobs.delete("s"))
    new(jobs.push(single("s"), "ID", "41"))
    new(jobs.delete("41"))
    for what in (["ID", "w"], ["TYPE", "x"], ["TYPE", "new"], ["ALL"]):
        new(jobs.pause(*what))
    for what in (["TYPE", "x"], ["ALL"]):
        jobs.release(*what)


def test_what_changes_nothing_does_not_change_it(server: Server, jobs: Space) -> None:
    life = Life(server, jobs)
    jobs.complete(life.b)
    before = digest(jobs.client)
    jobs.claim("w", "TYPES", 1, "nothing")
    jobs.complete(life.b)
    jobs.fail(life.b)
    jobs.pause("ID", "paused")
    jobs.release("TYPE", "x")
    jobs.recover("nobody")
    jobs.delete("nothing")
    jobs.get("w", "TASKS")
    jobs.stats()
    jobs.definitions()
    jobs.undefine("nothing")
    assert jobs.call("START", "weekly", "ID", "w", "NX") is None
    assert jobs.call("PUSH", json.dumps(DOCUMENT), "ID", "w", "NX") is None
    assert digest(jobs.client) == before


# Two spaces with one past, and one command for each in one transaction: if both commands fell into
# the same millisecond, the spaces differ in what the commands differ in, and in nothing else.
Command = list[Any]


def push(document: Any, *options: Any) -> Command:
    return ["WF.PUSH", json.dumps(document), *options]


def define(document: Any, name: str = "nightly") -> Command:
    return ["WF.DEFINE", name, json.dumps(document)]


TWINS: dict[str, tuple[Command, Command]] = {
    "result": (["WF.COMPLETE", "A", "RESULT", "one"], ["WF.COMPLETE", "A", "RESULT", "two"]),
    "no result": (["WF.COMPLETE", "A", "RESULT", "one"], ["WF.COMPLETE", "A"]),
    "empty result": (["WF.COMPLETE", "A", "RESULT", ""], ["WF.COMPLETE", "A"]),
    "whose result": (["WF.COMPLETE", "A", "RESULT", "r", "B"], ["WF.COMPLETE", "A", "B", "RESULT", "r"]),
    "error": (["WF.FAIL", "A", "ERROR", "one"], ["WF.FAIL", "A", "ERROR", "two"]),
    "error or result": (["WF.FAIL", "A"], ["WF.COMPLETE", "A"]),
    "which task": (["WF.COMPLETE", "A"], ["WF.COMPLETE", "B"]),
    "deadline": (["WF.EXTEND", HOUR, "A"], ["WF.EXTEND", HOUR + 1, "A"]),
    "what was added": (["WF.ADD", "A", '[{"name": "one"}]'], ["WF.ADD", "A", '[{"name": "two"}]']),
    "id": (push(single(), "ID", "one"), push(single(), "ID", "two")),
    "own id or the next": (push(single(), "ID", "77"), push(single())),
    "input": (push(single(), "INPUT", "one"), push(single(), "INPUT", "two")),
    "empty input": (push(single(), "INPUT", ""), push(single())),
    "priority of the workflow": (push(single(), "PRIORITY", 1), push(single(), "PRIORITY", 2)),
    "paused": (push(single(), "PAUSED"), push(single())),
    "name of the workflow": (push({**single(), "name": "one"}), push({**single(), "name": "two"})),
    "name of a task": (push(single("one")), push(single("two"))),
    "type": (push(single(type="one")), push(single(type="two"))),
    "payload": (push(single(payload="one")), push(single(payload="two"))),
    "priority of a task": (push(single(priority=1)), push(single(priority=2))),
    "own priority or the default": (push(single(priority=100)), push(single())),
    "lease of a task": (push(single(lease_ms=1000)), push(single(lease_ms=1001))),
    "an edge": (push(chain(2)), push(loose(2))),
    "name of a definition": (define(single(), "one"), define(single(), "two")),
    "an edge of a definition": (define(chain(2)), define(loose(2))),
    "a condition in a definition": (
        define(workflow(task("x"), {"name": "y", "parents": [{"task": "x", "on": "always"}]})),
        define(workflow(task("x"), {"name": "y", "parents": [{"task": "x", "on": "failure"}]})),
    ),
    "type in a definition": (define(single(type="one")), define(single(type="two"))),
    "payload in a definition": (define(single(payload="one")), define(single(payload="two"))),
    "name of the workflows": (define({**single(), "name": "one"}), define({**single(), "name": "two"})),
    "priority of a definition": (define({**single(), "priority": 1}), define({**single(), "priority": 2})),
    "timeout of a definition": (define({**single(), "timeout_ms": 1}), define({**single(), "timeout_ms": 2})),
    "a delay in a definition": (define(single(delay_ms=1)), define(single(delay_ms=2))),
    "start or push": (["WF.START", "weekly"], push(DOCUMENT)),
    "which edge": (
        push(workflow(task("x"), task("y"), task("z", ["x"]))),
        push(workflow(task("x"), task("y"), task("z", ["y"]))),
    ),
    "condition of an edge": (
        push(workflow(task("x"), task("y") | {"parents": [{"task": "x", "on": "failure"}]})),
        push(workflow(task("x"), task("y") | {"parents": [{"task": "x", "on": "always"}]})),
    ),
    "fail_fast": (push(single() | {"fail_fast": False}), push(single())),
    "keep_result": (push(single(keep_result=True)), push(single())),
    "signal": (push(single(signal=True), "PAUSED"), push(single(), "PAUSED")),
    "on_failure": (push(single(on_failure="continue")), push(single())),
    "order of tasks": (push(workflow(task("x"), task("y"))), push(workflow(task("y"), task("x")))),
    "paused type": (["WF.PAUSE", "TYPE", "one"], ["WF.PAUSE", "TYPE", "two"]),
    "which pause": (["WF.PAUSE", "TYPE", "work"], ["WF.PAUSE", "ALL"]),
    "which workflow is paused": (["WF.PAUSE", "ID", "w"], ["WF.PAUSE", "ID", "other"]),
    "bytes that are no text": (["WF.FAIL", "A", "ERROR", BINARY], ["WF.FAIL", "A", "ERROR", BINARY[:-1]]),
}


def in_one_millisecond(client: redis.Redis, life: Life, one: Command, two: Command) -> bool:
    """Sends each command to its own copy of the space; false if the clock ticked in between."""
    tokens = {"A": life.a, "B": life.b}
    payload = client.dump("jobs")
    with client.pipeline(transaction=True) as transaction:
        transaction.restore("one", 0, payload, replace=True)
        transaction.restore("two", 0, payload, replace=True)
        transaction.time()
        for key, (name, *arguments) in (("one", one), ("two", two)):
            transaction.execute_command(name, key, *(tokens.get(argument, argument) for argument in arguments))
        transaction.time()
        *_, before, _, _, after = transaction.execute()
    return (before[0], before[1] // 1000) == (after[0], after[1] // 1000)


@pytest.mark.parametrize("twins", TWINS)
def test_two_spaces_that_differ_in_one_detail_differ(server: Server, jobs: Space, twins: str) -> None:
    life = Life(server, jobs)
    one, two = TWINS[twins]
    for other, equal in ((one, True), (two, False)):
        eventually(lambda o=other: in_one_millisecond(jobs.client, life, one, o), what="both in one millisecond")
        assert (digest(jobs.client, "one") == digest(jobs.client, "two")) is equal

"""WF.WAIT: what it tells, whom it lets wait, and what ends a wait.

What happens to the key, the server and its role meanwhile is in test_wait_servers.py, many waiting
clients in test_wait_crowd.py.
"""

import json
import re
from collections.abc import Callable, Iterator

import pytest
import redis

from awaited import look, states, told
from blocked import Queue, served
from refusals import refused
from servers import Server
from space import Space, plain
from waiting import now_ms
from wire import Wire, encode
from workflows import chain, fan, loose, single, task, workflow


@pytest.fixture
def queue(server: Server) -> Iterator[Queue]:
    yield Queue(server)


# The answer


def test_what_it_tells(jobs: Space) -> None:
    begin = now_ms()
    jobs.push(fan(3), "ID", "w")
    root = jobs.claim_one("a")
    jobs.complete(root.token, "RESULT", "not final")
    leaves = jobs.claim("a", "COUNT", 3)
    jobs.complete(leaves[0].token, "RESULT", b"x\x00y", leaves[1].token)
    half = {"leaf0": "x\x00y", "leaf1": None}
    assert look(jobs, "w") == [{"id": "w", "state": "running", "finished": None, "error": None, "results": half}]
    jobs.complete(leaves[2].token, "RESULT", "")
    (entry,) = look(jobs, "w")
    assert begin <= entry["finished"] <= now_ms()
    assert entry["finished"] == jobs.get("w")["finished"]
    assert (entry["state"], entry["results"]) == ("completed", half | {"leaf2": ""})


def test_entries_come_in_the_order_of_the_call(jobs: Space) -> None:
    for wid in ("a", "7"):
        jobs.push(single(), "ID", wid)
    assert [entry and entry["id"] for entry in look(jobs, "7", "nobody", "a", "7", "07")] == ["7", None, "a", "7", None]


def test_a_flat_array_in_resp2(server: Server, jobs: Space) -> None:
    jobs.push(single(), "ID", "w")
    jobs.complete(jobs.claim_one("a").token, "RESULT", "r")
    finished = jobs.get("w")["finished"]
    (entry,) = server.client(2).execute_command("WF.WAIT", "jobs", "w")
    results = [b"only", b"r"]
    state = [b"state", b"completed"]
    assert entry == [b"id", b"w", *state, b"finished", finished, b"error", None, b"results", results]


def test_a_failed_workflow_tells_the_error_that_came_first(jobs: Space) -> None:
    jobs.push(loose(3), "ID", "w")
    a, b, c = jobs.claim("w", "COUNT", 3)
    jobs.fail(c.token, "ERROR", "first")
    begin = now_ms()
    while now_ms() == begin:
        pass
    jobs.fail(a.token, "ERROR", "second")
    (entry,) = look(jobs, "w")
    assert (entry["state"], entry["finished"], entry["error"]) == ("failed", None, "first"), "one runs down"
    jobs.complete(b.token, "RESULT", "late")
    (entry,) = look(jobs, "w")
    assert entry["finished"] and entry["error"] == "first"
    assert entry["results"] == {"t0": None, "t1": "late", "t2": None}


def test_other_errors(server: Server, jobs: Space) -> None:
    for wid, reason in (("why", ["REASON", "ordered twice"]), ("silent", [])):
        jobs.push(chain(2), "ID", wid)
        jobs.call("CANCEL", wid, *reason)
    jobs.push(single(), "ID", "late", "TIMEOUT", 1)
    server.wait_until(lambda: jobs.state("late") == "failed", what="the deadline")
    jobs.push(single(), "ID", "speechless")
    jobs.fail(jobs.claim_one("w").token)
    entries = look(jobs, "why", "silent", "late", "speechless")
    assert states(entries) == ["cancelled", "cancelled", "failed", "failed"]
    assert [entry["error"] for entry in entries] == ["ordered twice", None, "timed out after 1 ms", None]
    assert entries[0]["results"] == {"t1": None}, "the final task ended: it was cancelled"


def test_limits_and_errors(jobs: Space) -> None:
    assert look(jobs, *range(1024)) == [None] * 1024
    for options in ([], ["BLOCK", 0]):
        with refused("LIMIT", "1024"):
            jobs.call("WAIT", *range(1025), *options)
    for bad in ("-1", "0.5", "", "soon", 100 * 365 * 24 * 3600 * 1000 + 1, 2**64):
        with refused("ERR", "BLOCK"):
            jobs.call("WAIT", "w", "BLOCK", bad)
    with refused("ERR", "BLOCK"):
        jobs.call("WAIT", "w", "BLOCK")
    with refused("ERR", "arguments"):
        jobs.call("WAIT")
    assert jobs.client.exists("jobs") == 0


def test_block_can_be_an_id(jobs: Space) -> None:
    jobs.push(single(), "ID", "BLOCK")
    assert states(look(jobs, "BLOCK")) == ["running"]
    assert states(look(jobs, "BLOCK", "5")) == ["running", None]
    assert states(look(jobs, "BLOCK", "BLOCK", "1")) == ["running"], "time is up"


# Who waits


def test_answered_at_once_when_nothing_is_open(jobs: Space) -> None:
    jobs.push(single(), "ID", "done")
    jobs.work_off("w")
    assert states(look(jobs, "done", "BLOCK", 0)) == ["completed"]
    assert look(jobs, "nobody", "BLOCK", 0) == [None]
    assert plain(Space(jobs.client, "missing").call("WAIT", "1", "BLOCK", 0)) == [None]
    jobs.client.set("text", "x")
    with refused("WRONGTYPE"):
        Space(jobs.client, "text").call("WAIT", "1", "BLOCK", 0)


def test_all_of_several_must_end(jobs: Space, queue: Queue) -> None:
    for wid in ("a", "b", "c"):
        jobs.push(single(), "ID", wid)
    waiter = queue.awaits("c", "nobody", "a", "b", "a")
    tokens = {one.workflow: one.token for one in jobs.claim("w", "COUNT", 3)}
    for wid in ("a", "c"):
        jobs.complete(tokens[wid], "RESULT", f"of {wid}")
    queue.barrier()
    assert served([waiter]) == []
    jobs.fail(tokens["b"], "ERROR", "boom")
    entries = told(waiter)
    assert states(entries) == ["completed", None, "completed", "failed", "completed"]
    assert [entry and entry["results"] for entry in entries][0] == {"only": "of c"}
    assert entries[3]["error"] == "boom"


@pytest.mark.parametrize("order", [[*range(40)], [*range(39, -1, -1)], [7 * i % 40 for i in range(40)]], ids=["first", "last", "mixed"])
def test_in_whatever_order_they_end(jobs: Space, queue: Queue, order: list[int]) -> None:
    for wid in range(40):
        jobs.push(single(), "ID", f"w{wid}")
    waiter = queue.awaits(*(f"w{wid}" for wid in range(40)))
    tokens = {one.workflow: one.token for one in jobs.claim("w", "COUNT", 40)}
    for wid in order:
        assert served([waiter]) == []
        jobs.complete(tokens[f"w{wid}"])
    assert states(told(waiter)) == ["completed"] * 40


def test_only_those_who_wait_for_it_are_answered(jobs: Space, queue: Queue) -> None:
    for wid in ("a", "b"):
        jobs.push(single(), "ID", wid)
    for_a, for_b, for_both = queue.awaits("a"), queue.awaits("b"), queue.awaits("a", "b")
    elsewhere = Space(jobs.client, "elsewhere")
    elsewhere.push(single(), "ID", "a")
    not_here = queue.awaits("a", key="elsewhere")
    jobs.complete(jobs.claim_one("w").token)
    assert states(told(for_a)) == ["completed"]
    queue.barrier()
    assert served([for_b, for_both, not_here]) == []
    jobs.complete(jobs.claim_one("w").token)
    assert states(told(for_b)) == ["completed"]
    assert states(told(for_both)) == ["completed"] * 2
    assert queue.blocked() == 1
    elsewhere.delete("a")
    assert told(not_here) == [None]


# What ends a workflow


def by_completion(jobs: Space) -> None:
    jobs.work_off("w")


def by_failure(jobs: Space) -> None:
    jobs.fail(jobs.claim_one("w").token)


def by_running_down(jobs: Space) -> None:
    first = jobs.claim_one("w")
    jobs.call("CANCEL", "x")
    assert look(jobs, "x")[0]["finished"] is None
    jobs.complete(first.token)


def by_cancel(jobs: Space) -> None:
    jobs.call("CANCEL", "x")


def by_deletion(jobs: Space) -> None:
    jobs.delete("x")


def by_poison(jobs: Space) -> None:
    jobs.configure("default-max-deliveries", 1)
    jobs.claim_one("crashed")
    jobs.recover("crashed")


def by_lease_in_a_claim(jobs: Space) -> None:
    """The end comes while another client asks for work."""
    jobs.configure("default-max-deliveries", 1)
    jobs.claim_one("crashed", "LEASE", 1)
    while jobs.state("x") == "running":
        jobs.claim("other", "TYPES", 1, "none")


ENDS = {
    by_completion: "completed",
    by_failure: "failed",
    by_running_down: "cancelled",
    by_cancel: "cancelled",
    by_deletion: None,
    by_poison: "failed",
    by_lease_in_a_claim: "failed",
}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_whatever_ends_it_wakes(jobs: Space, queue: Queue, end: Callable[[Space], None]) -> None:
    jobs.push(chain(3), "ID", "x")
    waiter = queue.awaits("x")
    end(jobs)
    entries = told(waiter)
    assert states(entries) == [ENDS[end]]
    assert look(jobs, "x") == entries


def test_a_deadline_wakes_with_nobody_else_connected(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "x", "TIMEOUT", 300)
    assert told(queue.awaits("x"))[0]["error"] == "timed out after 300 ms"


def test_a_workflow_that_is_not_kept_tells_its_result_first(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "x", "RETAIN", 0)
    waiter = queue.awaits("x")
    jobs.complete(jobs.claim_one("w").token, "RESULT", "r")
    assert told(waiter)[0]["results"] == {"only": "r"}


def test_what_was_removed_meanwhile_is_null(server: Server, jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "short", "RETAIN", 1)
    jobs.push(single(), "ID", "long")
    waiter = queue.awaits("short", "long")
    jobs.complete(jobs.claim_one("w").token)
    server.wait_until(lambda: look(jobs, "short") == [None], what="retention")
    assert served([waiter]) == []
    jobs.work_off("w")
    assert states(told(waiter)) == [None, "completed"]


# What runs again


def test_a_retried_workflow_is_waited_for_again(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    jobs.push(single(), "ID", "b")
    waiter = queue.awaits("a", "b")
    jobs.fail(jobs.claim_one("w").token)
    assert states(look(jobs, "a", "b")) == ["failed", "running"]
    assert jobs.retry("a") == 1
    jobs.complete(jobs.claim("w", "COUNT", 2)[1].token)
    queue.barrier()
    assert states(look(jobs, "a", "b")) == ["running", "completed"]
    assert served([waiter]) == []
    jobs.configure("default-max-deliveries", 1)
    jobs.recover("w")
    assert states(told(waiter)) == ["failed", "completed"]


def test_a_retry_in_the_same_transaction_is_not_seen(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    waiter = queue.awaits("a")
    token = jobs.claim_one("w").token
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.FAIL", jobs.key, token)
        transaction.execute_command("WF.RETRY", jobs.key, "a")
        assert transaction.execute() == [[1], 1]
    queue.barrier()
    assert served([waiter]) == []
    jobs.work_off("w")
    assert states(told(waiter)) == ["completed"]


def test_removed_and_pushed_again_in_one_transaction(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    waiter = queue.awaits("a")
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.DELETE", jobs.key, "a")
        transaction.execute_command("WF.PUSH", jobs.key, json.dumps(single()), "ID", "a")
        transaction.execute()
    queue.barrier()
    assert served([waiter]) == []
    jobs.work_off("w")
    assert states(told(waiter)) == ["completed"]


# MULTI and Lua


def test_nothing_blocks_in_transactions_and_scripts(jobs: Space) -> None:
    jobs.push(single(), "ID", "a")
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.WAIT", jobs.key, "a", "BLOCK", 0)
        assert states(plain(transaction.execute()[0])) == ["running"]
    script = "redis.setresp(3); return redis.call('WF.WAIT', KEYS[1], 'a', 'BLOCK', 0)[1].map.state"
    assert jobs.client.eval(script, 1, jobs.key) == b"running"


def test_a_script_answers_after_its_end(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    waiter = queue.awaits("a")
    jobs.client.eval("redis.call('WF.CANCEL', KEYS[1], 'a'); redis.call('WF.DELETE', KEYS[1], 'a')", 1, jobs.key)
    assert told(waiter) == [None], "not as it stood between the two"


# What ends a wait


def test_time_is_up(jobs: Space) -> None:
    jobs.push(single(), "ID", "slow")
    jobs.push(single(), "ID", "quick")
    jobs.call("CANCEL", "quick")
    assert states(look(jobs, "slow", "quick", "BLOCK", 20)) == ["running", "cancelled"]
    jobs.work_off("w")
    assert jobs.client.info("workflow")["workflow_awaiting_clients"] == 0


@pytest.mark.parametrize("block", [0, 100 * 365 * 24 * 3600 * 1000])
def test_the_longest_timeouts(jobs: Space, queue: Queue, block: int) -> None:
    jobs.push(single(), "ID", "a")
    waiter = queue.awaits("a", block=block)
    jobs.work_off("w")
    assert states(told(waiter)) == ["completed"]


def test_client_unblock(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    by_timeout, by_error, last = queue.awaits("a"), queue.awaits("a"), queue.awaits("a")
    assert jobs.client.client_unblock(by_timeout.id) == 1
    assert states(told(by_timeout)) == ["running"]
    assert jobs.client.client_unblock(by_error.id, error=True) == 1
    error = by_error.reply()
    assert isinstance(error, redis.ResponseError) and "UNBLOCKED" in f"{error.status_code} {error}"
    jobs.work_off("w")
    assert states(told(last)) == ["completed"]
    assert served([by_timeout, by_error]) == []
    by_error.connection.send_command("PING")
    assert by_error.reply() in (b"PONG", "PONG"), "the client lives on"


def test_killed_clients_are_forgotten(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    killed, vanished, last = queue.awaits("a"), queue.awaits("a"), queue.awaits("a")
    assert jobs.client.execute_command("CLIENT", "KILL", "ID", killed.id) == 1
    vanished.vanish()
    queue.wait_until_blocked(1)
    assert jobs.client.info("workflow")["workflow_awaiting_clients"] == 1
    jobs.work_off("w")
    assert states(told(last)) == ["completed"]


def test_killed_in_the_transaction_that_ended_it(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    killed, last = queue.awaits("a"), queue.awaits("a")
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.CANCEL", jobs.key, "a")
        transaction.execute_command("CLIENT", "KILL", "ID", killed.id)
        transaction.execute()
    assert states(told(last)) == ["cancelled"]


@pytest.mark.parametrize("by", ["the end", "time"])
def test_permission_lost_while_waiting(server: Server, jobs: Space, queue: Queue, by: str) -> None:
    jobs.push(single(), "ID", "a")
    jobs.client.execute_command("ACL", "SETUSER", "limited", "on", "nopass", "~*", "+@all")
    try:
        connection = server.client(username="limited", password="x").connection_pool.get_connection()
        connection.send_command("WF.WAIT", "jobs", "a", "BLOCK", 0 if by == "the end" else 300)
        queue.wait_until_blocked(1)
        jobs.client.execute_command("ACL", "SETUSER", "limited", "resetkeys", "~other")
        if by == "the end":
            jobs.work_off("w")
        with refused("NOPERM"):
            connection.read_response()
    finally:
        jobs.client.execute_command("ACL", "DELUSER", "limited")


def test_while_clients_are_paused(server: Server, jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    jobs.client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    try:
        waiter = queue.awaits("a", block=50)
        assert states(told(waiter)) == ["running"], "looking is no writing"
        waiter = queue.awaits("a")
    finally:
        jobs.client.execute_command("CLIENT", "UNPAUSE")
    jobs.work_off("w")
    assert states(told(waiter)) == ["completed"]


# The shape of the reply


def test_a_woken_client_reads_what_it_would_have_read_at_once(server: Server, jobs: Space, resp: int) -> None:
    jobs.push(workflow(task("a"), task("b", ["a"])), "ID", "x")
    jobs.push(single(), "ID", "y")
    wire = Wire(server, resp)
    wait = encode("WF.WAIT", "jobs", "x", "none", "y", "BLOCK", 60_000)
    wire.send(wait)
    Queue(server).wait_until_blocked(1)
    jobs.call("CANCEL", "y", "REASON", "r")
    jobs.complete(jobs.claim_one("w").token)
    jobs.complete(jobs.claim_one("w").token, "RESULT", "done")
    woken = wire.ask(b"")
    assert woken == wire.ask(wait)
    assert b"done" in woken and re.search(rb":\d{13}\r\n", woken)
    wire.close()


def test_commands_behind_a_wait_wait_for_it(server: Server, jobs: Space) -> None:
    jobs.push(loose(2), "ID", "x")
    wire = Wire(server)
    wire.send(encode("WF.WAIT", "jobs", "x", "BLOCK", 0) + encode("PING"))
    Queue(server).wait_until_blocked(1)
    jobs.work_off("w")
    answer = wire.ask(b"")
    assert answer.startswith(b"*1\r\n*10\r\n") and answer.endswith(b"+PONG\r\n")
    wire.close()

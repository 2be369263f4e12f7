"""WF.CLAIM ... BLOCK: who waits, who is served in which order, and what ends a wait.

What happens to the key while clients wait for it is in test_blocking_keys.py, many waiting clients
in test_blocking_crowd.py.
"""

import json
import re
from collections.abc import Callable, Iterator

import pytest
import redis

from blocked import Queue, served
from refusals import refused
from servers import Server
from space import Space
from waiting import eventually
from wire import Wire, encode
from workflows import chain, loose, single, task, workflow

HUNDRED_YEARS = 100 * 365 * 24 * 3600 * 1000


@pytest.fixture
def queue(server: Server) -> Iterator[Queue]:
    yield Queue(server)


# Order


def test_served_in_order_of_arrival_one_task_one_client(jobs: Space, queue: Queue) -> None:
    waiters = queue.joins(5)
    for expected in waiters:
        jobs.push(single())
        assert expected.names() == ["only"]
        assert served(waiters) == []
    assert jobs.stats()["tasks"]["running"] == 5


def test_who_waits_goes_before_who_asks_after_a_transaction(server: Server, queue: Queue) -> None:
    """Waking after MULTI is put off to a timer; a claim in the same pipeline came before it."""
    waiter = queue.join()
    with_claim = encode("MULTI") + encode("WF.PUSH", "jobs", json.dumps(single())) + encode("EXEC")
    wire = Wire(server)
    answer = wire.ask(with_claim + encode("WF.CLAIM", "jobs", "late"))
    assert waiter.names() == ["only"]
    assert b"*0\r\n" in answer
    wire.close()


def test_who_waits_goes_before_who_asks_when_a_lease_ends(jobs: Space, queue: Queue, r: redis.Redis) -> None:
    """A claim takes back leases that ran out, and once took the task that another waited for."""
    jobs.push(single())
    jobs.claim("dead", "LEASE", 300)
    waiter = queue.join()
    polled = []

    def asked() -> bool:
        polled.extend(jobs.claim("poller"))
        return waiter.has_reply() or bool(polled)

    eventually(asked, 10, "the lease to end")
    assert polled == []
    assert waiter.names() == ["only"]


def test_nobody_is_served_twice_and_a_new_claim_joins_at_the_end(jobs: Space, queue: Queue) -> None:
    first, second = queue.joins(2)
    jobs.push(single())
    assert first.names() == ["only"]
    third = queue.join()
    jobs.push(single())
    assert second.names() == ["only"]
    assert served([first, third]) == []


def test_who_waits_for_one_type_never_delays_another(jobs: Space, queue: Queue) -> None:
    for_a = queue.joins(20, "TYPES", 1, "a")
    for_b = queue.join("TYPES", 1, "b")
    jobs.push(single(type="b"))
    assert for_b.names() == ["only"]
    assert served(for_a) == []
    jobs.push(single(type="a"))
    assert for_a[0].names() == ["only"]
    assert served(for_a[1:]) == []


def test_the_first_among_those_that_can_take_the_task(jobs: Space, queue: Queue) -> None:
    c_or_b = queue.join("TYPES", 2, "c", "b")
    anything = queue.join()
    only_b = queue.join("TYPES", 1, "b")
    jobs.push(single(type="a"))
    assert anything.names() == ["only"]
    jobs.push(single(type="b"))
    assert c_or_b.names() == ["only"]
    jobs.push(single(type="b"))
    assert only_b.names() == ["only"]


def test_maxpriority_of_a_waiter(jobs: Space, queue: Queue) -> None:
    urgent = queue.join("MAXPRIORITY", 10)
    usual = queue.join("MAXPRIORITY", 100)
    anything = queue.join()
    jobs.push(single(), "PRIORITY", 101)
    assert anything.names() == ["only"]
    jobs.push(single(), "PRIORITY", 11)
    assert usual.names() == ["only"]
    jobs.push(single(), "PRIORITY", 11)
    queue.barrier()
    assert served([urgent]) == []
    jobs.push(single(), "PRIORITY", 10)
    assert urgent.names() == ["only"]


def test_a_ready_task_that_nobody_can_take_hides_no_other(jobs: Space, queue: Queue) -> None:
    b_at_most_50 = queue.join("TYPES", 2, "a", "b", "MAXPRIORITY", 50)
    jobs.push(workflow(task("a", type="a", priority=60), task("b", type="b", priority=50)))
    assert b_at_most_50.names() == ["b"]


def test_count_of_a_waiter(jobs: Space, queue: Queue) -> None:
    three, ten = queue.join("COUNT", 3), queue.join("COUNT", 10)
    jobs.push(loose(5))
    assert three.names() == ["t0", "t1", "t2"]
    assert ten.names() == ["t3", "t4"]


def test_a_push_that_readies_many_wakes_many(jobs: Space, queue: Queue) -> None:
    waiters = queue.joins(10)
    jobs.push(loose(8))
    assert [waiter.names() for waiter in waiters[:8]] == [[f"t{i}"] for i in range(8)]
    queue.barrier()
    assert served(waiters) == []
    assert queue.blocked() == 2


def test_urgent_tasks_go_to_the_oldest_waiter(jobs: Space, queue: Queue) -> None:
    waiters = queue.joins(3)
    jobs.push(workflow(*(task(f"p{priority}", priority=priority) for priority in (3, 1, 2))))
    assert [waiter.names() for waiter in waiters] == [["p1"], ["p2"], ["p3"]]


def test_options_of_a_waiter_hold_when_it_is_served(jobs: Space, queue: Queue) -> None:
    jobs.push(chain(2), "INPUT", "given")
    first = jobs.claim_one("w")
    waiter = queue.join("LEASE", 3_000_000, "WITHRESULTS")
    jobs.complete(first.token, "RESULT", "r0")
    (second,) = waiter.tasks()
    assert (second.name, second.input, second.results) == ("t1", b"given", {"t0": b"r0"})
    assert 2_900_000 < second.deadline - first.deadline + 60_000 < 3_100_000
    assert jobs.tasks(second.workflow)["t1"]["worker"] == waiter.name
    assert jobs.complete(second.token) == [1]


# What wakes


def by_push(jobs: Space, _: str) -> None:
    jobs.push(single())


def by_child(jobs: Space, token: str) -> None:
    jobs.complete(token)


def by_release_of_workflow(jobs: Space, _: str) -> None:
    jobs.push(single(), "ID", "p", "PAUSED")
    jobs.release("ID", "p")


def by_release_of_ready_workflow(jobs: Space, _: str) -> None:
    jobs.pause("ALL")
    jobs.push(single(), "ID", "p")
    jobs.pause("ID", "p")
    jobs.release("ALL")
    jobs.release("ID", "p")


def by_release_of_type(jobs: Space, _: str) -> None:
    jobs.pause("TYPE", "work")
    jobs.push(single())
    jobs.release("TYPE", "work")


def by_release_of_all(jobs: Space, _: str) -> None:
    jobs.pause("ALL")
    jobs.push(single())
    jobs.release("ALL")


def by_recover(jobs: Space, _: str) -> None:
    assert len(jobs.recover("holder")) == 1


def by_expiry(jobs: Space, token: str) -> None:
    assert jobs.extend(1, token) == [1]


@pytest.mark.parametrize(
    "wake",
    [
        by_push,
        by_child,
        by_release_of_workflow,
        by_release_of_ready_workflow,
        by_release_of_type,
        by_release_of_all,
        by_recover,
        by_expiry,
    ],
)
def test_what_makes_a_task_ready_wakes_one(jobs: Space, queue: Queue, wake: Callable[[Space, str], None]) -> None:
    jobs.push(chain(2), "ID", "held")
    held = jobs.claim_one("holder")
    first, second = queue.joins(2)
    wake(jobs, held.token)
    (task,) = first.tasks()
    queue.barrier()
    assert served([second]) == []
    assert jobs.complete(task.token) == [1]


def test_an_expired_lease_wakes_with_nobody_else_connected(server: Server, jobs: Space, queue: Queue) -> None:
    jobs.push(single())
    jobs.claim_one("slow", "LEASE", 300)
    waiter = queue.join()
    assert waiter.names() == ["only"], "nothing was sent to the server meanwhile"


def test_what_readies_nothing_wakes_nobody(jobs: Space, queue: Queue) -> None:
    jobs.push(workflow(task("bad"), task("child", ["bad"])))
    token = jobs.claim_one("w").token
    waiter = queue.join()
    jobs.push(single(), "PAUSED")
    jobs.fail(token)
    jobs.pause("ALL")
    jobs.push(single())
    jobs.extend(1000, token)
    jobs.delete("1")
    queue.barrier()
    assert served([waiter]) == []
    jobs.release("ALL")
    assert waiter.names() == ["only"]


# MULTI and Lua


def test_a_transaction_wakes_after_its_end(jobs: Space, queue: Queue) -> None:
    first, second = queue.joins(2)
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.PUSH", jobs.key, '{"tasks":[{"name":"a","type":"t"}]}')
        transaction.execute_command("WF.CLAIM", jobs.key, "inside")
        transaction.execute_command("WF.PUSH", jobs.key, '{"tasks":[{"name":"b","type":"t"}]}')
        _, claimed, _ = transaction.execute()
    assert claimed[0][2] == b"a", "inside the transaction nobody else comes between"
    assert first.names() == ["b"]
    queue.barrier()
    assert served([second]) == []


def test_a_script_wakes_after_its_end(jobs: Space, queue: Queue) -> None:
    first, second = queue.joins(2)
    script = """
        redis.call('WF.PUSH', KEYS[1], ARGV[1])
        redis.call('WF.PUSH', KEYS[1], ARGV[1])
        return #redis.call('WF.CLAIM', KEYS[1], 'inside')"""
    assert jobs.client.eval(script, 1, jobs.key, '{"tasks":[{"name":"a","type":"t"}]}') == 1
    assert first.names() == ["a"]
    queue.barrier()
    assert served([second]) == []


@pytest.mark.parametrize("undo", [["WF.DELETE", "jobs", "a"], ["DEL", "jobs"], ["WF.PAUSE", "jobs", "ALL"]])
def test_what_a_transaction_takes_back_wakes_nobody(jobs: Space, queue: Queue, undo: list[str]) -> None:
    (waiter,) = queue.joins(1)
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.PUSH", jobs.key, '{"tasks":[{"name":"a","type":"t"}]}', "ID", "a")
        transaction.execute_command(*undo)
        transaction.execute()
    queue.barrier()
    assert served([waiter]) == []
    assert queue.blocked() == 1
    jobs.release("ALL")
    jobs.push(single("later"), "PRIORITY", 0)
    assert waiter.names()[0] in ("later", "a")


def test_in_a_transaction_a_claim_never_blocks(jobs: Space) -> None:
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.CLAIM", jobs.key, "w", "BLOCK", 0)
        assert transaction.execute() == [[]]


# What ends a wait


def test_time_is_up(server: Server, jobs: Space, resp: int) -> None:
    assert server.client(resp).execute_command("WF.CLAIM", "jobs", "w", "BLOCK", 20) == []
    jobs.push(single())
    assert jobs.claim_names("w") == ["only"], "the one that gave up left nothing behind"


def test_time_is_up_in_the_middle_of_a_queue(jobs: Space, queue: Queue) -> None:
    patient, hasty, last = queue.join(), queue.join(block=30), queue.join()
    assert hasty.tasks() == []
    jobs.push(single())
    jobs.push(single())
    assert patient.names() == last.names() == ["only"]
    assert served([hasty]) == []


@pytest.mark.parametrize("timeout", ["-1", "0.5", "1e3", "", "soon", " 1", HUNDRED_YEARS + 1, 2**63 - 1, 2**63, 2**64])
def test_a_bad_timeout_is_refused(jobs: Space, timeout: str | int) -> None:
    with refused("ERR", "BLOCK"):
        jobs.claim("w", "BLOCK", timeout)
    jobs.push(single())
    with refused("ERR", "BLOCK"):
        jobs.claim("w", "BLOCK", timeout)


@pytest.mark.parametrize("timeout", [0, HUNDRED_YEARS])
def test_the_longest_timeouts(jobs: Space, queue: Queue, timeout: int) -> None:
    waiter = queue.join(block=timeout)
    jobs.push(single())
    assert waiter.names() == ["only"]


def test_client_unblock(jobs: Space, queue: Queue) -> None:
    by_timeout, by_error, last = queue.joins(3)
    assert jobs.client.client_unblock(by_timeout.id) == 1
    assert by_timeout.tasks() == []
    assert jobs.client.client_unblock(by_error.id, error=True) == 1
    error = by_error.reply()
    assert isinstance(error, redis.ResponseError) and "UNBLOCKED" in (str(error) + str(error.status_code))
    jobs.push(single())
    assert last.names() == ["only"]
    assert served([by_timeout, by_error]) == []
    by_error.connection.send_command("PING")
    assert by_error.reply() in (b"PONG", "PONG"), "the client lives on"


def test_an_unblocked_client_waits_again_at_the_end(jobs: Space, queue: Queue) -> None:
    first, second = queue.joins(2)
    for error in (False, True):
        jobs.client.client_unblock(first.id, error=error)
        first.reply()
        first.connection.send_command("WF.CLAIM", "jobs", "again", "BLOCK", 0)
        queue.wait_until_blocked(2)
    jobs.push(single())
    assert second.names() == ["only"]
    jobs.push(single())
    assert first.names() == ["only"]


def test_a_killed_client_passes_its_place_on(jobs: Space, queue: Queue) -> None:
    killed, vanished, last = queue.joins(3)
    assert jobs.client.execute_command("CLIENT", "KILL", "ID", killed.id) == 1
    vanished.vanish()
    queue.wait_until_blocked(1)
    jobs.push(single())
    assert last.names() == ["only"]
    assert jobs.stats()["tasks"]["running"] == 1
    assert jobs.client.info("workflow")["workflow_waiting_clients"] == 0


def test_killed_in_the_transaction_that_pushed(jobs: Space, queue: Queue) -> None:
    killed, last = queue.joins(2)
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.PUSH", jobs.key, '{"tasks":[{"name":"a","type":"t"}]}')
        transaction.execute_command("CLIENT", "KILL", "ID", killed.id)
        transaction.execute()
    assert last.names() == ["a"], "no task is lost"


def test_permission_lost_while_waiting(server: Server, jobs: Space, queue: Queue) -> None:
    jobs.client.execute_command("ACL", "SETUSER", "limited", "on", "nopass", "~*", "+@all")
    try:
        pool = server.client(username="limited", password="x")
        connection = pool.connection_pool.get_connection()
        connection.send_command("WF.CLAIM", "jobs", "limited", "BLOCK", 0)
        queue.wait_until_blocked(1)
        last = queue.join()
        jobs.client.execute_command("ACL", "SETUSER", "limited", "resetkeys", "~other")
        jobs.push(single())
        assert last.names() == ["only"], "the task goes to who may have it"
        with refused("NOPERM"):
            connection.read_response()
    finally:
        jobs.client.execute_command("ACL", "DELUSER", "limited")


def test_becoming_a_replica_unblocks_with_an_error(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server()
    other = fresh_server()
    Space(other.client(), "jobs").push(single("theirs"))
    queue = Queue(server)
    waiters = queue.joins(3)
    server.replicate_from(other)
    for waiter in waiters:
        error = waiter.reply()
        assert isinstance(error, redis.ResponseError) and "UNBLOCKED" in f"{error.status_code} {error}"
    assert server.client().info("workflow")["workflow_waiting_clients"] == 0
    server.promote()
    assert queue.blocked() == 0
    assert Space(server.client(), "jobs").claim_names("w") == ["theirs"]
    waiter = queue.join()
    Space(server.client(), "jobs").push(single("ours"))
    assert waiter.names() == ["ours"]


def test_a_server_ends_with_clients_waiting(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("appendonly yes")
    waiters = Queue(server).joins(5)
    server.stop()
    for waiter in waiters:
        with pytest.raises(redis.ConnectionError):
            waiter.connection.read_response()


def test_a_slot_that_goes_away_redirects_those_who_wait(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("cluster-enabled yes", "cluster-require-full-coverage no")
    client = server.client()
    client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    server.wait_until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", what="the cluster")
    queue = Queue(server)
    gone, stays = queue.join(), queue.join(key="elsewhere")
    client.execute_command("CLUSTER DELSLOTS", client.execute_command("CLUSTER KEYSLOT", "jobs"))
    with pytest.raises(redis.ResponseError, match="(?i)slot"):
        gone.connection.read_response()
    assert client.info("workflow")["workflow_waiting_clients"] == 1
    Space(client, "elsewhere").push(single())
    assert stays.names() == ["only"]


# The shape of the reply


def masked(reply: bytes) -> bytes:
    return re.sub(rb"\d{13}", b"DEADLINE", re.sub(rb"-[0-9a-f]{8}\r\n", b"-NONCE\r\n", reply))


@pytest.mark.parametrize("options", [[], ["WITHRESULTS"], ["COUNT", 3, "WITHRESULTS"]], ids=str)
def test_a_woken_client_reads_what_it_would_have_read_at_once(
    server: Server, jobs: Space, resp: int, options: list[str]
) -> None:
    document = workflow(task("a", payload="p"), task("b"))
    wire = Wire(server, resp)
    claim = encode("WF.CLAIM", "jobs", "w", "BLOCK", 60_000, *options)
    jobs.push(document, "ID", "x", "INPUT", "in")
    at_once = wire.ask(claim)
    jobs.client.delete("jobs")
    wire.send(claim)
    Queue(server).wait_until_blocked(1)
    jobs.push(document, "ID", "x", "INPUT", "in")
    assert masked(wire.ask(b"")) == masked(at_once)
    assert b"NONCE" in masked(at_once) and b"DEADLINE" in masked(at_once)
    wire.close()


def test_commands_behind_a_blocked_claim_wait_for_it(server: Server, jobs: Space) -> None:
    wire = Wire(server)
    wire.send(encode("WF.CLAIM", "jobs", "w", "BLOCK", 0) + encode("WF.STATS", "nothing") + encode("PING"))
    Queue(server).wait_until_blocked(1)
    jobs.push(single())
    answer = wire.ask(b"")
    assert answer.startswith(b"*1\r\n*8\r\n") and answer.endswith(b"+PONG\r\n")
    wire.close()

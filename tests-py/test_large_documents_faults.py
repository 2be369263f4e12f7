"""What happens while a large document is read: to its client, its key, its server."""

import json
from collections.abc import Callable

import pytest
import redis

from blocked import Queue
from reading import Backlog, documents_waiting, large
from servers import Server, role
from space import Space
from test_cluster import SLOTS, cluster, nodes
from workflows import chain, single, task

__all__ = ["nodes"]

Fresh = Callable[..., Server]

PUSH = ("WF.PUSH", "{jobs}", json.dumps(large()), "ID", "large")


@pytest.fixture
def backlog(server: Server) -> Backlog:
    return Backlog(server)


@pytest.fixture
def space(r: redis.Redis) -> Space:
    return Space(r, "{jobs}")


def is_gone(server: Server) -> None:
    server.wait_until(lambda: documents_waiting(server) == 0, what="all documents to be read or thrown away")
    assert not server.client().exists("{jobs}")


# The client


def test_a_client_that_hangs_up_takes_its_push_along(server: Server, backlog: Backlog, r: redis.Redis) -> None:
    waiter = backlog.sends(*PUSH)
    with backlog.holds():
        waiter.vanish()
        server.wait_until(lambda: not r.client_list(client_id=[str(waiter.id)]), what="the client to be gone")
    backlog.end()
    is_gone(server)


def test_a_client_that_is_killed_takes_its_push_along(server: Server, backlog: Backlog, r: redis.Redis) -> None:
    waiter = backlog.sends(*PUSH)
    with backlog.holds():
        assert r.client_kill_filter(_id=str(waiter.id)) == 1
    backlog.end()
    is_gone(server)


@pytest.mark.parametrize("how", ["TIMEOUT", "ERROR"])
def test_a_client_that_is_unblocked_is_told_that_nothing_happened(
    server: Server, backlog: Backlog, r: redis.Redis, how: str
) -> None:
    waiter = backlog.sends(*PUSH)
    with backlog.holds():
        assert r.execute_command("CLIENT", "UNBLOCK", waiter.id, how) == 1
        error = waiter.reply()
    assert isinstance(error, redis.ResponseError) and str(error).startswith("UNBLOCKED")
    backlog.end()
    is_gone(server)


def test_one_who_lost_the_permission_is_refused(server: Server, backlog: Backlog, r: redis.Redis) -> None:
    r.execute_command("ACL", "SETUSER", "guest", "on", "nopass", "+@all", "~*")
    try:
        waiter = backlog.sends(*PUSH, username="guest", password="any")
        with backlog.holds():
            r.execute_command("ACL", "SETUSER", "guest", "-wf.push")
        error = waiter.reply()
        assert isinstance(error, redis.exceptions.NoPermissionError), error
        backlog.end()
        is_gone(server)
    finally:
        r.execute_command("ACL", "DELUSER", "guest")


# The key


def replaced_by_a_string(space: Space) -> None:
    space.client.set("{jobs}", "text")


def deleted(space: Space) -> None:
    space.client.delete("{jobs}")


def renamed(space: Space) -> None:
    space.client.rename("{jobs}", "{jobs}other")


def emptied(space: Space) -> None:
    space.client.flushall()


def restored(space: Space) -> None:
    space.client.restore("{jobs}", 0, space.client.dump("{jobs}"), replace=True)


def swapped(space: Space) -> None:
    space.client.swapdb(0, 1)


def taken(space: Space) -> None:
    space.push(single(), "ID", "large")


@pytest.mark.parametrize(
    "change,expected,workflows",
    [
        (replaced_by_a_string, "WRONGTYPE", None),
        (deleted, b"large", ["large"]),
        (renamed, b"large", ["large"]),
        (emptied, b"large", ["large"]),
        (restored, b"large", ["large", "small"]),
        (swapped, b"large", ["large"]),
        (taken, "EXISTS", ["large", "small"]),
    ],
)
def test_the_push_meets_the_key_as_it_is_then(
    space: Space, backlog: Backlog, change: Callable[[Space], None], expected: bytes | str, workflows: list[str] | None
) -> None:
    space.push(single(), "ID", "small")
    waiter = backlog.sends(*PUSH)
    with backlog.holds():
        change(space)
    reply = waiter.reply()
    if isinstance(expected, str):
        error = getattr(reply, "status_code", None) or str(reply).split(" ")[0]
        assert isinstance(reply, redis.ResponseError) and error == expected
    else:
        assert reply == expected
    if workflows is not None:
        assert sorted(one["id"] for one in space.listed()) == workflows


def test_tasks_meet_their_workflow_as_it_is_then(space: Space, backlog: Backlog) -> None:
    """It has grown meanwhile, so they are read once more."""
    space.push(chain(2), "ID", "w")
    token = space.claim_one("w").token
    added = json.dumps(large()["tasks"])
    first = backlog.sends("WF.ADD", "{jobs}", token, added)
    second = backlog.sends("WF.ADD", "{jobs}", token, added.replace("task-", "other-"))
    with backlog.holds():
        assert space.add(token, task("between")) == 1
    assert (first.reply(), second.reply()) == (3_000, 3_000)
    assert space.get("w")["size"] == 6_003
    states = space.get("w")["counts"]
    assert states["ready"] == 6_001


def test_tasks_of_a_lease_that_ended_are_not_added(space: Space, backlog: Backlog) -> None:
    space.push(chain(2), "ID", "w")
    token = space.claim_one("w").token
    waiter = backlog.sends("WF.ADD", "{jobs}", token, json.dumps(large()["tasks"]))
    with backlog.holds():
        assert space.complete(token) == [1]
    assert waiter.reply() == 0
    assert space.get("w")["size"] == 2


# The server


def test_while_writes_are_paused_a_push_waits(server: Server, backlog: Backlog, r: redis.Redis, space: Space) -> None:
    waiter = backlog.sends(*PUSH)
    with backlog.holds():
        r.client_pause(60_000, all=False)
    try:
        before = documents_waiting(server)
        pings = [r.ping() for _ in range(200)]
        assert all(pings) and not waiter.has_reply() and documents_waiting(server) == before >= 2
    finally:
        r.client_unpause()
    assert waiter.reply() == b"large"
    backlog.end()


def test_a_primary_that_becomes_a_replica_throws_it_away(fresh_server: Fresh) -> None:
    other, server = fresh_server(), fresh_server()
    backlog = Backlog(server)
    waiter = backlog.sends(*PUSH)
    server.client().execute_command("REPLICAOF", "127.0.0.1", other.port)
    error = waiter.reply()
    assert isinstance(error, redis.ResponseError) and str(error).startswith("UNBLOCKED")
    server.wait_in_sync(other)
    assert role(server) == "slave"
    is_gone(server)
    server.promote()
    assert not server.client().keys()


def test_a_replica_and_a_restart_have_what_was_answered(fresh_server: Fresh) -> None:
    primary = fresh_server("appendonly yes", "appendfsync always")
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    waiter = Queue(primary).join()
    jobs.push(large(name="one"), "INPUT", "in")
    assert len(waiter.tasks()) == 1
    jobs.define("d", large(tasks=4_000))
    jobs.start("d")
    token = jobs.claim_one("w").token
    jobs.add(token, *json.loads(json.dumps(large()).replace("task-", "more-"))["tasks"])
    digest = jobs.client.execute_command("DEBUG", "DIGEST-VALUE", "jobs")
    replica.wait_in_sync(primary)
    assert replica.client().execute_command("DEBUG", "DIGEST-VALUE", "jobs") == digest
    primary.restart(hard=True)
    assert primary.client().execute_command("DEBUG", "DIGEST-VALUE", "jobs") == digest


def full(r: redis.Redis) -> None:
    r.config_set("maxmemory", 1_000_000)


def alone(r: redis.Redis) -> None:
    r.config_set("min-replicas-to-write", 1)


@pytest.mark.parametrize("what,code", [(full, "OOM"), (alone, "NOREPLICAS")])
def test_a_server_that_takes_no_work_by_then_refuses_it(
    server: Server, backlog: Backlog, r: redis.Redis, what: Callable[[redis.Redis], None], code: str
) -> None:
    waiter = backlog.sends(*PUSH)
    with backlog.holds():
        what(r)
        r.ping()
    error = waiter.reply()
    try:
        assert isinstance(error, redis.ResponseError)
        assert (getattr(error, "status_code", None) or str(error).split(" ")[0]) == code, error
        is_gone(server)
    finally:
        r.config_set("maxmemory", 0)
        r.config_set("min-replicas-to-write", 0)


def test_a_shutdown_does_not_wait_for_it(fresh_server: Fresh) -> None:
    server = fresh_server("appendonly yes")
    backlog = Backlog(server)
    backlog.sends(*PUSH)
    server.restart()
    assert not server.client().exists("{jobs}")


def test_the_module_stays_loaded(backlog: Backlog, r: redis.Redis) -> None:
    waiter = backlog.sends(*PUSH)
    with backlog.holds(), pytest.raises(redis.ResponseError):
        r.execute_command("MODULE", "UNLOAD", "workflow")
    assert waiter.reply() == b"large"


@pytest.mark.parametrize("key", ["{jobs}", "a}b"])
def test_a_slot_that_moves_away_takes_the_client_along(nodes: list[Server], key: str) -> None:
    slot = int(cluster(nodes[0], "KEYSLOT", key))
    owner, other = nodes if slot < SLOTS // 2 else reversed(nodes)
    cluster(other, "SETSLOT", slot, "IMPORTING", cluster(owner, "MYID"))
    waiter = Queue(owner, key).sends("WF.PUSH", key, json.dumps(large(tasks=50_000)))
    cluster(owner, "SETSLOT", slot, "MIGRATING", cluster(other, "MYID"))
    for node in (other, owner):
        cluster(node, "SETSLOT", slot, "NODE", cluster(other, "MYID"))
    assert isinstance(waiter.reply(), redis.ResponseError), "redirected"
    assert not owner.client().execute_command("INFO", "keyspace")

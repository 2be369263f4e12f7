"""What replicas know: everything, by a full or a partial resync, from a primary or another replica."""

import json
from collections.abc import Callable

import pytest
import redis

from blocked import Queue, served
from files import wait_for_rewrite
from history import HOUR, digest, ids_of, live, portrait
from refusals import refused
from servers import Server
from space import Space
from workflows import chain, loose, single

Fresh = Callable[..., Server]


def same(*servers: Server) -> None:
    """All of these hold the same space."""
    assert len({digest(server.client()) for server in servers}) == 1


@pytest.mark.parametrize("load", ["disabled", "swapdb"])
@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_full_resync(fresh_server: Fresh, diskless: str, load: str) -> None:
    primary = fresh_server(f"repl-diskless-sync {diskless}")
    jobs = Space(primary.client(), "jobs")
    live(primary, jobs)
    replica = fresh_server(f"repl-diskless-load {load}")
    Space(replica.client(), "jobs").push(single("of another life"))
    Space(replica.client(), "left over").push(single())
    replica.replicate_from(primary)
    same(primary, replica)
    assert replica.client().exists("left over") == 0
    ids = ids_of(jobs)
    assert portrait(Space(replica.client(), "jobs"), ids) == portrait(jobs, ids)
    live(primary, jobs)
    replica.wait_in_sync(primary)
    same(primary, replica)


def test_a_partial_resync_continues_where_it_was(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    live(primary, jobs)
    replica.wait_in_sync(primary)
    before = jobs.client.info("stats")
    jobs.client.execute_command("CLIENT", "KILL", "TYPE", "replica")
    live(primary, jobs)
    replica.wait_in_sync(primary)
    after = jobs.client.info("stats")
    assert after["sync_partial_ok"] > before["sync_partial_ok"], "the link was not broken, or badly"
    assert after["sync_full"] == before["sync_full"]
    same(primary, replica)


def test_a_replica_of_a_replica(fresh_server: Fresh) -> None:
    primary = fresh_server()
    middle = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    live(primary, jobs)
    middle.wait_in_sync(primary)
    last = fresh_server(replica_of=middle)
    live(primary, jobs)
    middle.wait_in_sync(primary)
    last.wait_in_sync(middle)
    same(primary, middle, last)


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_a_replica_restarts_on_its_own_aof(fresh_server: Fresh, preamble: str) -> None:
    primary = fresh_server()
    replica = fresh_server("appendonly yes", "appendfsync always", f"aof-use-rdb-preamble {preamble}")
    replica.replicate_from(primary)
    jobs = Space(primary.client(), "jobs")
    live(primary, jobs)
    token = jobs.push(single(type="held")) and jobs.claim_one("w", "TYPES", 1, "held", "LEASE", HOUR).token
    replica.wait_in_sync(primary)
    wait_for_rewrite(replica)
    replica.restart(hard=True)
    assert replica.client().role()[0] in (b"master", "master")
    same(primary, replica)
    assert Space(replica.client(), "jobs").complete(token) == [1]
    replica.replicate_from(primary)
    same(primary, replica)
    assert jobs.complete(token) == [1]


def test_a_promoted_replica_goes_on(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    jobs.push(chain(2), "ID", "c")
    jobs.push(loose(1), "ID", "l")
    first = jobs.claim_one("w", "LEASE", HOUR)
    crashed = jobs.claim_one("crashed", "LEASE", HOUR)
    replica.wait_in_sync(primary)
    primary.kill9()
    replica.promote()
    after = Space(replica.client(), "jobs")
    waiter = Queue(replica).join()
    assert after.complete(first.token, "RESULT", "r") == [1], "a token outlives the primary"
    assert waiter.names() == ["t1"]
    assert after.recover("crashed") == [crashed.token]
    assert after.claim_names("w") == ["t0"]
    assert after.push(single()) == "1"


def test_a_failover_back_and_forth(fresh_server: Fresh) -> None:
    one, two = fresh_server(), fresh_server()
    two.replicate_from(one)
    for primary, replica in ((one, two), (two, one), (one, two)):
        jobs = Space(primary.client(), "jobs")
        live(primary, jobs)
        replica.wait_in_sync(primary)
        same(one, two)
        replica.promote()
        primary.replicate_from(replica)
    same(one, two)


def test_a_coordinated_failover_moves_those_who_wait(fresh_server: Fresh) -> None:
    """FAILOVER pauses writes until the replica has caught up; nothing may be written meanwhile."""
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    jobs.push(loose(300))
    jobs.claim("w", "COUNT", 300, "LEASE", 20)
    waiter = Queue(primary).join("TYPES", 1, "none")
    jobs.client.execute_command("FAILOVER")
    primary.wait_until(
        lambda: jobs.client.info("replication")["role"] == "slave", 20, what="the primary to become a replica"
    )
    assert isinstance(waiter.reply(), redis.ResponseError)
    after = Space(replica.client(), "jobs")
    replica.wait_until(lambda: after.stats()["tasks"]["ready"] == 300, what="leases to run out on the new primary")
    primary.wait_in_sync(replica)
    same(primary, replica)


def test_a_claim_for_a_waiter_reaches_the_replica_in_order(fresh_server: Fresh) -> None:
    primary = fresh_server("appendonly yes", "appendfsync always")
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    waiters = Queue(primary).joins(3)
    jobs.push(loose(2))
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.PUSH", "jobs", json.dumps(single()))
        transaction.execute()
    primary.wait_until(lambda: len(served(waiters)) == 3, what="all to be served")
    replica.wait_in_sync(primary)
    same(primary, replica)
    before = digest(jobs.client)
    primary.restart(hard=True)
    assert digest(primary.client()) == before


# What is not for clients


def test_apply_is_refused_everywhere(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    Space(primary.client(), "jobs").push(single())
    replica.wait_in_sync(primary)
    before = digest(primary.client())
    for server in (primary, replica):
        for arguments in (["pause", "all", "-"], ["snapshot", "H"], ["delete", "1"], ["?"]):
            with pytest.raises(redis.ResponseError):
                server.client().execute_command("WF.APPLY", "jobs", *arguments)
    client = primary.client()
    with client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.APPLY", "jobs", "pause", "all", "-")
        with pytest.raises(redis.ResponseError):
            transaction.execute()
    with pytest.raises(redis.ResponseError):
        client.eval("return redis.call('WF.APPLY', KEYS[1], 'pause', 'all', '-')", 1, "jobs")
    assert digest(client) == before
    same(primary, replica)


def test_a_replica_answers_questions_and_refuses_work(fresh_server: Fresh) -> None:
    primary = fresh_server()
    jobs = Space(primary.client(), "jobs")
    jobs.push(single())
    replica = fresh_server(replica_of=primary)
    copy = Space(replica.client(), "jobs")
    assert copy.state("1") == "running"
    assert copy.stats()["tasks"]["ready"] == 1
    for command in (["CLAIM", "w"], ["CLAIM", "w", "BLOCK", 0], ["PAUSE", "ALL"], ["PUSH", "{}"], ["DELETE", "1"]):
        with refused("READONLY"):
            copy.call(*command)


def test_what_changes_nothing_is_not_replicated(fresh_server: Fresh) -> None:
    primary = fresh_server("repl-ping-replica-period 3600", "repl-timeout 7200")
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    jobs.push(loose(2), "ID", "w")
    done, failed = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    jobs.complete(done.token)
    jobs.fail(failed.token)
    jobs.pause("ALL")
    replica.wait_in_sync(primary)

    def offset() -> int:
        return jobs.client.info("replication")["master_repl_offset"]

    start = offset()
    for command in (
        ["CLAIM", "w"],
        ["CLAIM", "w", "BLOCK", 1],
        ["COMPLETE", done.token],
        ["FAIL", failed.token],
        ["COMPLETE", failed.token],
        ["COMPLETE", "nothing-0-00000000"],
        ["EXTEND", 1000, done.token],
        ["PAUSE", "ALL"],
        ["PAUSE", "ID", "w"],
        ["RELEASE", "TYPE", "work"],
        ["RECOVER", "w"],
        ["RECOVER", "w", "RESUME"],
        ["DELETE", "nothing"],
        ["PUSH", json.dumps(single()), "ID", "w", "NX"],
        ["GET", "w", "TASKS"],
        ["STATS"],
    ):
        jobs.call(*command)
        assert offset() == start, command
    Space(jobs.client, "missing").claim("w")
    with refused("INVALID"):
        jobs.push("{}")
    with refused("EXISTS"):
        jobs.push(single(), "ID", "w")
    assert offset() == start
    jobs.release("ALL")
    assert offset() > start

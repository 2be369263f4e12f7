"""Promises of the README that are about losing: what may be lost, what is not, and what tells them apart."""

from collections.abc import Callable

from history import HOUR, digest
from refusals import refused
from servers import Server
from space import Space
from workflows import chain, loose, single

Fresh = Callable[..., Server]


def test_a_promoted_replica_issues_no_token_again(fresh_server: Fresh) -> None:
    """It never heard of these claims, and hands out the same tasks for the same attempt."""
    primary = fresh_server()
    jobs = Space(primary.client(), "jobs")
    jobs.push(loose(200))
    replica = fresh_server(replica_of=primary)
    replica.promote()
    lost = jobs.claim("w", "COUNT", 200, "LEASE", HOUR)
    after = Space(replica.client(), "jobs")
    again = after.claim("w", "COUNT", 200, "LEASE", HOUR)
    assert [(task.name, task.attempt) for task in lost] == [(task.name, task.attempt) for task in again]
    assert not {task.token for task in lost} & {task.token for task in again}
    assert after.complete(*(task.token for task in lost)) == [0] * 200, "they change nothing there"
    assert after.stats()["tasks"]["running"] == 200


def test_with_rdb_alone_a_crash_goes_back_to_the_last_save(fresh_server: Fresh) -> None:
    """All of what was saved is there, and nothing of what came after, in no half of it."""
    server = fresh_server()
    jobs = Space(server.client(), "jobs")
    jobs.push(chain(3))
    held = jobs.claim_one("w", "LEASE", HOUR)
    server.client().save()
    saved = digest(server.client())
    assert jobs.complete(held.token) == [1]
    later = jobs.claim_one("w", "LEASE", HOUR)
    jobs.push(single())
    server.kill9()
    server.start()
    assert digest(server.client()) == saved
    jobs = Space(server.client(), "jobs")
    assert jobs.complete(later.token) == [0]
    assert jobs.complete(held.token) == [1]


def test_what_wait_says_a_replica_has_survives_the_primary(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    # WAIT asks for what its own connection wrote.
    jobs = Space(primary.client(single_connection_client=True), "jobs")
    jobs.push(loose(2))
    first, second = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    assert jobs.complete(first.token) == [1]
    assert jobs.client.wait(1, 20_000) == 1
    replica.freeze()
    assert jobs.complete(second.token) == [1]
    assert jobs.client.wait(1, 100) == 0, "nobody else knows"
    primary.kill9()
    replica.thaw()
    replica.promote()
    assert Space(replica.client(), "jobs").complete(first.token) == [2]


def test_without_enough_replicas_nothing_is_taken_in(fresh_server: Fresh) -> None:
    primary = fresh_server("min-replicas-to-write 1", "min-replicas-max-lag 1")
    jobs = Space(primary.client(), "jobs")
    with refused("NOREPLICAS"):
        jobs.push(single())
    assert jobs.client.exists("jobs") == 0
    replica = fresh_server(replica_of=primary)
    primary.wait_until(lambda: jobs.client.info("replication")["min_slaves_good_slaves"] == 1, what="a good replica")
    jobs.push(single())
    held = jobs.claim_one("w", "LEASE", HOUR)
    replica.freeze()
    primary.wait_until(lambda: jobs.client.info("replication")["min_slaves_good_slaves"] == 0, what="the replica to lag")
    with refused("NOREPLICAS"):
        jobs.complete(held.token)
    with refused("NOREPLICAS"):
        jobs.claim("another")
    assert jobs.states(held.workflow) == {"only": "running"}
    replica.thaw()
    primary.wait_until(lambda: jobs.client.info("replication")["min_slaves_good_slaves"] == 1, what="it to be back")
    assert jobs.complete(held.token) == [1]

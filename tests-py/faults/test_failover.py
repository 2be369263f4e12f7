"""A primary that hands over, pauses or is told another role, while a crowd works on it."""

import time
from random import Random

import pytest
import redis

from blocked import Queue
from voice import Address
from fixtures import Count, Fresh, MakeCrowd, Rounds
from history import HOUR, digest
from judge import Rules
from servers import Server, role
from space import Space
from waiting import eventually, work_for
from workflows import loose

CONFIG = ("repl-diskless-sync-delay 0", "repl-timeout 3600")


class Pair:
    """Two servers, one of which is the primary."""

    def __init__(self, one: Server, two: Server):
        self.both = [one, two]

    def primary(self) -> Server:
        """The one that says it is, waiting for one to do."""
        return eventually(lambda: next((s for s in self.both if role(s) == "master"), None), 30, "a primary")

    def replica(self) -> Server:
        primary = self.primary()
        return next(server for server in self.both if server is not primary)

    def where(self) -> Address:
        for server in self.both:
            with redis.Redis(host="127.0.0.1", port=server.port, socket_timeout=5) as client:
                if client.info("replication")["role"] == "master":
                    return "127.0.0.1", server.port
        raise redis.ConnectionError("nobody is the primary")

    def same(self) -> None:
        primary, replica = self.primary(), self.replica()
        replica.wait_in_sync(primary)
        assert digest(primary.client()) == digest(replica.client())


@pytest.fixture
def pair(fresh_server: Fresh) -> Pair:
    one = fresh_server(*CONFIG)
    return Pair(one, fresh_server(*CONFIG, replica_of=one))


def fail_over(pair: Pair) -> None:
    """FAILOVER, to its end. It is refused while the replica is still being set up."""
    old, new = pair.primary(), pair.replica()

    def accepted() -> bool:
        try:
            return bool(old.client().execute_command("FAILOVER"))
        except redis.ResponseError:
            return False

    eventually(accepted, 20, "FAILOVER to be accepted")
    eventually(lambda: role(new) == "master" and role(old) == "slave", 20, "the roles to change")


def test_failover_back_and_forth_loses_nothing(
    pair: Pair, make_crowd: MakeCrowd, rng: Random, rounds: Rounds, count: Count
) -> None:
    """The writes wait until the replica has them all, so both lives are one history."""
    with make_crowd(pair.where, lease_ms=150, block_ms=60) as crowd:
        for _ in range(rounds(4)):
            crowd.wait_for_progress(rng.randrange(1, 40))
            fail_over(pair)
            count("failovers")
        crowd.finish()
    pair.same()


def test_a_primary_that_dies_loses_no_more_than_it_had_not_sent(
    fresh_server: Fresh, make_crowd: MakeCrowd, rng: Random, rounds: Rounds, count: Count
) -> None:
    """The last writes may be gone; no token comes twice, no child before its parents, and all ends."""
    one = fresh_server(*CONFIG)
    pair = Pair(one, fresh_server(*CONFIG, replica_of=one))
    gaps: list[tuple[float, float]] = []
    with make_crowd(pair.where, lease_ms=200, block_ms=60) as crowd:
        for _ in range(rounds(3)):
            crowd.wait_for_progress(rng.randrange(5, 40))
            old, new = pair.primary(), pair.replica()
            new.wait_in_sync(old)
            since = time.time() - 1
            if rng.random() < 0.5:
                new.freeze()
                crowd.wait_for_progress(rng.randrange(1, 20))
                old.kill9()
                new.thaw()
            else:
                old.kill9()
            new.promote()
            count("servers killed")
            count("failovers")
            # It comes back as a primary without data, and who talks to it until it is told talks to the wind.
            old.start()
            old.replicate_from(new)
            gaps.append((since, time.time()))
        crowd.finish(Rules(tuple(gaps)))
    pair.same()


def test_pauses_while_leases_end(
    pair: Pair, make_crowd: MakeCrowd, rng: Random, rounds: Rounds, count: Count
) -> None:
    """Nothing may be written in a pause, whatever falls due. Leases that ended meanwhile end after it."""
    primary = pair.primary()
    control = primary.client()
    with make_crowd(pair.where, lease_ms=40, block_ms=20) as crowd:
        for _ in range(rounds(6)):
            crowd.wait_for_progress(rng.randrange(1, 20))
            mode = rng.choice(["WRITE", "ALL"])
            control.execute_command("CLIENT", "PAUSE", rng.randrange(50, 250), mode)
            count("pauses")
            if rng.random() < 0.3:
                work_for(rng.random() / 10)
                control.execute_command("CLIENT", "UNPAUSE")
        crowd.finish()
    pair.same()


def test_a_shutdown_that_waits_for_a_replica_while_leases_end(pair: Pair) -> None:
    """From SHUTDOWN on nothing is written until the replica has caught up, then the server ends well."""
    primary, replica = pair.primary(), pair.replica()
    jobs = Space(primary.client(), "jobs")
    jobs.client.config_set("shutdown-timeout", 2)
    jobs.push(loose(500, max_deliveries=99))
    jobs.claim("w", "COUNT", 500, "LEASE", 300)
    waiters = Queue(primary).joins(3, "TYPES", 1, "another")
    replica.wait_in_sync(primary)
    replica.freeze()
    jobs.push(loose(3))
    with pytest.raises(redis.ConnectionError):
        jobs.client.execute_command("SHUTDOWN", "NOSAVE")
    primary.expect_end()
    replica.thaw()
    assert all(isinstance(waiter_end(waiter.connection), redis.ConnectionError) for waiter in waiters)
    replica.promote()
    after = Space(replica.client(), "jobs")
    replica.wait_until(lambda: after.stats()["tasks"]["ready"] >= 500, what="the leases to end on the replica")


def waiter_end(connection: redis.Connection) -> Exception:
    try:
        return AssertionError(connection.read_response())
    except redis.RedisError as error:
        return error


def test_a_failover_that_is_called_off(pair: Pair) -> None:
    """The replica does not answer, so FAILOVER is aborted: what fell due meanwhile happens then."""
    primary, replica = pair.primary(), pair.replica()
    jobs = Space(primary.client(), "jobs")
    for way in ("TIMEOUT", "ABORT"):
        wid = jobs.push(loose(50, max_deliveries=99))
        tokens = [task.token for task in jobs.claim("w", "TYPES", 1, "work", "COUNT", 50, "LEASE", HOUR)]
        replica.wait_in_sync(primary)
        replica.freeze()
        start = time.time()
        with jobs.client.pipeline(transaction=False) as turn:
            turn.execute_command("WF.EXTEND", "jobs", 200, *tokens)
            turn.execute_command("FAILOVER", *(["TIMEOUT", 700] if way == "TIMEOUT" else []))
            turn.execute()
        eventually(lambda s=start: time.time() > s + 0.4, what="leases to end in the pause")
        if way == "ABORT":
            assert set(jobs.states(wid).values()) == {"running"}, "nothing is written in the pause"
            jobs.client.execute_command("FAILOVER", "ABORT")
        primary.wait_until(lambda w=wid: set(jobs.states(w).values()) == {"ready"}, what="the leases to end")
        assert role(primary) == "master"
        replica.thaw()
        pair.same()
        jobs.delete(wid)


def test_the_role_changes_again_and_again_under_waiting_workers(
    pair: Pair, rng: Random, rounds: Rounds, count: Count
) -> None:
    """Each time all of them are told, nobody is left behind, and the next ones are served."""
    for _ in range(rounds(3)):
        primary = pair.primary()
        queue = Queue(primary)
        queue.joins(rng.randrange(1, 25))
        assert primary.client().info("workflow")["workflow_waiting_clients"] > 0
        fail_over(pair)
        count("failovers")
        assert primary.client().info("workflow")["workflow_waiting_clients"] == 0
        queue.wait_until_blocked(0)
        now = pair.primary()
        waiter = Queue(now).join("LEASE", HOUR)
        Space(now.client(), "jobs").push(loose(1))
        assert waiter.names() == ["t0"]
        pair.same()

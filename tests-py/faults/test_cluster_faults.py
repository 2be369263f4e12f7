"""A Redis Cluster: slots move while workers wait and while leases are held, primaries die or hand over."""

import time
from functools import partial
from random import Random

import pytest
import redis
from redis.crc import key_slot

from blocked import Queue
from clusters import NODE, Cluster, cluster
from fixtures import Count, Fresh, MakeCrowd, Rounds
from history import HOUR, digest, live
from judge import Rules
from servers import role
from space import Space
from waiting import eventually
from workflows import chain, loose, single

KEYS = tuple(f"jobs-{number}" for number in range(6))


@pytest.fixture
def nodes(fresh_server: Fresh) -> Cluster:
    return Cluster([fresh_server(*NODE) for _ in range(2)], 2)


@pytest.mark.parametrize("way", ["key by key", "as a whole"])
def test_a_live_space_moves(nodes: Cluster, way: str) -> None:
    """With its leases and everything else; who waits is sent after it; leases end where it is now."""
    if way == "as a whole" and not nodes.moves_whole():
        pytest.skip("this server moves slots key by key")
    source = nodes.owner("jobs")
    (to,) = [node for node in nodes.nodes if node is not source]
    jobs = Space(source.client(), "jobs")
    live(source, jobs)
    jobs.push(loose(3, type="moves", max_deliveries=9), "ID", "moves")
    held = jobs.claim_one("w", "TYPES", 1, "moves", "LEASE", HOUR)
    short = jobs.claim_one("w", "TYPES", 1, "moves", "LEASE", 1_500)
    waiters = Queue(source).joins(3, "TYPES", 1, "later")
    before = digest(jobs.client)
    (nodes.move if way == "key by key" else nodes.move_whole)("jobs", to)
    moved = Space(to.client(), "jobs")
    assert digest(moved.client) == before
    for waiter in waiters:
        error = waiter.reply()
        assert isinstance(error, redis.ResponseError) and "MOVED" in f"{type(error).__name__.upper()} {error}"
    with pytest.raises(redis.exceptions.MovedError):
        jobs.complete(held.token)
    assert source.client().info("workflow")["workflow_waiting_clients"] == 0
    assert source.client().info("workflow")["workflow_spaces"] == 0
    assert moved.complete(held.token) == [1]
    to.wait_until(lambda: moved.states("moves")[short.name] == "ready", what="the lease to end there")
    waiter = Queue(to).join("TYPES", 1, "later")
    moved.push(single(type="later"))
    assert waiter.names() == ["only"]


def test_a_slot_that_is_on_its_way(nodes: Cluster) -> None:
    """Between MIGRATE and the end: the old owner sends on, the new one serves those who ask; nobody is lost."""
    source = nodes.owner("jobs")
    (to,) = [node for node in nodes.nodes if node is not source]
    slot = key_slot(b"jobs")
    jobs = Space(source.client(), "jobs")
    jobs.push(chain(2))
    held = jobs.claim_one("w", "LEASE", HOUR)
    waiter = Queue(source).join()
    cluster(to, "SETSLOT", slot, "IMPORTING", cluster(source, "MYID"))
    cluster(source, "SETSLOT", slot, "MIGRATING", cluster(to, "MYID"))
    assert jobs.extend(HOUR, held.token) == [1], "it is still there"
    nodes.migrate(source, to, slot)
    with pytest.raises(redis.exceptions.AskError):
        jobs.complete(held.token)
    with pytest.raises(redis.exceptions.AskError):
        jobs.claim("w", "BLOCK", 1)
    asking = Space(to.client(single_connection_client=True), "jobs")
    with pytest.raises(redis.exceptions.MovedError):
        asking.complete(held.token)
    assert asking.client.execute_command("ASKING")
    assert asking.complete(held.token) == [1]
    assert not waiter.has_reply()
    for node in (to, source):
        cluster(node, "SETSLOT", slot, "NODE", cluster(to, "MYID"))
    assert isinstance(waiter.reply(), redis.ResponseError)
    assert Space(to.client(), "jobs").claim_names("w") == ["t1"]


def test_no_time_passes_in_a_slot_that_is_on_its_way_as_a_whole(nodes: Cluster) -> None:
    """It takes a while; what has arrived follows its owner, and no lease ends by itself where it is going."""
    if not nodes.moves_whole():
        pytest.skip("this server moves slots key by key")
    keys = [f"{{jobs}}{number}" for number in range(8)]
    source = nodes.owner("jobs")
    (to,) = [node for node in nodes.nodes if node is not source]
    source.client().config_set("rdb-key-save-delay", 200_000)
    stream = "{jobs}stream"
    Space(source.client(), keys[0]).configure("events", stream)
    held, short = {}, {}
    for key in keys:
        jobs = Space(source.client(), key)
        jobs.push(loose(3), "ID", "a")
        jobs.push(single(type="later"), "ID", "delayed", "DELAY", 600)
        held[key] = jobs.claim_one("w", "LEASE", HOUR)
        short[key] = jobs.claim_one("w", "LEASE", 600)
    nodes.begin_to_move_whole("jobs", to)
    there = to.client()
    source.wait_until(
        lambda: source.client().info("workflow")["workflow_leases_expired"] == len(keys), what="leases to end"
    )
    assert nodes.owner("jobs") is source, "it takes longer than that"
    jobs = Space(source.client(), keys[0])
    assert jobs.claim_one("w", "LEASE", HOUR).attempt == 2
    assert there.info("workflow")["workflow_sweeps"] == 0
    nodes.wait_until_moved("jobs", to)
    told = [entry[b"event"] for _, entry in there.xrange(stream)]
    assert told == [b"workflow.pushed", b"workflow.pushed", b"task.expired"]
    for key in keys:
        moved = Space(there, key)
        assert moved.tasks("a")[short[key].name]["lost"] == 1
        assert moved.complete(held[key].token) == [1]
        assert moved.states("delayed")["only"] == "ready"
    assert moved.states("a")[short[keys[0]].name] == "ready"
    assert Space(there, keys[0]).states("a")[short[keys[0]].name] == "running"


def test_a_move_that_is_called_off_leaves_nothing_behind(nodes: Cluster) -> None:
    """And when it is made after all, time passes where the space is."""
    if not nodes.moves_whole():
        pytest.skip("this server moves slots key by key")
    source = nodes.owner("jobs")
    (to,) = [node for node in nodes.nodes if node is not source]
    jobs, there = Space(source.client(), "jobs"), to.client()
    live(source, jobs)
    source.client().config_set("rdb-key-save-delay", 1_000_000)
    for number in range(4):
        Space(source.client(), f"{{jobs}}{number}").push(single())
    nodes.begin_to_move_whole("jobs", to)
    nodes.call_off_moves(source, to)
    source.client().config_set("rdb-key-save-delay", 0)
    to.wait_until(lambda: there.info("workflow")["workflow_spaces"] == 0, what="what had arrived to be removed")
    assert nodes.owner("jobs") is source
    jobs.push(single(type="last"), "ID", "last")
    token = jobs.claim_one("w", "TYPES", 1, "last", "LEASE", HOUR).token
    before = digest(jobs.client)
    nodes.move_whole("jobs", to)
    moved = Space(there, "jobs")
    assert digest(there) == before
    assert moved.extend(100, token) == [1]
    to.wait_until(lambda: moved.states("last")["only"] == "ready", what="the lease to end there")


@pytest.mark.parametrize("option", ["COPY", "REPLACE", "nothing"])
def test_migrate_between_servers_that_are_no_cluster(fresh_server: Fresh, option: str) -> None:
    """Leases come along, and the key's tokens are good where it is."""
    one, two = fresh_server(), fresh_server()
    jobs = Space(one.client(), "jobs")
    live(one, jobs)
    jobs.push(loose(2, type="moves"), "ID", "moves")
    held = jobs.claim_one("w", "TYPES", 1, "moves", "LEASE", HOUR)
    before = digest(jobs.client)
    if option == "REPLACE":
        Space(two.client(), "jobs").push(single("gone"))
    waiter = Queue(two).join("TYPES", 1, "moves")
    words = [] if option == "nothing" else [option]
    one.client().execute_command("MIGRATE", "127.0.0.1", two.port, "jobs", 0, 5000, *words)
    assert waiter.names() == ["t1"]
    assert one.client().exists("jobs") == (option == "COPY")
    there = Space(two.client(), "jobs")
    assert there.complete(held.token) == [1]
    if option == "COPY":
        assert digest(one.client()) == before


@pytest.mark.quick_on("redis-7.0", "valkey-9.1")
def test_slots_move_and_primaries_change_under_a_crowd(
    fresh_server: Fresh, make_crowd: MakeCrowd, rng: Random, rounds: Rounds, count: Count
) -> None:
    """Moves, key by key or as a whole, and manual failovers lose nothing."""
    nodes = Cluster([fresh_server(*NODE) for _ in range(6)])
    where = {key: partial(nodes.where, key) for key in KEYS}
    with make_crowd(where, keys=KEYS, workers=12, pushers=3, patience=60.0) as crowd:
        for _ in range(rounds(4)):
            crowd.wait_for_progress(rng.randrange(5, 40), 60)
            if rng.random() < 0.75:
                key = rng.choice(KEYS)
                owner = nodes.owner(key)
                whole = nodes.moves_whole() and rng.random() < 0.7
                move = nodes.move_whole if whole else nodes.move
                move(key, rng.choice([node for node in nodes.primaries() if node is not owner]))
                count("slots moved")
            else:
                nodes.fail_over(rng.choice(nodes.primaries()))
                count("failovers")
        crowd.finish()
    check_replicas(nodes)


@pytest.mark.quick_on("valkey-9.1")
def test_primaries_of_a_cluster_are_killed_under_a_crowd(
    fresh_server: Fresh, make_crowd: MakeCrowd, rng: Random, rounds: Rounds, count: Count
) -> None:
    """The replica takes over; what had not reached it may be lost, nothing else."""
    nodes = Cluster([fresh_server(*NODE) for _ in range(6)])
    where = {key: partial(nodes.where, key) for key in KEYS}
    gaps: list[tuple[float, float]] = []
    with make_crowd(where, keys=KEYS, workers=12, pushers=3, patience=60.0) as crowd:
        for _ in range(rounds(1)):
            crowd.wait_for_progress(rng.randrange(5, 40), 60)
            old = nodes.owner(rng.choice(KEYS))
            new = nodes.replica_of(old)
            since = time.time() - 1
            old.kill9()
            count("servers killed")
            eventually(lambda n=new: role(n) == "master", 60, "the replica to take over", every=0.05)
            count("failovers")
            gaps.append((since, time.time()))
            old.start()
            eventually(lambda o=old: role(o) == "slave", 60, "the old primary to follow", every=0.05)
        crowd.finish(Rules(tuple(gaps)))
    check_replicas(nodes)


def check_replicas(nodes: Cluster) -> None:
    for primary in nodes.primaries():
        replica = nodes.replica_of(primary)
        replica.wait_in_sync(primary)
        keys = sorted(primary.client().keys())
        for key in keys:
            control = replica.client()
            control.execute_command("READONLY")
            assert digest(control, key) == digest(primary.client(), key)

"""A space in a cluster of two: routing, waiting, and a slot that moves away while clients wait."""

from collections.abc import Callable, Iterator

import pytest
import redis

from awaited import look, states, told
from blocked import Queue, served
from servers import Server
from space import Space
from waiting import eventually
from workflows import single

SLOTS = 16_384


def cluster(server: Server, *words: object) -> str:
    reply = server.client(resp=2).execute_command("CLUSTER", *words)
    return reply.decode() if isinstance(reply, bytes) else str(reply)


@pytest.fixture
def nodes(fresh_server: Callable[..., Server]) -> Iterator[list[Server]]:
    both = [fresh_server("cluster-enabled yes") for _ in range(2)]
    half = SLOTS // 2
    for place, node in enumerate(both):
        cluster(node, "ADDSLOTSRANGE", place * half, (place + 1) * half - 1)
    cluster(both[0], "MEET", "127.0.0.1", both[1].port)
    eventually(lambda: all("cluster_state:ok" in cluster(node, "INFO") for node in both), 30, "the cluster to form")
    yield both


@pytest.mark.parametrize("key", ["jobs", "{tag}jobs", "a}b"])
def test_a_client_waits_in_the_slot_of_the_space(nodes: list[Server], key: str) -> None:
    slot = int(cluster(nodes[0], "KEYSLOT", key))
    owner, other = nodes if slot < SLOTS // 2 else reversed(nodes)
    with pytest.raises(redis.exceptions.MovedError):
        Space(other.client(), key).push(single())
    queue = Queue(owner, key)
    waiter = queue.join()
    space = Space(owner.client(), key)
    space.push(single())
    assert waiter.names() == ["only"]

    waiter = queue.join()
    space.client.delete(key)
    new_owner = cluster(other, "MYID")
    for node in (other, owner):
        cluster(node, "SETSLOT", slot, "NODE", new_owner)
    assert isinstance(waiter.reply(), redis.ResponseError), "redirected"


@pytest.mark.parametrize("key", ["jobs", "{tag}jobs", "a}b"])
def test_a_slot_that_moves_redirects_who_waits_for_a_workflow(nodes: list[Server], key: str) -> None:
    """The keys go first, then the slot: until then their clients are told nothing."""
    slot = int(cluster(nodes[0], "KEYSLOT", key))
    owner, other = nodes if slot < SLOTS // 2 else reversed(nodes)
    space = Space(owner.client(), key)
    space.push(single(), "ID", "a")
    queue = Queue(owner, key)
    waiter = queue.awaits("a")
    cluster(other, "SETSLOT", slot, "IMPORTING", cluster(owner, "MYID"))
    cluster(owner, "SETSLOT", slot, "MIGRATING", cluster(other, "MYID"))
    assert owner.client().execute_command("MIGRATE", "127.0.0.1", other.port, key, 0, 5000) in (b"OK", "OK")
    queue.barrier()
    assert served([waiter]) == [], "it is not gone but elsewhere"
    for node in (other, owner):
        cluster(node, "SETSLOT", slot, "NODE", cluster(other, "MYID"))
    error = waiter.reply()
    assert isinstance(error, redis.exceptions.MovedError)
    assert states(look(Space(other.client(), key), "a")) == ["running"]


def test_a_slot_that_stays_after_its_key_was_deleted(nodes: list[Server]) -> None:
    slot = int(cluster(nodes[0], "KEYSLOT", "jobs"))
    owner, other = nodes if slot < SLOTS // 2 else reversed(nodes)
    space = Space(owner.client(), "jobs")
    space.push(single(), "ID", "a")
    waiter = Queue(owner).awaits("a")
    cluster(other, "SETSLOT", slot, "IMPORTING", cluster(owner, "MYID"))
    cluster(owner, "SETSLOT", slot, "MIGRATING", cluster(other, "MYID"))
    space.client.delete("jobs")
    cluster(owner, "SETSLOT", slot, "STABLE")
    assert told(waiter) == [None]

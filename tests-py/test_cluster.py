"""A space in a cluster of two: routing, waiting, and a slot that moves away while a client waits."""

from collections.abc import Callable, Iterator

import pytest
import redis

from blocked import Queue
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

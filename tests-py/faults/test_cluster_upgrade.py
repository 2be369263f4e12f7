"""A shard of a Redis Cluster is upgraded as docs/upgrading.md tells it."""

from redis.crc import key_slot

from clusters import NODE, SLOTS, Cluster, cluster
from fixtures import Fresh
from history import digest, holds
from older import NEEDS_OLDER, shut_down, upgrade
from servers import OLDER, role
from space import Space
from under_way import begin, end, go_on, seen, use_what_is_new

pytestmark = NEEDS_OLDER


def test_a_shard_of_a_cluster_is_upgraded(fresh_server: Fresh) -> None:
    """Replica, handover, primary; the other shards still run the older version meanwhile."""
    primary, *others, replica = (fresh_server(*NODE, "save 3600 1", module=OLDER) for _ in range(4))
    Cluster([primary, *others, replica])
    key = next(key for key in (f"jobs-{number}" for number in range(99)) if key_slot(key.encode()) < SLOTS // 3)
    jobs, after = Space(primary.client(), key), Space(replica.client(), key)
    work = begin(primary, jobs)
    replica.wait_in_sync(primary)

    shut_down(replica)
    upgrade(replica)
    go_on(jobs, work)
    replica.wait_in_sync(primary)
    replica.client().execute_command("READONLY")
    before = seen(jobs)
    shut_down(primary)
    assert cluster(replica, "FAILOVER", "FORCE") == "OK"
    replica.wait_until(lambda: role(replica) == "master", 20, "the replica to take over")
    replica.wait_until(lambda: "cluster_state:ok" in cluster(replica, "INFO"), 20, "the cluster to be well")
    holds(seen(after), before)
    use_what_is_new(after)

    upgrade(primary)
    primary.wait_until(lambda: role(primary) == "slave", 30, "the old primary to follow")
    primary.wait_in_sync(replica)
    assert digest(primary.client(), key) == digest(replica.client(), key)
    end(after, work)
    primary.wait_in_sync(replica)
    assert digest(primary.client(), key) == digest(replica.client(), key)

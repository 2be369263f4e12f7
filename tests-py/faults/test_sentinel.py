"""Sentinels fail a primary over, again and again, under reconnecting workers."""

import time
from random import Random

import pytest

from fixtures import Count, Fresh, MakeCrowd, Rounds
from history import digest
from judge import Rules
from sentinels import Watched
from servers import role
from waiting import eventually

# An old primary that has lost its replicas takes nothing in any more.
CONFIG = ("workflow.grace-ms 100", "repl-timeout 3600", "min-replicas-to-write 1", "min-replicas-max-lag 1")

# What happens to the primary. One that stood still wakes up and believes that it is one.
FAULTS = ("killed", "killed", "frozen", "told")


@pytest.mark.timeout(400)
@pytest.mark.quick_on("redis-8.2")
def test_repeated_failovers_under_a_crowd(
    fresh_server: Fresh, make_crowd: MakeCrowd, rng: Random, rounds: Rounds, count: Count
) -> None:
    """What was acknowledged just before a failover may be lost; nothing else, and nothing comes twice."""
    one = fresh_server(*CONFIG)
    servers = [one, *(fresh_server(*CONFIG, replica_of=one) for _ in range(2))]
    watched = Watched(servers)
    gaps: list[tuple[float, float]] = []
    try:
        with make_crowd(watched.where, workers=20, pushers=3, lease_ms=500, patience=150.0) as crowd:
            for number in range(rounds(2)):
                crowd.wait_for_progress(rng.randrange(5, 60), 100)
                old, since = watched.primary(), time.time() - 1
                fault = FAULTS[number % len(FAULTS)]
                if fault == "told":
                    new = watched.fail_over()
                elif fault == "killed":
                    old.kill9()
                    new = watched.wait_for_another(old)
                    old.start()
                    old.replicate_from(new)
                else:
                    old.freeze()
                    new = watched.wait_for_another(old)
                    old.thaw()
                count(f"primaries {fault}")
                count("failovers")
                # Until it is told that it is a replica, the old primary takes in what will be lost.
                eventually(lambda o=old: role(o) == "slave", 100, "the old primary to be told", every=0.02)
                gaps.append((since, time.time()))
                crowd.wait_for_progress(5, 100)
            crowd.finish(Rules(tuple(gaps)))

        def settled() -> bool:
            """A busy machine may make the sentinels fail over once more by themselves."""
            first = watched.primary()
            return role(first) == "master" and all(role(one) == "slave" for one in servers if one is not first)

        eventually(settled, 100, "one primary and two replicas", every=0.05)
        new = watched.primary()
        for server in servers:
            if server is not new:
                server.wait_in_sync(new)
                assert digest(server.client()) == digest(new.client())
        for sentinel in watched.sentinels:
            sentinel.check()
    finally:
        watched.close()

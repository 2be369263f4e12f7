"""`maxmemory` is reached, or a policy could throw work away."""

import re
from random import Random

import pytest
import redis

from fixtures import Fresh, MakeCrowd
from history import HOUR
from refusals import refused
from servers import Server
from space import Space
from waiting import work_for
from workflows import chain, loose, single

PAYLOAD = "x" * 4000


def fill(server: Server, space: Space, headroom: int) -> int:
    """Pushes until there is no memory left; how many workflows there are then."""
    client = space.client
    client.config_set("maxmemory", client.info("memory")["used_memory"] + headroom)
    for number in range(100_000):
        try:
            space.push(chain(2, payload=PAYLOAD))
        except redis.exceptions.OutOfMemoryError:
            return number
    raise AssertionError("there was memory for all of it")


def test_a_full_server_refuses_work_and_lets_all_of_it_be_finished(fresh_server: Fresh) -> None:
    server = fresh_server("maxmemory-policy noeviction")
    jobs = Space(server.client(), "jobs")
    assert fill(server, jobs, 2_000_000) > 100
    jobs.client.config_set("maxmemory", 1)
    first = jobs.claim("w", "COUNT", 6, "LEASE", HOUR)
    done, failed, retried, extended, recovered, late = (task.token for task in first)
    assert jobs.complete(done, "RESULT", PAYLOAD) == [1]
    assert jobs.fail(failed, "ERROR", PAYLOAD) == [1]
    assert jobs.fail(retried, "ERROR", "no") == [1]
    assert jobs.extend(1, extended, late) == [1, 1]
    assert jobs.recover("w")
    assert jobs.pause("ALL") == 1 and jobs.release("ALL") == 1
    assert jobs.delete(first[1].workflow) == 1
    assert jobs.call("CANCEL", first[2].workflow) is not None
    with refused("OOM"):
        jobs.push(single())
    while tasks := jobs.claim("w", "COUNT", 100, "WITHRESULTS"):
        jobs.complete(*[word for task in tasks for word in (task.token, "RESULT", "r" * 100)])
    left = jobs.stats()["tasks"]
    assert not any(left[state] for state in ("waiting", "delayed", "ready", "running")), left
    with refused("OOM"):
        jobs.push(single())
    jobs.client.config_set("maxmemory", 0)
    assert jobs.push(single())


def test_a_script_and_a_transaction_on_a_full_server(fresh_server: Fresh) -> None:
    """What adds work is refused in them too, and what was put into a transaction before runs as a whole or not."""
    server = fresh_server("maxmemory-policy noeviction")
    jobs = Space(server.client(), "jobs")
    jobs.push(loose(3))
    token = jobs.claim_one("w", "LEASE", HOUR).token
    jobs.client.config_set("maxmemory", 1)
    body = "return redis.call('WF.PUSH', KEYS[1], ARGV[1])"
    with pytest.raises(redis.ResponseError, match="OOM|maxmemory"):
        jobs.client.eval(body, 1, "jobs", '{"tasks":[{"name":"a","type":"t"}]}')
    with jobs.client.pipeline(transaction=True) as both:
        both.execute_command("WF.COMPLETE", "jobs", token)
        both.execute_command("WF.PUSH", "jobs", '{"tasks":[{"name":"a","type":"t"}]}')
        with pytest.raises(redis.exceptions.RedisError):
            both.execute()
    assert jobs.complete(token) == [1], "nothing of the transaction was carried out"
    assert jobs.work_off("w") == ["t1", "t2"]


def test_a_crowd_at_the_limit(fresh_server: Fresh, make_crowd: MakeCrowd, rng: Random) -> None:
    """Memory comes and goes; pushes are refused meanwhile, and nothing that was taken in is lost."""
    server = fresh_server("maxmemory-policy noeviction")
    control = server.client()
    with make_crowd(lambda: ("127.0.0.1", server.port), workers=4) as crowd:
        for _ in range(5):
            crowd.wait_for_progress(rng.randrange(1, 20))
            control.config_set("maxmemory", 1)
            work_for(rng.random() / 10)
            control.config_set("maxmemory", 0)
        crowd.finish()


def test_every_policy_that_could_evict_a_space_is_warned_of(fresh_server: Fresh) -> None:
    server = fresh_server()
    client = server.client()
    with pytest.raises(redis.ResponseError) as caught:
        client.config_set("maxmemory-policy", "none such")
    policies = re.findall(r"[a-z]+(?:-[a-z]+)?", str(caught.value).rsplit(":", 1)[1])
    risky = [policy for policy in policies if policy.startswith("allkeys-")]
    assert len(risky) >= 3 and "noeviction" in policies
    for policy in policies:
        client.config_set("maxmemory-policy", "noeviction")
        before = server.log().count("may evict")
        client.config_set("maxmemory-policy", policy)
        warned = "workflow_eviction_warning" in client.info("workflow")
        assert warned == (policy in risky), policy
        assert server.log().count("may evict") == before + (policy in risky), policy


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random"])
def test_a_space_that_is_evicted_leaves_nothing_behind(fresh_server: Fresh, policy: str) -> None:
    """It was warned of; then it is as if the key had been deleted, for workers too."""
    server = fresh_server(f"maxmemory-policy {policy}")
    jobs = Space(server.client(), "jobs")
    replica = fresh_server(replica_of=server)
    token = jobs.push(loose(20, payload=PAYLOAD)) and jobs.claim_one("w", "LEASE", 300).token
    jobs.client.config_set("maxmemory", 1)
    with refused("OOM"):
        jobs.push(single())
    server.wait_until(lambda: jobs.client.exists("jobs") == 0, what="the eviction")
    assert jobs.complete(token) == [-1]
    jobs.client.config_set("maxmemory", 0)
    assert jobs.push(single()) == "1"
    assert jobs.claim_names("w") == ["only"]
    replica.wait_in_sync(server)
    assert Space(replica.client(), "jobs").stats() == jobs.stats()

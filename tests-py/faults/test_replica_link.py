"""The link between a primary and its replica dies, again and again, at every moment of a resync."""

from collections.abc import Iterator
from random import Random

import pytest

from fixtures import Count, Fresh, MakeCrowd, Rounds
from history import HOUR, digest
from proxy import Proxy
from servers import Server
from space import Space
from waiting import eventually
from workflows import chain, loose

# Far more than the backlog holds, in bytes.
MISSED = 100_000
PRIMARY = ("repl-backlog-size 16kb", "repl-diskless-sync yes", "repl-timeout 3600")


@pytest.fixture
def link(request: pytest.FixtureRequest) -> Iterator[list[Proxy]]:
    """Proxies that are closed at the end."""
    made: list[Proxy] = []
    yield made
    for proxy in made:
        proxy.close()


# The full copy on a connection of its own, beside that of the commands: servers that can call it so.
SECOND_CHANNEL = {"redis-8.2": "repl-rdb-channel", "valkey-9.1": "dual-channel-replication-enabled"}


def channels(flavour: str, rng: Random) -> str:
    """One connection for everything, or two."""
    setting = SECOND_CHANNEL.get(flavour, "repl-disable-tcp-nodelay")
    return f"{setting} {rng.choice(['yes', 'no'])}"


def same_everywhere(primary: Server, replica: Server) -> None:
    replica.wait_in_sync(primary)
    keys = [key for key in primary.client().keys()]
    assert sorted(replica.client().keys()) == sorted(keys)
    for key in keys:
        assert digest(replica.client(), key) == digest(primary.client(), key), key


def test_cut_and_reconnected_a_hundred_times(
    fresh_server: Fresh, flavour: str, make_crowd: MakeCrowd, rng: Random, rounds: Rounds, count: Count
) -> None:
    """With so small a backlog that some resyncs are partial and some full."""
    way = channels(flavour, rng)
    load = f"repl-diskless-load {rng.choice(['disabled', 'swapdb', 'on-empty-db'])}"
    primary = fresh_server(*PRIMARY, way)
    replica = fresh_server(way, load, replica_of=primary)
    control, looker = primary.client(), replica.client()
    filler = Space(control, "filler")
    with make_crowd(lambda: ("127.0.0.1", primary.port), workers=4, pushers=1) as crowd:
        for number in range(rounds(100)):
            missed = number % 20 == 10
            if missed:
                replica.freeze()
            control.execute_command("CLIENT", "KILL", "TYPE", "replica")
            count("links cut")
            if missed:
                filler.push(loose(1, payload="x" * MISSED), "ID", str(number))
                replica.thaw()
            # A link that is cut before it is up again is made again a second later.
            if missed or rng.random() < 0.95:
                eventually(lambda: looker.info("replication")["master_link_status"] == "up", 20, "the link")
            if missed:
                filler.delete(str(number))
        crowd.finish()
    same_everywhere(primary, replica)
    stats = control.info("stats")
    count("partial resyncs", stats["sync_partial_ok"])
    count("full resyncs", stats["sync_full"])
    assert stats["sync_partial_ok"] > 5 and stats["sync_full"] > 3, stats


def big_space(space: Space, rng: Random) -> None:
    """Some 600 KB that do not compress well, in many states, with leases that ended and that hold."""
    for number in range(40):
        noise = rng.randbytes(4000).hex()
        space.push(loose(3, payload=noise, max_deliveries=9), "PRIORITY", number)
        space.push(chain(2, payload=noise))
    space.complete(*[task.token for task in space.claim("w", "COUNT", 30, "LEASE", HOUR)])
    space.claim("w", "COUNT", 20, "LEASE", 1)
    eventually(lambda: space.stats()["lease_expiries"] == 20, what="leases to end")
    space.claim("w", "COUNT", 20, "LEASE", HOUR)


def seen(server: Server) -> bytes | None:
    """The digest of the space, if there is one, once nothing is being loaded."""
    client = server.client()
    server.wait_until(lambda: not client.info("persistence")["loading"], what="the end of the load")
    return digest(client) if client.exists("jobs") else None


@pytest.mark.parametrize("load", ["swapdb", "on-empty-db", "disabled"])
def test_the_link_dies_in_the_middle_of_a_full_resync(
    fresh_server: Fresh, flavour: str, link: list[Proxy], rng: Random, rounds: Rounds, count: Count, load: str
) -> None:
    """What was there before stays, or nothing is there: never half of a space. Then all of it arrives."""
    way = channels(flavour, rng)
    primary = fresh_server(*PRIMARY, way)
    replica = fresh_server(way, f"repl-diskless-load {load}", "repl-timeout 3600")
    jobs = Space(primary.client(), "jobs")
    big_space(jobs, rng)
    link.append(proxy := Proxy(primary.port))
    replica.client().execute_command("REPLICAOF", "127.0.0.1", proxy.port)
    replica.wait_in_sync(primary)
    for _ in range(rounds(3)):
        if load == "on-empty-db":
            replica.promote()
            replica.client().flushall()
        before = seen(replica)
        replica.freeze()
        proxy.cut()
        jobs.push(loose(1, payload="x" * MISSED))
        size = len(jobs.client.dump("jobs"))
        proxy.limit(rng.randrange(size // 20, size * 9 // 10))
        cuts, full = proxy.cuts, jobs.client.info("stats")["sync_full"]
        replica.thaw()
        if load == "on-empty-db":
            replica.client().execute_command("REPLICAOF", "127.0.0.1", proxy.port)
        eventually(lambda cuts=cuts: proxy.cuts > cuts, 20, "the link to die in the middle")
        count("links cut")
        assert jobs.client.info("stats")["sync_full"] > full
        assert seen(replica) == before
        proxy.limit(None)
        replica.wait_in_sync(primary)
        same_everywhere(primary, replica)
    replica.promote()
    after = Space(replica.client(), "jobs")
    assert after.claim("w", "COUNT", 100, "LEASE", HOUR)


def test_a_replica_is_promoted_in_the_middle_of_a_full_resync(
    fresh_server: Fresh, link: list[Proxy], rng: Random, rounds: Rounds, count: Count
) -> None:
    """It was receiving a new copy: what it had is what it goes on with."""
    primary = fresh_server(*PRIMARY)
    replica = fresh_server("repl-diskless-load disabled", "repl-timeout 3600")
    jobs = Space(primary.client(), "jobs")
    big_space(jobs, rng)
    link.append(proxy := Proxy(primary.port))
    for _ in range(rounds(2)):
        client = replica.client()
        client.execute_command("REPLICAOF", "127.0.0.1", proxy.port)
        replica.wait_in_sync(primary)
        kept = digest(client)
        replica.freeze()
        proxy.cut()
        jobs.push(loose(1, payload="x" * MISSED))
        proxy.limit(len(jobs.client.dump("jobs")) // 2)
        proxy.hold = True
        replica.thaw()
        replica.wait_until(lambda c=client: c.info("replication")["master_sync_in_progress"], what="the resync")
        client.execute_command("REPLICAOF", "NO", "ONE")
        count("promotions in a resync")
        assert digest(client) == kept
        after = Space(client, "jobs")
        tokens = [task.token for task in after.claim("w", "COUNT", 10, "LEASE", HOUR)]
        assert after.complete(*tokens) == [1] * 10
        proxy.hold = False
        proxy.cut()
        proxy.limit(None)

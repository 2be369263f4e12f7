"""What waits for a signal goes on through restarts, promotions, copies and replicas."""

import pytest

from files import aof_commands, rewrite_aof
from history import BINARY, HOUR, digest
from servers import Server
from signal_gates import Fresh, at_the_gate, gated
from space import Space
from test_persistence import WAYS
from waiting import eventually
from workflows import Document, chain, loose, single


def several(jobs: Space, soon: int) -> dict[str, str]:
    """A wait without an end, one that ends soon, one that is paused, and signals of each kind that came."""
    made = {"waits": at_the_gate(jobs), "soon": at_the_gate(jobs, timeout_ms=soon)}
    made["root"] = jobs.push(single(signal=True, timeout_ms=HOUR))
    made["paused"] = at_the_gate(jobs, timeout_ms=HOUR)
    jobs.pause("ID", made["paused"])
    made["completed"] = jobs.push(single(signal=True))
    made["failed"] = at_the_gate(jobs)
    assert jobs.signal(made["completed"], "only", "RESULT", BINARY) == 1
    assert jobs.signal(made["failed"], "approve", "FAIL", BINARY) == 1
    made["late"] = jobs.push(single(signal=True, timeout_ms=1))
    eventually(lambda: jobs.state(made["late"]) == "failed", what="a timeout")
    return made


def check_it_goes_on(server: Server, made: dict[str, str]) -> None:
    jobs = Space(server.client(), "jobs")
    server.wait_until(lambda: jobs.states(made["soon"])["approve"] == "failed", what="the timeout")
    assert jobs.tasks(made["soon"])["approve"]["error"].startswith("timed out after")
    assert jobs.stats()["signals"] == 3
    assert jobs.claim("w") == []
    assert jobs.signal(made["waits"], "approve") == jobs.signal(made["root"], "only") == 1
    assert jobs.signal(made["paused"], "approve", "RESULT", "yes") == 1
    jobs.release("ID", made["paused"])
    assert jobs.work_off("w") == ["publish", "publish"]
    assert jobs.signal(made["completed"], "only") == jobs.signal(made["failed"], "approve", "FAIL", "") == 2
    assert jobs.signal(made["late"], "only", "FAIL", "") == jobs.signal(made["late"], "only") == 0
    assert {jobs.state(made[name]) for name in ("waits", "root", "paused", "completed")} == {"completed"}
    assert jobs.stats()["signals"] == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_restart_while_it_waits(fresh_server: Fresh, way: str) -> None:
    config, reload = WAYS[way]
    server = fresh_server(*config)
    jobs = Space(server.client(), "jobs")
    made = several(jobs, HOUR)
    before, deadline = digest(jobs.client), jobs.tasks(made["soon"])["approve"]["deadline"]
    reload(server)
    jobs = Space(server.client(), "jobs")
    assert digest(jobs.client) == before
    assert jobs.tasks(made["soon"])["approve"]["deadline"] == jobs.stats()["next_due"] == deadline
    jobs.call("CANCEL", made["soon"])
    made["soon"] = jobs.push(gated(timeout_ms=1))
    assert jobs.complete(jobs.claim_one("w").token) == [1]
    check_it_goes_on(server, made)


@pytest.mark.parametrize("way", ["SAVE", "AOF", "AOF rewritten without preamble"])
def test_a_timeout_after_a_restart(fresh_server: Fresh, way: str) -> None:
    config, reload = WAYS[way]
    server = fresh_server(*config, "workflow.grace-ms 3600000")
    made = several(Space(server.client(), "jobs"), 700)
    reload(server)
    check_it_goes_on(server, made)


def test_a_promotion_while_it_waits(fresh_server: Fresh) -> None:
    primary = fresh_server("repl-diskless-sync no")
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    made = several(jobs, 900)
    replica.wait_in_sync(primary)
    assert digest(replica.client()) == digest(primary.client())
    primary.kill9()
    replica.promote()
    check_it_goes_on(replica, made)


def test_a_replica_follows_the_timeout(fresh_server: Fresh) -> None:
    primary = fresh_server("repl-diskless-sync no")
    replica = fresh_server(replica_of=primary)
    made = several(Space(primary.client(), "jobs"), 700)
    check_it_goes_on(primary, made)
    replica.wait_in_sync(primary)
    assert digest(replica.client()) == digest(primary.client())


def test_what_is_replicated_is_what_happened(fresh_server: Fresh) -> None:
    server = fresh_server("appendonly yes", "appendfsync always", "aof-use-rdb-preamble no")
    jobs = Space(server.client(), "jobs")
    ids = [jobs.push(single(signal=True, timeout_ms=timeout)) for timeout in (HOUR, HOUR, 1)]
    server.wait_until(lambda: jobs.state(ids[2]) == "failed", what="the timeout")
    jobs.signal(ids[0], "only", "RESULT", "yes")
    jobs.signal(ids[1], "only", "FAIL", "no")
    jobs.signal(ids[1], "only", "FAIL", "again")
    told = [command[2:] for command in aof_commands(server) if command[0] == b"WF.APPLY" and command[2] != b"push"]
    assert [(kind, tasks) for kind, _, tasks in told] == [
        (b"signal-timeout", b"3-0=20:timed out after 1 ms"),
        (b"signal", b"1-0=3:yes"),
        (b"signal-fail", b"2-0=2:no"),
    ]
    rewrite_aof(server)
    before = digest(server.client())
    server.restart(hard=True)
    assert digest(server.client()) == before


def test_each_copy_needs_a_signal_of_its_own(server: Server, jobs: Space) -> None:
    wid = at_the_gate(jobs, timeout_ms=HOUR)
    jobs.client.copy("jobs", "copy")
    jobs.client.restore("restored", 0, jobs.client.dump("jobs"))
    for key in ("jobs", "copy", "restored"):
        space = Space(jobs.client, key)
        assert space.stats()["signals"] == 1
        assert space.signal(wid, "approve") == 1
        assert space.work_off("w") == ["publish"]


def test_what_waits_costs_no_more_than_what_is_ready(fresh_server: Fresh) -> None:
    client = fresh_server().client()

    def used(key: str, document: Document) -> int:
        space = Space(client, key)
        before = client.info("memory")["used_memory"]
        for _ in range(2_000):
            space.push(document)
        return client.info("memory")["used_memory"] - before

    assert used("waits", loose(10, signal=True)) < used("ready", loose(10)), "they are in no queue"
    assert used("chain that waits", chain(10, signal=True)) < used("chain", chain(10)) * 1.05

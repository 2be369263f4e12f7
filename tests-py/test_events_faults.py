"""A stream that does not take its entries, and a space that moves."""

from collections.abc import Iterator

import pytest

from event_stream import AOF, STREAM, Fresh, check_units, entries, tell, told
from files import rewrite_aof
from history import digest
from refusals import refused
from servers import Server
from space import Space
from workflows import single, task, workflow

# When it cannot be told


def test_finishing_work_is_not_refused_when_memory_is_full(server: Server, events: Space) -> None:
    events.push(single())
    token = events.claim_one("w").token
    events.client.config_set("maxmemory", 1)
    try:
        with refused("OOM"):
            events.push(single())
        assert events.complete(token, "RESULT", "done") == [1]
    finally:
        events.client.config_set("maxmemory", 0)
    assert told(events.client) == ["workflow.pushed", "workflow.completed"]


def lost(space: Space) -> tuple[int, int]:
    return space.stats()["events_lost"], space.client.info("workflow")["workflow_events_lost"]


def test_a_key_of_another_type(fresh_server: Fresh) -> None:
    server = fresh_server()
    jobs = tell(server)
    jobs.client.set(STREAM, "a text")
    for _ in range(5):
        jobs.push(single())
    assert jobs.complete(*(task.token for task in jobs.claim("w", "COUNT", 5))) == [1] * 5
    assert lost(jobs) == (10, 10)
    lines = [line for line in server.log().splitlines() if "events of the space 'jobs' are lost" in line]
    assert len(lines) == 1 and "WRONGTYPE" in lines[0] and "{jobs}events" in lines[0]
    assert jobs.client.get(STREAM) == b"a text"
    jobs.client.delete(STREAM)
    jobs.push(single())
    assert (told(jobs.client), lost(jobs)) == (["workflow.pushed"], (10, 10))
    info = jobs.client.info("workflow")
    assert info["workflow_events_appended"] == 1
    jobs.client.copy("jobs", "copy")
    assert Space(jobs.client, "copy").stats()["events_lost"] == 0
    before = digest(jobs.client)
    jobs.client.execute_command("DEBUG", "RELOAD")
    assert (jobs.stats()["events_lost"], digest(jobs.client)) == (0, before), "it is no part of the state"


def test_a_stream_that_has_no_id_left(events: Space) -> None:
    events.client.xadd(STREAM, {"a": "b"}, id="18446744073709551615-18446744073709551615")
    wid = events.push(single())
    events.work_off("w")
    assert events.state(wid) == "completed"
    assert events.stats()["events_lost"] == 2


# The space moves


def test_the_stream_belongs_to_the_state(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    jobs = tell(server)
    without = Space(jobs.client, "{jobs}without")
    without.push(single())
    assert digest(jobs.client) != digest(jobs.client, "{jobs}without")
    before = digest(jobs.client)
    jobs.configure("events", STREAM)
    assert digest(jobs.client) == before
    jobs.configure("events", "{jobs}other")
    assert digest(jobs.client) != before
    jobs.configure("events", STREAM)
    assert digest(jobs.client) == before
    small = jobs.client.memory_usage("jobs")
    jobs.configure("events", "{jobs}" + "x" * 500)
    assert jobs.client.memory_usage("jobs") >= small + 480
    jobs.configure("events", STREAM)
    jobs.client.restore("{jobs}restored", 0, jobs.client.dump("jobs"))
    jobs.client.copy("jobs", "{jobs}copy")
    for preamble in ("no", "yes"):
        jobs.client.config_set("aof-use-rdb-preamble", preamble)
        rewrite_aof(server)
        server.restart(hard=True)
        jobs = Space(server.client(), "jobs")
        for key in ("jobs", "{jobs}restored", "{jobs}copy"):
            assert Space(jobs.client, key).settings("events") == {"events": STREAM.decode()}
    for key in ("{jobs}copy", "{jobs}restored"):
        Space(jobs.client, key).push(single())
    assert [entry["space"] for entry in entries(jobs.client)] == ["{jobs}copy", "{jobs}restored"]


def test_a_space_under_another_name(events: Space) -> None:
    """Without a cluster a stream can be anywhere; only WF.CONFIG insists on one slot."""
    events.client.rename("jobs", "elsewhere")
    moved = Space(events.client, "elsewhere")
    moved.push(single())
    assert [entry["space"] for entry in entries(events.client)] == ["elsewhere"]
    with refused("ERR", "slot"):
        moved.configure("events", STREAM)
    moved.client.rename("elsewhere", STREAM)
    in_the_way = Space(events.client, STREAM)
    in_the_way.push(single())
    assert in_the_way.stats()["events_lost"] == 1


@pytest.fixture
def node(fresh_server: Fresh) -> Iterator[Server]:
    server = fresh_server("cluster-enabled yes", *AOF)
    server.client(resp=2).execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
    server.wait_until(lambda: "cluster_state:ok" in str(server.client(resp=2).execute_command("CLUSTER", "INFO")), 30)
    yield server


def test_a_cluster(node: Server) -> None:
    jobs = tell(node)
    jobs.push(single())
    jobs.claim_one("w", "LEASE", 5)
    node.wait_until(lambda: told(jobs.client) == ["workflow.pushed", "task.expired"], what="the entries")
    assert jobs.work_off("w") == ["only"]
    assert told(jobs.client)[2:] == ["workflow.completed"]
    check_units(node)
    jobs.client.restore("elsewhere", 0, jobs.client.dump("jobs"))
    moved = Space(jobs.client, "elsewhere")
    moved.push(single())
    assert (moved.stats()["events_lost"], len(told(jobs.client))) == (1, 3)
    assert "in another slot" in node.log()
    moved.configure("events", "{elsewhere}events")
    moved.push(single())
    assert told(jobs.client, b"{elsewhere}events") == ["workflow.pushed"]


def test_a_space_under_another_name_of_its_slot(node: Server) -> None:
    jobs = tell(node)
    jobs.push(workflow(task("a")))
    token = jobs.claim_one("w").token
    jobs.client.rename("jobs", "{jobs}2")
    assert Space(jobs.client, "{jobs}2").complete(token) == [1]
    assert told(jobs.client) == ["workflow.pushed", "workflow.completed"]

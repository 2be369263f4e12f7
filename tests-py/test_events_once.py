"""Every entry once, in one unit with the change it tells of, whoever repeats it."""

from typing import Any

from blocked import Queue
from event_stream import AOF, STREAM, Fresh, check_units, entries, everything, tell, told, units
from files import aof_files, rewrite_aof
from history import digest
from servers import Server
from space import Space
from waiting import now_ms
from workflows import single


def test_the_aof_holds_change_and_entry_as_one(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    jobs = tell(server)
    everything(server, jobs)
    check_units(server)
    before, state, stream = digest(jobs.client), jobs.stats()["workflows"], jobs.client.xrange(STREAM)
    for reload in (["RELOAD"], ["LOADAOF"]):
        server.client().execute_command("DEBUG", *reload)
        assert server.client().xrange(STREAM) == stream
    server.restart(hard=True)
    jobs = Space(server.client(), "jobs")
    assert (digest(jobs.client), jobs.stats()["workflows"]) == (before, state)
    assert jobs.client.xrange(STREAM) == stream
    rewrite_aof(server)
    server.restart(hard=True)
    assert server.client().xrange(STREAM) == stream
    tell_on = Space(server.client(), "jobs")
    tell_on.push(single())
    assert len(tell_on.client.xrange(STREAM)) == len(stream) + 1


def test_a_torn_aof_has_both_or_neither(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    jobs = tell(server)
    jobs.push(single(), "ID", "whole")
    server.kill9()
    (path,) = aof_files(server, "incr")
    whole = path.stat().st_size
    server.start()
    jobs = Space(server.client(), "jobs")
    jobs.push(single(), "ID", "torn")
    server.kill9()
    data = path.read_bytes()
    tail = data[whole:]
    cuts = {whole + place for place in (1, tail.index(b"WF.APPLY"), tail.index(b"XADD"), tail.rindex(b"EXEC"))}
    cuts |= {len(data) - 1, whole + tail.index(b"XADD") - 8, whole + len(tail) * 3 // 4}
    for cut in sorted(cuts):
        path.write_bytes(data[:cut])
        server.start()
        client = server.client()
        assert client.execute_command("WF.GET", "jobs", "torn") is None
        assert [entry["workflow"] for entry in entries(client)] == ["whole"]
        server.kill9()
    path.write_bytes(data)
    server.start()
    assert [entry["workflow"] for entry in entries(server.client())] == ["whole", "torn"]


def whole_digest(server: Server) -> Any:
    return server.client().execute_command("DEBUG", "DIGEST")


def test_replicas_have_every_entry_once_and_go_on(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server(*AOF, replica_of=primary)
    second = fresh_server(replica_of=replica)
    jobs = tell(primary)
    everything(primary, jobs)
    for server in (replica, second):
        server.wait_in_sync(primary)
        assert server.client().xrange(STREAM) == jobs.client.xrange(STREAM)
        assert whole_digest(server) == whole_digest(primary)
        assert server.client().info("workflow")["workflow_events_appended"] == 0
    check_units(replica)
    before = len(told(jobs.client))
    primary.kill9()
    replica.promote()
    jobs = Space(replica.client(), "jobs")
    assert jobs.settings("events") == {"events": STREAM.decode()}
    jobs.push(single())
    second.wait_in_sync(replica)
    assert told(second.client())[before:] == ["workflow.pushed"]
    assert whole_digest(second) == whole_digest(replica)


def test_a_replica_that_can_be_written_to_tells_nothing(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server("replica-read-only no", replica_of=primary)
    tell(primary)
    replica.wait_in_sync(primary)
    Space(replica.client(), "jobs").push(single())
    assert replica.client().exists(STREAM) == 0


def test_a_waiting_client_in_the_unit_of_the_push(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    jobs = tell(server)
    queue = Queue(server)
    waiter = queue.join()
    jobs.push(single(), "ID", "a")
    assert waiter.names() == ["only"]
    (unit,) = [unit for unit in units(server) if any(b"push" in command for command in unit)]
    assert [command[0].upper() for command in unit] == [b"WF.APPLY", b"XADD", b"WF.APPLY"]
    later = queue.join()
    short = jobs.push(single(max_deliveries=2), "ID", "b")
    (held,) = later.tasks()
    last = queue.join()
    jobs.extend(5, held.token)
    assert last.tasks()[0].workflow == short, "the lease ran out and the waiting client has it"
    assert told(jobs.client) == ["workflow.pushed", "workflow.pushed", "task.expired"]
    check_units(server)


def test_who_reads_is_woken_by_a_timer(server: Server, events: Space) -> None:
    events.push(single())
    last = events.client.xrevrange(STREAM, count=1)[0][0]
    reader = server.client()
    events.claim_one("w", "LEASE", 30)
    ((_, ((_, fields),)),) = normal(reader.xread({STREAM: last}, block=10_000))
    assert fields[b"event"] == b"task.expired"


def normal(reply: Any) -> list[Any]:
    """XREAD's reply in the shape of RESP2."""
    if isinstance(reply, dict):
        return [
            (stream, found[0] if found and isinstance(found[0], list) else found) for stream, found in reply.items()
        ]
    return reply


def test_a_client_pause_only_puts_it_off(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    replica = fresh_server(replica_of=server)
    jobs = tell(server)
    jobs.push(single())
    looker = server.client()
    # Long enough that the pause is there first, however busy the machine.
    ends = jobs.claim_one("w", "LEASE", 1_000).deadline
    looker.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    server.wait_until(lambda: now_ms() > ends + 150, what="the lease to end")
    assert told(looker) == ["workflow.pushed"]
    looker.execute_command("CLIENT", "UNPAUSE")
    server.wait_until(lambda: told(looker) == ["workflow.pushed", "task.expired"], what="the entry")
    replica.wait_in_sync(server)
    assert whole_digest(replica) == whole_digest(server)
    check_units(server)

"""Clients in WF.WAIT while their key, their server or its role changes."""

from collections.abc import Callable

import pytest
import redis

from awaited import look, states, told
from blocked import Queue, served
from servers import Server
from space import Space
from workflows import chain, single

Fresh = Callable[..., Server]


@pytest.fixture
def queue(server: Server) -> Queue:
    return Queue(server)


# The key


def moved_to_database_one(jobs: Space) -> None:
    assert jobs.client.move("jobs", 1)


def expired(jobs: Space) -> None:
    jobs.client.pexpire("jobs", 1)


def overwritten_by_a_copy(jobs: Space) -> None:
    Space(jobs.client, "other").push(single(), "ID", "unlike")
    assert jobs.client.copy("other", "jobs", replace=True)


def restored_over(jobs: Space) -> None:
    Space(jobs.client, "other").push(single(), "ID", "unlike")
    jobs.client.restore("jobs", 0, jobs.client.dump("other"), replace=True)


def renamed_over(jobs: Space) -> None:
    Space(jobs.client, "other").push(single(), "ID", "unlike")
    jobs.client.rename("other", "jobs")


DEPARTURES: dict[str, Callable[[Space], object]] = {
    "DEL": lambda jobs: jobs.client.delete("jobs"),
    "UNLINK": lambda jobs: jobs.client.unlink("jobs"),
    "FLUSHALL": lambda jobs: jobs.client.flushall(),
    "FLUSHALL ASYNC": lambda jobs: jobs.client.flushall(asynchronous=True),
    "FLUSHDB": lambda jobs: jobs.client.flushdb(),
    "RENAME": lambda jobs: jobs.client.rename("jobs", "elsewhere"),
    "SWAPDB": lambda jobs: jobs.client.swapdb(0, 1),
    "MOVE": moved_to_database_one,
    "EXPIRE": expired,
    "COPY": overwritten_by_a_copy,
    "RESTORE": restored_over,
    "RENAME over": renamed_over,
}


# Those of them that do not name the key.
UNNAMED = [departure for departure in DEPARTURES if departure.startswith(("FLUSH", "SWAP"))]


@pytest.mark.parametrize(
    "departure,key", [*((departure, "jobs") for departure in DEPARTURES), *((each, "a}b") for each in UNNAMED)]
)
def test_when_the_space_goes_its_workflows_are_null(r: redis.Redis, queue: Queue, departure: str, key: str) -> None:
    """`a}b` has no stand-in in its slot: its clients are blocked on the key itself."""
    jobs = Space(r, key)
    jobs.push(single(), "ID", "a")
    waiters = [queue.awaits("a", key=key), queue.awaits("nobody", "a", key=key)]
    DEPARTURES[departure](jobs)
    assert [told(waiter) for waiter in waiters] == [[None], [None, None]]


def test_another_type_in_its_place(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    waiter = queue.awaits("a")
    jobs.client.set("jobs", "text")
    error = waiter.reply()
    assert isinstance(error, redis.ResponseError) and "WRONGTYPE" in f"{error.status_code} {error}"


@pytest.mark.parametrize("key", ["jobs", "a}b"])
def test_another_space_under_the_name_is_looked_at(r: redis.Redis, queue: Queue, key: str) -> None:
    """Workflows are waited for by name: one that has ended there answers, one that runs there is waited for."""
    jobs, other = Space(r, key), Space(r, "other")
    for wid in ("a", "b"):
        jobs.push(single(), "ID", wid)
        other.push(single(), "ID", wid)
    other.call("CANCEL", "a")
    ended, runs = queue.awaits("a", key=key), queue.awaits("b", key=key)
    r.rename("other", key)
    assert states(told(ended)) == ["cancelled"]
    queue.barrier()
    assert served([runs]) == []
    jobs.work_off("w")
    assert states(told(runs)) == ["completed"]


def test_a_transaction_that_puts_the_space_back(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    waiter = queue.awaits("a")
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.rename("jobs", "elsewhere")
        transaction.rename("elsewhere", "jobs")
        transaction.execute()
    queue.barrier()
    assert served([waiter]) == []
    jobs.work_off("w")
    assert states(told(waiter)) == ["completed"]


def test_the_same_key_in_another_database(server: Server, jobs: Space, queue: Queue) -> None:
    there = Space(server.client(db=1), "jobs")
    for space in (jobs, there):
        space.push(single(), "ID", "a")
    here, elsewhere = queue.awaits("a"), queue.awaits("a", db=1)
    jobs.work_off("w")
    assert states(told(here)) == ["completed"]
    queue.barrier()
    assert served([elsewhere]) == []
    jobs.client.swapdb(0, 1)
    assert states(told(elsewhere)) == ["completed"]


# The server


def test_a_reload_answers_nobody(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "a")
    waiter = queue.awaits("a")
    jobs.client.execute_command("DEBUG", "RELOAD")
    queue.barrier()
    assert served([waiter]) == []
    jobs.work_off("w")
    assert states(told(waiter)) == ["completed"]


@pytest.mark.parametrize("hard", [False, True], ids=["stopped", "killed"])
def test_a_server_ends_with_clients_waiting(fresh_server: Fresh, hard: bool) -> None:
    server = fresh_server("appendonly yes", "appendfsync always")
    jobs = Space(server.client(), "jobs")
    jobs.push(chain(2), "ID", "a")
    queue = Queue(server)
    waiters = [queue.awaits("a") for _ in range(5)]
    jobs.complete(jobs.claim_one("w").token)
    server.restart(hard=hard)
    for waiter in waiters:
        with pytest.raises(redis.ConnectionError):
            waiter.connection.read_response()
    jobs = Space(server.client(), "jobs")
    assert server.client().info("workflow")["workflow_awaiting_clients"] == 0
    waiter = Queue(server).awaits("a")
    jobs.complete(jobs.claim_one("w").token, "RESULT", "r")
    (entry,) = told(waiter)
    assert (entry["state"], entry["results"]) == ("completed", {"t1": "r"})


# Replicas


def test_on_a_replica_effects_answer(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs, copy = Space(primary.client(), "jobs"), Space(replica.client(), "jobs")
    for wid in ("a", "b", "c", "d"):
        jobs.push(single(), "ID", wid)
    replica.wait_in_sync(primary)
    queue = Queue(replica)
    single_end, several, removed = queue.awaits("a"), queue.awaits("a", "b"), queue.awaits("c")
    gone = queue.awaits("d")
    jobs.complete(jobs.claim_one("w").token, "RESULT", "r")
    (entry,) = told(single_end)
    assert (entry["state"], entry["results"]) == ("completed", {"only": "r"})
    assert served([several, removed, gone]) == []
    with jobs.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.CANCEL", "jobs", "b")
        transaction.execute_command("WF.DELETE", "jobs", "c")
        transaction.execute()
    assert states(told(several)) == ["completed", "cancelled"]
    assert told(removed) == [None]
    assert states(look(copy, "d", "BLOCK", 20)) == ["running"], "time is up on a replica, too"
    jobs.client.delete("jobs")
    assert told(gone) == [None]


def test_a_replica_that_is_promoted_goes_on(fresh_server: Fresh) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    Space(primary.client(), "jobs").push(single(), "ID", "a")
    replica.wait_in_sync(primary)
    waiter = Queue(replica).awaits("a")
    replica.promote()
    jobs = Space(replica.client(), "jobs")
    assert served([waiter]) == []
    jobs.work_off("w")
    assert states(told(waiter)) == ["completed"]


def test_a_replica_that_starts_over_looks_at_what_it_got(fresh_server: Fresh) -> None:
    """A full synchronisation takes the place of everything: what ended meanwhile answers."""
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    for wid in ("a", "b"):
        jobs.push(single(), "ID", wid)
    replica.wait_in_sync(primary)
    queue = Queue(replica)
    ends, goes_on = queue.awaits("a"), queue.awaits("b")
    # The primary forgets where the replica stood.
    admin = primary.client()
    admin.config_set("repl-timeout", 600)
    admin.execute_command("DEBUG", "CHANGE-REPL-ID")
    with admin.pipeline(transaction=True) as transaction:
        transaction.execute_command("CLIENT", "KILL", "TYPE", "replica")
        transaction.execute_command("WF.CANCEL", "jobs", "a")
        transaction.execute()
    assert states(told(ends)) == ["cancelled"]
    replica.wait_in_sync(primary)
    assert served([goes_on]) == []
    jobs.delete("b")
    assert told(goes_on) == [None]


def test_becoming_a_replica_unblocks_with_an_error(fresh_server: Fresh) -> None:
    server, other = fresh_server(), fresh_server()
    Space(server.client(), "jobs").push(single(), "ID", "a")
    waiter = Queue(server).awaits("a")
    server.replicate_from(other)
    error = waiter.reply()
    assert isinstance(error, redis.ResponseError) and "UNBLOCKED" in f"{error.status_code} {error}"
    assert server.client().info("workflow")["workflow_awaiting_clients"] == 0

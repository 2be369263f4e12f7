"""What happens to a key while clients wait for it: it comes, goes, changes its name or its type."""

from collections.abc import Callable, Iterator

import pytest
import redis

from blocked import Queue, served
from servers import Server
from space import Space
from workflows import loose, single


@pytest.fixture
def queue(server: Server) -> Iterator[Queue]:
    yield Queue(server)


@pytest.fixture
def other(r: redis.Redis) -> Space:
    """Another space, with three tasks."""
    space = Space(r, "other")
    space.push(loose(3))
    return space


def test_a_claim_that_waited_before_the_key_existed(jobs: Space, queue: Queue) -> None:
    waiters = queue.joins(3)
    assert jobs.client.exists(jobs.key) == 0
    jobs.push(loose(2))
    assert [waiter.names() for waiter in waiters[:2]] == [["t0"], ["t1"]]
    assert served(waiters) == []


def test_deleted_and_pushed_again(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "PAUSED")
    waiters = queue.joins(2)
    for remove in ("DEL", "UNLINK"):
        jobs.client.execute_command(remove, jobs.key)
        queue.barrier()
        assert served(waiters) == []
        assert queue.blocked() == len(waiters), "they go on waiting"
        jobs.push(single(remove))
        assert waiters.pop(0).names() == [remove]


@pytest.mark.parametrize("flush", ["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC"])
def test_flushed(jobs: Space, queue: Queue, flush: str) -> None:
    jobs.push(single(), "PAUSED")
    waiter = queue.join()
    jobs.client.execute_command(*flush.split())
    jobs.push(single("later"))
    assert waiter.names() == ["later"]


def test_expired_by_the_server(server: Server, jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "PAUSED")
    waiter = queue.join()
    jobs.client.pexpire(jobs.key, 1)
    server.wait_until(lambda: jobs.client.exists(jobs.key) == 0, what="the key to expire")
    jobs.push(single("later"))
    assert waiter.names() == ["later"]


def by_rename(jobs: Space, other: Space) -> None:
    jobs.client.rename("other", "jobs")


def by_restore(jobs: Space, other: Space) -> None:
    jobs.client.restore("jobs", 0, jobs.client.dump("other"), replace=True)


def by_copy(jobs: Space, other: Space) -> None:
    jobs.client.copy("other", "jobs", replace=True)


def by_move(jobs: Space, other: Space) -> None:
    jobs.client.delete("jobs")
    jobs.client.copy("other", "jobs", destination_db=1)
    with_db_1 = jobs.client.connection_pool.get_connection()
    try:
        for command in (["SELECT", 1], ["MOVE", "jobs", 0], ["SELECT", 0]):
            with_db_1.send_command(*command)
            with_db_1.read_response()
    finally:
        jobs.client.connection_pool.release(with_db_1)


def by_swapdb(jobs: Space, other: Space) -> None:
    jobs.client.copy("other", "jobs", destination_db=1, replace=True)
    jobs.client.swapdb(0, 1)


ARRIVALS = [by_rename, by_restore, by_copy, by_move, by_swapdb]


@pytest.mark.parametrize("before", ["missing", "empty", "another type"])
@pytest.mark.parametrize("arrive", ARRIVALS)
def test_a_space_with_work_arrives_under_the_name(
    jobs: Space, other: Space, queue: Queue, arrive: Callable[[Space, Space], None], before: str
) -> None:
    if before == "empty":
        jobs.push(single(), "PAUSED")
    waiters = queue.joins(4)
    if before == "another type":
        jobs.client.set("jobs", "text")
        queue.barrier()
        assert served(waiters) == []
    arrive(jobs, other)
    assert [waiter.names() for waiter in waiters[:3]] == [["t0"], ["t1"], ["t2"]], "in order of arrival"
    queue.barrier()
    assert served(waiters) == []
    jobs.push(single("later"))
    assert waiters[3].names() == ["later"]


@pytest.mark.parametrize("arrive", ARRIVALS)
def test_a_space_of_another_type_of_work_serves_nobody(
    jobs: Space, other: Space, queue: Queue, arrive: Callable[[Space, Space], None]
) -> None:
    waiter = queue.join("TYPES", 1, "elsewhere")
    arrive(jobs, other)
    queue.barrier()
    assert served([waiter]) == []
    jobs.push(single(type="elsewhere"))
    assert waiter.names() == ["only"]


def test_a_wrong_type_comes_and_goes(jobs: Space, queue: Queue) -> None:
    waiters = queue.joins(3)
    for create in (["SET", "jobs", "x"], ["LPUSH", "jobs", "x"], ["HSET", "jobs", "f", "v"]):
        jobs.client.execute_command(*create)
        queue.barrier()
        assert served(waiters) == []
        jobs.client.delete("jobs")
        jobs.push(single())
        assert waiters.pop(0).names() == ["only"]
        jobs.client.delete("jobs")


def test_the_key_moves_away_from_those_who_wait(jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "p", "PAUSED")
    here, there = queue.join(), queue.join(key="elsewhere")
    jobs.client.rename("jobs", "elsewhere")
    Space(jobs.client, "elsewhere").release("ID", "p")
    assert there.names() == ["only"]
    assert served([here]) == []


def test_the_same_name_in_another_database_is_another_key(server: Server, jobs: Space, queue: Queue) -> None:
    here, there = queue.join(), queue.join(db=1)
    Space(server.client(db=1), "jobs").push(single("one"))
    assert there.names() == ["one"]
    assert served([here]) == []
    jobs.push(single("zero"))
    assert here.names() == ["zero"]


def test_swapdb_serves_both_databases(server: Server, jobs: Space, queue: Queue) -> None:
    here, there = queue.join(), queue.join(db=1, key="away")
    Space(jobs.client, "away").push(single("went to 1"))
    Space(server.client(db=1), "jobs").push(single("went to 0"))
    jobs.client.swapdb(0, 1)
    assert here.names() == ["went to 0"]
    assert there.names() == ["went to 1"]


def test_a_waiter_stays_in_its_database_when_they_swap(server: Server, jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "PAUSED")
    here, there = queue.join(), queue.join(db=1)
    jobs.client.swapdb(0, 1)
    jobs.push(single("zero"))
    assert here.names() == ["zero"]
    Space(server.client(db=1), "jobs").push(single("one"))
    assert there.names() == ["one"]


def test_a_reload_goes_on_serving(server: Server, jobs: Space, queue: Queue) -> None:
    jobs.push(single(), "ID", "p", "PAUSED")
    waiter = queue.join()
    jobs.client.execute_command("DEBUG", "RELOAD")
    jobs.release("ID", "p")
    assert waiter.names() == ["only"]


def test_a_task_that_arrives_running_wakes_when_its_lease_ends(jobs: Space, other: Space, queue: Queue) -> None:
    other.claim("w", "COUNT", 9, "LEASE", 200)
    waiter = queue.join()
    jobs.client.rename("other", "jobs")
    assert waiter.names() == ["t0"], "the lease ends under the new name"

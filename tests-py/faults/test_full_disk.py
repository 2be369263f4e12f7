"""The disk is full: the AOF cannot be written for a while, and time goes on."""

import resource
from random import Random

import pytest
import redis

from files import aof_files
from fixtures import Count, Fresh, MakeCrowd, Rounds
from history import HOUR, digest
from servers import Server
from space import Space
from waiting import work_for
from workflows import loose

AOF = ("appendonly yes", "appendfsync everysec", "auto-aof-rewrite-percentage 0")


def fill_disk(server: Server, room: int = 0) -> None:
    """The AOF may grow by so many bytes and no more."""
    (file,) = aof_files(server, "incr")
    size = file.stat().st_size + room
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def free_disk(server: Server) -> None:
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_leases_that_end_while_nothing_can_be_written(fresh_server: Fresh) -> None:
    """Commands that write are refused; what time does is done, and is in the file once there is room."""
    server = fresh_server(*AOF)
    jobs = Space(server.client(), "jobs")
    wid = jobs.push(loose(3))
    held = jobs.claim_one("w", "LEASE", HOUR)
    jobs.claim_one("w", "LEASE", 300)
    fill_disk(server)
    server.wait_until(lambda: jobs.states(wid)["t1"] == "ready", what="the lease to end")
    server.wait_until(lambda: jobs.client.info("persistence")["aof_last_write_status"] == "err", what="the error")
    for call in (["PUSH", "{}"], ["CLAIM", "w"], ["COMPLETE", held.token]):
        with pytest.raises(redis.ResponseError, match="(?i)disk|MISCONF"):
            jobs.call(*call)
    free_disk(server)
    server.wait_until(lambda: jobs.client.info("persistence")["aof_last_write_status"] == "ok", what="the disk")
    assert jobs.complete(held.token) == [1]
    before = digest(jobs.client)
    server.restart(hard=True)
    assert digest(server.client()) == before


@pytest.mark.quick_on("redis-8.2")
def test_a_crowd_on_a_disk_that_fills_up(
    fresh_server: Fresh, make_crowd: MakeCrowd, rng: Random, rounds: Rounds, count: Count
) -> None:
    """Wherever a write ends short: nothing is lost, and the file can be loaded."""
    server = fresh_server(*AOF)
    with make_crowd(lambda: ("127.0.0.1", server.port), workers=4) as crowd:
        for _ in range(rounds(2)):
            crowd.wait_for_progress(rng.randrange(1, 30))
            fill_disk(server, rng.randrange(2_000))
            count("full disks")
            server.wait_until(
                lambda: server.client().info("persistence")["aof_last_write_status"] == "err", what="the error"
            )
            work_for(rng.random() * 0.3)
            free_disk(server)
        crowd.finish()
    before = digest(server.client())
    server.restart(hard=True)
    assert digest(server.client()) == before

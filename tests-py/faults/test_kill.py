"""Servers that are killed with SIGKILL under load and come back on their own files."""

import time
from random import Random

import pytest

from files import rewrite_aof
from fixtures import Count, Fresh, MakeCrowd, Rounds
from history import digest
from judge import Rules
from servers import Server
from waiting import work_for

# What `appendfsync everysec` may lose, in seconds: a write is put off while the last fsync runs, for two.
EVERYSEC = 2.5


def busy_with_files(server: Server, rng: Random) -> None:
    """Perhaps a save or a rewrite is going on when the end comes."""
    command = rng.choice([None, None, "BGSAVE", "BGREWRITEAOF"])
    if command:
        server.client().execute_command(command)


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_a_server_that_is_killed_loses_nothing_that_was_acknowledged(
    fresh_server: Fresh,
    make_crowd: MakeCrowd,
    rng: Random,
    rounds: Rounds,
    count: Count,
    fsync: str,
) -> None:
    server = fresh_server("appendonly yes", f"appendfsync {fsync}", f"aof-use-rdb-preamble {rng.choice(['yes', 'no'])}")
    gaps = []
    with make_crowd(lambda: ("127.0.0.1", server.port)) as crowd:
        for _ in range(rounds(3)):
            crowd.wait_for_progress(rng.randrange(1, 30))
            busy_with_files(server, rng)
            work_for(rng.random() * 0.05)
            server.kill9()
            now = time.time()
            gaps.append((now - EVERYSEC, now))
            count("servers killed")
            server.start()
        crowd.finish(Rules() if fsync == "always" else Rules(tuple(gaps)))
    before = digest(server.client())
    server.restart(hard=True)
    assert digest(server.client()) == before
    rewrite_aof(server)
    server.restart(hard=True)
    assert digest(server.client()) == before

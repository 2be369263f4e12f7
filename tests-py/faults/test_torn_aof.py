"""An AOF whose end is missing, wherever it was torn: the server starts, and the space is what it was a
few commands earlier."""

from random import Random

import pytest

from blocked import Queue, served
from files import aof_commands, aof_files, read_commands
from fixtures import Count, Fresh, Rounds
from history import HOUR, digest, live
from servers import Server
from space import Space
from waiting import now_ms
from workflows import chain, loose, single

AOF = ("appendonly yes", "appendfsync always", "aof-load-truncated yes", "auto-aof-rewrite-percentage 0")


def tear(server: Server, whole: bytes, length: int) -> None:
    """Starts a server that has ended on the first `length` bytes of its last AOF file."""
    (file,) = aof_files(server, "incr")
    file.write_bytes(whole[:length])
    server.start()


def check_sound(server: Server) -> None:
    """What was loaded is a space: its invariants hold, which loading it from an RDB file checks."""
    client = server.client()
    if client.exists("jobs"):
        before = digest(client)
        client.execute_command("DEBUG", "RELOAD")
        assert digest(client) == before


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_torn_anywhere(fresh_server: Fresh, rng: Random, rounds: Rounds, count: Count, preamble: str) -> None:
    server = fresh_server(*AOF, f"aof-use-rdb-preamble {preamble}", "workflow.grace-ms 3600000")
    live(server, Space(server.client(), "jobs"))
    server.kill9()
    (file,) = aof_files(server, "incr")
    whole = file.read_bytes()
    for _ in range(rounds(8)):
        length = rng.randrange(1, len(whole))
        tear(server, whole, length)
        count("torn tails")
        check_sound(server)
        kept = file.read_bytes()
        assert whole.startswith(kept) and len(kept) <= length
        read_commands(kept)
        server.kill9()
        server.start()
        check_sound(server)
        server.kill9()


def test_what_is_acknowledged_after_a_torn_tail_is_not_lost(
    fresh_server: Fresh, rng: Random, rounds: Rounds, count: Count
) -> None:
    """A tail that is torn within a transaction would leave the MULTI that began it, and the server would
    throw away with it whatever came after. So a push and the claims that it wakes are one command.
    """
    server = fresh_server(*AOF)
    jobs = Space(server.client(), "jobs")
    waiters = Queue(server).joins(3)
    jobs.push(single())
    held = [task.token for task in waiters[0].tasks()]
    before = len(aof_files(server, "incr")[0].read_bytes())
    jobs.push(loose(2))
    server.wait_until(lambda: len(served(waiters)) == 2, what="two more to be served")
    server.kill9()
    (file,) = aof_files(server, "incr")
    whole = file.read_bytes()
    lengths = range(before + 1, len(whole))
    for length in rng.sample(lengths, min(rounds(8), len(lengths))):
        tear(server, whole, length)
        count("torn tails")
        jobs = Space(server.client(), "jobs")
        assert jobs.complete(*held) == [1]
        later = jobs.push(chain(2))
        claimed = jobs.claim("w", "COUNT", 9, "LEASE", HOUR)
        assert [task.workflow for task in claimed] == [later], "of the torn push nothing is there"
        expected = digest(jobs.client)
        server.restart(hard=True)
        assert digest(server.client()) == expected
        server.kill9()


def test_a_command_and_what_it_wakes_are_one_in_the_aof(fresh_server: Fresh) -> None:
    """The same for everything that makes tasks ready where clients wait."""
    server = fresh_server(*AOF)
    jobs = Space(server.client(), "jobs")
    queue = Queue(server)
    (first, *_), done = queue.joins(12), 0

    def all_served(number: int) -> None:
        nonlocal done
        done += number
        server.wait_until(lambda: queue.blocked() == 12 - done, what=f"{number} more to be served")

    jobs.push(single(max_attempts=2))
    jobs.push(loose(3))
    all_served(4)
    (root,) = first.tasks()
    jobs.push(chain(2))
    all_served(1)
    jobs.fail(root.token, "RETRY", 0)
    all_served(1)
    jobs.push(loose(2), "DELAY", 30)
    all_served(2)
    jobs.push(loose(2), "PAUSED", "ID", "p")
    jobs.release("ID", "p")
    all_served(2)
    jobs.recover("waiter-2")
    all_served(1)
    names = [command[0].upper() for command in aof_commands(server)]
    assert b"MULTI" not in names, "a transaction that may be torn"
    kinds = [[word for word in command if word in (b"push", b"claim", b"due")] for command in aof_commands(server)]
    assert [b"push", b"claim", b"claim", b"claim"] in kinds
    assert [b"due", b"claim", b"claim"] in kinds
    before = digest(jobs.client)
    server.restart(hard=True)
    assert digest(server.client()) == before


def test_what_falls_due_in_many_spaces_at_once_is_a_command_each(fresh_server: Fresh) -> None:
    server = fresh_server(*AOF)
    spaces = [Space(server.client(db=db), f"jobs-{number}") for db in (0, 3) for number in range(50)]
    tokens = []
    for space in spaces:
        space.push(loose(2))
        tokens.append([task.token for task in space.claim("w", "COUNT", 2, "LEASE", HOUR)])
    queue = Queue(server)
    waiters = [queue.join(key=space.key, db=db) for space, db in ((spaces[0], 0), (spaces[50], 3))]
    client = server.client()
    for space, held in zip(spaces, tokens, strict=True):
        space.extend(400, *held)
    client.execute_command("CLIENT", "PAUSE", 10_000, "WRITE")
    last = Space(client, spaces[49].key).tasks("1")["t1"]["deadline"]
    server.wait_until(lambda: now_ms() > last + 50, what="all leases to end in the pause")
    client.execute_command("CLIENT", "UNPAUSE")
    server.wait_until(lambda: len(served(waiters)) == 2, what="two to be served")
    server.wait_until(lambda: all(one.stats()["lease_expiries"] == 2 for one in spaces), what="all leases to end")
    assert b"MULTI" not in {command[0].upper() for command in aof_commands(server)}

"""Nothing is lost by saving, loading and moving a space, and what is written can be read.

Each way through a file or a payload must keep what clients see, the leases and their tokens, and
what the space will do next. That the whole state survives is the subject of test_digest.py.
"""

from collections.abc import Callable

import pytest
import redis

from files import aof_commands, aof_files, rewrite_aof
from history import HOUR, digest, ids_of, live, portrait
from refusals import refused
from servers import Server
from space import Space
from workflows import chain, diamond, loose, single, task, workflow

Reload = Callable[[Server], Server]


def save_and_restart(server: Server) -> Server:
    server.client().save()
    return server.restart(hard=True)


def crash_and_restart(server: Server) -> Server:
    return server.restart(hard=True)


def stop_and_restart(server: Server) -> Server:
    return server.restart()


def rewrite_and_crash(server: Server) -> Server:
    rewrite_aof(server)
    return server.restart(hard=True)


def debug_reload(server: Server) -> Server:
    server.client().execute_command("DEBUG", "RELOAD")
    return server


def debug_loadaof(server: Server) -> Server:
    server.client().execute_command("DEBUG", "LOADAOF")
    return server


AOF = ["appendonly yes", "appendfsync always"]
WAYS: dict[str, tuple[list[str], Reload]] = {
    "SAVE": ([], save_and_restart),
    "save at SIGTERM": (["save 3600 1"], stop_and_restart),
    "DEBUG RELOAD": ([], debug_reload),
    "AOF": (AOF, crash_and_restart),
    "DEBUG LOADAOF": (AOF, debug_loadaof),
    "AOF rewritten with preamble": ([*AOF, "aof-use-rdb-preamble yes"], rewrite_and_crash),
    "AOF rewritten without preamble": ([*AOF, "aof-use-rdb-preamble no"], rewrite_and_crash),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost(fresh_server: Callable[..., Server], way: str) -> None:
    config, reload = WAYS[way]
    server = fresh_server(*config)
    jobs = Space(server.client(), "jobs")
    live(server, jobs)
    wid = jobs.push(chain(3), "PRIORITY", 0)
    first = jobs.claim_one("w", "LEASE", HOUR)
    jobs.complete(first.token, "RESULT", "kept")
    held = jobs.claim_one("w", "LEASE", HOUR)
    ids = ids_of(jobs)
    assert len(ids) > 20
    before = portrait(jobs, ids)

    reload(server)
    jobs = Space(server.client(), "jobs")
    assert portrait(jobs, ids) == before
    assert jobs.complete(first.token) == [2], "a repeated acknowledgement is known again"
    assert jobs.extend(HOUR, held.token) == [1]
    assert jobs.complete(held.token) == [1]
    last = jobs.claim_one("w", "WITHRESULTS")
    assert (last.workflow, last.name, last.results) == (wid, "t2", {"t1": None})
    assert jobs.push(single()) not in {wid.decode(errors="replace") for wid in ids}


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_work_after_a_rewrite_joins_it(fresh_server: Callable[..., Server], preamble: str) -> None:
    server = fresh_server(*AOF, f"aof-use-rdb-preamble {preamble}")
    jobs = Space(server.client(), "jobs")
    live(server, jobs)
    rewrite_aof(server)
    live(server, jobs)
    before = digest(jobs.client)
    server.restart(hard=True)
    assert digest(server.client()) == before


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_a_large_space_goes_through_in_chunks(fresh_server: Callable[..., Server], preamble: str) -> None:
    server = fresh_server(*AOF, f"aof-use-rdb-preamble {preamble}")
    jobs = Space(server.client(), "jobs")
    for i in range(300):
        jobs.push(workflow(*(task(f"t{n} of {i}", payload="x" * 90) for n in range(40)), name="y" * 500))
    jobs.claim("w", "COUNT", 9_000, "LEASE", HOUR)
    before = digest(jobs.client)
    jobs.client.execute_command("DEBUG", "RELOAD")
    assert digest(jobs.client) == before
    jobs.client.restore("copy", 0, jobs.client.dump("jobs"))
    assert digest(jobs.client, "copy") == before
    rewrite_aof(server)
    if preamble == "no":
        chunks = [command for command in aof_commands(server, "base") if command[:2] == [b"WF.APPLY", b"jobs"]]
        assert len(chunks) > 6, "it is too small to be cut"
        assert max(len(command[3]) for command in chunks) <= 300 * 1024
    server.restart(hard=True)
    assert digest(server.client()) == before


def test_an_empty_space_survives(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server(*AOF, "aof-use-rdb-preamble no")
    jobs = Space(server.client(), "jobs")
    jobs.delete(jobs.push(single()))
    for reload in (debug_reload, debug_loadaof, rewrite_and_crash):
        reload(server)
        jobs = Space(server.client(), "jobs")
        assert jobs.client.exists("jobs") == 1
        assert jobs.stats()["tasks"]["ready"] == 0
    assert jobs.push(single()) == "2", "and remembers which ids were used"


# What is written


def test_the_aof_holds_one_readable_effect_for_each_command(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server(*AOF)
    jobs = Space(server.client(), "jobs")
    jobs.push(diamond(), "INPUT", "in")
    jobs.push(loose(5))
    top = jobs.claim_one("w", "LEASE", HOUR)
    jobs.complete(top.token, "RESULT", "r")
    both = jobs.claim("w", "COUNT", 6, "LEASE", HOUR)
    jobs.complete(*(task.token for task in both[:3]))
    jobs.extend(2 * HOUR, both[3].token, both[4].token)
    jobs.fail(both[3].token, "ERROR", "e")
    jobs.recover("w")
    jobs.pause("TYPE", "a", "b", "c")
    jobs.release("TYPE", "a", "b")
    jobs.push(single(), "PAUSED")
    jobs.pause("ALL")
    jobs.delete("1", "2")
    changing = 14
    # And what changes nothing.
    jobs.claim("w")
    jobs.get("3")
    jobs.stats()
    jobs.complete(top.token)
    jobs.pause("ALL")
    jobs.delete("1")
    jobs.recover("w")

    commands = aof_commands(server)
    assert [command for command in commands if command[0].upper() != b"WF.APPLY"] in ([], [[b"SELECT", b"0"]])
    effects = [command for command in commands if command[0] == b"WF.APPLY"]
    assert [command[1] for command in effects] == [b"jobs"] * changing, [command[2] for command in effects]
    assert all(argument.isascii() and argument.decode().isprintable() for command in effects for argument in command)
    kinds = {command[2] for command in effects}
    assert kinds == {b"push", b"claim", b"done", b"extend", b"fail", b"recover", b"pause", b"release", b"delete"}


def test_a_transaction_is_one_in_the_aof(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server(*AOF)
    with server.client().pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.PUSH", "jobs", '{"tasks":[{"name":"a","type":"t"}]}')
        transaction.execute_command("WF.CLAIM", "jobs", "w", "LEASE", HOUR)
        transaction.execute()
    names = [command[0].upper() for command in aof_commands(server)]
    assert [name for name in names if name != b"SELECT"] == [b"MULTI", b"WF.APPLY", b"WF.APPLY", b"EXEC"]


def test_an_expiry_is_written_too(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server(*AOF)
    jobs = Space(server.client(), "jobs")
    wid = jobs.push(loose(3))
    jobs.claim("w", "COUNT", 3, "LEASE", 1)
    server.wait_until(lambda: set(jobs.states(wid).values()) == {"ready"}, what="the leases to run out")
    assert [command[2] for command in aof_commands(server) if command[0] == b"WF.APPLY"][-1] == b"expire"


def test_save_points_count_changes_and_fire(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("save 1 1")
    client = server.client()
    file = server.directory / "dump.rdb"
    jobs = Space(client, "jobs")

    def changes() -> int:
        return client.info("persistence")["rdb_changes_since_last_save"]

    client.config_set("save", "")
    jobs.push(loose(2))
    counted = [changes()]
    for change in (
        lambda: jobs.claim("w", "COUNT", 2, "LEASE", HOUR),
        lambda: jobs.pause("ALL"),
        lambda: jobs.release("ALL"),
        lambda: jobs.recover("w"),
        lambda: jobs.complete(jobs.claim_one("w").token),
        lambda: jobs.delete("1"),
    ):
        change()
        counted.append(changes())
    assert counted == sorted(set(counted)) and counted[0] > 0
    jobs.claim("w")
    jobs.stats()
    assert changes() == counted[-1], "what changes nothing does not count"
    assert not file.exists()
    client.config_set("save", "1 1")
    server.wait_until(file.exists, 15, "the save point to fire")
    server.wait_until(lambda: changes() == 0, 15, "the save to end")
    server.kill9()
    server.start()
    assert server.client().exists("jobs") == 1


# Payloads and names


def test_dump_and_restore(jobs: Space) -> None:
    jobs.push(chain(2))
    token = jobs.claim_one("w", "LEASE", HOUR).token
    payload = jobs.client.dump("jobs")
    jobs.complete(token)
    with pytest.raises(redis.ResponseError, match="Target key name already exists"):
        jobs.client.restore("jobs", 0, payload)
    jobs.client.restore("jobs", 0, payload, replace=True)
    assert jobs.states("1") == {"t0": "running", "t1": "waiting"}
    assert jobs.complete(token) == [1]
    assert jobs.work_off("w") == ["t1"]


def test_a_copy_has_no_leases_and_no_token_works_on_both(jobs: Space) -> None:
    jobs.push(workflow(task("done"), task("failed"), task("running"), task("expired")), "ID", "a")
    jobs.push(loose(1), "ID", "b")
    done, failed, running, expired, alone = jobs.claim("w", "COUNT", 5, "LEASE", HOUR)
    jobs.complete(done.token, "RESULT", "r")
    jobs.recover("nobody")
    before = digest(jobs.client)
    assert jobs.client.copy("jobs", "copy")
    assert digest(jobs.client) == before, "the original is as it was"

    copy = Space(jobs.client, "copy")
    assert copy.states("a") == {"done": "completed", "failed": "ready", "running": "ready", "expired": "ready"}
    assert copy.stats()["tasks"]["running"] == 0
    assert copy.tasks("a")["done"]["result"] == "r"
    tokens = [task.token for task in (done, failed, running, expired, alone)]
    assert copy.complete(*tokens) == [0] * 5
    assert copy.extend(HOUR, *tokens) == [0] * 5
    assert copy.fail(*tokens) == [0] * 5
    again = copy.claim("w", "COUNT", 9, "LEASE", HOUR)
    assert [(task.name, task.attempt) for task in again] == [("failed", 2), ("running", 2), ("expired", 2), ("t0", 2)]
    assert jobs.complete(*(task.token for task in again)) == [0] * 4
    assert jobs.complete(running.token, alone.token) == [1, 1]
    assert copy.complete(*(task.token for task in again)) == [1] * 4
    assert (copy.state("a"), jobs.state("a")) == ("completed", "running")
    assert copy.recover("w") == []


def test_a_copy_of_a_copy_of_a_rich_space(server: Server, jobs: Space) -> None:
    live(server, jobs)
    jobs.client.copy("jobs", "copy")
    jobs.client.copy("copy", "again")
    assert digest(jobs.client, "copy") == digest(jobs.client, "again")
    ids = ids_of(jobs)
    seen = portrait(Space(jobs.client, "copy"), ids)
    jobs.client.execute_command("DEBUG", "RELOAD")
    assert portrait(Space(jobs.client, "copy"), ids) == seen


MOVES: dict[str, tuple[Callable[[redis.Redis], None], str, int]] = {
    "RENAME": (lambda client: client.rename("jobs", "new"), "new", 0),
    "RENAMENX": (lambda client: client.renamenx("jobs", "new"), "new", 0),
    "MOVE": (lambda client: client.move("jobs", 1), "jobs", 1),
    "SWAPDB": (lambda client: client.swapdb(0, 1), "jobs", 1),
    "SWAPDB twice": (lambda client: (client.swapdb(0, 1), client.swapdb(1, 2)), "jobs", 2),
    "RESTORE": (lambda client: (client.restore("new", 0, client.dump("jobs")), client.delete("jobs")), "new", 0),
    "RENAME back": (lambda client: (client.rename("jobs", "new"), client.rename("new", "jobs")), "jobs", 0),
    "DEBUG RELOAD": (lambda client: client.execute_command("DEBUG", "RELOAD"), "jobs", 0),
}


@pytest.mark.parametrize("way", MOVES)
def test_a_space_keeps_its_leases_under_another_name(server: Server, jobs: Space, way: str) -> None:
    move, key, db = MOVES[way]
    wid = jobs.push(loose(2))
    kept = jobs.claim_one("w", "LEASE", HOUR)
    jobs.claim_one("w", "LEASE", 100)
    before = digest(jobs.client)
    move(jobs.client)
    moved = Space(server.client(db=db), key)
    if moved.states(wid)["t1"] == "running":
        assert digest(moved.client, key) == before
    else:
        assert way == "DEBUG RELOAD", "too slow a machine for this test"
    assert moved.complete(kept.token) == [1]
    server.wait_until(lambda: moved.states(wid)["t1"] == "ready", what="the lease to run out under the new name")
    if (key, db) != ("jobs", 0):
        assert jobs.client.exists("jobs") == 0


def test_a_restore_onto_another_type_needs_replace(jobs: Space) -> None:
    jobs.push(single())
    payload = jobs.client.dump("jobs")
    jobs.client.set("text", "x")
    with pytest.raises(redis.ResponseError, match="already exists"):
        jobs.client.restore("text", 0, payload)
    with refused("WRONGTYPE"):
        Space(jobs.client, "text").claim("w")
    jobs.client.restore("text", 0, payload, replace=True)
    assert Space(jobs.client, "text").claim_names("w") == ["only"]


def test_a_time_to_live_is_kept_and_means_the_whole_space(server: Server, jobs: Space) -> None:
    jobs.push(single())
    jobs.client.expire("jobs", 1000)
    jobs.claim("w")
    jobs.push(single())
    assert 0 < jobs.client.ttl("jobs") <= 1000, "no command of ours takes it away"
    jobs.client.pexpire("jobs", 1)
    server.wait_until(lambda: jobs.client.exists("jobs") == 0, what="the key to expire")
    assert jobs.claim("w") == []


def test_only_readable_files_are_left(fresh_server: Callable[..., Server]) -> None:
    """A file cut off in the middle of an effect is loaded up to there, as for any other type."""
    server = fresh_server(*AOF, "aof-load-truncated yes")
    jobs = Space(server.client(), "jobs")
    jobs.push(single(), "ID", "whole")
    jobs.push(single(), "ID", "torn")
    server.kill9()
    (file,) = aof_files(server, "incr")
    file.write_bytes(file.read_bytes()[:-7])
    server.start()
    jobs = Space(server.client(), "jobs")
    assert jobs.state("whole") == "running"
    assert jobs.call("GET", "torn") is None

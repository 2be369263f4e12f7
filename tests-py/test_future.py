"""What this version does with what a later one wrote: effects and layouts that it does not know.

They are forged: DEBUG REPLICATE sends a replica what its primary never did, and files are written to
while no server runs. What one of the versions before does is the subject of test_upgrade.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from blocked import Queue
from dumps import Dump
from files import aof_commands, aof_files, rewrite_aof, wait_for_rewrite
from history import HOUR, digest
from refusals import refused
from servers import ROOT, Server
from space import Space
from waiting import now_ms
from workflows import loose, single

Fresh = Callable[..., Server]
SHAPE = '{"tasks":[{"name":"a","weight":2}]}'
FUTURE = {
    "the effect 'merge'": ["merge", "1", "2"],
    "the setting 'colour'": ["config", "colour", "7"],
    "the pause of a 'group'": ["pause", "group", "g"],
    "the flag 'z'": ["push", "9", "5", "100", "nz", "", "", "9", SHAPE, "0:"],
    "the field of a shape 'weight'": ["push", "9", "5", "100", "n", "", "", "9", SHAPE, "0:"],
}
NEWER = "which a newer version of the module wrote"


def forge(primary: Server, key: str, *effect: str) -> None:
    """Sends the replicas an effect that the primary does not know of."""
    primary.client().execute_command("DEBUG", "REPLICATE", "WF.APPLY", key, *effect)


def incomplete(server: Server) -> int:
    return server.client().info("workflow")["workflow_spaces_incomplete"]


def lines_about(server: Server, words: str) -> list[str]:
    return [line for line in server.log().splitlines() if words in line and "<workflow>" in line]


def is_on_the_page(line: str) -> None:
    """What an operator looks for in docs/upgrading.md, word for word."""
    page = (ROOT / "docs/upgrading.md").read_text()
    assert line.split("<workflow> ")[1] in page.split("```log\n")[1].split("```")[0].splitlines(), line


def refuses(space: Space) -> None:
    """Every command on a space, but not on another."""
    with refused("INCOMPLETE", "lacks a part"):
        space.stats()
    with refused("INCOMPLETE", "lacks a part"):
        space.call("GET", "1")


@pytest.fixture
def pair(fresh_server: Fresh) -> tuple[Server, Server]:
    primary = fresh_server()
    replica = fresh_server("save 3600 1", f"replicaof 127.0.0.1 {primary.port}")
    replica.wait_in_sync(primary)
    replica.want_in_log("== CRITICAL ==")
    return primary, replica


@pytest.mark.parametrize("what", FUTURE)
def test_a_replica_that_does_not_know_an_effect_serves_nothing_of_the_space(pair: tuple[Server, Server], what: str) -> None:
    """It would hand out what is done. The other spaces go on, and the log says it once."""
    primary, replica = pair
    jobs, other = (Space(primary.client(), key) for key in ("jobs", "other"))
    for space in (jobs, other):
        space.push(loose(3))
    held = jobs.claim_one("w", "LEASE", 100)
    replica.wait_in_sync(primary)
    forge(primary, "jobs", *FUTURE[what])
    jobs.complete(held.token)
    jobs.push(single())
    other.push(single())
    replica.wait_in_sync(primary)
    copy = Space(replica.client(), "jobs")
    refuses(copy)
    (line,) = lines_about(replica, "is incomplete")
    assert "'jobs' is incomplete until a full resync" in line and f"{what}, {NEWER}" in line
    if "'merge'" in what:
        is_on_the_page(line)
    assert replica.log().count("== CRITICAL ==") == 1, "what builds on it is not tried"
    assert incomplete(replica) == 1
    assert digest(replica.client(), "other") == digest(primary.client(), "other")

    # It is none the better for being promoted, and the timer leaves it alone.
    replica.promote()
    refuses(copy)
    with refused("INCOMPLETE", "lacks a part"):
        copy.claim("w")
    sweeps, later = replica.client().info("workflow")["workflow_sweeps"], now_ms() + 300
    replica.wait_until(lambda: now_ms() > later, what="the lease to have ended")
    assert replica.client().info("workflow")["workflow_sweeps"] <= sweeps + 1

    replica.client().execute_command("FLUSHALL")
    replica.replicate_from(primary)
    assert digest(replica.client()) == digest(jobs.client), "a full resync makes it whole"
    assert incomplete(replica) == 0


def test_an_effect_that_does_not_fit_is_no_better(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    Space(primary.client(), "jobs").push(single())
    forge(primary, "jobs", "done", "5", "77-0")
    forge(primary, "none", "done", "5", "77-0")
    replica.wait_in_sync(primary)
    for key in ("jobs", "none"):
        refuses(Space(replica.client(), key))
    assert "a workflow that is not there" in lines_about(replica, "'none' is incomplete")[0]
    assert incomplete(replica) == 2


def test_what_a_replica_lacks_it_lacks_after_a_restart(pair: tuple[Server, Server]) -> None:
    """It goes on where it was by a partial resync, and would never hear of it again."""
    primary, replica = pair
    jobs = Space(primary.client(), "jobs")
    jobs.push(loose(2))
    replica.wait_in_sync(primary)
    forge(primary, "jobs", "merge")
    replica.wait_in_sync(primary)
    full = primary.client().info("stats")["sync_full"]
    replica.restart()
    replica.wait_in_sync(primary)
    assert primary.client().info("stats")["sync_full"] == full, "the resync is partial"
    jobs.push(single())
    replica.wait_in_sync(primary)
    refuses(Space(replica.client(), "jobs"))
    assert incomplete(replica) == 1


def test_who_waits_at_a_copy_that_is_given_up_is_told(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    wid = Space(primary.client(), "jobs").push(single())
    replica.wait_in_sync(primary)
    waiter = Queue(replica).awaits(wid, block=0)
    forge(primary, "jobs", "merge")
    reply = waiter.reply()
    assert isinstance(reply, redis.ResponseError)
    with refused("INCOMPLETE", "lacks a part"):
        raise reply


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_the_aof_of_a_replica_has_what_it_could_not_apply(fresh_server: Fresh, preamble: str) -> None:
    """So that a version that knows it loads all of it, and this one does not start."""
    primary = fresh_server()
    replica = fresh_server("appendonly yes", "appendfsync always", f"aof-use-rdb-preamble {preamble}")
    replica.want_in_log("== CRITICAL ==")
    jobs = Space(primary.client(), "jobs")
    jobs.push(loose(2))
    replica.replicate_from(primary)
    wait_for_rewrite(replica)
    forge(primary, "jobs", "merge", "1")
    held = jobs.claim_one("w", "LEASE", HOUR)
    jobs.complete(held.token)
    replica.wait_in_sync(primary)
    words = [command[2] for command in aof_commands(replica) if command[0] == b"WF.APPLY"]
    assert words == [b"merge", b"claim", b"done"]
    replica.kill9()
    does_not_start(replica, "the AOF cannot be loaded", "the effect 'merge'")


# Files


def does_not_start(server: Server, *words: str) -> str:
    """One line says why, and the files are as they were. Returns the line."""
    before = {path: path.read_bytes() for path in files_of(server)}
    with pytest.raises(AssertionError, match="did not start"):
        server.start()
    server.expect_end()
    (line,) = lines_about(server, words[0])
    assert all(word in line for word in words), line
    assert {path: path.read_bytes() for path in files_of(server)} == before
    return line


def files_of(server: Server) -> list[Path]:
    files = sorted(path for path in server.directory.rglob("*") if path.suffix in (".rdb", ".aof", ".manifest"))
    assert files
    return files


@pytest.mark.parametrize("what", FUTURE)
def test_an_aof_with_an_effect_of_a_newer_version_is_left_as_it_is(fresh_server: Fresh, what: str) -> None:
    """As Redis itself does with a command that it does not know: a rewrite would lose what came after."""
    server = fresh_server("appendonly yes", "appendfsync always")
    jobs = Space(server.client(), "jobs")
    jobs.push(single())
    server.kill9()
    append(server, ["WF.APPLY", "jobs", *FUTURE[what]])
    line = does_not_start(server, "the AOF cannot be loaded", what, NEWER)
    if "'merge'" in what:
        is_on_the_page(line)


def append(server: Server, command: list[str]) -> None:
    (path,) = aof_files(server, "incr")
    parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in command)
    path.write_bytes(path.read_bytes() + b"*%d\r\n%s" % (len(command), parts))


def test_an_effect_in_the_aof_that_does_not_fit_costs_its_space_alone(fresh_server: Fresh) -> None:
    server = fresh_server("appendonly yes", "appendfsync always")
    for key in ("jobs", "other"):
        Space(server.client(), key).push(single())
    server.kill9()
    append(server, ["WF.APPLY", "jobs", "done", "5", "77-0"])
    server.want_in_log("== CRITICAL ==")
    server.start()
    refuses(Space(server.client(), "jobs"))
    assert Space(server.client(), "other").work_off("w") == ["only"]
    assert len(lines_about(server, "an effect in the AOF does not fit")) == 1


def test_a_rewritten_aof_of_a_newer_layout_is_left_as_it_is(fresh_server: Fresh) -> None:
    server = fresh_server("appendonly yes", "appendfsync always", "aof-use-rdb-preamble no")
    Space(server.client(), "jobs").push(single())
    rewrite_aof(server)
    server.kill9()
    (base,) = aof_files(server, "base")
    now, later = b"snapshot\r\n$%d\r\nH\x03", b"snapshot\r\n$%d\r\nH\x63"
    sizes = [size for size in range(99) if now % size in base.read_bytes()]
    assert len(sizes) == 1
    base.write_bytes(base.read_bytes().replace(now % sizes[0], later % sizes[0]))
    does_not_start(server, "the AOF cannot be loaded", "layout 99", NEWER)


@pytest.mark.parametrize("preamble", [False, True])
def test_an_rdb_file_of_a_newer_layout_is_left_as_it_is(fresh_server: Fresh, preamble: bool) -> None:
    config = ["appendonly yes", "aof-use-rdb-preamble yes"] if preamble else []
    # A file without a checksum says so.
    server = fresh_server("rdbchecksum no", *config)
    client = server.client()
    Space(client, "jobs").push(single())
    if preamble:
        rewrite_aof(server)
    else:
        client.save()
    server.kill9()
    path = aof_files(server, "base")[0] if preamble else server.directory / "dump.rdb"
    data = path.read_bytes()
    # The name of the type and its layout are one number of 64 bits; `workflows` is nine times six of them.
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for letter in "workflows":
        number = number << 6 | letters.index(letter)
    now, later = ((number << 10 | layout).to_bytes(8, "big") for layout in (3, 4))
    assert data.count(now) >= 1
    path.write_bytes(data.replace(now, later))
    is_on_the_page(does_not_start(server, "a space is saved in layout"))


def test_a_payload_of_a_newer_layout_is_refused(server: Server) -> None:
    """RESTORE and MIGRATE: the key is not made."""
    client = server.client()
    Space(client, "jobs").push(single())
    dump = Dump(client.dump("jobs"))
    # The low ten bits of the number of the type are its layout.
    at = next(i for i in range(9) if dump.body[i : i + 1] == b"\x81") + 8
    layout = int.from_bytes(dump.body[at - 1 : at + 1], "big") & 0x3FF
    assert layout == 3
    body = bytearray(dump.body)
    body[at] = 99
    with pytest.raises(redis.ResponseError, match="Bad data format"):
        client.restore("copy", 0, dump.with_body(bytes(body)))
    assert client.exists("copy") == 0
    assert lines_about(server, "a space is saved in layout 99")

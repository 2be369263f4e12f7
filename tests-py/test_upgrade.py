"""A rolling upgrade as docs/upgrading.md tells it, from a module that an earlier version of this
repository builds: layout 2 of the files, and none of the effects that came with layout 3.

The older module is built by `make test` from the history; a clone without it skips all of this.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from files import rewrite_aof, wait_for_rewrite
from history import HOUR, digest, holds
from older import NEEDS_OLDER, shut_down, upgrade
from servers import OLDER, Server, role
from space import Space
from under_way import begin, end, go_on, seen, use_what_is_new
from workflows import loose, single

pytestmark = NEEDS_OLDER
Fresh = Callable[..., Server]

# How a server keeps its data.
KEPT = {
    "RDB": ("save 3600 1",),
    "AOF with preamble": ("appendonly yes", "appendfsync always", "aof-use-rdb-preamble yes"),
    "AOF without preamble": ("appendonly yes", "appendfsync always", "aof-use-rdb-preamble no"),
}
NEWER_LAYOUT = "a space is saved in layout 3, this module reads layout 2"


# The order of the page


@pytest.mark.parametrize("kept", KEPT)
def test_replicas_first_then_the_primary(fresh_server: Fresh, kept: str) -> None:
    """Nothing that was acknowledged is lost, and no worker needs to know."""
    old = fresh_server(*KEPT[kept], module=OLDER)
    jobs = Space(old.client(), "jobs")
    work = begin(old, jobs)
    new = fresh_server(*KEPT[kept], replica_of=old)
    go_on(jobs, work)
    new.wait_in_sync(old)
    before = seen(jobs)
    after = Space(new.client(), "jobs")
    holds(seen(after), before)

    shut_down(old)
    new.promote()
    holds(seen(after), before)
    use_what_is_new(after)

    # Its own files are of the moment of the handover.
    upgrade(old)
    holds(seen(Space(old.client(), "jobs")), before)
    old.replicate_from(new)
    assert digest(old.client()) == digest(new.client())
    end(after, work)
    old.wait_in_sync(new)
    assert digest(old.client()) == digest(new.client())
    # What was loaded from files of the older version and what came over the wire is one state.
    for server in (old, new):
        whole = digest(server.client())
        server.client().execute_command("DEBUG", "RELOAD")
        assert digest(server.client()) == whole


@pytest.mark.parametrize("kept", KEPT)
def test_a_replica_is_upgraded_on_its_own_files(fresh_server: Fresh, kept: str) -> None:
    """The first step: the replica had the older version, and its primary still has."""
    old = fresh_server(module=OLDER)
    replica = fresh_server(*KEPT[kept], f"replicaof 127.0.0.1 {old.port}", module=OLDER)
    replica.wait_in_sync(old)
    jobs = Space(old.client(), "jobs")
    work = begin(old, jobs)
    replica.wait_in_sync(old)
    wait_for_rewrite(replica)
    replica.stop()
    go_on(jobs, work)
    upgrade(replica)
    replica.wait_in_sync(old)
    holds(seen(Space(replica.client(), "jobs")), seen(jobs))
    shut_down(old)
    replica.promote()
    end(Space(replica.client(), "jobs"), work)


def test_a_server_without_replicas(fresh_server: Fresh) -> None:
    """SHUTDOWN, the new module, start."""
    server = fresh_server("save 3600 1", module=OLDER)
    work = begin(server, Space(server.client(), "jobs"))
    before = seen(Space(server.client(), "jobs"))
    shut_down(server)
    upgrade(server)
    jobs = Space(server.client(), "jobs")
    holds(seen(jobs), before)
    use_what_is_new(jobs)
    assert jobs.complete(work.half.token, work.held.token) == [1, 1]


def test_after_a_failover_the_older_copy_is_thrown_away(fresh_server: Fresh) -> None:
    """FAILOVER makes the old primary a replica of what it does not understand: it says so and goes stale."""
    old = fresh_server("save 3600 1", module=OLDER)
    old.want_in_log("== CRITICAL ==")
    jobs = Space(old.client(), "jobs")
    work = begin(old, jobs)
    new = fresh_server("save 3600 1", replica_of=old)
    go_on(jobs, work)
    new.wait_in_sync(old)
    old.client().execute_command("FAILOVER")
    new.wait_until(lambda: role(new) == "master" and role(old) == "slave", 20, "the roles to change")
    after = Space(new.client(), "jobs")
    use_what_is_new(after)
    old.wait_in_sync(new)
    assert "cannot apply an effect" in old.log()
    assert jobs.call("GET", "new") is None, "this is why"
    shut_down(old)
    (old.directory / "dump.rdb").unlink()
    upgrade(old)
    old.replicate_from(new)
    end(after, work)
    old.wait_in_sync(new)
    assert digest(old.client()) == digest(new.client())


# The wrong order, and the way back


@pytest.mark.parametrize("load", ["disabled", "on-empty-db", "swapdb"])
def test_an_older_replica_behind_a_newer_primary(fresh_server: Fresh, load: str) -> None:
    """It ends at once, with one line that says why: never half of the data."""
    new = fresh_server()
    jobs = Space(new.client(), "jobs")
    jobs.push(loose(3), "ID", "w")
    held = jobs.claim_one("w", "LEASE", HOUR)
    old = fresh_server(f"repl-diskless-load {load}", "save 3600 1", module=OLDER)
    Space(old.client(), "jobs").push(single())
    old.client().execute_command("REPLICAOF", "127.0.0.1", new.port)
    old.expect_end()
    assert old.log().count(NEWER_LAYOUT) == 1
    assert jobs.complete(held.token) == [1], "the primary goes on"
    (old.directory / "dump.rdb").unlink(missing_ok=True)
    upgrade(old).replicate_from(new)
    assert digest(old.client()) == digest(new.client())


@pytest.mark.parametrize("kept", ["RDB", "AOF with preamble"])
def test_a_file_of_this_version_in_an_older_server(fresh_server: Fresh, kept: str) -> None:
    """Refused with one line, and left as it is for the version that wrote it."""
    server = fresh_server(*KEPT[kept])
    jobs = Space(server.client(), "jobs")
    use_what_is_new(jobs)
    if kept != "RDB":
        rewrite_aof(server)
    before = digest(server.client())
    server.stop()
    files = contents(server)
    server.module = OLDER
    with pytest.raises(AssertionError, match="did not start"):
        server.start()
    server.expect_end()
    assert server.log().count(NEWER_LAYOUT) == 1
    assert contents(server) == files
    assert digest(upgrade(server).client()) == before


def contents(server: Server) -> dict[Path, bytes]:
    found = [path for path in server.directory.rglob("*") if path.suffix in (".rdb", ".aof", ".manifest")]
    assert found
    return {path: path.read_bytes() for path in found}
